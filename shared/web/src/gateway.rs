//! The adapter for API Gateway's events (HTTP API, payload 2.0), which every request passes first.
//!
//! A function gets whatever strangers send, in the gateway's JSON. Here it becomes a request or a response that refuses
//! it; nothing here panics, and if a handler panics, the caller still gets a response. Only checked parts reach a
//! router: the path, the query, [`HEADERS`], a body of bounded size, and the identity that the gateway has verified.
//!
//! `lambda_http` uses `unwrap` for this: a raw `<` in a query panics there. It also resolves paths as browsers do, so
//! that `..\` leads to a route other than the one whose authorizer the gateway has called.

mod event;
mod response;

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use http::Method;
use lambda_runtime::{LambdaEvent, service_fn};
use runtime::telemetry::{self, LogThrottle, Measure, Metric, Metrics};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _};
use tracing::Instrument as _;

use crate::doors::{KEY_DOOR, Route};
use crate::push::plain_answer;
use crate::{Problem, ProblemKind};

pub use self::event::{EVENT_BODY_LIMIT, HEADERS};
pub use self::response::{GatewayResponse, InBase64};
pub use lambda_runtime::Error;

/// A function's router behind API Gateway; clones share it.
#[derive(Debug, Clone)]
pub struct Gateway {
    router: Router,
    for_programs: &'static [Route],
    pages_below: Option<&'static str>,
    body_limit: usize,
    metrics: Metrics,
}

/// Why a request does not reach a handler, or gets no response from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    /// The event does not have the gateway's form, or a part of the request is invalid in HTTP.
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    /// The body is larger than any route accepts.
    #[error("the body is too large")]
    TooLarge,
    /// The path does not lead to the route that the gateway has chosen.
    #[error("there is no such route")]
    Route,
    /// A handler panicked.
    #[error("the request could not be processed")]
    Defect,
}

/// The route that the gateway has chosen, for which it has authenticated the caller: `POST /wechat/events`.
#[derive(Debug, Clone)]
struct RouteKey(Arc<str>);

/// The path below which the gateway matches only the beginning of a path.
#[derive(Debug, Clone, Copy)]
struct PagesBelow(&'static str);

/// The format of refusals on a route.
#[derive(Debug, Clone, Copy)]
enum Wording {
    /// `text/plain`, for WeChat and people.
    Plain,
    /// `application/problem+json`, for programs.
    Problem,
}

static REFUSED: LogThrottle = LogThrottle::new();

/// Polls for events and responds to them: the main loop of a Lambda function.
///
/// # Errors
/// If Lambda's Runtime API cannot be reached.
pub async fn run(gateway: Gateway) -> Result<(), Error> {
    // Raw JSON: for an event that does not have the gateway's form, the runtime would report a failure of the function.
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let gateway = gateway.clone();
        let LambdaEvent { payload, context } = event;
        let span = telemetry::invocation(&context.request_id);
        let answer = async move { gateway.answer_named(payload.get(), &context.request_id).await };
        answer.map(Ok::<_, Error>).instrument(span)
    }))
    .await
}

impl Gateway {
    /// An adapter for a function's router. Each request must be on the route that the gateway has chosen.
    #[must_use]
    pub fn new(router: Router, metrics: Metrics) -> Self {
        let router = router.layer(middleware::from_fn(on_the_chosen_route));
        Self { router, for_programs: &[], pages_below: None, body_limit: EVENT_BODY_LIMIT, metrics }
    }

    /// The same for a function whose routes accept bodies of up to `bytes`.
    #[must_use]
    pub fn with_bodies_of(self, bytes: usize) -> Self {
        Self { body_limit: bytes, ..self }
    }

    /// The same, with refusals as problems on the routes for programs.
    #[must_use]
    pub fn with_problems_on(self, routes: &'static [Route]) -> Self {
        Self { for_programs: routes, ..self }
    }

    /// The same for a function with pages below a path, such as `/console`, where the gateway checks nothing: the routes
    /// `GET /console/{proxy+}` and `POST /console/{proxy+}` lead to whatever the router has there for that method.
    #[must_use]
    pub fn with_pages_below(self, path: &'static str) -> Self {
        Self { pages_below: Some(path), ..self }
    }

    /// Responds to an event, given as JSON, whatever it contains.
    pub async fn answer(&self, event: &str) -> GatewayResponse {
        self.respond_to(event, None).await
    }

    /// The same for an event that has an id in the log: handlers get it, and it is in the response.
    pub async fn answer_named(&self, event: &str, request_id: &str) -> GatewayResponse {
        self.respond_to(event, Some(request_id)).await.with_request_id(request_id.to_owned())
    }

    async fn respond_to(&self, event: &str, request_id: Option<&str>) -> GatewayResponse {
        let event = serde_json::from_str::<Value>(event).unwrap_or_default();
        let route = event::route_key(&event).unwrap_or_default().to_owned();
        let wording = self.wording(&route);
        let answered = match event::request(event, self.body_limit, request_id) {
            Ok(mut request) => {
                request.extensions_mut().insert(wording);
                if let Some(path) = self.pages_below {
                    request.extensions_mut().insert(PagesBelow(path));
                }
                self.respond(request).await
            }
            Err(refusal) => Err(refusal),
        };
        let response = answered.unwrap_or_else(|refusal| refusal.response(wording));
        GatewayResponse::of(response).await
    }

