//! Services that reach nothing: for responses of a router that need no service, or report that it is unreachable.

use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use base::clock::{SharedClock, SystemClock};
use base::limits::Limits;
use base::random::Random;
use platform::bus::Bus;
use platform::secret::PlatformSource;
use platform::services::Services;
use runtime::aws::{AwsClients, Connections, Presigner, event_bus_client};
use runtime::config::WechatConfig;
use runtime::telemetry::Metrics;
use store::Table;
use wechat::api::WechatClient;

fn config() -> SdkConfig {
    let credentials = Credentials::new("id", "key", None, None, "tests");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url("http://127.0.0.1:9")
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(Connections::new())
        .build()
}

/// A bus that cannot be reached.
#[must_use]
pub fn bus() -> Bus {
    Bus::new(event_bus_client(&config(), &Limits::interactive()), "b")
}

/// A signer of URLs, with credentials that nobody accepts.
#[must_use]
pub fn presigner() -> Presigner {
    Presigner::new(&config()).unwrap()
}

/// A function's services with production's limits, without AWS: nothing listens on port 9 of this machine. Their
/// metrics are dropped.
#[must_use]
pub fn services() -> Services {
    let limits = Limits::interactive();
    let clients = AwsClients::new(&config(), &limits);
    let clock: SharedClock = Arc::new(SystemClock);
    let metrics = Metrics::from_fn(|_| {});
    let wechat = WechatConfig::read(&|_: &str| None).unwrap();
    Services {
        platform: Arc::new(PlatformSource::new(clients.secrets, "s", Arc::clone(&clock), limits, metrics.clone())),
        table: Table::new(clients.dynamodb, "t"),
        wechat: WechatClient::new(&wechat.api, &limits).unwrap(),
        clock,
        random: Random::system(),
        metrics,
        limits,
    }
}
