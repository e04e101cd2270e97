//! WeChat's page of a web login: `GET /connect/oauth2/authorize` of `open.weixin.qq.com`.
//!
//! `snsapi_base` goes straight back, `snsapi_userinfo` asks the visitor. Unlike WeChat's, the page opens in any browser
//! and lets the person choose a visitor.
//!
//! To load the callback twice ([`WebLoginBehaviour::double_load`]), an intermediate page loads it in a hidden frame and, a
//! second later, navigates to it. The browser sends the platform's cookies with both requests; with the one of the frame
//! only if both hosts belong to the same site, as they do on localhost.

use askama::Template;
use axum::Router;
use axum::extract::{Form, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{LOCATION, REFRESH};
use http::{HeaderValue, StatusCode};
use url::Url;

use super::link::{Link, Refused};
use super::{Scope, Visitor};
use crate::behaviour::WebLoginBehaviour;
use crate::html::{page, page_with_frame};
use crate::paths;
use crate::simulator::Simulator;
use crate::world::Account;

/// The fields that the form adds to the parameters of the link.
const CHOICE: [&str; 2] = ["open_id", "decision"];

pub(crate) fn router() -> Router<Simulator> {
    Router::new().route(paths::WEB_LOGIN_PAGE, get(open).post(decide))
}

/// A visitor opens the link.
async fn open(State(simulator): State<Simulator>, RawQuery(query): RawQuery) -> Result<Response, Refused> {
    let link = Link::of_query(&simulator, query.as_deref().unwrap_or_default())?;
    let visitors = simulator.visitors(&link.account.appid);
    let WebLoginBehaviour { silent, snapshot, .. } = simulator.behaviour().web_login;
    let is_silent = |visitor: &Visitor| {
        let follows = || simulator.check_follower(&link.account.appid, &visitor.open_id).is_ok();
        link.scope == Scope::Base || snapshot || (silent && follows())
    };
    if let Some(visitor) = visitors.first().filter(|visitor| is_silent(visitor)) {
        return Ok(agree(&simulator, &link, &visitor.open_id));
    }
    let Link { account, parameters, .. } = link;
    Ok(page(&ConsentPage { account, parameters, visitors }))
}

/// The visitor decides.
async fn decide(
    State(simulator): State<Simulator>,
    Form(mut form): Form<Vec<(String, String)>>,
) -> Result<Response, Refused> {
    let choice = form.extract_if(.., |(name, _)| CHOICE.contains(&name.as_str())).collect::<Vec<_>>();
    let chosen = |wanted| choice.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let link = Link::of_pairs(&simulator, form)?;
    let visitors = simulator.visitors(&link.account.appid);
    let visitor = visitors.iter().find(|visitor| chosen("open_id") == Some(visitor.open_id.as_str()));
    Ok(match (chosen("decision"), visitor) {
        (Some("agree"), Some(visitor)) => agree(&simulator, &link, &visitor.open_id),
        (Some("refuse"), _) => redirect(&link.back(None)),
        _ => StatusCode::BAD_REQUEST.into_response(),
    })
}

fn agree(simulator: &Simulator, link: &Link, open_id: &str) -> Response {
    let code = simulator.web_login_code(&link.account.appid, open_id, link.scope);
    let back = link.back(Some(&code));
    if simulator.behaviour().web_login.double_load { load_twice(&back) } else { redirect(&back) }
}

/// A redirect with status 302, like WeChat's: axum's own redirects have other statuses.
fn redirect(back: &Url) -> Response {
    (StatusCode::FOUND, [(LOCATION, back.as_str())]).into_response()
}

fn load_twice(back: &Url) -> Response {
    let mut response = page_with_frame(&DoubleLoadPage { back: back.as_str() });
    if let Ok(refresh) = HeaderValue::from_str(&format!("1; url={back}")) {
        response.headers_mut().insert(REFRESH, refresh);
    }
    response
}

#[derive(Template)]
#[template(path = "web_login.html")]
struct ConsentPage {
    account: Account,
    parameters: Vec<(&'static str, String)>,
    visitors: Vec<Visitor>,
}

#[derive(Template)]
#[template(path = "double_load.html")]
struct DoubleLoadPage<'a> {
    back: &'a str,
}

#[derive(Template)]
#[template(path = "web_login_refused.html")]
struct RefusedPage {
    text: String,
    number: Option<i64>,
}

/// WeChat shows its errors with status 200. A refusal travels as an extension too, for the record of calls.
impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = page(&RefusedPage { text: self.to_string(), number: self.number() });
        response.extensions_mut().insert(self);
        response
    }
}
