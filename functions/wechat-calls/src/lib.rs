//! `/wechat/{appid}/…` and `/wechat/platform/…`: any of WeChat's APIs, called on behalf of an account or of the
//! platform itself, from the one address that WeChat accepts. `/calls`: the calls that failed.
//!
//! A service sends what it would send to WeChat, without a token, and gets WeChat's response. `request` parses the
//! request, `call` makes the call and records its outcome, `attempt` sends it, once more with another token if WeChat
//! refuses the first, and `response` builds the service's response. `keyed` ensures that a call with an
//! `Idempotency-Key` is sent once, and `failure` classifies failures. A body too large for a request or a response goes
//! through a bucket: `files`. WeChat's own libraries, unchanged, send and read all this in their own way, which
//! `library` translates.
//!
//! Two calls have routes of their own, whose problems name the mistake: `pages` signs an account's web pages with the
//! `ticket` that the platform stores, and `sessions` logs in users of mini programs.

mod attempt;
mod bucket;
mod call;
mod failure;
mod files;
mod form;
mod keyed;
mod library;
mod listing;
#[cfg(feature = "openapi")]
mod openapi;
mod pages;
mod request;
mod response;
mod sessions;
mod ticket;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use base::ids::{AppId, KeyId};
use http::Method;
use http::request::Parts;
use platform::component::Component;
use platform::services::Services;
use platform::tokens::{TokenCache, Tokens};
use runtime::config::{KeyConfig, WebDomains};
use store::{Access, AccountDetails, Scope, TokenOwner, access_to};
use tokio::time::{Instant, timeout_at};
use web::api::{ApiError, respond};
use web::caller::Caller;
use web::doors::{Doors, Route};
use web::gateway::router_path;
use web::{BODY_LIMIT, InternalError, Problem};

pub use self::bucket::Bucket;
use self::library::{SentParameters, TokenRequest};
#[cfg(feature = "openapi")]
pub use self::openapi::description;
use self::request::{CallRequest, target_word};

/// Calls with the platform's own token. `proxy` is the only name of a greedy parameter for which SAM writes a
/// permission.
const PLATFORM_ROUTE: &str = "/wechat/platform/{proxy+}";

/// Calls with an account's token.
const ACCOUNT_ROUTE: &str = "/wechat/{appid}/{proxy+}";

/// The calls that failed.
const CALLS_ROUTE: &str = "/calls";

/// Files for calls.
const FILES_ROUTE: &str = "/files";

/// The JS-SDK configuration of an account's web page.
const PAGES_ROUTE: &str = "/accounts/{appid}/js-sdk-configs";

/// The users of an account's mini program.
const SESSIONS_ROUTE: &str = "/accounts/{appid}/mini-program-sessions";

/// The routes: their methods, and their paths as in `template.yaml`.
pub static ROUTES: [Route; 8] = [
    Route::new(Method::GET, PLATFORM_ROUTE, &[Scope::PlatformCalls]),
    Route::new(Method::POST, PLATFORM_ROUTE, &[Scope::PlatformCalls]),
    Route::new(Method::GET, ACCOUNT_ROUTE, &[Scope::Calls]),
    Route::new(Method::POST, ACCOUNT_ROUTE, &[Scope::Calls]),
    Route::new(Method::GET, CALLS_ROUTE, &[Scope::AccountsRead]),
    Route::new(Method::POST, FILES_ROUTE, &[Scope::Calls]),
    Route::new(Method::POST, PAGES_ROUTE, &[Scope::Calls]),
    Route::new(Method::POST, SESSIONS_ROUTE, &[Scope::Calls]),
];

/// The largest body of a call, in bytes: in Base64 it still fits into an event for Lambda.
pub const LARGEST_BODY: usize = 4 * 1024 * 1024;

/// The largest response that is returned directly, in bytes: in Base64 it still fits into a response of Lambda.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;

/// The largest file, in bytes. WeChat's images and videos have 10 MB at most.
const LARGEST_FILE: usize = 20 * 1024 * 1024;

/// The time reserved for the response itself.
const RESPONSE_RESERVE: Duration = Duration::from_millis(200);

/// Everything the routes need; clones share it.
#[derive(Clone)]
pub struct CallService(Arc<Inner>);

struct Inner {
    services: Services,
    table: Access<Items>,
    cache: Arc<TokenCache>,
    bucket: Bucket,
    web_domains: WebDomains,
}

access_to! {
    /// What the function uses of the table, apart from tokens.
    pub(crate) struct Items {
        details: Details,
        failed_calls: FailedCalls,
        inbox: Inbox,
        keyed_calls: KeyedCalls,
    }
}

/// The platform, for the duration of one request.
pub(crate) struct OpenPlatform {
    pub(crate) component: Component,
    pub(crate) tokens: Tokens,
    pub(crate) items: Items,
    pub(crate) bucket: Bucket,
    /// When the response is due.
    bound: Instant,
}

impl OpenPlatform {
    /// When calls of WeChat end, and whatever precedes them.
    pub(crate) fn calls_end(&self) -> Instant {
        self.component.context().deadline.unwrap_or(self.bound)
    }

