//! The Lambda function of the redirect that brings a merchant back.

use std::process::ExitCode;

use oauth_callback::{CallbackService, router};
use shared::config::{PageConfig, ProcessEnvironment};
use shared::limits::Limits;
use shared::session::Services;
use shared::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run(Box::pin(serve())).await
}

async fn serve() -> Result<(), lambda_http::Error> {
    let pages = PageConfig::read(&ProcessEnvironment)?;
    let services = Services::from_environment(&ProcessEnvironment, Limits::interactive()).await?;
    lambda_http::run(router(CallbackService::new(services, pages))).await
}
