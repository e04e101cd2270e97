//! The operators' console on this machine: who opens it here need not be invited by hand.
//!
//! `/_local/console` invites the operator `localhost`, who may act, and accepts the invitation for the browser that
//! asks, by the requests that anybody else would send. A browser that is bound is led to the console at once.
//!
//! The console takes forms of its public origin alone. With a tunnel that is another one than `localhost`, and cookies
//! go by the host, so nothing can be accepted here: the browser is led to the invitation at that origin, where its
//! button binds it.

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{COOKIE, HOST, ORIGIN, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::json;
use tower::ServiceExt as _;
use url::Url;

use crate::functions::Functions;
use crate::guard::Guard;
use crate::inside::{post, try_post};

/// Where the console opens for whoever sits at this machine.
pub(crate) const OPENED: &str = "/_local/console";

/// The operator who is invited.
const OPERATOR: &str = "localhost";

/// What the way in needs.
#[derive(Clone)]
struct Door {
    /// The public routes, with the console.
    public: Router,
    /// The business routes, with an identity.
    business: Router,
    /// Our own origin, as forms name it.
    origin: HeaderValue,
}

#[derive(Deserialize)]
struct MadeOperator {
    invitation: Invitation,
}

#[derive(Deserialize)]
struct Invitation {
    url: Url,
}

/// The way in, for browsers of this machine.
pub(crate) fn router(functions: &Functions, public_base: &str) -> anyhow::Result<Router> {
    let (public, business) = (functions.public.clone(), functions.business.clone());
    let origin = HeaderValue::from_str(public_base).context("the public origin cannot be one of a form")?;
    Ok(Router::new().route(OPENED, get(open)).with_state(Door { public, business, origin }))
}

async fn open(State(door): State<Door>, request: Request) -> Response {
    // What comes through a tunnel is somebody else's.
    if Guard::loopback().check(&request).is_err() {
        return StatusCode::NOT_FOUND.into_response();
    }
    match door.opened(request.headers()).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!("the console cannot be opened: {error:#}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

impl Door {
    async fn opened(&self, headers: &HeaderMap) -> anyhow::Result<Response> {
        if !self.is_at_its_origin(headers) {
            return Ok(Redirect::to(self.invitation().await?.url.as_str()).into_response());
        }
        if self.is_bound(headers).await? {
            return Ok(Redirect::to(console::BASE).into_response());
        }
        let invitation = self.invitation().await?.url;
        let request = Request::builder().method(Method::POST).uri(invitation.path()).header(ORIGIN, &self.origin);
        let request = [COOKIE, USER_AGENT].into_iter().fold(request, |request, name| match headers.get(&name) {
            Some(value) => request.header(name, value),
            None => request,
        });
        Ok(self.public.clone().oneshot(request.body(Body::empty())?).await?)
    }

    /// Whether the browser calls us what forms must name: this machine has no TLS, so a tunnel's origin never fits.
    fn is_at_its_origin(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        self.origin.as_bytes() == format!("http://{host}").as_bytes()
    }

    async fn is_bound(&self, headers: &HeaderMap) -> anyhow::Result<bool> {
        let Some(cookie) = headers.get(COOKIE) else { return Ok(false) };
        let request = Request::get("/console/browsers").header(COOKIE, cookie).body(Body::empty())?;
        Ok(self.public.clone().oneshot(request).await?.status() == StatusCode::OK)
    }

    /// A further invitation, or the first one of an operator who is made for it.
    async fn invitation(&self) -> anyhow::Result<Invitation> {
        let further = format!("/operators/{OPERATOR}/invitations");
        if let Some(invitation) = try_post(&self.business, &further, &json!({})).await? {
            return Ok(invitation);
        }
        let asked = json!({ "name": OPERATOR, "rights": "act" });
        let made: MadeOperator = post(&self.business, "/operators", &asked).await?;
        Ok(made.invitation)
    }
}
