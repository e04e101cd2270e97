//! The Lambda function of the accounts.

use std::process::ExitCode;

use account_api::{AccountService, ROUTES};
use base::limits::Limits;
use platform::bus::Bus;
use platform::services::Services;
use runtime::aws;
use runtime::config::{AccountConfig, BusConfig, KeyConfig, ProcessEnvironment};
use runtime::telemetry;
use web::gateway::{self, Gateway};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run(Box::pin(serve())).await
}

async fn serve() -> Result<(), gateway::Error> {
    let keys = KeyConfig::read(&ProcessEnvironment)?;
    let accounts = AccountConfig::read(&ProcessEnvironment)?;
    let bus = BusConfig::read(&ProcessEnvironment)?;
    let limits = Limits::interactive();
    let aws = aws::config().await;
    let services = Services::on(&aws, &ProcessEnvironment, limits)?;
    services.get_ready().await;
    let bus = Bus::new(aws::event_bus_client(&aws, &limits), &bus.bus);
    let metrics = services.metrics.clone();
    let router = account_api::router(AccountService::new(services, bus, accounts), keys);
    gateway::run(Gateway::new(router, metrics).with_problems_on(&ROUTES)).await
}
