//! What the routes for programs have in common: JSON of bounded size, or a [`Problem`].

use std::pin::Pin;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base::clock::Timestamp;
use base::ids::AppId;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use http::{Method, StatusCode};
use platform::services::Services;
use platform::tokens::TokenError;
use runtime::telemetry::{Measure, Metric, Metrics};
use serde::Serialize;
use store::{AccountState, StoreError};
use tokio::time::Instant;
use wechat::api::{ErrCode, Refusal, WechatError};

use crate::{BodyError, InternalError, Problem, ProblemKind, QueryError, spawn_with_timeout};

/// Why a program's request failed.
#[derive(Debug)]
pub enum ApiError {
    /// The problem says what the program can do about it.
    Problem(Problem),
    /// A fault of the platform or of what it depends on: it is logged, and the response contains a reference.
    Internal(InternalError),
    /// WeChat's fault: it is logged, and the problem explains it.
    Explained(InternalError, Box<Problem>),
    /// WeChat's fault, and already reported: the problem explains it.
    Upstream(Box<Problem>),
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        Self::Problem(error.into())
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        Self::Problem(error.into())
    }
}

impl From<InternalError> for ApiError {
    fn from(error: InternalError) -> Self {
        Self::Internal(error)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.into())
    }
}

impl ApiError {
    /// Why there is no token, for a service that requested one, or something that needs one. WeChat's own message is
    /// included, since it says what to do.
    #[must_use]
    pub fn of_token(error: TokenError, now: Timestamp) -> Self {
        if let TokenError::Store(error) = error {
            return error.into();
        }
        let problem = no_token(&error, now);
        match error {
            TokenError::UnknownAccount(_)
            | TokenError::NotAuthorized { .. }
            | TokenError::NoPermission(_)
            | TokenError::RenewedJustNow { .. }
            | TokenError::StillAccepted(_) => Self::Problem(problem),
            error => Self::Explained(error.into(), Box::new(problem)),
        }
    }
}

fn no_token(error: &TokenError, now: Timestamp) -> Problem {
    const UNAVAILABLE: ProblemKind = ProblemKind::TokenUnavailable;
    match error {
        TokenError::UnknownAccount(_) => unknown_account(),
        TokenError::NotAuthorized { state, since, .. } => authorization_ended(Some(*state), *since),
        TokenError::NoPermission(_) => Problem::new(
            ProblemKind::NoApiPermission,
            "WeChat issues no token: the merchant has to grant a permission set with APIs, through a new link",
        ),
        TokenError::RenewedJustNow { again_at, .. } => Problem::new(
            ProblemKind::TooSoon,
            "the token was renewed less than a minute ago: WeChat refuses the call for another reason, or somebody else \
             renews the account's tokens; retry after the time in Retry-After",
        )
        .with_retry_after(again_at.since(now)),
        TokenError::StillAccepted(_) => Problem::new(
            ProblemKind::TooSoon,
            "WeChat accepts the token in other calls: it refuses this one for another reason, such as the account that it names",
        )
        .with_retry_after(Duration::from_mins(1)),
        TokenError::NoComponentToken(cause) => no_token(cause, now),
        TokenError::Failing { label, next_try, .. } => {
            let detail = "the last renewals have failed: last_error says why; retry after the time in Retry-After";
            let problem = Problem::new(UNAVAILABLE, detail).with("last_error", label.as_str());
            problem.with("next_try_at", next_try.rfc3339()).with_retry_after(next_try.since(now))
        }
        TokenError::NoTicket => {
            Problem::new(UNAVAILABLE, "WeChat has not pushed a component_verify_ticket yet: wait ten minutes")
        }
        TokenError::Wechat(said) if !said.was_not_started() => match said.refusal() {
            Some(refusal) => with_wechats_words(Problem::new(UNAVAILABLE, WECHATS_WORDS), refusal),
            None => Problem::new(UNAVAILABLE, "WeChat did not respond: try again in a minute"),
        },
        TokenError::Busy(_) | TokenError::Wechat(_) | TokenError::Store(_) => {
            let detail = "another process is renewing the token: retry after the time in Retry-After";
            Problem::new(ProblemKind::TokenBeingRenewed, detail).with_retry_after(Duration::from_secs(1))
        }
    }
}

/// The problem of an unknown or malformed appid.
#[must_use]
pub fn unknown_account() -> Problem {
    Problem::new(ProblemKind::UnknownAccount, "check the appid: no such account has ever authorized this platform")
}

/// The problem of an account for which the platform may no longer act, with the code that WeChat would return.
#[must_use]
pub fn authorization_ended(state: Option<AccountState>, since: Option<Timestamp>) -> Problem {
    let detail = "the account's authorization has ended: the merchant has to authorize the platform again";
    Problem::new(ProblemKind::AuthorizationEnded, detail)
        .with("errcode", ErrCode::NotAuthorized.code())
        .with_some("state", state.map(state_word))
        .with_some("since", since.map(Timestamp::rfc3339))
}

