//! The Lambda function of the operators' console.

use std::process::ExitCode;
use std::sync::Arc;

use base::clock::{SharedClock, SystemClock};
use base::limits::Limits;
use base::random::Random;
use console::{BASE, Console, Parts, lambda_client, router};
use runtime::aws;
use runtime::config::{ConsoleConfig, MetricsConfig, ProcessEnvironment};
use runtime::telemetry::{self, Metrics};
use store::Table;
use web::gateway::{self, Gateway};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run(Box::pin(serve())).await
}

async fn serve() -> Result<(), gateway::Error> {
    let config = ConsoleConfig::read(&ProcessEnvironment)?;
    let namespace = MetricsConfig::read(&ProcessEnvironment)?.namespace;
    let clock: SharedClock = Arc::new(SystemClock);
    let metrics = Metrics::embedded(namespace, Arc::clone(&clock));
    let limits = Limits::console();
    let aws = aws::config().await;
    let console = Console::new(Parts {
        table: Table::new(aws::table_client(&aws, &limits), &config.table_name),
        lambda: lambda_client(&aws),
        clock,
        random: Random::system(),
        metrics: metrics.clone(),
        limits,
        config,
        neighbours: Arc::default(),
    });
    console.get_ready().await;
    gateway::run(Gateway::new(router(console), metrics).with_pages_below(BASE)).await
}
