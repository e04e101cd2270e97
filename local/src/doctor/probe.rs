//! One HTTP request of the doctor's: what came back, or why nothing did.
//!
//! Name, certificate, refusal and silence are told apart, since each has another remedy. Every wait is bounded; bodies
//! are not read.

use std::error::Error as _;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::Duration;

use aws_smithy_types::date_time::{DateTime, Format};
use axum::http::header::{AsHeaderName, CONTENT_SECURITY_POLICY, CONTENT_TYPE, DATE, HeaderMap};
use axum::http::{Method, StatusCode};
use base::clock::Clock;
use tokio::time::timeout;
use url::Url;

/// To connect, by name, address and TLS.
const CONNECT: Duration = Duration::from_secs(5);

/// For an answer. A function that starts cold takes one or two; a page is bounded by 9 s.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// How the policy of our pages begins (`web`).
const OUR_POLICY: &str = "default-src 'none'; style-src 'sha256-";

/// What came back. The body is not read.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// How far this machine's clock is behind the server's (ahead: negative), in seconds.
    pub(super) behind: Option<i64>,
}

impl Answer {
    pub(super) fn header(&self, name: impl AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(super) fn is_our_page(&self) -> bool {
        self.header(CONTENT_SECURITY_POLICY).starts_with(OUR_POLICY)
    }

    /// Our functions answer programs so; the gateway's own refusals are plain JSON.
    pub(super) fn is_our_problem(&self) -> bool {
        self.header(CONTENT_TYPE).starts_with("application/problem+json")
    }
}

/// A client for the doctor's few requests: no redirect is followed, for where one leads is a finding.
pub(super) fn client(bases: [&Url; 2]) -> reqwest::Result<reqwest::Client> {
    #[expect(
        clippy::disallowed_methods,
        reason = "no call of WeChat's: the doctor asks our own deployment from outside"
    )]
    let mut client = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .timeout(ANSWER)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    // Names below localhost are this machine's (RFC 6761), which not every resolver knows: emulators use them.
    for host in bases.into_iter().filter_map(Url::host_str).filter(|host| host.ends_with(".localhost")) {
        client = client.resolve(host, (Ipv4Addr::LOCALHOST, 0).into());
    }
    client.build()
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unreachable {
    /// The name has no address.
    Name,
    /// The certificate does not fit, in the TLS library's words.
    Certificate(String),
    /// Nobody listens.
    Refused,
    /// No connection or no answer in time.
    Timeout,
    /// Anything else, in the HTTP client's words.
    Other(String),
}

/// Asks once. A body is sent as XML.
pub(super) async fn ask(
    http: &reqwest::Client,
    clock: &dyn Clock,
    method: Method,
    url: Url,
    body: Option<&'static str>,
) -> Result<Answer, Unreachable> {
    let mut request = http.request(method, url.clone());
    if let Some(body) = body {
        request = request.header(CONTENT_TYPE, "text/xml").body(body);
    }
    match request.send().await {
        Ok(response) => {
            let headers = response.headers().clone();
            let date = headers.get(DATE).and_then(|date| date.to_str().ok());
            let date = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
            let behind = date.map(|date| date.secs() - clock.now().unix());
            Ok(Answer { status: response.status(), headers, behind })
        }
        Err(error) => Err(why(&url, error).await),
    }
}

async fn why(url: &Url, error: reqwest::Error) -> Unreachable {
    let error = error.without_url();
    let mut words = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
            return Unreachable::Refused;
        }
        words.push(error.to_string());
        cause = error.source();
    }
    let last = words.pop().unwrap_or_else(|| error.to_string());
    // The TLS library's error cannot be had as a type without depending on it.
    if last.contains("certificate") {
        Unreachable::Certificate(last)
    } else if error.is_connect() && !has_address(url).await {
        Unreachable::Name
    } else if error.is_timeout() {
        Unreachable::Timeout
    } else {
        Unreachable::Other(last)
    }
}

/// Whether the name of `url` can be looked up.
async fn has_address(url: &Url) -> bool {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match timeout(CONNECT, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(mut addresses)) => addresses.next().is_some(),
        _ => false,
    }
}

/// Whether anything listens where `url` points to: nothing can be examined where a local system does not run.
pub(super) async fn listens(url: &Url) -> bool {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return false };
    matches!(timeout(CONNECT, tokio::net::TcpStream::connect((host, port))).await, Ok(Ok(_)))
}
