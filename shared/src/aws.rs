//! The SDK clients, bounded in time and tries.
//!
//! Region, credentials and endpoints are the SDK's own variables; no code of ours reads them.

mod connections;

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;

use self::connections::Connections;
use crate::limits::Limits;

/// Tries of one operation: a first one, and two more within the operation's bound.
const TRIES: u32 = 3;

/// The first pause between two tries; the SDK's own second would use up the bound.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Both clients of a function.
#[derive(Debug, Clone)]
pub struct AwsClients {
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Secrets Manager.
    pub secrets: aws_sdk_secretsmanager::Client,
}

impl AwsClients {
    /// Clients for the environment the function runs in.
    pub async fn from_environment(limits: &Limits) -> Self {
        let config = aws_config::defaults(BehaviorVersion::latest()).http_client(Connections::new()).load().await;
        Self::new(&config, limits)
    }

    /// Clients on a given SDK configuration.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig, limits: &Limits) -> Self {
        let retry = RetryConfig::standard().with_max_attempts(TRIES).with_initial_backoff(FIRST_PAUSE);
        let dynamodb = aws_sdk_dynamodb::config::Builder::from(config)
            .retry_config(retry.clone())
            .timeout_config(bounds(limits.dynamodb_try, limits.dynamodb))
            .build();
        let secrets = aws_sdk_secretsmanager::config::Builder::from(config)
            .retry_config(retry)
            .timeout_config(bounds(limits.secrets_try, limits.secrets))
            .build();
        Self {
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb),
            secrets: aws_sdk_secretsmanager::Client::from_conf(secrets),
        }
    }
}

fn bounds(one_try: Duration, all: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(one_try).operation_attempt_timeout(one_try).operation_timeout(all).build()
}
