//! The deployment as the internet sees it: does the public URL lead to our functions, and only where it should?
//!
//! Three requests that change nothing: the page of a link that does not exist, a push that nobody signed, and a
//! business call without identity. Our page is known by its policy, which no other server has.

use std::error::Error as _;
use std::io::ErrorKind;
use std::time::Duration;

use aws_smithy_types::date_time::{DateTime, Format};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, DATE, HeaderMap, LOCATION};
use axum::http::{Method, StatusCode};
use shared::clock::Clock;
use shared::ids::LinkId;
use shared::random::Random;
use tokio::time::timeout;
use url::Url;

use super::Place;
use super::finding::Finding;
use super::words::span;

const PUBLIC: &str = "public URL";

const PUSHES: &str = "events URL";

const BUSINESS: &str = "business routes";

const CLOCK: &str = "this clock";

/// To connect, by name, address and TLS.
const CONNECT: Duration = Duration::from_secs(5);

/// For an answer. A function that starts cold takes one or two; a page is bounded by 9 s.
const ANSWER: Duration = Duration::from_secs(10);

/// From here on the difference is worth a look.
const SKEW: Duration = Duration::from_mins(1);

/// From here on AWS refuses signatures.
const SKEW_TOO_LARGE: Duration = Duration::from_mins(5);

/// How the policy of our pages begins (`shared::web`).
const OUR_POLICY: &str = "default-src 'none'; style-src 'sha256-";

/// A push as WeChat would send it, except that the signature is no signature. All of it is well formed, so the function
/// gets as far as the secret.
const UNSIGNED: (&str, &str) = (
    "timestamp=1&nonce=doctor&encrypt_type=aes&msg_signature=0000000000000000000000000000000000000000",
    "<xml><Encrypt>AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=</Encrypt></xml>",
);

/// What came back. The body is not read.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    /// How far this machine's clock is behind the server's (ahead: negative), in seconds.
    behind: Option<i64>,
}

impl Answer {
    fn header(&self, name: impl axum::http::header::AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn is_our_page(&self) -> bool {
        self.header(CONTENT_SECURITY_POLICY).starts_with(OUR_POLICY)
    }

    /// Our functions answer programs so; the gateway's own refusals are plain JSON.
    fn is_our_problem(&self) -> bool {
        self.header(CONTENT_TYPE).starts_with("application/problem+json")
    }
}

/// Asks all three at the same time.
pub(super) async fn examine(public: &Url, business: &Url, place: Place, clock: &dyn Clock) -> Vec<Finding> {
    let http = match client() {
        Ok(http) => http,
        Err(error) => {
            let sentence = format!("no HTTP client on this machine: {error}");
            return vec![Finding::wrong(PUBLIC, sentence, "install the system's root certificates")];
        }
    };
    let nobody = LinkId::generate(&Random::system());
    let (page, mut events) = (at(public, &["authorize", nobody.as_str()]), at(public, &["wechat", "events"]));
    events.set_query(Some(UNSIGNED.0));
    let link = at(business, &["authorization-links", nobody.as_str()]);
    let (page, push, call) = tokio::join!(
        ask(&http, clock, Method::GET, page, None),
        ask(&http, clock, Method::POST, events, Some(UNSIGNED.1)),
        ask(&http, clock, Method::GET, link, None),
    );
    let skew = [&page, &call, &push].into_iter().find_map(|answer| answer.as_ref().ok()?.behind);
    vec![judge_page(public, page), judge_push(public, push), judge_business(business, call, place), judge_clock(skew)]
}

fn client() -> reqwest::Result<reqwest::Client> {
    #[expect(
        clippy::disallowed_methods,
        reason = "no call of WeChat's: the doctor asks our own deployment from outside"
    )]
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .timeout(ANSWER)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
}

