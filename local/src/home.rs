//! The page at the root of a port that is for programs: what the port is, and where a person wants to go instead.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::Request;
use axum::http::header::{CONTENT_SECURITY_POLICY, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};

use crate::console_door::OPENED;
use crate::guard::Guard;
use crate::html::policy;

/// What the page says.
#[derive(Default, Template)]
#[template(path = "home.html")]
pub(crate) struct Home {
    pub(crate) title: &'static str,
    pub(crate) english: &'static str,
    pub(crate) chinese: &'static str,
    pub(crate) links: Vec<Link>,
    pub(crate) commands: Vec<String>,
}

/// Where a person may want to go.
pub(crate) struct Link {
    pub(crate) url: String,
    pub(crate) text: &'static str,
}

impl Home {
    /// The page as a response.
    pub(crate) fn response(&self) -> Response {
        match self.render() {
            Ok(html) => ([(CONTENT_SECURITY_POLICY, policy(None))], Html(html)).into_response(),
            Err(error) => {
                tracing::error!("the page of a port cannot be rendered: {error}");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    fn router(self) -> Router {
        let page = Arc::new(self);
        Router::new().route("/", get(async move || page.response()))
    }
}

/// The page of the public routes.
pub(crate) fn public(simulator: Option<&str>, shop: Option<&str>, events: Option<&str>, business: &str) -> Router {
    let link = |base: Option<&str>, path: &str, text| base.map(|base| Link { url: format!("{base}{path}"), text });
    let console = Link { url: OPENED.to_owned(), text: "the operators' console · 运营控制台" };
    let links = [
        Some(console),
        link(simulator, "/", "the simulated WeChat · 微信模拟器"),
        link(shop, "/", "a shop that logs visitors in · 演示商城"),
        link(events, "/", "what is delivered to the business · 推送给业务的事件"),
    ];
    let home = Home {
        title: "The public port of the platform",
        english: "WeChat pushes tickets and messages here, and merchants open their authorization links, whose paths begin \
                  with /authorize/. A link is made through the business API:",
        chinese: "微信把票据和消息推送到这里，商家在这里打开授权链接（路径以 /authorize/ 开头）。链接通过业务接口创建：",
        links: links.into_iter().flatten().collect(),
        commands: vec![make_a_link(business)],
    };
    // A visitor who comes through a tunnel cannot use the ports of this machine.
    let outside = Home {
        title: home.title,
        english: "WeChat's pushes and merchants' authorization links lead here.",
        chinese: "微信的推送和商家的授权链接指向这里。",
        ..Home::default()
    };
    let pages = Arc::new((home, outside));
    let choose = async move |request: Request| {
        let (home, outside) = &*pages;
        if Guard::loopback().check(&request).is_ok() { home.response() } else { outside.response() }
    };
    Router::new().route("/", get(choose))
}

/// Where a running system names its variables, on the business API's port: for other programs of this machine, such as
/// the doctor, whose environment may not have them.
const RUNNING_SYSTEM: &str = "/_local/system";

/// The page of the business API, and the variables of the system.
pub(crate) fn business(business: &str, exports: &[(&'static str, String)]) -> Router {
    let home = Home {
        title: "The business API of the platform",
        english: "Your services make authorization links here, ask for their status and look after accounts, with requests such as:",
        chinese: "业务服务在这里创建授权链接、查询其状态并管理账号，例如：",
        commands: vec![
            make_a_link(business),
            format!("curl {business}/authorization-links/LINK_ID"),
            format!("curl {business}/accounts"),
        ],
        ..Home::default()
    };
    let variables: BTreeMap<_, _> = exports.iter().cloned().collect();
    home.router().route(RUNNING_SYSTEM, get(async move || Json(variables)))
}

fn make_a_link(business: &str) -> String {
    format!(
        "curl -X POST {business}/authorization-links -H 'content-type: application/json' \
         -d '{{\"requester_name\":\"Demo Shop\"}}'"
    )
}

/// The page of a stand-in for a service of AWS, which `variable` leads the SDK and the AWS CLI to. The guard has seen to
/// what the request calls this port.
pub(crate) fn aws(title: &'static str, variable: &str, request: &HeaderMap) -> Response {
    let host = request.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let home = Home {
        title,
        english: "Programs call this port with AWS's protocol: the SDK and the AWS CLI do when they are told where it is.",
        chinese: "程序通过 AWS 协议访问此端口；设置下面的变量后，SDK 和 AWS CLI 会使用它。",
        commands: vec![format!("export {variable}=http://{host}")],
        ..Home::default()
    };
    home.response()
}