    /// When the file that a call sends must have been read: two thirds of the time are left for the call itself.
    pub(crate) fn file_end(&self) -> Instant {
        let now = Instant::now();
        now + self.calls_end().saturating_duration_since(now) / 3
    }

    /// When a response must be in the bucket, so that the outcome of the call can still be recorded.
    pub(crate) fn put_end(&self) -> Instant {
        let end = self.writes_end();
        end.checked_sub(self.component.context().limits.table_try).unwrap_or(end)
    }

    /// The details of an account, if they can be read in time.
    pub(crate) async fn details(&self, account: &AppId) -> Option<AccountDetails> {
        timeout_at(self.writes_end(), self.items.details.get(account)).await.ok()?.ok()?
    }

    /// When the writes after a call end.
    pub(crate) fn writes_end(&self) -> Instant {
        self.bound.checked_sub(RESPONSE_RESERVE).unwrap_or(self.bound)
    }
}

impl CallService {
    /// The function's state.
    #[must_use]
    pub fn new(services: Services, bucket: Bucket, web_domains: WebDomains) -> Self {
        let table = services.table.clone().access();
        Self(Arc::new(Inner { services, table, cache: Arc::default(), bucket, web_domains }))
    }

    pub(crate) fn services(&self) -> &Services {
        &self.0.services
    }

    pub(crate) fn web_domains(&self) -> &WebDomains {
        &self.0.web_domains
    }

    pub(crate) fn bucket(&self) -> &Bucket {
        &self.0.bucket
    }

    /// Issues a short-lived token of ours. This needs the platform's secret, and nothing from the table.
    async fn issue(
        &self,
        wanted: TokenRequest,
        key: &KeyId,
        owner: &TokenOwner,
        sent: &SentParameters<'_>,
    ) -> Result<Response, ApiError> {
        let platform = self.services().platform.current().await.map_err(InternalError::from)?;
        wanted.answer(key, owner, sent, &platform, self.services().clock.now())
    }

    /// The platform, for a request whose response is due at `bound`.
    pub(crate) async fn open(&self, bound: Instant) -> Result<OpenPlatform, InternalError> {
        let component = self.services().open_by(bound).await?;
        let tokens = Tokens::of(&component).remembering(&self.0.cache);
        let items = self.0.table.of(component.appid());
        Ok(OpenPlatform { component, tokens, items, bucket: self.bucket().clone(), bound })
    }
}

/// `GET`, `POST /wechat/{appid}/{proxy+}`.
async fn for_account(
    State(service): State<CallService>,
    caller: Caller,
    parts: Parts,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let target = request::of_account(&parts)?;
    Ok(pass_on(service, target, caller, parts, body).await)
}

/// `GET`, `POST /wechat/platform/{proxy+}`.
async fn for_platform(
    State(service): State<CallService>,
    caller: Caller,
    parts: Parts,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let target = request::of_platform(&parts)?;
    Ok(pass_on(service, target, caller, parts, body).await)
}

async fn pass_on(
    service: CallService,
    target: (TokenOwner, String),
    caller: Caller,
    parts: Parts,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let work = |bound| passed_on(service.clone(), target, caller, parts, body, bound);
    respond(service.services(), "a call on behalf", work).await
}

async fn passed_on(
    service: CallService,
    (owner, path): (TokenOwner, String),
    caller: Caller,
    parts: Parts,
    body: Result<Bytes, BytesRejection>,
    bound: Instant,
) -> Result<Response, ApiError> {
    // Checked again, for the account that the call is made for, however the path was read on the way here.
    if let TokenOwner::Authorizer(account) = &owner {
        caller.needs_account(account)?;
    }
    if let (Some(wanted), Some(key)) = (TokenRequest::of(target_word(&owner), &path), caller.key()) {
        let sent = SentParameters::of(&parts, &body.unwrap_or_default());
        return service.issue(wanted, key, &owner, &sent).await;
    }
    let request = CallRequest::read(owner, &path, caller, &parts, body)?;
    let open = service.open(bound).await?;
    call::run(&open, &request).await
}

/// The routes, for callers with IAM or an API key.
pub fn router(service: CallService, keys: KeyConfig) -> Router {
    let routes = Router::new()
        .route(&router_path(PLATFORM_ROUTE), get(for_platform).post(for_platform))
        .route(&router_path(ACCOUNT_ROUTE), get(for_account).post(for_account))
        .route(CALLS_ROUTE, get(listing::list));
    let with_members = Router::new()
        .route(FILES_ROUTE, post(files::create))
        .route(PAGES_ROUTE, post(pages::create))
        .route(SESSIONS_ROUTE, post(sessions::create))
        .route_layer(DefaultBodyLimit::max(BODY_LIMIT));
    let doors = Doors { services: service.services(), routes: &ROUTES, keys, longest_body: LARGEST_BODY };
    doors.to(routes.merge(with_members)).layer(middleware::from_fn(library::as_libraries_expect)).with_state(service)
}

#[cfg(test)]
mod tests;
