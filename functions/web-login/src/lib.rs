//! Logins of visitors of an account's web pages, through WeChat (protocol section 5.4).
//!
//! A page inside WeChat sends its visitor to `GET /login/{appid}`. The visitor is redirected to WeChat, back to `…/callback`,
//! and on to the page with a login code, which the page's service redeems at `POST /logins`. The page never sees WeChat's
//! tokens or codes.
//!
//! Nothing is written before WeChat has said who the visitor is. Until then everything is in a cookie that we have
//! signed: `attempt`. `begin` starts a login, `callback` ends it, and `redeem` says who the visitor was; `request`
//! reads what a page wants, and `wechat_url` is WeChat's page for visitors.
//!
//! `check_file` has nothing to do with logins: WeChat fetches its check files from the hosts at which visitors log in.

mod attempt;
mod begin;
mod callback;
mod check_file;
mod error;
#[cfg(feature = "openapi")]
mod openapi;
mod redeem;
mod request;
mod texts;
mod wechat_url;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use base::ids::AppId;
use http::Method;
use platform::services::{self, Services};
use runtime::config::{KeyConfig, LoginConfig, WechatConfig};
use store::{Access, Scope, access_to};
use tokio::time::Instant;
use url::Url;
use web::doors::{Doors, Route};
use web::{BODY_LIMIT, FormTargets, InternalError, Pages, Reader};

#[cfg(feature = "openapi")]
pub use self::openapi::description;
use self::request::LoginRequest;

/// The routes for visitors and for WeChat's checker, from which [`public_router`] is built. The gateway has one route
/// for each method.
pub const PUBLIC_ROUTES: [(Method, &str); 4] = [
    (Method::GET, "/login/{appid}"),
    (Method::GET, "/login/{appid}/callback"),
    (Method::GET, "/{file}"),
    (Method::HEAD, "/{file}"),
];

/// The routes for services, from which [`business_router`] is built.
pub static BUSINESS_ROUTES: [Route; 1] = [Route::new(Method::POST, "/logins", &[Scope::Logins])];

/// What the function is built from, once; clones share it.
#[derive(Clone)]
pub struct LoginService(Arc<Inner>);

access_to! {
    /// The items of the table that the function uses, besides those for issuing a component token.
    struct Repositories {
        check_files: CheckFiles,
        details: Details,
        web_logins: WebLogins,
    }
}

/// The platform and its items, for the duration of one request.
type OpenPlatform = services::OpenPlatform<Repositories>;

struct Inner {
    services: Services,
    table: Access<Repositories>,
    config: LoginConfig,
    /// WeChat's page for visitors.
    wechat_page: Url,
    pages: Pages,
}

impl LoginService {
    /// The function's state.
    #[must_use]
    pub fn new(services: Services, config: LoginConfig, wechat: &WechatConfig) -> Self {
        let pages = Pages::new(Reader::Visitor, config.provider(), FormTargets::None);
        let pages = pages.served_at(config.public_base()).with_pictures();
        let table = services.table.clone().access();
        Self(Arc::new(Inner { services, table, config, wechat_page: wechat.open.clone(), pages }))
    }

    fn services(&self) -> &Services {
        &self.0.services
    }

    fn config(&self) -> &LoginConfig {
        &self.0.config
    }

    fn pages(&self) -> &Pages {
        &self.0.pages
    }

    /// The URL at which visitors of an account log in.
    fn login_url(&self, account: &AppId, request: &LoginRequest) -> Url {
        let mut url = self.config().base_of(account);
        url.set_path(&format!("/login/{account}"));
        request.append_to(&mut url);
        url
    }

    /// The URL to which WeChat sends them back.
    fn callback_url(&self, account: &AppId) -> Url {
        let mut url = self.config().base_of(account);
        url.set_path(&format!("/login/{account}/callback"));
        url
    }

    /// Whether cookies on an account's host can be `Secure`.
    fn is_https(&self, account: &AppId) -> bool {
        self.config().base_of(account).scheme() == "https"
    }

    /// The platform, for a request whose response is due at `bound`.
    async fn open(&self, bound: Instant) -> Result<OpenPlatform, InternalError> {
        Ok(self.services().open_with(&self.0.table, bound).await?)
    }
}

/// The routes for visitors and WeChat's checker.
pub fn public_router(service: LoginService) -> Router {
    let [(_, begin), (_, callback), (_, file), _] = PUBLIC_ROUTES;
    Router::new()
        .route(begin, get(begin::begin))
        .route(callback, get(callback::callback))
        // Serves HEAD too.
        .route(file, get(check_file::serve))
        .with_state(service)
}

/// The routes for services, for callers with IAM or an API key.
pub fn business_router(service: LoginService, keys: KeyConfig) -> Router {
    let [redeem] = &BUSINESS_ROUTES;
    let routes = Router::new().route(redeem.path, post(redeem::redeem));
    let doors = Doors { services: service.services(), routes: &BUSINESS_ROUTES, keys, longest_body: BODY_LIMIT };
    doors.to(routes).with_state(service)
}

#[cfg(test)]
mod tests;
