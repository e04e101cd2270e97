//! The Lambda function of `POST /wechat/events`.

use std::process::ExitCode;
use std::sync::Arc;

use base::clock::SystemClock;
use base::limits::Limits;
use platform::head_start::head_start;
use platform::secret::PlatformSource;
use runtime::aws::{self, AwsClients};
use runtime::config::{MetricsConfig, ProcessEnvironment, StoreConfig};
use runtime::telemetry::{self, Metrics};
use store::Table;
use ticket_push::Receiver;
use web::gateway::{self, Gateway};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run(Box::pin(serve())).await
}

async fn serve() -> Result<(), gateway::Error> {
    let config = StoreConfig::read(&ProcessEnvironment)?;
    let metrics = MetricsConfig::read(&ProcessEnvironment)?;
    let limits = Limits::interactive();
    let clients = AwsClients::new(&aws::config().await, &limits);
    let clock = Arc::new(SystemClock);
    let metrics = Metrics::embedded(metrics.namespace, clock.clone());
    let secret_id = config.secret_id.as_str();
    let platform = PlatformSource::new(clients.secrets, secret_id, clock.clone(), limits, metrics.clone());
    let table = Table::new(clients.dynamodb, &config.table_name);
    head_start(limits.head_start, [Box::pin(platform.read_ahead()), Box::pin(table.connect())]).await;
    let router = ticket_push::router(Receiver {
        platform: Arc::new(platform),
        table: table.access(),
        clock,
        metrics: metrics.clone(),
        bound: limits.push,
    });
    gateway::run(Gateway::new(router, metrics)).await
}
