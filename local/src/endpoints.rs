//! Where DynamoDB, Secrets Manager and EventBridge are for a `cargo run`, and with which credentials they are called.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use base::limits::Limits;
use platform::bus::Bus;
use runtime::aws::{AwsClients, event_bus_client};
use runtime::config::Environment;

/// The table and the secret. Another table, and another bus, are reached with the credentials and the region of the
/// environment, as far as they are there; ours accept any.
pub(crate) struct Endpoints {
    table: SdkConfig,
    secrets: SdkConfig,
}

impl Endpoints {
    pub(crate) fn new(table_url: &str, secrets_url: &str, environment: &impl Environment) -> Self {
        let credentials = match (environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(key)) => {
                Credentials::new(id, key, environment.get("AWS_SESSION_TOKEN"), None, "environment")
            }
            _ => Credentials::new("local", "local", None, None, "local"),
        };
        let common = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(environment.get("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned())))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .build();
        let at = |url: &str| common.to_builder().endpoint_url(url).build();
        Self { table: at(table_url), secrets: at(secrets_url) }
    }

    pub(crate) fn clients(&self, limits: &Limits) -> AwsClients {
        AwsClients {
            dynamodb: AwsClients::new(&self.table, limits).dynamodb,
            secrets: AwsClients::new(&self.secrets, limits).secrets,
        }
    }

    /// The bus `name` at `url`.
    pub(crate) fn bus(&self, url: &str, name: &str, limits: &Limits) -> Bus {
        let config = self.table.to_builder().endpoint_url(url).build();
        Bus::new(event_bus_client(&config, limits), name)
    }
}
