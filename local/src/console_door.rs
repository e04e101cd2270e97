//! Access to the operators' console on this machine, for which a browser needs no invitation.
//!
//! `/_local/console` invites the operator `localhost`, who may act, and accepts the invitation for the requesting
//! browser, with the same requests that anybody else would send. A browser that is bound already is redirected to the
//! console.
//!
//! It is on the business port. Requests that a tunnel forwards to the public port can have any `Host`, so there nothing
//! proves that they come from this machine. The business port listens on loopback only, behind the guard, and grants
//! the same and more: its clients may invite operators. The cookie that it sets is sent to the console nevertheless,
//! since cookies are per host and not per port.
//!
//! The console accepts forms of its public origin only. With a tunnel that origin has another host than `localhost`, so
//! the invitation cannot be accepted here: the browser is redirected to it at that origin, where its button binds the
//! browser.

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{COOKIE, HOST, LOCATION, ORIGIN, USER_AGENT};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use runtime::config::Origin;
use serde::Deserialize;
use serde_json::json;
use tower::ServiceExt as _;
use url::Url;

use crate::functions::Functions;
use crate::inside::{post, try_post};

/// The path on the business port that opens the console.
pub(crate) const OPENED: &str = "/_local/console";

/// The invited operator.
const OPERATOR: &str = "localhost";

/// The routes that opening the console uses.
#[derive(Clone)]
struct Door {
    /// The public routes, with the console.
    public: Router,
    /// The business routes, with an identity.
    business: Router,
    /// The console's origin, as its forms name it.
    origin: Origin,
}

#[derive(Deserialize)]
struct MadeOperator {
    invitation: Invitation,
}

#[derive(Deserialize)]
struct Invitation {
    url: Url,
}

/// The route that opens the console, to be served where only this machine can reach it.
pub(crate) fn router(functions: &Functions, origin: Origin) -> Router {
    let (public, business) = (functions.public.clone(), functions.business.clone());
    Router::new().route(OPENED, get(open)).with_state(Door { public, business, origin })
}

async fn open(State(door): State<Door>, headers: HeaderMap) -> Response {
    door.opened(&headers).await.unwrap_or_else(|error| {
        tracing::error!("the console cannot be opened: {error:#}");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    })
}

impl Door {
    async fn opened(&self, headers: &HeaderMap) -> anyhow::Result<Response> {
        if !shares_cookies(&self.origin, headers) {
            return Ok(Redirect::to(self.invitation().await?.url.as_str()).into_response());
        }
        if self.is_bound(headers).await? {
            return Ok(Redirect::to(self.origin.url().join(console::BASE)?.as_str()).into_response());
        }
        let invitation = self.invitation().await?.url;
        let request =
            Request::builder().method(Method::POST).uri(invitation.path()).header(ORIGIN, self.origin.as_str());
        let request = [COOKIE, USER_AGENT].into_iter().fold(request, |request, name| match headers.get(&name) {
            Some(value) => request.header(name, value),
            None => request,
        });
        let mut response = self.public.clone().oneshot(request.body(Body::empty())?).await?;
        // The console returns a path of its own port.
        let location = response.headers_mut().get_mut(LOCATION).context("the invitation was not accepted")?;
        *location = HeaderValue::try_from(self.origin.url().join(location.to_str()?)?.as_str())?;
        Ok(response)
    }

    async fn is_bound(&self, headers: &HeaderMap) -> anyhow::Result<bool> {
        let Some(cookie) = headers.get(COOKIE) else { return Ok(false) };
        let request = Request::get("/console/browsers").header(COOKIE, cookie).body(Body::empty())?;
        Ok(self.public.clone().oneshot(request).await?.status() == StatusCode::OK)
    }

    /// A further invitation, or the first one of an operator who is created for it.
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

/// Whether the browser will send the console a cookie that it gets here: if it calls both by the same host. This port
/// has no TLS, which the cookies of an `https` origin require.
fn shares_cookies(origin: &Origin, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let name = origin.url().host_str().unwrap_or_default();
    !origin.is_https() && host.is_some_and(|host| host.host().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_shared_by_the_ports_of_one_host_without_tls() {
        for (origin, host, is_shared) in [
            ("http://localhost:3000", "localhost:3001", true),
            ("http://localhost", "LocalHost:3001", true),
            ("http://[::1]:3000", "[::1]:3001", true),
            ("http://localhost:3000", "127.0.0.1:3001", false),
            ("http://127.0.0.1:3000", "localhost:3001", false),
            ("https://localhost:3000", "localhost:3001", false),
            ("https://tunnel.example.com", "localhost:3001", false),
            ("http://localhost:3000", "localhost.example.com:3001", false),
        ] {
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
            assert_eq!(shares_cookies(&Origin::parse(origin).unwrap(), &headers), is_shared, "{origin} {host}");
        }
        assert!(!shares_cookies(&Origin::parse("http://localhost:3000").unwrap(), &HeaderMap::new()));
    }
}
