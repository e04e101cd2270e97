//! Authorization links: the API with which a business creates one, and the page on which a merchant follows it to
//! WeChat (protocol section 2).
//!
//! Loading a page costs nothing: only a press of the button, or a business's request, mints a pre-auth code. Each kind
//! of route has a router of its own, so that `local` can serve businesses on a listener that only this machine reaches.

mod business;
mod launch_texts;
mod link_request;
mod link_state;
mod mint;
#[cfg(feature = "openapi")]
mod openapi;
mod problems;
mod public;
mod requester_name;
mod texts;
mod wechat_urls;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{delete, get, post};
use base::clock::Timestamp;
use base::ids::{AttemptId, LinkId};
use http::Method;
use platform::services::{self, Services};
use runtime::config::{KeyConfig, PageConfig, WechatConfig};
use store::{Access, Link, LinkStatus, MintRefused, Scope, StoreError, access_to};
use tokio::time::Instant;
use url::Url;
use web::doors::{Doors, Route};
use web::{BODY_LIMIT, FormTargets, InternalError, Pages, Reader, api};

#[cfg(feature = "openapi")]
pub use self::openapi::description;

/// The routes for merchants, from which [`public_router`] is built.
pub const PUBLIC_ROUTES: [(Method, &str); 2] =
    [(Method::GET, "/authorize/{link_id}"), (Method::POST, "/authorize/{link_id}")];

/// The routes for businesses, from which [`business_router`] is built.
pub static BUSINESS_ROUTES: [Route; 5] = [
    Route::new(Method::POST, "/authorization-links", &[Scope::Links]).for_operators(),
    Route::new(Method::GET, "/authorization-links", &[Scope::Links]),
    Route::new(Method::GET, "/authorization-links/{link_id}", &[Scope::Links]),
    Route::new(Method::DELETE, "/authorization-links/{link_id}", &[Scope::Links]).for_operators(),
    Route::new(Method::POST, "/authorization-links/{link_id}/codes", &[Scope::Links]),
];

/// What the function is built from, once; clones share it.
#[derive(Clone)]
pub struct LinkService(Arc<Inner>);

access_to! {
    /// The items of the table that the function uses, besides those for issuing a component token.
    struct Repositories {
        links: Links,
        attempts: Attempts,
        details: Details,
        standings: Standings,
    }
}

/// The platform and its items, for the duration of one request.
type OpenPlatform = services::OpenPlatform<Repositories>;

struct Inner {
    services: Services,
    table: Access<Repositories>,
    config: PageConfig,
    wechat: WechatConfig,
    pages: Pages,
}

impl LinkService {
    /// The function's state.
    #[must_use]
    pub fn new(services: Services, config: PageConfig, wechat: WechatConfig) -> Self {
        let targets = FormTargets::OursAnd(&[&wechat.mp, &wechat.open]);
        let pages = Pages::new(Reader::Merchant, &config.provider, targets);
        let pages = pages.with_pictures().served_at(&config.public_base);
        let table = services.table.clone().access();
        Self(Arc::new(Inner { services, table, config, wechat, pages }))
    }

    fn services(&self) -> &Services {
        &self.0.services
    }

    fn config(&self) -> &PageConfig {
        &self.0.config
    }

    fn wechat(&self) -> &WechatConfig {
        &self.0.wechat
    }

    fn pages(&self) -> &Pages {
        &self.0.pages
    }

    /// The platform, for a request whose response is due at `bound`.
    async fn open(&self, bound: Instant) -> Result<OpenPlatform, InternalError> {
        Ok(self.services().open_with(&self.0.table, bound).await?)
    }

    /// A path under our own origin.
    fn url(&self, path: &str) -> Url {
        let mut url = self.config().public_base.url().clone();
        url.set_path(path);
        url
    }

    /// A link's page.
    fn link_url(&self, link: &LinkId) -> Url {
        self.url(&format!("/authorize/{link}"))
    }

    /// The URL to which WeChat sends the merchant back.
    fn callback_url(&self, link: &LinkId, attempt: &AttemptId) -> Url {
        self.url(&format!("/authorize/{link}/callback/{attempt}"))
    }
}

/// Why a link cannot be followed, or cancelled.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    /// No link has this id.
    #[error("there is no such link")]
    Unknown,
    /// It is no longer pending.
    #[error("the link is no longer pending")]
    Ended(LinkStatus),
    /// An account was authorized through it, but is no longer authorized.
    #[error("the account that was authorized through the link is not authorized any more")]
    Withdrawn,
    /// It mints no further pre-auth code for now, or ever.
    #[error("the link has made too many pre-auth codes")]
    TooMany(Option<Again>),
    /// A fault of the platform or of what it depends on.
    #[error(transparent)]
    Internal(#[from] InternalError),
}

/// When a link that has minted too many pre-auth codes can mint another.
#[derive(Debug, Clone, Copy)]
struct Again {
    /// The wait until then.
    wait: Duration,
    /// That time.
    at: Timestamp,
}

impl LinkError {
    fn of_mint(refused: MintRefused, now: Timestamp) -> Self {
        match refused {
            MintRefused::Ended(status) => Self::Ended(status),
            MintRefused::Hourly(wait) => Self::TooMany(Some(Again { wait, at: now.plus(wait) })),
            MintRefused::Total => Self::TooMany(None),
        }
    }
}

impl From<StoreError> for LinkError {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.into())
    }
}

/// A link that exists, used or not.
async fn known_link(open: &OpenPlatform, id: &LinkId) -> Result<Link, LinkError> {
    open.items.links.get(id, open.now()).await?.ok_or(LinkError::Unknown)
}

/// The routes for merchants.
pub fn public_router(service: LinkService) -> Router {
    let [(_, show), (_, press)] = PUBLIC_ROUTES;
    Router::new().route(show, get(public::show)).route(press, post(public::press)).with_state(service)
}

/// The routes for services, for callers with IAM or an API key. Any other request gets a problem too, so this router
/// has a fallback: it can be merged with routers that have none.
pub fn business_router(service: LinkService, keys: KeyConfig) -> Router {
    let [create, list, one, same, codes] = &BUSINESS_ROUTES;
    let routes = Router::new()
        .route(create.path, post(business::create))
        .route(list.path, get(business::list))
        .route(one.path, get(business::read))
        .route(same.path, delete(business::cancel))
        .route(codes.path, post(business::mint_code));
    let doors = Doors { services: service.services(), routes: &BUSINESS_ROUTES, keys, longest_body: BODY_LIMIT };
    doors.to(routes).fallback(api::unknown_route).with_state(service)
}

#[cfg(test)]
mod tests;
