//! What the routes that programs call have in common: JSON within a bound, or a [`Problem`].

use std::pin::Pin;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{Method, StatusCode};
use platform::services::Services;
use platform::tokens::TokenError;
use serde::Serialize;
use store::StoreError;
use tokio::time::Instant;
use wechat::api::WechatError;

use crate::{BodyError, InternalError, Problem, ProblemKind, QueryError, spawn_with_timeout};

/// Why a program does not get what it asks for.
#[derive(Debug)]
pub enum ApiError {
    /// What the program can do about it is in the problem.
    Problem(Problem),
    /// Not the caller's fault: logged, and answered with a reference.
    Internal(InternalError),
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

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        Self::Internal(error.into())
    }
}

/// The work of one request.
pub type Work = Pin<Box<dyn Future<Output = Result<Response, ApiError>> + Send + 'static>>;

/// Runs a request's work within its bound, and turns what went wrong into a problem. `what` says what was wanted, for the
/// log.
pub async fn answer(services: &Services, what: &str, bound: Instant, work: Work) -> Response {
    let error = match spawn_with_timeout(bound, work).await {
        Ok(Ok(response)) => return response,
        Ok(Err(error)) => error,
        Err(trouble) => trouble.into(),
    };
    match error {
        ApiError::Problem(problem) => problem.into_response(),
        ApiError::Internal(trouble) => {
            trouble.problem(trouble.report(what, &services.random, &services.metrics)).into_response()
        }
    }
}

/// A JSON answer, which nobody keeps.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// The answer where WeChat has not given what the request needs: what it said, where it said something.
#[must_use]
pub fn of_wechat(error: &WechatError) -> Problem {
    let Some(refusal) = error.refusal() else {
        return Problem::new(ProblemKind::WechatUnreachable, "try again in a minute");
    };
    let detail = "errcode and errmsg are WeChat's own; WeChat's support asks for rid";
    let problem = Problem::new(ProblemKind::WechatRefused, detail)
        .with("errcode", refusal.code.code())
        .with("errmsg", refusal.errmsg.as_str());
    match &refusal.rid {
        Some(rid) => problem.with("rid", rid.as_str()),
        None => problem,
    }
}

/// Any path that is not a route.
#[expect(clippy::unused_async, reason = "a handler is asynchronous")]
pub async fn unknown_route() -> Problem {
    Problem::new(ProblemKind::UnknownRoute, "check the path: docs/business-api.md lists every route")
}

/// Any other method of a path that is there; the router adds `Allow`.
#[expect(clippy::unused_async, reason = "a handler is asynchronous")]
pub async fn method_not_allowed(method: Method) -> Problem {
    Problem::new(ProblemKind::MethodNotAllowed, format!("use a method that Allow names instead of {method}"))
}
