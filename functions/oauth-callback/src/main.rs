//! The Lambda function of the redirect that brings a merchant back.

use std::process::ExitCode;

use oauth_callback::{CallbackService, router};
use shared::config::{PageConfig, ProcessEnvironment};
use shared::gateway::{self, Gateway};
use shared::limits::Limits;
use shared::session::Services;
use shared::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run(Box::pin(serve())).await
}

async fn serve() -> Result<(), gateway::Error> {
    let pages = PageConfig::read(&ProcessEnvironment)?;
    let services = Services::from_environment(&ProcessEnvironment, Limits::interactive()).await?;
    let metrics = services.metrics.clone();
    gateway::run(Gateway::new(router(CallbackService::new(services, pages)), metrics)).await
}
