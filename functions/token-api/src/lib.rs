//! The tokens of a platform's accounts, and its own, for services that call WeChat themselves: one that WeChat accepts
//! now, and another one if WeChat refuses it. `docs/business-api.md` is the contract.
//!
//! A separate function: no other function that services call may read a token, and calls that wait for WeChat take none
//! of its concurrency. The refresher keeps tokens alive; here one is renewed only if it is requested and due, or if
//! WeChat has refused it. Each reading of a token is recorded (`readings`).

#[cfg(feature = "openapi")]
mod openapi;
mod readings;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use base::clock::Timestamp;
use base::ids::AppId;
use http::{Method, StatusCode};
use platform::bus::Bus;
use platform::context::Context;
use platform::services::Services;
use platform::tokens::{TokenCache, TokenId, Tokens};
use runtime::config::{KeyConfig, TokenConfig};
use store::{Actor, Scope, TokenOwner};
use tokio::time::Instant;
use web::api::{ApiError, PathAccount, json, respond};
use web::doors::{Doors, Route};
use web::source::Requester;
use web::{BODY_LIMIT, InternalError, Members, Problem, ProblemKind};

#[cfg(feature = "openapi")]
pub use self::openapi::description;
use crate::view::{RenewedTokenView, TokenView};

/// The routes, from which [`router`] is built.
pub static ROUTES: [Route; 4] = [
    Route::new(Method::GET, "/tokens/platform", &[Scope::PlatformTokens]),
    Route::new(Method::POST, "/tokens/platform/renewals", &[Scope::PlatformTokens]),
    Route::new(Method::GET, "/tokens/{appid}", &[Scope::Tokens]),
    Route::new(Method::POST, "/tokens/{appid}/renewals", &[Scope::Tokens]),
];

/// What the function is built from, once; clones share it.
#[derive(Clone)]
pub struct TokenService(Arc<Inner>);

struct Inner {
    services: Services,
    cache: Arc<TokenCache>,
    bus: Bus,
    config: TokenConfig,
}

/// The platform's tokens, for the duration of one request.
struct OpenTokens {
    component: AppId,
    tokens: Tokens,
    context: Context,
}

impl OpenTokens {
    fn now(&self) -> Timestamp {
        self.context.now()
    }
}

impl TokenService {
    /// The function's state. Readings of tokens are published on `bus` if the configuration says so.
    #[must_use]
    pub fn new(services: Services, bus: Bus, config: TokenConfig) -> Self {
        Self(Arc::new(Inner { services, cache: Arc::default(), bus, config }))
    }

    fn services(&self) -> &Services {
        &self.0.services
    }

    /// The tokens, for a request whose response is due at `bound`.
    async fn open(&self, bound: Instant) -> Result<OpenTokens, InternalError> {
        let component = self.services().open_by(bound).await?;
        let tokens = Tokens::of(&component).remembering(&self.0.cache);
        Ok(OpenTokens { component: component.appid().clone(), tokens, context: component.context().clone() })
    }

    /// The platform's own token, if its routes are enabled.
    fn platform(&self) -> Result<TokenOwner, Problem> {
        if self.0.config.platform_route {
            return Ok(TokenOwner::Component);
        }
        let detail = "the platform's own token is not available: an operator can enable it (PlatformTokenRoute=on)";
        Err(Problem::new(ProblemKind::UnknownRoute, detail))
    }
}

/// `GET /tokens/{appid}`.
async fn read(
    State(service): State<TokenService>,
    Requester(actor): Requester,
    PathAccount(appid): PathAccount,
) -> Response {
    give(service, actor, TokenOwner::Authorizer(appid)).await
}

/// `GET /tokens/platform`.
async fn read_platform(State(service): State<TokenService>, Requester(actor): Requester) -> Result<Response, Problem> {
    let owner = service.platform()?;
    Ok(give(service, actor, owner).await)
}

/// `POST /tokens/{appid}/renewals`.
async fn renew(
    State(service): State<TokenService>,
    Requester(actor): Requester,
    PathAccount(appid): PathAccount,
    body: Members,
) -> Response {
    replace(service, actor, TokenOwner::Authorizer(appid), body).await
}

/// `POST /tokens/platform/renewals`.
async fn renew_platform(
    State(service): State<TokenService>,
    Requester(actor): Requester,
    body: Members,
) -> Result<Response, Problem> {
    let owner = service.platform()?;
    Ok(replace(service, actor, owner, body).await)
}

async fn give(service: TokenService, actor: Actor, owner: TokenOwner) -> Response {
    respond(service.services(), "giving a token", |bound| given(service.clone(), actor, owner, bound)).await
}

async fn given(service: TokenService, actor: Actor, owner: TokenOwner, bound: Instant) -> Result<Response, ApiError> {
    let open = service.open(bound).await?;
    let token = open.tokens.valid(&owner).await.map_err(|error| ApiError::of_token(error, open.now()))?;
    service.note_reading(&open, &owner, &token, actor).await;
    Ok(json(StatusCode::OK, &TokenView::of(&owner, &token, open.now())))
}

async fn replace(service: TokenService, actor: Actor, owner: TokenOwner, body: Members) -> Response {
    let work = |bound| replaced(service.clone(), actor, owner, body, bound);
    respond(service.services(), "renewing a token", work).await
}

async fn replaced(
    service: TokenService,
    actor: Actor,
    owner: TokenOwner,
    body: Members,
    bound: Instant,
) -> Result<Response, ApiError> {
    let refused = refused(body)?;
    let open = service.open(bound).await?;
    let replaced = open.tokens.replace_by_id(&owner, &refused).await;
    let replaced = replaced.map_err(|error| ApiError::of_token(error, open.now()))?;
    if replaced.renewed {
        tracing::warn!(%owner, caller = actor.by, "the token of {owner} was renewed: WeChat had refused it");
    }
    service.note_reading(&open, &owner, &replaced.token, actor).await;
    Ok(json(StatusCode::OK, &RenewedTokenView::of(&owner, &replaced, open.now())))
}

/// The token that a body names.
fn refused(mut body: Members) -> Result<TokenId, ApiError> {
    let text = body.text("token_id")?;
    body.finish()?;
    text.as_deref().and_then(TokenId::parse).ok_or_else(|| {
        let detail = "token_id must be that of the token that WeChat refused: 16 digits of 0-9 and a-f";
        Problem::new(ProblemKind::InvalidField, detail).into()
    })
}

/// The routes, for callers with IAM or an API key.
pub fn router(service: TokenService, keys: KeyConfig) -> Router {
    let [platform, platform_renewals, token, renewals] = &ROUTES;
    let routes = Router::new()
        .route(token.path, get(read))
        .route(renewals.path, post(renew))
        .route(platform.path, get(read_platform))
        .route(platform_renewals.path, post(renew_platform));
    let doors = Doors { services: service.services(), routes: &ROUTES, keys, longest_body: BODY_LIMIT };
    doors.to(routes).with_state(service)
}

#[cfg(test)]
mod tests;
