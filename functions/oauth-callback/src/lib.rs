//! The way back from WeChat (protocol section 2): `GET /authorize/{link_id}/callback/{attempt}?auth_code&expires_in`.
//!
//! The code is durable before anything else is done with it, so nothing that hangs here costs a grant: what this
//! function does not finish, the refresher does. Only the browser that began the attempt binds the link; any other
//! browser that comes back brings a grant and nothing more.

mod code;
mod exchange;
mod outcome;
mod receive;
mod texts;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use base::ids::{AttemptId, LinkId};
use http::{HeaderMap, Method, StatusCode};
use platform::services::Services;
use runtime::config::PageConfig;
use store::{Access, StoreError, access_to};
use tokio::time::{Instant, timeout_at};
use web::{AcceptLanguage, Button, FormTargets, InternalError, Language, Message, Pages, Reader};

use crate::receive::CallbackRequest;

/// The routes of this function, from which its router is built.
pub const ROUTES: [(Method, &str); 1] = [(Method::GET, "/authorize/{link_id}/callback/{attempt}")];

/// What the function is built from, once; clones share it.
#[derive(Clone)]
pub struct CallbackService(Arc<Inner>);

access_to! {
    /// The items of the table that the function uses, besides those of an exchange.
    pub(crate) struct Repositories {
        attempts: Attempts,
        claims: Claims,
        details: Details,
        inbox: Inbox,
        links: Links,
    }
}

struct Inner {
    services: Services,
    table: Access<Repositories>,
    config: PageConfig,
    pages: Pages,
}

impl CallbackService {
    /// The function's state.
    #[must_use]
    pub fn new(services: Services, config: PageConfig) -> Self {
        let pages = Pages::new(Reader::Merchant, &config.provider, FormTargets::None);
        let pages = pages.with_pictures().served_at(&config.public_base);
        let table = services.table.clone().access();
        Self(Arc::new(Inner { services, table, config, pages }))
    }

    fn services(&self) -> &Services {
        &self.0.services
    }

    fn table(&self) -> &Access<Repositories> {
        &self.0.table
    }

    fn pages(&self) -> &Pages {
        &self.0.pages
    }
}

/// Why a merchant's return is not accepted.
#[derive(Debug, thiserror::Error)]
enum CallbackError {
    /// No code, several, or one that WeChat does not send.
    #[error("the return carries no usable authorization code")]
    Code,
    /// The link or the attempt is not ours, or has been deleted.
    #[error("there is no such attempt")]
    Unknown,
    /// The attempt has brought too many codes.
    #[error("the attempt has brought too many codes")]
    TooMany,
    /// A fault of the platform or of what it depends on.
    #[error(transparent)]
    Internal(#[from] InternalError),
}

impl From<StoreError> for CallbackError {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.into())
    }
}

/// The function's router.
pub fn router(service: CallbackService) -> Router {
    let [(_, callback)] = ROUTES;
    Router::new().route(callback, get(callback_page)).with_state(service)
}

type AttemptPath = Result<Path<(LinkId, AttemptId)>, PathRejection>;

async fn callback_page(
    State(service): State<CallbackService>,
    path: AttemptPath,
    RawQuery(query): RawQuery,
    AcceptLanguage(language): AcceptLanguage,
    headers: HeaderMap,
) -> Response {
    let bound = Instant::now() + service.services().limits.page;
    let link = path.as_ref().ok().map(|Path((link, _))| format!("/authorize/{link}"));
    let answer = completed(&service, path, query, language, &headers, bound).await;
    answer.unwrap_or_else(|error| refusal(&service, language, error, link.as_deref()))
}

async fn completed(
    service: &CallbackService,
    path: AttemptPath,
    query: Option<String>,
    language: Language,
    headers: &HeaderMap,
    bound: Instant,
) -> Result<Response, CallbackError> {
    let Path((link, attempt)) = path.map_err(|_| CallbackError::Unknown)?;
    let code = code::auth_code(query.as_deref().unwrap_or_default()).ok_or(CallbackError::Code)?;
    let back = CallbackRequest { link, attempt, code };
    let received = timeout_at(bound, receive::receive(service, back, headers, bound)).await;
    let received = received.map_err(|_| InternalError::Timeout)??;
    let (target, details) = (received.target().clone(), received.items.details.clone());
    let outcome = exchange::exchange(service, received, bound).await;
    tracing::info!(
        link = %target.link, status = outcome.as_str(),
        "a merchant came back through link {}: {}", target.link, outcome.as_str()
    );
    Ok(outcome::answer(service, &details, &target, &outcome, language, bound).await?)
}

/// The page that says why a return was not taken in. `link` is where the merchant can begin again.
fn refusal(service: &CallbackService, language: Language, error: CallbackError, link: Option<&str>) -> Response {
    let pages = service.pages();
    let say = |status, message: Message<'_>| pages.message(status, language, again(message, language, link));
    match error {
        CallbackError::Code => say(StatusCode::BAD_REQUEST, texts::no_code(language)),
        CallbackError::Unknown => say(StatusCode::NOT_FOUND, texts::unknown(language)),
        CallbackError::TooMany => pages.too_many(language, again(texts::too_many(language), language, link), None),
        CallbackError::Internal(trouble) => {
            let services = service.services();
            let reference = trouble.report("taking an authorization code in", &services.random, &services.metrics);
            pages.not_available(language, &reference)
        }
    }
}

/// The message with a way back to the link's page, if there is one, and to the provider.
fn again<'a>(message: Message<'a>, language: Language, link: Option<&'a str>) -> Message<'a> {
    let message = message.asking();
    link.map_or(message, |url| message.with(Button { label: texts::open_again(language), url }))
}

#[cfg(test)]
mod tests;
