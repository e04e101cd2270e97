//! The Lambda function of the calls on behalf.

use std::process::ExitCode;

use base::limits::Limits;
use platform::services::Services;
use runtime::config::ProcessEnvironment;
use runtime::telemetry;
use web::gateway::{self, Gateway};
use wechat_calls::{CallService, LARGEST_BODY, ROUTES};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run(Box::pin(serve())).await
}

async fn serve() -> Result<(), gateway::Error> {
    let services = Services::from_environment(&ProcessEnvironment, Limits::calls()).await?;
    services.get_ready().await;
    let metrics = services.metrics.clone();
    let router = wechat_calls::router(CallService::new(services));
    gateway::run(Gateway::new(router, metrics).with_problems_on(&ROUTES).with_bodies_of(LARGEST_BODY)).await
}