    async fn respond(&self, request: Request) -> Result<Response, Refusal> {
        let answered = AssertUnwindSafe(self.router.clone().oneshot(request)).catch_unwind().await;
        match answered {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(never)) => match never {},
            Err(_) => {
                tracing::error!("a handler panicked: the lines above say where");
                self.metrics.put(&Metric::count(Measure::RequestFailed, 1).with_dimension("defect"));
                Err(Refusal::Defect)
            }
        }
    }

    fn wording(&self, route: &str) -> Wording {
        let is_for_programs =
            |path: &str| is_of_key_door(path) || self.for_programs.iter().any(|route| route.path == path);
        match route.split_once(' ') {
            Some((_, path)) if is_for_programs(path) => Wording::Problem,
            _ => Wording::Plain,
        }
    }
}

/// Passes a request only if the router routes it as the gateway did, or finds no route.
///
/// The gateway checks the caller for the route that *it* has matched. Should the two ever interpret a path differently,
/// nobody gets into a route for which they were not checked.
async fn on_the_chosen_route(request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    let wording = extensions.get::<Wording>().copied().unwrap_or(Wording::Plain);
    let is_chosen = match (extensions.get::<MatchedPath>(), extensions.get::<RouteKey>()) {
        (Some(taken), Some(RouteKey(chosen))) => {
            let pages = extensions.get::<PagesBelow>().map(|PagesBelow(path)| *path);
            chosen.split_once(' ').is_some_and(|chosen| is_on((request.method(), taken.as_str()), chosen, pages))
        }
        // Not everything below a `{proxy+}` of the gateway is a route.
        (None, _) => matches!(wording, Wording::Plain),
        (Some(_), None) => false,
    };
    if is_chosen { next.run(request).await } else { Refusal::Route.response(wording) }
}

/// Whether the router's route is the one that the gateway has chosen. For calls with keys and below the path of
/// `pages`, where the gateway checks nothing, it matches only the first part of a path.
fn is_on((method, taken): (&Method, &str), chosen: (&str, &str), pages: Option<&str>) -> bool {
    match chosen {
        ("ANY", path) if is_of_key_door(path) => match path.strip_suffix(ALL_BELOW) {
            Some(prefix) => taken.starts_with(prefix),
            None => taken == path,
        },
        (chosen, path) if method.as_str() == chosen => match path.strip_suffix(ALL_BELOW) {
            Some(prefix) if pages.is_some_and(|pages| prefix.strip_suffix('/') == Some(pages)) => {
                taken.starts_with(prefix)
            }
            _ => taken == router_path(path),
        },
        _ => false,
    }
}

/// The path in a route's key, `POST /wechat/events`.
fn path_of(route: &str) -> &str {
    route.split_once(' ').map_or("", |(_, path)| path)
}

fn is_of_key_door(path: &str) -> bool {
    path.strip_prefix(KEY_DOOR).is_some_and(|rest| rest.starts_with('/'))
}

/// The gateway's notation for everything below a path.
const ALL_BELOW: &str = "{proxy+}";

/// A router that is used without the gateway and matches the same routes: by decoded paths, as the gateway passes them
/// on.
pub fn with_decoded_paths(router: Router) -> Router {
    // A layer inside the router would decode the path after it was routed.
    Router::new().fallback_service(middleware::from_fn(decode_path).layer(router))
}

async fn decode_path(mut request: Request, next: Next) -> Response {
    if let Some(uri) = event::behind_gateway(request.uri()) {
        *request.uri_mut() = uri;
    }
    next.run(request).await
}

/// A route's path in the router's notation: for the rest of a path the gateway writes `{path+}` and the router
/// `{*path}`.
#[must_use]
pub fn router_path(route: &str) -> Cow<'_, str> {
    match route.strip_suffix("+}").and_then(|path| path.rsplit_once('{')) {
        Some((before, name)) => format!("{before}{{*{name}}}").into(),
        None => route.into(),
    }
}

impl Refusal {
    const fn kind(self) -> ProblemKind {
        match self {
            Self::Malformed(_) => ProblemKind::MalformedRequest,
            Self::TooLarge => ProblemKind::TooLarge,
            Self::Route => ProblemKind::UnknownRoute,
            Self::Defect => ProblemKind::Defect,
        }
    }

    /// The name of the problem, also the reason in the log.
    const fn name(self) -> &'static str {
        self.kind().name()
    }

    /// The response. Also writes a line to the log, at most one a minute for each reason, since anybody can cause it.
    fn response(self, wording: Wording) -> Response {
        if let Some(left_out) = REFUSED.admit(self.name(), Instant::now()) {
            tracing::warn!(reason = self.name(), left_out, "a request was refused before it reached a handler: {self}");
        }
        match wording {
            Wording::Plain => plain_answer(self.kind().status(), self.to_string()),
            Wording::Problem => Problem::new(self.kind(), self.to_string()).into_response(),
        }
    }
}

#[cfg(test)]
#[path = "gateway/tests.rs"]
mod tests;
