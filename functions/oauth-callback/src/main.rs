//! The Lambda function of the redirect that brings a merchant back.

use oauth_callback::{CallbackService, router};
use shared::config::{Environment as _, PageConfig, ProcessEnvironment};
use shared::limits::Limits;
use shared::session::Services;
use shared::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init_logs(ProcessEnvironment.get("RUST_LOG").as_deref());
    let pages = PageConfig::read(&ProcessEnvironment)?;
    let services = Services::from_environment(&ProcessEnvironment, Limits::interactive()).await?;
    lambda_http::run(router(CallbackService::new(services, pages))).await
}
