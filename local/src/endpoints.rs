//! The endpoints of DynamoDB, Secrets Manager, EventBridge and Lambda for a `cargo run`, and the credentials for them.

use aws_config::SdkConfig;
use base::limits::Limits;
use platform::bus::Bus;
use runtime::aws::{AwsClients, PresignError, Presigner, event_bus_client, local_config};
use runtime::config::Environment;

/// The table, the secret and the functions. Another table, and another bus, are called with the environment's
/// credentials and region, as far as they are set; ours accept any.
pub(crate) struct Endpoints {
    table: SdkConfig,
    secrets: SdkConfig,
    lambda: SdkConfig,
}

impl Endpoints {
    pub(crate) fn new(table_url: &str, secrets_url: &str, lambda_url: &str, environment: &impl Environment) -> Self {
        let [table, secrets, lambda] = [table_url, secrets_url, lambda_url].map(|url| local_config(url, environment));
        Self { table, secrets, lambda }
    }

    /// The client with which the console calls functions.
    pub(crate) fn lambda(&self) -> aws_sdk_lambda::Client {
        console::lambda_client(&self.lambda)
    }

    pub(crate) fn clients(&self, limits: &Limits) -> AwsClients {
        AwsClients {
            dynamodb: AwsClients::new(&self.table, limits).dynamodb,
            secrets: AwsClients::new(&self.secrets, limits).secrets,
        }
    }

    /// The signer for the bucket of files, with the environment's credentials, as far as they are set.
    pub(crate) fn presigner(&self) -> Result<Presigner, PresignError> {
        Presigner::new(&self.table)
    }

    /// The bus `name` at `url`.
    pub(crate) fn bus(&self, url: &str, name: &str, limits: &Limits) -> Bus {
        let config = self.table.to_builder().endpoint_url(url).build();
        Bus::new(event_bus_client(&config, limits), name)
    }
}
