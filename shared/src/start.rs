//! From the environment to [`Services`], for every function that calls WeChat.

use std::sync::Arc;

use crate::aws::AwsClients;
use crate::clock::{SharedClock, SystemClock};
use crate::config::{ConfigError, Environment, StoreConfig, WechatConfig};
use crate::limits::Limits;
use crate::platform::PlatformSource;
use crate::random::Random;
use crate::session::Services;
use crate::telemetry::Metrics;
use crate::vault::Store;
use crate::wechat::{BuildError, WechatClient};

/// Why a function does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A variable is missing or malformed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The HTTP client for WeChat cannot be built.
    #[error(transparent)]
    Http(#[from] BuildError),
}

/// The services as they are in the cloud: AWS's clients, the machine's clock and randomness.
///
/// # Errors
/// [`StartError`] naming the variable.
pub async fn services(environment: &impl Environment, limits: Limits) -> Result<Services, StartError> {
    let config = StoreConfig::read(environment)?;
    let wechat = WechatClient::new(&WechatConfig::read(environment)?.api, &limits)?;
    let clients = AwsClients::from_environment(&limits).await;
    let clock: SharedClock = Arc::new(SystemClock);
    let metrics = Metrics::embedded(Arc::clone(&clock));
    let platform = PlatformSource::new(clients.secrets, config.secret_id, Arc::clone(&clock), limits, metrics.clone());
    Ok(Services {
        platform: Arc::new(platform),
        store: Store::new(clients.dynamodb, &config.table_name),
        wechat,
        clock,
        random: Random::system(),
        metrics,
        limits,
    })
}
