//! One listener for API, pages, chat and control.
//!
//! An accept loop of its own instead of axum's: a fault has to close a connection without any HTTP response, which
//! hyper does if the service fails, and an axum service cannot fail.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::response::{Html, IntoResponse as _, Response};
use futures::{StreamExt as _, stream};
use http::response::Parts;
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::business::registration::page as registration;
use crate::business::web_login::{self, page as web_login_page};
use crate::calls::CallOutcome;
use crate::faults::Fault;
use crate::received::Received;
use crate::refusal::{AuthorizationRefusal, Refusal};
use crate::simulator::Simulator;
use crate::{api, chat, console, control, pages, paths};

/// The largest body in bytes, more than the largest medium in its form.
const MAX_BODY: usize = 24 * 1024 * 1024;
/// How long responses in progress may take after the shutdown; responses that are held would take forever.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// The pause after a failed accept, for example if there are no file descriptors left.
const AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(50);

/// Decides whether a request is accepted at all: `Some` is the response to one that is not.
pub type Gate = Arc<dyn Fn(&Request<Body>) -> Option<Response> + Send + Sync>;

/// The connection is to be closed without a response.
#[derive(Debug, thiserror::Error)]
#[error("a fault closes the connection")]
struct Dropped;

impl Simulator {
    /// Serves until `shutdown` is ready, then gives responses in progress one second.
    ///
    /// # Errors
    /// If the listener has no address, that is, is unusable from the start.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        self.serve_behind(Arc::new(|_| None), listener, shutdown).await
    }

    /// Like [`Simulator::serve`], behind a gate: no fault affects what it refuses, and no call is recorded.
    ///
    /// # Errors
    /// If the listener has no address, that is, is unusable from the start.
    pub async fn serve_behind(
        self,
        gate: Gate,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        listener.local_addr()?;
        let router = Router::new()
            .merge(api::router())
            .merge(pages::router())
            .merge(chat::router())
            .merge(console::router())
            .merge(registration::router())
            .merge(web_login_page::router())
            .nest(control::PREFIX, control::router())
            .fallback(api::unknown_path)
            .with_state(self.clone());
        // With a timer, a connection on which no request comes ends by itself.
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new());
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(AFTER_FAILED_ACCEPT).await;
                continue;
            };
            // Responses are small; waiting to fill a packet would only distort timings. A failure costs just that.
            let _ = stream.set_nodelay(true);
            let (simulator, router, gate) = (self.clone(), router.clone(), Arc::clone(&gate));
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let (simulator, router) = (simulator.clone(), router.clone());
                let request = request.map(Body::new);
                let refused = gate(&request);
                async move {
                    match refused {
                        Some(response) => Ok(response),
                        None => simulator.respond(router, request).await,
                    }
                }
            });
            let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
            // A connection ends with an error whenever a fault or the other side closes it: nothing to report.
            connections.spawn(async move { drop(connection.await) });
        }
        // Connections that are still open then are cut off: dropping the set ends its tasks.
        let _ = tokio::time::timeout(LAST_ANSWERS, graceful.shutdown()).await;
        Ok(())
    }

    /// The account whose token a call has.
    fn account_of_query(&self, query: Option<&str>) -> Option<String> {
        let token = api::token_in(query?)?;
        self.read(|world| world.owner_of_token(&token).map(ToString::to_string))
    }

    /// The account that a body is about: named by itself or by a code of its own.
    fn account_of_body(&self, fields: &Map<String, Value>) -> Option<String> {
        let text = |name| fields.get(name).and_then(Value::as_str);
        match text("authorizer_appid") {
            Some(appid) => Some(appid.to_owned()),
            None => self.read(|world| world.account_of_code(text("authorization_code")?).map(ToString::to_string)),
        }
    }

    /// Responds to one request, with the fault that acts on it.
    async fn respond(&self, router: Router, request: Request<Body>) -> Result<Response, Dropped> {
        let path = request.uri().path().to_owned();
        let is_for_people = path == paths::HOME
            || [chat::is_under_path, console::is_under_path, registration::is_under_path].iter().any(|is| is(&path));
        if is_for_people || control::is_under_prefix(&path) {
            return Ok(route(router, request).await);
        }
        let (parts, body) = request.into_parts();
        let caller = self.account_of_query(parts.uri.query());
        if self.faults().is_dropped_unread(&path, caller.as_deref()) {
            self.record_call(&path, None, CallOutcome::Lost, false);
            return Err(Dropped);
        }
        let Ok(body) = to_bytes(body, MAX_BODY).await else {
            return Ok(StatusCode::PAYLOAD_TOO_LARGE.into_response());
        };
        let fields = serde_json::from_slice::<Map<String, Value>>(&body).ok();
        let authorizer = caller.clone().or_else(|| self.account_of_body(fields.as_ref()?));
        let authorizer = authorizer.or_else(|| api::account_in(parts.uri.query()?));
        let received = Received::new(self.now(), authorizer.as_deref(), &parts, &body);
        self.record_request(received.clone());
        let record = |outcome| self.record_call(&path, fields.as_ref(), outcome, false);

        let fault = self.faults().next(&path, authorizer.as_deref());
        match &fault {
            Some(Fault::DropUnread | Fault::DropBefore) => {
                record(CallOutcome::Lost);
                return Err(Dropped);
            }
            Some(Fault::BadGateway) => {
                record(CallOutcome::Lost);
                return Ok(bad_gateway());
            }
            Some(Fault::Errcode { errcode, errmsg }) => {
                record(CallOutcome::Refused(*errcode));
                let response = api::respond(self, Err(Refusal::new(*errcode, errmsg)));
                self.record_refusal(caller.as_deref(), received, &response);
                return Ok(response);
            }
            Some(Fault::HoldBefore) => self.faults().hold(&path).await,
            _ => {}
        }

        let mut response = route(router, Request::from_parts(parts, Body::from(body))).await;
        self.record_call(&path, fields.as_ref(), outcome_of(&response), is_never_right(&path, &response));
        self.record_refusal(caller.as_deref(), received, &response);
        match fault {
            Some(Fault::DropAfter) => return Err(Dropped),
            Some(Fault::Delay(delay)) => tokio::time::sleep(delay).await,
            Some(Fault::Hold) => self.faults().hold(&path).await,
            Some(Fault::HoldHalfway) => return Ok(self.held_halfway(response, path).await),
            Some(Fault::CutShort(sent)) => return Ok(cut_short(response, sent).await),
            Some(Fault::Headers(headers)) => set_headers(&mut response, &headers),
            Some(Fault::Answer { status, headers, body }) => return Ok(answer_of(status, &headers, body)),
            Some(Fault::Garble { text, bytes }) => return Ok(garbled(response, &text, &bytes).await),
            _ => {}
        }
        Ok(response)
    }

    /// The response whose second half waits until its path is released.
    async fn held_halfway(&self, response: Response, path: String) -> Response {
        let (parts, body) = whole(response).await;
        let (first, second) = (body.slice(..body.len() / 2), body.slice(body.len() / 2..));
        let simulator = self.clone();
        let held = async move {
            simulator.faults().hold(&path).await;
            Ok::<_, Infallible>(second)
        };
        let sent = stream::once(async { Ok(first) }).chain(stream::once(held));
        Response::from_parts(parts, Body::from_stream(sent))
    }
}

