//! The Lambda function of the redirect that brings a merchant back.

use std::process::ExitCode;

use oauth_callback::{CallbackService, router};
use shared::config::{Environment as _, PageConfig, ProcessEnvironment};
use shared::limits::Limits;
use shared::session::Services;
use shared::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::init_logs(ProcessEnvironment.get("RUST_LOG").as_deref());
    telemetry::exit_code(serve().await)
}

async fn serve() -> Result<(), lambda_http::Error> {
    let pages = PageConfig::read(&ProcessEnvironment)?;
    let services = Services::from_environment(&ProcessEnvironment, Limits::interactive()).await?;
    lambda_http::run(router(CallbackService::new(services, pages))).await
}
