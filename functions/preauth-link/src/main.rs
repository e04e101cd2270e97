//! The Lambda function of the authorization links.

use std::process::ExitCode;

use preauth_link::{BUSINESS_ROUTES, LinkService, business_router, public_router};
use shared::config::{PageConfig, ProcessEnvironment, WechatConfig};
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
    let wechat = WechatConfig::read(&ProcessEnvironment)?;
    let services = Services::from_environment(&ProcessEnvironment, Limits::interactive()).await?;
    let metrics = services.metrics.clone();
    let service = LinkService::new(services, pages, wechat);
    let router = public_router(service.clone()).merge(business_router(service));
    gateway::run(Gateway::new(router, metrics).with_problems_on(&BUSINESS_ROUTES)).await
}
