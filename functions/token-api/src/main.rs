//! The Lambda function of the tokens.

use std::process::ExitCode;

use base::limits::Limits;
use platform::services::Services;
use runtime::config::{KeyConfig, ProcessEnvironment, TokenConfig};
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
    let services = Services::from_environment(&ProcessEnvironment, Limits::tokens()).await?;
    services.get_ready().await;
    let metrics = services.metrics.clone();
    let router = token_api::router(TokenService::new(services, tokens), keys);
    gateway::run(Gateway::new(router, metrics).with_problems_on(&ROUTES)).await
}
