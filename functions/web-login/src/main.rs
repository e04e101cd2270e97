//! The Lambda function of the visitors' logins.

use std::process::ExitCode;

use base::limits::Limits;
use platform::services::Services;
use runtime::config::{KeyConfig, LoginConfig, ProcessEnvironment, WechatConfig};
use runtime::telemetry;
use web::gateway::{self, Gateway};
use web_login::{BUSINESS_ROUTES, LoginService, business_router, public_router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::run(Box::pin(serve())).await
}

async fn serve() -> Result<(), gateway::Error> {
    let keys = KeyConfig::read(&ProcessEnvironment)?;
    let logins = LoginConfig::read(&ProcessEnvironment)?;
    let wechat = WechatConfig::read(&ProcessEnvironment)?;
    let services = Services::from_environment(&ProcessEnvironment, Limits::interactive()).await?;
    services.get_ready().await;
    let metrics = services.metrics.clone();
    let service = LoginService::new(services, logins, &wechat);
    let router = public_router(service.clone()).merge(business_router(service, keys));
    gateway::run(Gateway::new(router, metrics).with_problems_on(&BUSINESS_ROUTES)).await
}