/// The response of whose body no more than `sent` bytes arrive.
async fn cut_short(response: Response, sent: usize) -> Response {
    let (parts, body) = whole(response).await;
    let first = body.slice(..sent.min(body.len()));
    let cut = async {
        // hyper sends what it has whenever there is nothing more to read for the moment.
        tokio::task::yield_now().await;
        Err(Dropped)
    };
    Response::from_parts(parts, Body::from_stream(stream::once(async { Ok(first) }).chain(stream::once(cut))))
}

/// A response whose body is read, and whose head declares its length.
async fn whole(response: Response) -> (Parts, Bytes) {
    let (mut parts, body) = response.into_parts();
    // Reading a body of our own does not fail.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    (parts, body)
}

async fn route(router: Router, request: Request<Body>) -> Response {
    router.oneshot(request).await.unwrap_or_else(|never: Infallible| match never {})
}

fn outcome_of(response: &Response) -> CallOutcome {
    response.extensions().get::<Refusal>().map_or(CallOutcome::Done, |refusal| CallOutcome::Refused(refusal.errcode))
}

fn is_never_right(path: &str, response: &Response) -> bool {
    response.extensions().get::<Refusal>().is_some_and(|refusal| api::is_never_right(path, refusal))
        || response.extensions().get::<AuthorizationRefusal>().is_some_and(AuthorizationRefusal::is_links_fault)
        || response.extensions().get::<web_login::Refused>().is_some_and(web_login::Refused::is_links_fault)
}

fn set_headers(response: &mut Response, headers: &[(String, String)]) {
    let parsed = headers.iter().map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)));
    let parsed: Vec<(HeaderName, HeaderValue)> = parsed.flatten().collect();
    for (name, _) in &parsed {
        response.headers_mut().remove(name);
    }
    for (name, value) in parsed {
        response.headers_mut().append(name, value);
    }
}

fn answer_of(status: u16, headers: &[(String, String)], body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    set_headers(&mut response, headers);
    response
}

/// The response with `bytes` in place of `text` wherever its body has that.
async fn garbled(response: Response, text: &str, bytes: &[u8]) -> Response {
    let (mut parts, body) = whole(response).await;
    let mut garbled = Vec::with_capacity(body.len());
    let mut rest = &body[..];
    while let Some(&byte) = rest.first() {
        if let Some(after) = rest.strip_prefix(text.as_bytes()).filter(|_| !text.is_empty()) {
            garbled.extend_from_slice(bytes);
            rest = after;
        } else {
            garbled.push(byte);
            rest = &rest[1..];
        }
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(garbled))
}

fn bad_gateway() -> Response {
    let page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1>\
                </center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";
    (StatusCode::BAD_GATEWAY, Html(page)).into_response()
}
