//! The Lambda function of the authorization links.

use std::process::ExitCode;

use preauth_link::{LinkService, business_router, public_router, with_gateway_identity};
use shared::config::{PageConfig, ProcessEnvironment, WechatConfig};
use shared::limits::Limits;
use shared::session::Services;
use shared::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run(Box::pin(serve())).await
}

async fn serve() -> Result<(), lambda_http::Error> {
    let pages = PageConfig::read(&ProcessEnvironment)?;
    let wechat = WechatConfig::read(&ProcessEnvironment)?;
    let services = Services::from_environment(&ProcessEnvironment, Limits::interactive()).await?;
    let service = LinkService::new(services, pages, wechat);
    let router = public_router(service.clone()).merge(business_router(service));
    lambda_http::run(with_gateway_identity(router)).await
}
