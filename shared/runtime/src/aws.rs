//! The SDK clients, bounded in time and tries.
//!
//! Region, credentials and endpoints are the SDK's own variables; no code of ours reads them.

mod connections;

use std::fmt;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use base::limits::Limits;

use self::connections::Connections;

/// Tries of one operation: a first one, and two more within the operation's bound.
const TRIES: u32 = 3;

/// The first pause between two tries; the SDK's own second would use up the bound.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The SDK's configuration from the environment that the function runs in. Once per process.
pub async fn config() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest()).http_client(Connections::new()).load().await
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
    /// Clients on a given SDK configuration.
    #[must_use]
    pub fn new(config: &SdkConfig, limits: &Limits) -> Self {
        let dynamodb = aws_sdk_dynamodb::config::Builder::from(config)
            .retry_config(tries())
            .timeout_config(bounds(limits.dynamodb_try, limits.dynamodb))
            .build();
        let secrets = aws_sdk_secretsmanager::config::Builder::from(config)
            .retry_config(tries())
            .timeout_config(bounds(limits.secrets_try, limits.secrets))
            .build();
        Self {
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb),
            secrets: aws_sdk_secretsmanager::Client::from_conf(secrets),
        }
    }
}

/// The client of those that put events on the bus.
#[must_use]
pub fn event_bus_client(config: &SdkConfig, limits: &Limits) -> aws_sdk_eventbridge::Client {
    let config = aws_sdk_eventbridge::config::Builder::from(config)
        .retry_config(tries())
        .timeout_config(bounds(limits.bus_try, limits.bus))
        .build();
    aws_sdk_eventbridge::Client::from_conf(config)
}

/// What became of a call that failed, without anything that the service says in words: it can quote what was sent.
pub fn failure<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: fmt::Debug,
{
    match error {
        SdkError::ServiceError(service) => service.err().code().unwrap_or("unknown").to_owned(),
        SdkError::TimeoutError(_) => "timeout".to_owned(),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "timeout".to_owned(),
        SdkError::DispatchFailure(_) => "connection".to_owned(),
        SdkError::ResponseError(_) => "unreadable answer".to_owned(),
        other => DisplayErrorContext(other).to_string(),
    }
}

fn tries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(TRIES).with_initial_backoff(FIRST_PAUSE)
}

fn bounds(one_try: Duration, all: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(one_try).operation_attempt_timeout(one_try).operation_timeout(all).build()
}
