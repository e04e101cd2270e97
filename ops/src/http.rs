//! One HTTP request of the tool: the response, or why there is none.
//!
//! Failures of name, certificate and connection and time-outs are distinguished, since each has a different remedy.
//! Every wait is bounded.

use std::error::Error as _;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::Duration;

use aws_smithy_types::date_time::{DateTime, Format};
use base::clock::Clock;
use base::http_client::{BodyError, client_builder, read_bounded};
use base::language::Language;
use base::phrase::span;
use http::header::{AsHeaderName, CONTENT_SECURITY_POLICY, CONTENT_TYPE, DATE, HeaderMap};
use http::{Method, StatusCode};
use reqwest::{Client, RequestBuilder};
use tokio::time::timeout;
use url::Url;

use crate::deployment::Target;
use crate::finding::Finding;

/// The time-out for connecting: name, address and TLS.
const CONNECT: Duration = Duration::from_secs(5);

/// The beginning of the policy of our pages (in the crate `web`).
const OUR_POLICY: &str = "default-src 'none'; style-src 'sha256-";

/// The longest body that is read, which is more than our longest reply.
const LONGEST: usize = 64 * 1024;

/// A response.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// `None` if it has more than [`LONGEST`] bytes.
    pub(crate) body: Option<Vec<u8>>,
    /// How far this machine's clock is behind the server's (ahead: negative), in seconds.
    pub(crate) behind: Option<i64>,
}

impl Answer {
    pub(crate) fn header(&self, name: impl AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn is_our_page(&self) -> bool {
        self.header(CONTENT_SECURITY_POLICY).starts_with(OUR_POLICY)
    }

    /// Our functions return problems to programs; the gateway's own refusals are plain JSON.
    pub(crate) fn is_our_problem(&self) -> bool {
        self.header(CONTENT_TYPE).starts_with("application/problem+json")
    }
}

/// A client for a few requests. Redirects are not followed, since their target is a finding.
pub(crate) fn client(bases: &[&Url]) -> Result<Client, Finding> {
    let mut client = client_builder().connect_timeout(CONNECT);
    // Names below localhost are this machine (RFC 6761), but not every resolver knows that; emulators use such names.
    for host in bases.iter().filter_map(|url| url.host_str()).filter(|host| host.ends_with(".localhost")) {
        client = client.resolve(host, (Ipv4Addr::LOCALHOST, 0).into());
    }
    client.build().map_err(|error| {
        let sentence = format!("no HTTP client can be built on this machine: {error}");
        Finding::wrong("this machine", sentence, "install the system's root certificates")
    })
}

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum Unreachable {
    /// The name has no address.
    Name,
    /// The certificate is not accepted; the text is the TLS library's.
    Certificate(String),
    /// Nothing listens at the port.
    Refused,
    /// No connection or no response in time.
    Timeout,
    /// Anything else; the text is the HTTP client's.
    Other(String),
}

/// Sends one request and waits for the response for at most `within`. A body is sent as XML.
pub(crate) async fn ask(
    http: &Client,
    clock: &dyn Clock,
    method: Method,
    url: Url,
    body: Option<String>,
    within: Duration,
) -> Result<Answer, Unreachable> {
    let mut request = http.request(method, url.clone()).timeout(within);
    if let Some(body) = body {
        request = request.header(CONTENT_TYPE, "text/xml").body(body);
    }
    send(request, &url, clock).await
}

/// Sends a request to `url`, which already has a time-out, and reads the response.
pub(crate) async fn send(request: RequestBuilder, url: &Url, clock: &dyn Clock) -> Result<Answer, Unreachable> {
    match request.send().await {
        Ok(mut response) => {
            let (status, headers) = (response.status(), response.headers().clone());
            let date = headers.get(DATE).and_then(|date| date.to_str().ok());
            let date = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
            let behind = date.map(|date| date.secs() - clock.now().unix());
            let body = match read_bounded(&mut response, LONGEST).await {
                Ok(body) => Some(body),
                Err(BodyError::TooLarge) => None,
                Err(BodyError::Broken(error)) => return Err(why(url, error).await),
            };
            Ok(Answer { status, headers, body, behind })
        }
        Err(error) => Err(why(url, error).await),
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
    // The TLS library's error type is not available without depending on the library.
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

/// Whether the name of `url` can be resolved.
async fn has_address(url: &Url) -> bool {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match timeout(CONNECT, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(mut addresses)) => addresses.next().is_some(),
        _ => false,
    }
}

/// A path below an origin.
pub(crate) fn at(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// A base URL as people write it.
pub(crate) fn shown(base: &Url) -> &str {
    base.as_str().trim_end_matches('/')
}

/// How to make the public URL lead to the deployment.
pub(crate) const fn lead_here(target: Target) -> &'static str {
    match target {
        Target::Local => {
            "the tunnel, if cargo run was started with one in PUBLIC_BASE_URL, must run and lead to cargo run's public port"
        }
        Target::Aws | Target::Emulator => {
            "point the name to the API (the output DomainTarget; without CertificateArn there is none, and your own CDN or \
             proxy must forward to the output ApiUrl), and set PublicBaseUrl to what is really used"
        }
    }
}

/// The finding for a public URL that did not respond `within` its time-out.
pub(crate) fn unreachable(
    check: &'static str,
    base: &Url,
    why: &Unreachable,
    target: Target,
    within: Duration,
) -> Finding {
    let host = base.host_str().unwrap_or_default();
    let base = shown(base);
    let (sentence, advice) = match why {
        Unreachable::Name => (
            format!("the name {host} has no address"),
            "create it in your DNS, as a CNAME to the output DomainTarget (without CertificateArn there is none: then to your \
             own CDN or proxy in front of the output ApiUrl); a new name can take minutes to be known",
        ),
        Unreachable::Certificate(words) => (
            format!("the certificate at {host} is not accepted: {words}"),
            "the certificate of CertificateArn (without it, that of your own CDN or proxy) must be issued for this name \
             and be valid; and the name must lead to the API",
        ),
        Unreachable::Refused => (format!("nothing listens at {base}"), lead_here(target)),
        Unreachable::Timeout => (
            format!("{base} did not respond within {}", span(within, Language::English)),
            "check where the name leads, and the functions' logs",
        ),
        Unreachable::Other(words) => {
            (format!("{base} cannot be reached: {words}"), "check where the name leads, and that TLS ends there")
        }
    };
    let advice = if target == Target::Local { lead_here(target) } else { advice };
    Finding::wrong(check, sentence, advice)
}
