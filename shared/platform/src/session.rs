//! One platform at work: its secret, its part of the table, WeChat's API, clock, randomness and bounds in one value.
//!
//! [`Services`] is built once at start; each event opens a [`Session`] with the secret as it is then. What is done with
//! tokens and codes is written as methods of the session, in [`crate::tokens`] and [`crate::exchange`].

use std::sync::Arc;

use aws_config::SdkConfig;
use base::clock::{SharedClock, SystemClock, Timestamp};
use base::limits::Limits;
use base::random::Random;
use runtime::aws::{self, AwsClients};
use runtime::config::{ConfigError, Environment, MetricsConfig, StoreConfig, WechatConfig};
use runtime::telemetry::{Measure, Metric, Metrics};
use secrecy::SecretString;
use store::{Store, Vault};
use tokio::time::Instant;
use wechat::api::{BuildError, ComponentCall, WechatClient, WechatError};

use crate::secret::{Platform, PlatformError, PlatformSource};

/// What a function that calls WeChat is built from, once.
#[derive(Clone)]
pub struct Services {
    /// The platform's secret.
    pub platform: Arc<PlatformSource>,
    /// The table.
    pub store: Store,
    /// WeChat's API.
    pub wechat: WechatClient,
    /// Where the rules read the time.
    pub clock: SharedClock,
    /// Random bytes.
    pub random: Random,
    /// Where metrics go.
    pub metrics: Metrics,
    /// Bounds on every wait.
    pub limits: Limits,
}

/// Why a function that calls WeChat does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A variable is missing or malformed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The HTTP client cannot be built.
    #[error(transparent)]
    Http(#[from] BuildError),
}

impl Services {
    /// What runs in the cloud: the machine's clock and randomness, metrics in the embedded format, and the table, the
    /// secret and the API that the environment names.
    ///
    /// # Errors
    /// [`StartError`] names the variable that is missing or malformed.
    pub async fn from_environment(environment: &impl Environment, limits: Limits) -> Result<Self, StartError> {
        Self::on(&aws::config().await, environment, limits)
    }

    /// The same on an SDK configuration that the function uses for more.
    ///
    /// # Errors
    /// [`StartError`] names the variable that is missing or malformed.
    pub fn on(config: &SdkConfig, environment: &impl Environment, limits: Limits) -> Result<Self, StartError> {
        let store = StoreConfig::read(environment)?;
        let wechat = WechatConfig::read(environment)?;
        let metrics = MetricsConfig::read(environment)?;
        let clients = AwsClients::new(config, &limits);
        let clock: SharedClock = Arc::new(SystemClock);
        let metrics = Metrics::embedded(metrics.namespace, Arc::clone(&clock));
        let platform =
            PlatformSource::new(clients.secrets, store.secret_id, Arc::clone(&clock), limits, metrics.clone());
        Ok(Self {
            platform: Arc::new(platform),
            store: Store::new(clients.dynamodb, &store.table_name),
            wechat: WechatClient::new(&wechat.api, &limits)?,
            clock,
            random: Random::system(),
            metrics,
            limits,
        })
    }

    /// Opens a session; calls of WeChat end by `deadline`, where there is one.
    ///
    /// # Errors
    /// [`PlatformError`] where the secret is empty, malformed or cannot be read.
    pub async fn session(&self, deadline: Option<Instant>) -> Result<Session, PlatformError> {
        let platform = self.platform.current().await?;
        let wechat = deadline.map_or_else(|| self.wechat.clone(), |deadline| self.wechat.with_deadline(deadline));
        Ok(Session {
            vault: self.store.vault(&platform.component),
            platform,
            wechat,
            clock: self.clock.clone(),
            random: self.random.clone(),
            metrics: self.metrics.clone(),
            limits: self.limits,
            deadline,
        })
    }
}

/// One platform, for the length of one event.
#[derive(Clone)]
pub struct Session {
    pub(crate) platform: Arc<Platform>,
    pub(crate) vault: Vault,
    pub(crate) wechat: WechatClient,
    pub(crate) clock: SharedClock,
    pub(crate) random: Random,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Limits,
    pub(crate) deadline: Option<Instant>,
}

impl Session {
    /// The same session with a memory of what WeChat last said: [`WechatClient::heard`].
    #[must_use]
    pub fn listening(self) -> Self {
        Self { wechat: self.wechat.listening(self.clock.clone()), ..self }
    }

    /// The platform's part of the table.
    #[must_use]
    pub const fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The platform's secret.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// WeChat's API, within this session's deadline.
    #[must_use]
    pub const fn wechat(&self) -> &WechatClient {
        &self.wechat
    }

    /// Random bytes.
    #[must_use]
    pub const fn random(&self) -> &Random {
        &self.random
    }

    /// Where metrics go.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Bounds on every wait.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The present instant, by the rules' clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What every call of the component API carries.
    #[must_use]
    pub fn call<'a>(&'a self, token: &'a SecretString) -> ComponentCall<'a> {
        ComponentCall { component: &self.platform.component, token }
    }

    /// Logs a failed call where it is handled, and counts it by its code. An operator has to act on some of them: those
    /// are errors, the others pass.
    pub fn report(&self, what: &str, error: &WechatError) {
        report_wechat(&self.metrics, what, error);
    }
}

/// [`Session::report`], where there is no session at hand.
pub fn report_wechat(metrics: &Metrics, what: &str, error: &WechatError) {
    let code = error.code_label();
    let mut metric = Metric::count(Measure::WechatRefused, 1).by(code.clone());
    let refusal = error.refusal();
    let rid = refusal.and_then(|refusal| refusal.rid.as_deref()).unwrap_or("none");
    if let Some(address) = refusal.and_then(|refusal| refusal.refused_ip) {
        metric = metric.noting("ip_to_whitelist", address.to_string());
        tracing::error!(
            code, rid, ip_to_whitelist = %address,
            "{what}: WeChat refuses calls from {address}: add it to 白名单IP地址列表 in WeChat's console"
        );
    } else if error.needs_operator() {
        tracing::error!(code, rid, "{what}: {error}");
    } else {
        tracing::warn!(code, rid, "{what}: {error}");
    }
    metrics.put(&metric);
}
