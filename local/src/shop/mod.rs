//! A demo shop: an application that a business builds on the platform, small enough to read.
//!
//! It is a merchant's web shop. Its server knows what every business knows about the platform: the URL of the API and a
//! key, and where visitors log in. It logs in visitors through WeChat, signs a page for the JS-SDK, and logs in a user
//! of a mini program. [`sessions`] has the rule that makes logins safe, [`login`] applies it.
//!
//! Two parts are WeChat's, and only the simulator can play them: [`wechat`] does what a phone would do.

mod login;
mod mini_program;
mod pages;
mod platform;
mod sessions;
mod signed;
mod steps;
mod texts;
mod visitor;
mod wechat;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Form, State};
use axum::http::header::{HOST, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use base::random::Random;
use design::Neighbour;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;
use url::Url;
use web::{AcceptLanguage, SameSite, set_cookie};

use self::pages::{Pages, StartPage};
use self::platform::{Api, ApiError};
use self::sessions::Sessions;
use self::wechat::Wechat;
use crate::wechat_browser;

/// The most accounts that the page offers.
const SHOWN: usize = 20;

/// How long a browser keeps acting as WeChat's.
const PLAYED_FOR: Duration = Duration::from_hours(24 * 30);

/// The shop's URL, and its configuration.
pub(crate) struct Setting<'a> {
    /// Its own origin.
    pub(crate) origin: &'a str,
    /// The API, and the key for it; without a key, the API of the port that requires none.
    pub(crate) api: String,
    pub(crate) key: Option<SecretString>,
    /// The origin at which visitors log in.
    pub(crate) public_base: &'a str,
    pub(crate) simulator_base: &'a str,
    /// The pages in its navigation.
    pub(crate) neighbours: Vec<Neighbour>,
}

/// The shop's server; clones share everything.
#[derive(Clone)]
pub(crate) struct Shop(Arc<Inner>);

struct Inner {
    origin: Url,
    public_base: Url,
    simulator_base: String,
    platform: Api,
    wechat: Wechat,
    sessions: Sessions,
    pages: Pages,
}

/// An account as the page shows it.
#[derive(Debug, Clone, Deserialize)]
struct ShopAccount {
    appid: String,
    nick_name: Option<String>,
}

impl ShopAccount {
    fn name(&self) -> &str {
        self.nick_name.as_deref().unwrap_or(&self.appid)
    }
}

impl Shop {
    /// A shop without visitors.
    ///
    /// # Errors
    /// If a URL is invalid, or there is no HTTP client.
    pub(crate) fn new(setting: Setting<'_>, random: Random) -> anyhow::Result<Self> {
        let Setting { origin, api, key, public_base, simulator_base, neighbours } = setting;
        let forms = [public_base, simulator_base];
        Ok(Self(Arc::new(Inner {
            origin: origin.parse()?,
            public_base: public_base.parse()?,
            simulator_base: simulator_base.to_owned(),
            platform: Api::new(api, key)?,
            wechat: Wechat::new(simulator_base)?,
            sessions: Sessions::new(random),
            pages: Pages::new(forms, neighbours),
        })))
    }

    /// Its pages.
    pub(crate) fn router(&self) -> Router {
        Router::new()
            .route("/", get(start))
            .route("/authorize", post(authorize))
            .route("/login", post(login::begin))
            .route(login::RETURN_PATH, get(login::returned))
            .route("/logout", post(log_out))
            .route("/browser", post(choose_browser))
            .route("/signed", get(signed::page))
            .route("/js-sdk-check", post(signed::check))
            .route("/mini-program", post(mini_program::open))
            .with_state(self.clone())
    }

    fn platform(&self) -> &Api {
        &self.0.platform
    }

    fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    fn pages(&self) -> &Pages {
        &self.0.pages
    }

    /// The origin as the platform writes origins.
    fn origin(&self) -> String {
        self.0.origin.origin().ascii_serialization()
    }

    /// The accounts of a kind for which the platform can act.
    async fn accounts(&self, kind: &str) -> Result<Vec<ShopAccount>, ApiError> {
        let path = format!("/accounts?state=active&kind={kind}&limit={SHOWN}");
        let mut answer = self.platform().get(&path).await?;
        Ok(serde_json::from_value(answer.body["accounts"].take()).unwrap_or_default())
    }

    /// Whether this browser plays WeChat's; `None` if the public port cannot recognize it.
    fn plays_wechat(&self, request: &Request<axum::body::Body>) -> Option<bool> {
        let is_one_host = self.0.origin.host_str() == self.0.public_base.host_str();
        is_one_host.then(|| wechat_browser::is_played(request))
    }
}

/// The page of the shop. Cookies are per host, so the shop has only one name.
async fn start(
    State(shop): State<Shop>,
    AcceptLanguage(language): AcceptLanguage,
    request: Request<axum::body::Body>,
) -> Response {
    let named = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    if named.is_some_and(|named| named != shop.0.origin.authority()) {
        return Redirect::temporary(shop.0.origin.as_str()).into_response();
    }
    let (accounts, programs) = tokio::join!(shop.accounts("official_account"), shop.accounts("mini_program"));
    let (accounts, programs) = match (accounts, programs) {
        (Ok(accounts), Ok(programs)) => (accounts, programs),
        (Err(error), _) | (_, Err(error)) => return shop.pages().refused(language, &error, None),
    };
    let session = shop.sessions().read(request.headers());
    let chosen = session.visitor.as_ref().map(|visitor| visitor.appid.as_str());
    shop.pages().show(
        StatusCode::OK,
        &StartPage {
            navigation: shop.pages().navigation(),
            language,
            chosen: chosen.filter(|chosen| accounts.iter().any(|account| account.appid == *chosen)),
            accounts: &accounts,
            programs: &programs,
            session: &session,
            plays_wechat: shop.plays_wechat(&request),
            simulator: &shop.0.simulator_base,
        },
    )
}

/// `POST /authorize`: creates a link for the merchant of another account to try the shop with.
async fn authorize(State(shop): State<Shop>, AcceptLanguage(language): AcceptLanguage, headers: HeaderMap) -> Response {
    let mut steps = Vec::new();
    let asked = json!({ "requester_name": "Demo Shop 演示商城" });
    let link = shop.platform().ask(&mut steps, Method::POST, "/authorization-links", Some(&asked)).await;
    let (id, ()) = shop.sessions().change(&headers, |session| session.steps = steps);
    match link.map(|link| link.text("url").unwrap_or_default()) {
        Ok(url) => with_cookie(Redirect::to(&url).into_response(), id.cookie()),
        Err(error) => shop.pages().refused(language, &error, None),
    }
}

async fn log_out(State(shop): State<Shop>, headers: HeaderMap) -> Redirect {
    shop.sessions().change(&headers, |session| {
        session.visitor = None;
        session.steps.clear();
    });
    Redirect::to("/")
}

/// The browser that this one plays.
#[derive(Deserialize)]
struct ChosenBrowser {
    plays: String,
}

async fn choose_browser(Form(chosen): Form<ChosenBrowser>) -> Response {
    let (name, on) = (wechat_browser::COOKIE, wechat_browser::ON);
    let (value, life) = if chosen.plays == "wechat" { (on, PLAYED_FOR) } else { ("", Duration::ZERO) };
    with_cookie(Redirect::to("/#browser").into_response(), set_cookie(name, value, "/", life, SameSite::Lax, false))
}

fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
