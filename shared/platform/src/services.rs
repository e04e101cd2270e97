//! What a function that calls WeChat is built from, once; each event opens it with the current secret.

use std::sync::Arc;

use aws_config::SdkConfig;
use base::clock::{SharedClock, SystemClock, Timestamp};
use base::limits::Limits;
use base::random::Random;
use runtime::aws::{self, AwsClients};
use runtime::config::{ConfigError, Environment, MetricsConfig, StoreConfig, WechatConfig};
use runtime::telemetry::Metrics;
use store::{Access, Store, Table};
use tokio::time::Instant;
use wechat::api::{BuildError, WechatClient};

use crate::component::Component;
use crate::context::Context;
use crate::head_start::head_start;
use crate::secret::{PlatformError, PlatformSource};

/// What a function that calls WeChat is built from, once per process.
#[derive(Clone)]
pub struct Services {
    /// The platform's secret.
    pub platform: Arc<PlatformSource>,
    /// The table.
    pub table: Table,
    /// The client of WeChat's API.
    pub wechat: WechatClient,
    /// The clock that all rules go by.
    pub clock: SharedClock,
    /// Random bytes.
    pub random: Random,
    /// The sink of metrics.
    pub metrics: Metrics,
    /// The limits of all waits.
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

/// The platform and the items that a function uses, while one request is handled.
#[derive(Clone)]
pub struct OpenPlatform<T> {
    /// The platform.
    pub component: Component,
    /// Its items.
    pub items: T,
}

impl<T> OpenPlatform<T> {
    /// The present instant, by the rules' clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.component.context().now()
    }

    /// Random bytes.
    #[must_use]
    pub const fn random(&self) -> &Random {
        &self.component.context().random
    }
}

impl Services {
    /// The services of a deployed function: the machine's clock and random bytes, metrics in the embedded format, and
    /// the table, the secret and the API that the environment names.
    ///
    /// # Errors
    /// [`StartError`] names the variable that is missing or malformed.
    pub async fn from_environment(environment: &impl Environment, limits: Limits) -> Result<Self, StartError> {
        Self::on(&aws::config().await, environment, limits)
    }

    /// The same with an SDK configuration that the function also uses for other clients.
    ///
    /// # Errors
    /// [`StartError`] names the variable that is missing or malformed.
    pub fn on(config: &SdkConfig, environment: &impl Environment, limits: Limits) -> Result<Self, StartError> {
        let names = StoreConfig::read(environment)?;
        let wechat = WechatConfig::read(environment)?;
        let metrics = MetricsConfig::read(environment)?;
        let clients = AwsClients::new(config, &limits);
        let clock: SharedClock = Arc::new(SystemClock);
        let metrics = Metrics::embedded(metrics.namespace, Arc::clone(&clock));
        let platform =
            PlatformSource::new(clients.secrets, names.secret_id, Arc::clone(&clock), limits, metrics.clone());
        Ok(Self {
            platform: Arc::new(platform),
            table: Table::new(clients.dynamodb, &names.table_name),
            wechat: WechatClient::new(&wechat.api, &limits)?,
            clock,
            random: Random::system(),
            metrics,
            limits,
        })
    }

    /// Prepares for the first event: reads the secret, and connects to the table and to WeChat.
    pub async fn get_ready(&self) {
        head_start(
            self.limits.head_start,
            [Box::pin(self.platform.read_ahead()), Box::pin(self.table.connect()), Box::pin(self.wechat.connect())],
        )
        .await;
    }

    /// When the response to a request that arrives now must be sent.
    #[must_use]
    pub fn answer_by(&self) -> Instant {
        Instant::now() + self.limits.page
    }

    /// The platform for a request whose response is due at `bound`: calls of WeChat end early enough to store their
    /// result.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_by(&self, bound: Instant) -> Result<Component, PlatformError> {
        self.open(Some(bound.checked_sub(self.limits.table).unwrap_or(bound))).await
    }

    /// The same, with the items that a function uses.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with<T: for<'s> From<&'s Store>>(
        &self,
        table: &Access<T>,
        bound: Instant,
    ) -> Result<OpenPlatform<T>, PlatformError> {
        let component = self.open_by(bound).await?;
        let items = table.of(component.appid());
        Ok(OpenPlatform { component, items })
    }

    /// The platform as the secret describes it now; calls of WeChat end by `deadline`, if there is one.
    ///
    /// # Errors
    /// [`PlatformError`] if the secret is empty, malformed or cannot be read.
    pub async fn open(&self, deadline: Option<Instant>) -> Result<Component, PlatformError> {
        let platform = self.platform.current().await?;
        let wechat = deadline.map_or_else(|| self.wechat.clone(), |deadline| self.wechat.with_deadline(deadline));
        let context = Context {
            clock: Arc::clone(&self.clock),
            random: self.random.clone(),
            metrics: self.metrics.clone(),
            limits: self.limits,
            deadline,
        };
        let store = self.table.store(&platform.component);
        Ok(Component::new(platform, wechat, store, context))
    }
}
