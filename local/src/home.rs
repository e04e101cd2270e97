//! The pages at the roots of ports that are for programs: what the port is, and where a person should go instead. From
//! the public port a person at this machine is redirected to the console.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::Request;
use axum::http::header::{CONTENT_SECURITY_POLICY, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use design::{Navigation, Neighbour};

use crate::guard::Guard;
use crate::html::policy;

/// The content of a page.
#[derive(Default)]
struct Home {
    neighbours: Vec<Neighbour>,
    title: &'static str,
    english: &'static str,
    chinese: &'static str,
    commands: Vec<String>,
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage<'a> {
    navigation: Navigation<'a>,
    home: &'a Home,
}

impl Home {
    /// The page as a response.
    fn response(&self) -> Response {
        let navigation = Navigation { neighbours: &self.neighbours, here: None };
        match (HomePage { navigation, home: self }).render() {
            Ok(html) => ([(CONTENT_SECURITY_POLICY, policy(&[], None, "'none'"))], Html(html)).into_response(),
            Err(error) => {
                tracing::error!("the page of a port cannot be rendered: {error}");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// The root of the public routes, which redirects a browser of this machine to the path that opens the console. A
/// visitor who comes through a tunnel cannot use the other ports of this machine. One who forges `Host` is redirected,
/// and reaches nothing.
pub(crate) fn public(door: String) -> Router {
    let page = Arc::new(Home {
        title: "The public port of the platform",
        english: "WeChat's pushes and merchants' authorization links lead here.",
        chinese: "此地址接收微信的推送，并提供商家的授权页面。",
        ..Home::default()
    });
    let choose = async move |request: Request| {
        if Guard::loopback().check(&request).is_ok() { Redirect::to(&door).into_response() } else { page.response() }
    };
    Router::new().route("/", get(choose))
}

/// The path on the business API's port at which a running system lists its variables, for other programs of this
/// machine such as the doctor, whose environment may lack them.
const RUNNING_SYSTEM: &str = "/_local/system";

/// The page of the business API, and the variables of the system.
pub(crate) fn business(business: &str, neighbours: Vec<Neighbour>, exports: &[(&'static str, String)]) -> Router {
    let page = Arc::new(Home {
        neighbours,
        title: "The business API of the platform",
        english: "Your services create authorization links here, query their status and manage accounts, with requests such as:",
        chinese: "业务服务在这里创建授权链接、查询其状态并管理账号，例如：",
        commands: vec![
            format!(
                "curl -X POST {business}/authorization-links -H 'content-type: application/json' \
                 -d '{{\"requester_name\":\"Demo Shop\"}}'"
            ),
            format!("curl {business}/authorization-links/LINK_ID"),
            format!("curl {business}/accounts"),
        ],
    });
    let variables: BTreeMap<_, _> = exports.iter().cloned().collect();
    let router = Router::new().route("/", get(async move || page.response()));
    router.route(RUNNING_SYSTEM, get(async move || Json(variables)))
}

/// The page of a local replacement for a service of AWS, which `variable` configures for the SDK and the AWS CLI. The
/// guard has checked the request's name for this port.
pub(crate) fn aws(title: &'static str, variable: &str, request: &HeaderMap) -> Response {
    let host = request.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let home = Home {
        title,
        english: "Programs call this port with AWS's protocol: the SDK and the AWS CLI do if they are configured with its address.",
        chinese: "此端口兼容 AWS 协议；设置下面的环境变量后，SDK 和 AWS CLI 就会访问它。",
        commands: vec![format!("export {variable}=http://{host}")],
        ..Home::default()
    };
    home.response()
}
