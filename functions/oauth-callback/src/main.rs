//! The Lambda function of the redirect that brings a merchant back.

use std::process::ExitCode;

use base::limits::Limits;
use oauth_callback::{CallbackService, router};
use platform::services::Services;
use runtime::config::{PageConfig, ProcessEnvironment};
use runtime::telemetry;
use web::gateway::{self, Gateway};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run(Box::pin(serve())).await
}

async fn serve() -> Result<(), gateway::Error> {
    let pages = PageConfig::read(&ProcessEnvironment)?;
    let services = Services::from_environment(&ProcessEnvironment, Limits::interactive()).await?;
    services.get_ready().await;
    let metrics = services.metrics.clone();
    gateway::run(Gateway::new(router(CallbackService::new(services, pages)), metrics)).await
}