/// A path below an origin.
fn at(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// A base URL as people write it.
fn shown(base: &Url) -> &str {
    base.as_str().trim_end_matches('/')
}

/// Why there is no answer.
#[derive(Debug)]
enum Unreachable {
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

async fn ask(
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
    if error.is_connect() && !has_address(url).await {
        return Unreachable::Name;
    }
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

/// The finding where a URL gives no answer.
fn unreachable(check: &'static str, base: &Url, why: &Unreachable) -> Finding {
    let host = base.host_str().unwrap_or_default();
    let base = shown(base);
    match why {
        Unreachable::Name => Finding::wrong(
            check,
            format!("the name {host} has no address"),
            "make its CNAME in your DNS, to the output DomainTarget; a new name can take minutes to be known",
        ),
        Unreachable::Certificate(words) => Finding::wrong(
            check,
            format!("the certificate at {host} is not accepted: {words}"),
            "the certificate of CertificateArn must be issued for this very name and be valid; and the name must lead to the \
             output DomainTarget",
        ),
        Unreachable::Refused => Finding::wrong(
            check,
            format!("nobody listens at {base}"),
            "check where the name leads (the output DomainTarget); on this machine: start cargo run",
        ),
        Unreachable::Timeout => Finding::wrong(
            check,
            format!("{base} gives no answer within {}", span(ANSWER)),
            "check where the name leads, and what the functions' logs say",
        ),
        Unreachable::Other(words) => Finding::wrong(
            check,
            format!("{base} cannot be reached: {words}"),
            "check where the name leads (the output DomainTarget), and that TLS ends there",
        ),
    }
}

fn judge_page(base: &Url, answer: Result<Answer, Unreachable>) -> Finding {
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => return unreachable(PUBLIC, base, &why),
    };
    let base = shown(base);
    let status = answer.status.as_u16();
    match status {
        404 if answer.is_our_page() => Finding::ok(PUBLIC, format!("{base} shows our pages")),
        _ if answer.is_our_page() => Finding::wrong(
            PUBLIC,
            format!("our page at {base} is not available (status {status})"),
            "the lines about the secret and the table may say why, else preauth-link's log",
        ),
        300..400 => Finding::wrong(
            PUBLIC,
            format!("{base} redirects to {}", origin(answer.header(LOCATION))),
            "the pages must be served under this very origin: let the name lead to the output DomainTarget, and set \
             PublicBaseUrl to what is really used",
        ),
        500.. => Finding::wrong(
            PUBLIC,
            format!("the gateway at {base} answers with status {status}: the function fails, or another server does"),
            "look at the logs of preauth-link and of the API",
        ),
        _ => Finding::wrong(
            PUBLIC,
            format!("another server answers at {base}: status {status}, and not our page"),
            "let the name lead to the output DomainTarget, or set PublicBaseUrl to the right origin",
        ),
    }
}

/// Where a redirect leads, without what might be private in it.
fn origin(location: &str) -> String {
    Url::parse(location).map_or_else(|_| "another path".to_owned(), |url| url.origin().ascii_serialization())
}

fn judge_push(base: &Url, answer: Result<Answer, Unreachable>) -> Finding {
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => return unreachable(PUSHES, base, &why),
    };
    let url = at(base, &["wechat", "events"]);
    let status = answer.status.as_u16();
    match status {
        400 | 401 => Finding::ok(PUSHES, format!("{url} refuses a push that is not signed")),
        503 => Finding::wrong(
            PUSHES,
            format!("{url} has no secret to check pushes with"),
            "fill in the secret: see the line about it",
        ),
        200..300 => Finding::wrong(
            PUSHES,
            format!("{url} accepts a push that is not signed (status {status}): it is not our function"),
            "let the name lead to the output DomainTarget",
        ),
        500.. => Finding::wrong(
            PUSHES,
            format!("ticket-push fails at {url} (status {status})"),
            "the lines about the secret and the table may say why, else ticket-push's log",
        ),
        _ => Finding::wrong(
            PUSHES,
            format!("{url} does not lead to ticket-push (status {status})"),
            "WeChat must get there without a redirect or a login: let the name lead to the output DomainTarget",
        ),
    }
}

fn judge_business(base: &Url, answer: Result<Answer, Unreachable>, place: Place) -> Finding {
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => return unreachable(BUSINESS, base, &why),
    };
    let base = shown(base);
    let status = answer.status.as_u16();
    let advice = "deploy template.yaml again: its business routes ask for IAM signatures";
    match (place, status) {
        (Place::Here, 404) if answer.is_our_problem() => {
            Finding::ok(BUSINESS, format!("{base} answers, to this machine only and without asking who calls"))
        }
        (Place::Here, _) if answer.is_our_problem() => Finding::wrong(
            BUSINESS,
            format!("they are not available at {base} (status {status})"),
            "the lines about the secret and the table may say why",
        ),
        (Place::Here, _) => Finding::wrong(
            BUSINESS,
            format!("{base} is not our business API (status {status})"),
            "check --business-port, and which program listens there",
        ),
        (_, 403) if answer.is_our_problem() => Finding::wrong(
            BUSINESS,
            "the gateway lets callers without a signature through; only the function itself refuses them",
            advice,
        ),
        (_, 401 | 403) => Finding::ok(BUSINESS, format!("{base} refuses callers without an IAM signature")),
        (_, _) if answer.is_our_problem() => Finding::wrong(
            BUSINESS,
            format!("they are open: anybody may read and make links (status {status})"),
            advice,
        ),
        _ => Finding::wrong(
            BUSINESS,
            format!("{base} does not lead to them (status {status} where 403 is due)"),
            "deploy template.yaml again, and look at the API's log",
        ),
    }
}

/// This machine's clock by the `Date` of an answer.
fn judge_clock(behind: Option<i64>) -> Finding {
    let Some(seconds) = behind else {
        return Finding::warning(CLOCK, "not compared: no server told its time", "see the lines above");
    };
    let skew = Duration::from_secs(seconds.unsigned_abs());
    let side = if seconds > 0 { "behind" } else { "ahead of" };
    let sentence = format!("it is {} {side} the server's", span(skew));
    let advice = "set this machine's clock, best by NTP: the ages above are wrong by as much, and AWS refuses signatures that \
                  are 5 minutes off";
    if skew > SKEW_TOO_LARGE {
        Finding::wrong(CLOCK, sentence, advice)
    } else if skew > SKEW {
        Finding::warning(CLOCK, sentence, advice)
    } else {
        Finding::ok(CLOCK, "it agrees with the server's")
    }
}

/// Whether anything listens where `url` points to: nothing can be examined where a local system does not run.
pub(super) async fn listens(url: &Url) -> bool {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return false };
    matches!(timeout(CONNECT, tokio::net::TcpStream::connect((host, port))).await, Ok(Ok(_)))
}
