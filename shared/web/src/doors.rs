//! The entrances to the routes for services, and the checks in front of every such route.
//!
//! The same handlers are at `/…`, where API Gateway has checked a signature and IAM's policies, and at `/v1/…`, where
//! the gateway checks nothing and an API key is checked here. The console, which invokes a function without the
//! gateway, uses the first of these on behalf of an operator. In any case a handler gets a [`Caller`]. Every route
//! states the [`Right`] that a key must have, so none can lack it, and also whether operators may use it, which by
//! default they may not.

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts as _, MatchedPath, RawPathParams, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use base::ids::AppId;
use http::Method;
use http::request::Parts;
use platform::services::Services;
use runtime::config::KeyConfig;
use store::Scope;

use crate::Problem;
use crate::api::{count_upstream_errors, method_not_allowed, not_signed, refused, unknown_account};
use crate::caller::{Caller, KeyHolder, not_allowed};
use crate::gateway::router_path;
use crate::identity::{IamIdentity, OperatorIdentity};
use crate::keys::KeyRing;

/// The path prefix of the routes with API keys.
pub const KEY_DOOR: &str = "/v1";

/// A route for services.
#[derive(Debug, Clone)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, as in `template.yaml`; for calls with a key it is below [`KEY_DOOR`].
    pub path: &'static str,
    /// The right that a key must have.
    pub right: Right,
    /// Whether the console may call it on behalf of an operator.
    pub for_operators: bool,
}

/// The right that a key needs for a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// One of these scopes.
    OneOf(&'static [Scope]),
    /// Any key: the route reveals nothing about accounts.
    AnyKey,
    /// No key: the route is for AWS principals.
    IamOnly,
}

impl Route {
    /// A route that requires one of these scopes.
    #[must_use]
    pub const fn new(method: Method, path: &'static str, scopes: &'static [Scope]) -> Self {
        Self::with(method, path, Right::OneOf(scopes))
    }

    /// A route with another right.
    #[must_use]
    pub const fn with(method: Method, path: &'static str, right: Right) -> Self {
        Self { method, path, right, for_operators: false }
    }

    /// The same route, which the console may also call on behalf of an operator.
    #[must_use]
    pub const fn for_operators(mut self) -> Self {
        self.for_operators = true;
        self
    }
}

/// The layers in front of a function's routes for services.
#[derive(Clone, Copy)]
pub struct Doors<'a> {
    /// The function's services.
    pub services: &'a Services,
    /// Its routes.
    pub routes: &'static [Route],
    /// Whether keys are accepted.
    pub keys: KeyConfig,
    /// The largest body that a route accepts, in bytes.
    pub longest_body: usize,
}

impl Doors<'_> {
    /// Puts the function's router behind both entrances. Only a [`Caller`] reaches a handler.
    pub fn to<S: Clone + Send + Sync + 'static>(self, router: Router<S>) -> Router<S> {
        let counted = middleware::from_fn_with_state(self.services.metrics.clone(), count_upstream_errors);
        let inside = router.method_not_allowed_fallback(method_not_allowed);
        let mut doors = inside.clone().route_layer(middleware::from_fn_with_state(self.routes, with_identity));
        if self.keys.enabled {
            let guard = Guard { ring: KeyRing::new(self.services), routes: self.routes };
            doors = doors.merge(
                Router::new().nest(KEY_DOOR, inside.route_layer(middleware::from_fn_with_state(guard, with_key))),
            );
        }
        doors.route_layer(counted).route_layer(DefaultBodyLimit::max(self.longest_body))
    }
}

/// Admits AWS principals that the gateway has admitted, and operators on routes for them.
async fn with_identity(State(routes): State<&'static [Route]>, mut request: Request, next: Next) -> Response {
    let extensions = request.extensions_mut();
    let identities = (extensions.remove::<IamIdentity>(), extensions.remove::<OperatorIdentity>());
    let caller = match identities {
        (Some(identity), None) => Caller::Iam(identity),
        (None, Some(operator)) => {
            let path = request.extensions().get::<MatchedPath>();
            match path.and_then(|path| route(routes, request.method(), path.as_str())) {
                Some(route) if route.for_operators => Caller::Operator(operator),
                Some(_) => return not_for_operators().into_response(),
                // Another method of an existing path: the router itself responds.
                None => return next.run(request).await,
            }
        }
        _ => return not_signed().into_response(),
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// The route that a router has matched: `matched` is its path as the router writes it, without the prefix for keys.
fn route<'a>(routes: &'a [Route], method: &Method, matched: &str) -> Option<&'a Route> {
    // A router handles HEAD like GET.
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    routes.iter().find(|route| route.method == *method && router_path(route.path) == matched)
}

fn not_for_operators() -> Problem {
    not_allowed("no operator can do this: sign the request with IAM credentials")
}

/// The state of the layer that checks keys.
#[derive(Clone)]
struct Guard {
    ring: KeyRing,
    routes: &'static [Route],
}

/// Admits the holders of keys, as far as their keys permit.
async fn with_key(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Some(right) = guard.right(&parts) else {
        // Another method of an existing path: the router itself responds.
        return next.run(Request::from_parts(parts, body)).await;
    };
    let key = match guard.ring.key(&mut parts).await {
        Ok(key) => key,
        Err(error) => return refused(guard.ring.services(), "checking a key", error),
    };
    let caller = Caller::Key(KeyHolder::new(key));
    if let Err(problem) = permitted(right, &caller, &mut parts).await {
        return problem.into_response();
    }
    parts.extensions.insert(caller);
    next.run(Request::from_parts(parts, body)).await
}

/// Refuses a caller whose key does not permit the request.
async fn permitted(right: Right, caller: &Caller, parts: &mut Parts) -> Result<(), Problem> {
    match right {
        Right::OneOf(scopes) => caller.needs(scopes)?,
        Right::AnyKey => {}
        Right::IamOnly => {
            return Err(not_allowed(
                "no key can do this: sign the request with IAM credentials, at ApiUrl without /v1",
            ));
        }
    }
    if caller.appids().is_none()
        || !parts.extensions.get::<MatchedPath>().is_some_and(|path| path.as_str().contains("{appid}"))
    {
        return Ok(());
    }
    let named = RawPathParams::from_request_parts(parts, &()).await.ok();
    let named =
        named.iter().flatten().find(|(name, _)| *name == "appid").and_then(|(_, appid)| AppId::parse(appid).ok());
    caller.needs_account(&named.ok_or_else(unknown_account)?)
}

impl Guard {
    /// The right of the route of a request.
    fn right(&self, parts: &Parts) -> Option<Right> {
        let matched = parts.extensions.get::<MatchedPath>()?.as_str().strip_prefix(KEY_DOOR)?;
        route(self.routes, &parts.method, matched).map(|route| route.right)
    }
}
