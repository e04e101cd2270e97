//! A second opinion: moto, an independent implementation of DynamoDB, Secrets Manager and S3, where it is installed.
//!
//! Only for tests that are ignored by default. It is a Python program (`pip install 'moto[server]==5.*'`), found on the
//! `PATH`. Compared with AWS it is more lenient: it never throttles, checks no signature, and accepts more than AWS
//! does.

use std::time::Duration;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use base::ids::AppId;
use local::table::create_table;
use runtime::aws::Connections;
use secrecy::ExposeSecret as _;
use store::{Store, Table};

use crate::bootstrap::Variables;
use crate::process::{Process, on_the_path, variable};
use crate::world::{COMPONENT, SECRET, TABLE, World, secret_json};

/// Python is slow to start.
const START: Duration = Duration::from_secs(30);

/// The bucket of files.
const BUCKET: &str = "files";

/// A running moto with the platform's table, secret and bucket in it. It ends when the value is dropped.
#[derive(Debug)]
pub struct Moto {
    endpoint: String,
    _process: Process,
    dynamodb: aws_sdk_dynamodb::Client,
}

impl Moto {
    /// Starts one on any free port of this machine.
    pub async fn start() -> Self {
        let program = on_the_path("moto_server");
        let variables = ["PATH", "HOME"].map(|name| (name, variable(name)));
        let mut process = Process::start(program, &["-H", "127.0.0.1", "-p", "0"], variables);
        process.wait_for_output("Press CTRL+C", START).await;
        let output = process.output();
        let endpoint = output.split_whitespace().find(|word| word.starts_with("http://127.")).expect("it says where");
        let (region, credentials) = (Region::from_static("us-east-1"), Credentials::for_tests());
        let dynamodb = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(region.clone())
            .credentials_provider(credentials.clone())
            .http_client(Connections::new());
        let dynamodb = aws_sdk_dynamodb::Client::from_conf(dynamodb.build());
        create_table(&dynamodb, TABLE).await.unwrap();
        let secrets = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(region)
            .credentials_provider(credentials)
            .http_client(Connections::new());
        let secrets = aws_sdk_secretsmanager::Client::from_conf(secrets.build());
        secrets.create_secret().name(SECRET).secret_string(secret_json().expose_secret()).send().await.unwrap();
        let bucket = crate::http_client().put(format!("{endpoint}/{BUCKET}")).send().await.unwrap();
        assert_eq!(bucket.status(), 200);
        Self { endpoint: endpoint.to_owned(), _process: process, dynamodb }
    }

    /// Copies everything in the world's table into this one.
    pub async fn take_over(&self, world: &World) {
        let scan = world.database.client().scan().table_name(TABLE).send().await.unwrap();
        for item in scan.items.unwrap_or_default() {
            self.dynamodb.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
        }
    }

    /// Sets a process's variables so that it uses this one.
    pub fn redirect(&self, variables: &mut Variables) {
        for name in ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER"] {
            variables.insert(name.into(), self.endpoint.clone());
        }
        variables.insert("FILES_BUCKET_URL".into(), format!("{}/{BUCKET}", self.endpoint));
    }

    /// The platform's part of the table.
    #[must_use]
    pub fn store(&self) -> Store {
        Table::new(self.dynamodb.clone(), TABLE).store(&AppId::parse(COMPONENT).unwrap())
    }
}
