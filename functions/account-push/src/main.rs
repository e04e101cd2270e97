//! The Lambda function of `POST /wechat/accounts/{appid}/events`.

use std::process::ExitCode;
use std::sync::Arc;

use account_push::{MessageService, REPLY_WEBHOOK};
use base::clock::{SharedClock, SystemClock};
use base::limits::Limits;
use base::random::Random;
use platform::bus::Bus;
use platform::head_start::head_start;
use platform::secret::PlatformSource;
use platform::webhook::{AddressPolicy, Webhook};
use runtime::aws::{self, AwsClients};
use runtime::config::{BusConfig, MessageConfig, MetricsConfig, ProcessEnvironment, StoreConfig};
use runtime::telemetry::{self, Metrics};
use store::Table;
use web::gateway::{self, Gateway};
use wechat::push::TestAccounts;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run(Box::pin(serve())).await
}

async fn serve() -> Result<(), gateway::Error> {
    let environment = ProcessEnvironment;
    let names = StoreConfig::read(&environment)?;
    let metrics = MetricsConfig::read(&environment)?;
    let bus = BusConfig::read(&environment)?;
    let messages = MessageConfig::read(&environment)?;
    let limits = Limits::interactive();
    let aws = aws::config().await;
    let clients = AwsClients::new(&aws, &limits);
    let clock: SharedClock = Arc::new(SystemClock);
    let metrics = Metrics::embedded(metrics.namespace, Arc::clone(&clock));
    let platform = PlatformSource::new(clients.secrets, names.secret_id, Arc::clone(&clock), limits, metrics.clone());
    let table = Table::new(clients.dynamodb, &names.table_name);
    let bus = Bus::new(aws::event_bus_client(&aws, &limits), &bus.bus);
    head_start(
        limits.head_start,
        [Box::pin(platform.read_ahead()), Box::pin(table.connect()), Box::pin(bus.connect())],
    )
    .await;
    // A constant: no variable may let a webhook reach the network that the function is in.
    let policy = AddressPolicy::public_only();
    let router = account_push::router(MessageService {
        platform: Arc::new(platform),
        table: table.access(),
        bus,
        webhook: messages.webhook.map(|url| Webhook::new(url, policy, &REPLY_WEBHOOK)).transpose()?,
        test_accounts: TestAccounts::with(messages.test_accounts),
        clock,
        random: Random::system(),
        metrics: metrics.clone(),
        limits,
    });
    gateway::run(Gateway::new(router, metrics)).await
}
