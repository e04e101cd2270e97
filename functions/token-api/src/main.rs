//! The Lambda function of the tokens.

use std::process::ExitCode;

use base::limits::Limits;
use platform::bus::Bus;
use platform::head_start::head_start;
use platform::services::Services;
use runtime::aws;
use runtime::config::{BusConfig, KeyConfig, ProcessEnvironment, TokenConfig};
use runtime::telemetry;
use token_api::{ROUTES, TokenService};
use web::gateway::{self, Gateway};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run(Box::pin(serve())).await
}

async fn serve() -> Result<(), gateway::Error> {
    let keys = KeyConfig::read(&ProcessEnvironment)?;
    let tokens = TokenConfig::read(&ProcessEnvironment)?;
    let bus = BusConfig::read(&ProcessEnvironment)?;
    let limits = Limits::tokens();
    let aws = aws::config().await;
    let services = Services::on(&aws, &ProcessEnvironment, limits)?;
    let bus = Bus::new(aws::event_bus_client(&aws, &limits), &bus.bus);
    let connecting = async {
        if tokens.read_events {
            head_start(limits.head_start, [Box::pin(bus.connect())]).await;
        }
    };
    tokio::join!(services.get_ready(), connecting);
    let metrics = services.metrics.clone();
    let router = token_api::router(TokenService::new(services, bus, tokens), keys);
    gateway::run(Gateway::new(router, metrics).with_problems_on(&ROUTES)).await
}
