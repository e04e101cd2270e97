//! The Lambda function of the calls on behalf.

use std::process::ExitCode;

use base::limits::Limits;
use platform::services::Services;
use runtime::aws::{self, Presigner};
use runtime::config::{FilesConfig, KeyConfig, ProcessEnvironment, WebDomains};
use runtime::telemetry;
use web::gateway::{self, Gateway};
use wechat_calls::{Bucket, CallService, LARGEST_BODY, ROUTES};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run(Box::pin(serve())).await
}

async fn serve() -> Result<(), gateway::Error> {
    let keys = KeyConfig::read(&ProcessEnvironment)?;
    let files = FilesConfig::read(&ProcessEnvironment)?;
    let domains = WebDomains::read(&ProcessEnvironment)?;
    let limits = Limits::calls();
    let aws = aws::config().await;
    let services = Services::on(&aws, &ProcessEnvironment, limits)?;
    services.get_ready().await;
    let bucket = Bucket::new(&files, Presigner::new(&aws)?, services.clock.clone(), &limits)?;
    let metrics = services.metrics.clone();
    let router = wechat_calls::router(CallService::new(services, bucket, domains), keys);
    gateway::run(Gateway::new(router, metrics).with_problems_on(&ROUTES).with_bodies_of(LARGEST_BODY)).await
}
