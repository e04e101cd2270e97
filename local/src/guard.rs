//! The guard of the local listeners: they serve programs of this machine, and the browser's tabs that show our own
//! pages, but no other website.
//!
//! A browser lets every website send requests to localhost. Without a guard, one could read and write the table, read
//! the secret, or control the simulator: with a request of its own (which carries `Origin`, or at least
//! `Sec-Fetch-Site`), or under a name of its own that it points to this machine (DNS rebinding, where `Host` has that
//! name). Any request with such a sign is refused before anything else reads it, preflights included.
//!
//! [`serve`] serves a listener behind the guard. Only the public routes do without it: they are made for the internet,
//! and a tunnel leads there under any name.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, HeaderName, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use simulator::Gate;
use tokio::net::TcpListener;
use url::Url;

/// The browser's statement about the origin of a request: `same-origin`, `none` (the user's own action), or a website.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a request is a navigation.
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// The use of the response: `document` is a tab, not a frame or an image.
const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It was sent to a name that is not this machine's.
    Host,
    /// Another website's page sent it.
    Origin,
}

impl Refusal {
    /// One line that says what to do. It repeats nothing from the request.
    const fn sentence(self) -> &'static str {
        match self {
            Self::Host => {
                "Refused: this port is only available as localhost or 127.0.0.1. Use one of these names, or start \
                 cargo run with --allow-host NAME to permit another one.\n"
            }
            Self::Origin => {
                "Refused: a page of another website sent this request. Open this address in a tab of its own, or call it \
                 from a program that sends no Origin header.\n"
            }
        }
    }

    /// The response, without any header that lets a website read it.
    #[must_use]
    pub fn response(self) -> Response {
        let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
        (StatusCode::FORBIDDEN, headers, self.sentence()).into_response()
    }
}

/// The names that a listener accepts; clones share them.
#[derive(Debug, Clone)]
pub struct Guard(Arc<Names>);

#[derive(Debug)]
struct Names {
    /// Accepted in addition to the loopback addresses. An unspecified one means every address of this machine.
    address: Option<IpAddr>,
    /// Accepted in addition to `localhost`.
    names: Vec<String>,
}

impl Guard {
    /// Accepts `localhost` and the loopback addresses.
    #[must_use]
    pub fn loopback() -> Self {
        Self(Arc::new(Names { address: None, names: Vec::new() }))
    }

    /// Also accepts `address`, which is where it listens, and `names`.
    #[must_use]
    pub fn at(address: IpAddr, names: &[String]) -> Self {
        Self(Arc::new(Names { address: Some(address), names: names.to_vec() }))
    }

    /// Passes a request that was meant for this machine and not sent by another site's page.
    ///
    /// # Errors
    /// [`Refusal`] by cause.
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let host = self.host(request).ok_or(Refusal::Host)?;
        let mut origins = request.headers().get_all(ORIGIN).iter();
        if origins.all(|origin| is_same_origin(origin, &host)) && !is_sent_by_another_site(request) {
            Ok(())
        } else {
            Err(Refusal::Origin)
        }
    }

    /// The router behind the guard, including its fallbacks.
    pub fn protect(&self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(self.clone(), pass))
    }

    /// The same for the simulator, which has an accept loop of its own.
    #[must_use]
    pub fn gate(&self) -> Gate {
        let guard = self.clone();
        Arc::new(move |request| guard.check(request).err().map(Refusal::response))
    }

    /// The request's name for this listener, if that is this machine. A request may contain it twice; both must match.
    fn host<B>(&self, request: &Request<B>) -> Option<Authority> {
        let named = request.headers().get_all(HOST).iter().map(|host| Authority::try_from(host.as_bytes()).ok());
        let mut named = named.chain(request.uri().authority().cloned().map(Some)).peekable();
        let first = named.peek()?.clone()?;
        named.all(|host| host.is_some_and(|host| self.is_this_machine(&host))).then_some(first)
    }

    fn is_this_machine(&self, host: &Authority) -> bool {
        let Names { address, names } = &*self.0;
        let name = host.host();
        let literal = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
        match literal.parse::<IpAddr>() {
            // Nobody else can point an IP address here, unlike a name: it only has to be one of ours.
            Ok(ip) => {
                ip.to_canonical().is_loopback()
                    || address.is_some_and(|address| address == ip || address.is_unspecified())
            }
            Err(_) => {
                !host.as_str().contains('@')
                    && (name.eq_ignore_ascii_case("localhost")
                        || names.iter().any(|known| known.eq_ignore_ascii_case(name)))
            }
        }
    }
}

/// Whether an `Origin` matches the listener's name in the request. A tunnel may end TLS, so the schemes may differ.
fn is_same_origin(origin: &HeaderValue, host: &Authority) -> bool {
    let Some(origin) = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok()) else { return false };
    let usual_port = match origin.scheme() {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    origin.host_str().is_some_and(|name| name.eq_ignore_ascii_case(host.host()))
        && origin.port().unwrap_or(usual_port) == host.port_u16().unwrap_or(usual_port)
}

/// Whether, according to the browser, another website's page sent it. That page may still navigate a tab to one of
/// ours, whose content it does not see: with a link, or as our launch page does with its redirect to the simulator.
fn is_sent_by_another_site<B>(request: &Request<B>) -> bool {
    let header = |name: HeaderName| request.headers().get(name).map(HeaderValue::as_bytes);
    match header(SITE) {
        None | Some(b"same-origin" | b"none") => false,
        Some(_) => {
            let tab = header(MODE) == Some(b"navigate") && header(DEST) == Some(b"document");
            !(tab && matches!(*request.method(), Method::GET | Method::HEAD))
        }
    }
}

async fn pass(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.check::<Body>(&request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.response(),
    }
}

/// Serves a router behind the guard until the future is dropped.
///
/// # Errors
/// The error of the operating system for the listener.
pub async fn serve(listener: TcpListener, router: Router, guard: &Guard) -> io::Result<()> {
    axum::serve(listener, guard.protect(router)).await
}

#[cfg(test)]
mod tests;
