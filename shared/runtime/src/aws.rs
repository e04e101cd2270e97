//! The SDK clients, bounded in time and tries.
//!
//! Region, credentials and endpoints are the SDK's own variables; no code of ours reads them.

mod connect;
mod connections;
mod failure;
mod presign;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, Region, SharedCredentialsProvider};
use base::limits::Limits;

use crate::config::Environment;

pub use self::connect::{connect_to_dynamodb, connect_to_eventbridge};
pub use self::connections::Connections;
pub use self::failure::{AwsFailure, FailureKind, failure};
pub use self::presign::{PresignError, Presigner, SignedRequest};

/// The number of tries of one operation: the first, and two more within the operation's time-out.
const TRIES: u32 = 3;

/// The first pause between two tries; the SDK's default of a second would use up the operation's time-out.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The SDK's configuration from the function's environment. Load it once per process.
pub async fn config() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest()).http_client(Connections::new()).load().await
}

/// The SDK's configuration for a stand-in of AWS at `endpoint`, which accepts any credentials. Region and credentials
/// are taken from the environment if it has them, since the user's own table may require them.
pub fn local_config(endpoint: &str, environment: &impl Environment) -> SdkConfig {
    let credentials = match (environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")) {
        (Some(id), Some(key)) => Credentials::new(id, key, environment.get("AWS_SESSION_TOKEN"), None, "environment"),
        _ => Credentials::new("local", "local", None, None, "local"),
    };
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(environment.get("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned())))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .http_client(Connections::new())
        .build()
}

/// The clients that every function has.
#[derive(Debug, Clone)]
pub struct AwsClients {
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Secrets Manager.
    pub secrets: aws_sdk_secretsmanager::Client,
}

impl AwsClients {
    /// Builds the clients with a given SDK configuration.
    #[must_use]
    pub fn new(config: &SdkConfig, limits: &Limits) -> Self {
        let secrets = aws_sdk_secretsmanager::config::Builder::from(config)
            .retry_config(tries())
            .timeout_config(bounds(limits.secrets_try, limits.secrets))
            .build();
        Self { dynamodb: table_client(config, limits), secrets: aws_sdk_secretsmanager::Client::from_conf(secrets) }
    }
}

/// The DynamoDB client, for a function that needs no other.
#[must_use]
pub fn table_client(config: &SdkConfig, limits: &Limits) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::config::Builder::from(config)
        .retry_config(tries())
        .timeout_config(bounds(limits.table_try, limits.table))
        .build();
    aws_sdk_dynamodb::Client::from_conf(config)
}

/// The EventBridge client, for functions that publish events.
#[must_use]
pub fn event_bus_client(config: &SdkConfig, limits: &Limits) -> aws_sdk_eventbridge::Client {
    let config = aws_sdk_eventbridge::config::Builder::from(config)
        .retry_config(tries())
        .timeout_config(bounds(limits.bus_try, limits.bus))
        .build();
    aws_sdk_eventbridge::Client::from_conf(config)
}

fn tries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(TRIES).with_initial_backoff(FIRST_PAUSE)
}

fn bounds(one_try: Duration, all: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(one_try).operation_timeout(all).build()
}
