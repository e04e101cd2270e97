//! The Lambda function of the authorization links.

use std::process::ExitCode;

use base::limits::Limits;
use platform::services::Services;
use preauth_link::{BUSINESS_ROUTES, LinkService, business_router, public_router};
use runtime::config::{KeyConfig, PageConfig, ProcessEnvironment, WechatConfig};
use runtime::telemetry;
use web::gateway::{self, Gateway};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run(Box::pin(serve())).await
}

async fn serve() -> Result<(), gateway::Error> {
    let keys = KeyConfig::read(&ProcessEnvironment)?;
    let pages = PageConfig::read(&ProcessEnvironment)?;
    let wechat = WechatConfig::read(&ProcessEnvironment)?;
    let services = Services::from_environment(&ProcessEnvironment, Limits::interactive()).await?;
    services.get_ready().await;
    let metrics = services.metrics.clone();
    let service = LinkService::new(services, pages, wechat);
    let router = public_router(service.clone()).merge(business_router(service, keys));
    gateway::run(Gateway::new(router, metrics).with_problems_on(&BUSINESS_ROUTES)).await
}