/// The word for a state in responses to services.
#[must_use]
pub const fn state_word(state: AccountState) -> &'static str {
    match state {
        AccountState::Active => "active",
        AccountState::NeedsAuthorization => "needs_authorization",
        AccountState::Unauthorized => "unauthorized",
    }
}

/// The account in the path of a request.
#[derive(Debug, Clone)]
pub struct PathAccount(pub AppId);

impl<S: Send + Sync> FromRequestParts<S> for PathAccount {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let named = Path::<AppId>::from_request_parts(parts, state).await;
        named.map(|Path(appid)| Self(appid)).map_err(|_| unknown_account())
    }
}

/// The work of one request. It is boxed, so that the code around it is compiled once and not for every route.
type Work = Pin<Box<dyn Future<Output = Result<Response, ApiError>> + Send + 'static>>;

/// Responds to a request with the result of `work`, which gets the time when the response is due, or with a problem.
/// `what` names the request in the log.
pub async fn respond<F>(services: &Services, what: &str, work: impl FnOnce(Instant) -> F) -> Response
where
    F: Future<Output = Result<Response, ApiError>> + Send + 'static,
{
    let bound = services.answer_by();
    answer(services, what, bound, Box::pin(work(bound))).await
}

/// Runs a request's work within its time limit, and turns a failure into a problem.
async fn answer(services: &Services, what: &str, bound: Instant, work: Work) -> Response {
    match spawn_with_timeout(bound, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => refused(services, what, error),
        Err(trouble) => refused(services, what, trouble.into()),
    }
}

/// The response to a failed request of a program.
pub(crate) fn refused(services: &Services, what: &str, error: ApiError) -> Response {
    match error {
        ApiError::Problem(problem) => problem.into_response(),
        ApiError::Internal(trouble) => {
            trouble.problem(trouble.report(what, &services.random, &services.metrics)).into_response()
        }
        ApiError::Explained(trouble, problem) => {
            let reference = trouble.report(what, &services.random, &services.metrics);
            upstream_error(problem.with_reference(reference).into_response())
        }
        ApiError::Upstream(problem) => upstream_error(problem.into_response()),
    }
}

/// The extension of a 5xx response for which WeChat is the reason.
#[derive(Debug, Clone, Copy)]
struct UpstreamError;

/// Marks a 5xx response for which WeChat is the reason, for [`count_upstream_errors`].
#[must_use]
pub fn upstream_error(mut response: Response) -> Response {
    response.extensions_mut().insert(UpstreamError);
    response
}

/// Counts the 5xx responses for which WeChat was the reason. Any other 5xx that the gateway counts is for us to repair.
pub async fn count_upstream_errors(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if response.status().is_server_error() && response.extensions().get::<UpstreamError>().is_some() {
        metrics.put(&Metric::count(Measure::UpstreamError, 1));
    }
    response
}

/// A JSON response, not to be cached.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// The problem of a failed call of WeChat, with WeChat's own message if there is one.
#[must_use]
pub fn of_wechat(error: &WechatError) -> ApiError {
    let problem = match error.refusal() {
        Some(refusal) => with_wechats_words(Problem::new(ProblemKind::WechatRefused, WECHATS_WORDS), refusal),
        None => Problem::new(ProblemKind::WechatUnreachable, "try again in a minute"),
    };
    ApiError::Upstream(Box::new(problem))
}

const WECHATS_WORDS: &str = "errcode and errmsg are WeChat's own; WeChat's support needs the rid";

/// Adds WeChat's statement to a problem: its code, its message, and its id of the request.
#[must_use]
pub fn with_wechats_words(problem: Problem, refusal: &Refusal) -> Problem {
    let problem = problem.with("errcode", refusal.code.code()).with("errmsg", refusal.errmsg.as_str());
    problem.with_some("rid", refusal.rid.as_deref())
}

/// The problem of an unauthenticated request.
pub(crate) fn not_signed() -> Problem {
    Problem::new(
        ProblemKind::NoIdentity,
        "sign the request with IAM credentials (AWS Signature Version 4, service execute-api), or call the same path below /v1 with \
         an API key",
    )
}

/// The handler of any path that is not a route.
#[expect(clippy::unused_async, reason = "a handler is asynchronous")]
pub async fn unknown_route() -> Problem {
    Problem::new(ProblemKind::UnknownRoute, "check the path: docs/business-api.md lists every route")
}

/// The handler of any other method of an existing path; the router adds `Allow`.
pub(crate) async fn method_not_allowed(method: Method) -> Problem {
    let detail = format!("{method} is not allowed here: use a method that the header Allow lists");
    Problem::new(ProblemKind::MethodNotAllowed, detail)
}
