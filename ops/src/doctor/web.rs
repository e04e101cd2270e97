//! The deployment as the internet sees it: whether the public URL leads to our functions, and only to the public ones.
//!
//! There are four requests, which change nothing: the page of a link that does not exist, a push and a message that are
//! not signed, and a business call without an identity. Our page is recognized by its policy, which no other server
//! has.

use std::time::Duration;

use base::clock::Clock;
use base::ids::LinkId;
use base::language::Language;
use base::phrase::span;
use base::random::Random;
use http::Method;
use http::header::LOCATION;
use url::Url;

use crate::deployment::Target;
use crate::finding::Finding;
use crate::http::{Answer, Unreachable, ask, at, client, lead_here, shown, unreachable};

const PUBLIC: &str = "public URL";

const PUSHES: &str = "events URL";

const MESSAGES: &str = "messages URL";

/// The appid of no account.
pub(crate) const NO_ACCOUNT: &str = "wx0000000000000000";

const BUSINESS: &str = "business routes";

const CLOCK: &str = "this clock";

/// The time-out for a response. A cold start takes one or two seconds; a page takes at most 9 s.
const ANSWER: Duration = Duration::from_secs(10);

/// A difference from which a warning is given.
const SKEW: Duration = Duration::from_mins(1);

/// A difference from which AWS refuses signatures.
const SKEW_TOO_LARGE: Duration = Duration::from_mins(5);

/// A push as WeChat would send it, except that the signature is not valid. Everything is well formed, so that the
/// function reads the secret.
const UNSIGNED: (&str, &str) = (
    "timestamp=1&nonce=doctor&encrypt_type=aes&msg_signature=0000000000000000000000000000000000000000",
    "<xml><Encrypt>AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=</Encrypt></xml>",
);

/// Sends all requests concurrently.
pub(super) async fn examine(public: &Url, business: &Url, target: Target, clock: &dyn Clock) -> Vec<Finding> {
    let http = match client(&[public, business]) {
        Ok(http) => http,
        Err(failure) => return vec![failure],
    };
    let nobody = LinkId::generate(&Random::system());
    let page = at(public, &["authorize", nobody.as_str()]);
    let events = at(public, &["wechat", "events"]);
    let messages = at(public, &["wechat", "accounts", NO_ACCOUNT, "events"]);
    let unsigned = |url: &Url| {
        let mut url = url.clone();
        url.set_query(Some(UNSIGNED.0));
        ask(&http, clock, Method::POST, url, Some(UNSIGNED.1.to_owned()), ANSWER)
    };
    let link = at(business, &["authorization-links", nobody.as_str()]);
    let (page, push, message, call) = tokio::join!(
        ask(&http, clock, Method::GET, page, None, ANSWER),
        unsigned(&events),
        unsigned(&messages),
        ask(&http, clock, Method::GET, link, None, ANSWER),
    );
    let skew = [&page, &call, &push, &message].into_iter().find_map(|answer| answer.as_ref().ok()?.behind);
    vec![
        judge_page(public, page, target),
        Receiver { check: PUSHES, function: "ticket-push", url: &events }.judge(public, push, target),
        Receiver { check: MESSAGES, function: "account-push", url: &messages }.judge(public, message, target),
        judge_business(business, call, target),
        judge_clock(skew),
    ]
}

fn judge_page(base: &Url, answer: Result<Answer, Unreachable>, target: Target) -> Finding {
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => return unreachable(PUBLIC, base, &why, target, ANSWER),
    };
    let base = shown(base);
    let status = answer.status.as_u16();
    match status {
        404 if answer.is_our_page() => Finding::ok(PUBLIC, format!("{base} shows our pages")),
        _ if answer.is_our_page() => Finding::wrong(
            PUBLIC,
            format!("our page at {base} is not available (status {status})"),
            "the lines about the secret and the table may say why, otherwise preauth-link's log",
        ),
        300..400 => Finding::wrong(
            PUBLIC,
            format!("{base} redirects to {}", origin(answer.header(LOCATION))),
            lead_here(target),
        ),
        500.. => Finding::wrong(
            PUBLIC,
            format!("the gateway at {base} returns status {status}: the function fails, or another server responds"),
            "look at the logs of preauth-link and of the API",
        ),
        _ => Finding::wrong(
            PUBLIC,
            format!("another server responds at {base}: status {status}, and not our page"),
            lead_here(target),
        ),
    }
}

/// The target of a redirect, without anything that might be private.
fn origin(location: &str) -> String {
    Url::parse(location).map_or_else(|_| "another path".to_owned(), |url| url.origin().ascii_serialization())
}

/// A function that receives WeChat's pushes.
struct Receiver<'a> {
    check: &'static str,
    function: &'static str,
    url: &'a Url,
}

impl Receiver<'_> {
    fn judge(&self, base: &Url, answer: Result<Answer, Unreachable>, target: Target) -> Finding {
        let Self { check, function, url } = *self;
        let answer = match answer {
            Ok(answer) => answer,
            Err(why) => return unreachable(check, base, &why, target, ANSWER),
        };
        let status = answer.status.as_u16();
        match status {
            400 | 401 => Finding::ok(check, format!("{url} refuses what is not signed")),
            503 => Finding::wrong(
                check,
                format!("{url} has no secret with which to check pushes"),
                "fill in the secret: see the line about it",
            ),
            200..300 => Finding::wrong(
                check,
                format!("{url} accepts what is not signed (status {status}): it is not our function"),
                lead_here(target),
            ),
            500.. => Finding::wrong(
                check,
                format!("{function} fails at {url} (status {status})"),
                format!("the lines about the secret and the table may say why, otherwise {function}'s log"),
            ),
            _ => {
                Finding::wrong(check, format!("{url} does not lead to {function} (status {status})"), lead_here(target))
            }
        }
    }
}

fn judge_business(base: &Url, answer: Result<Answer, Unreachable>, target: Target) -> Finding {
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => {
            // AWS creates the gateway's own name and certificate.
            let advice = match target {
                Target::Local => "is cargo run still running? set --business-port to its port",
                _ => "check this machine's network, and --api-url if you gave it",
            };
            let failed = unreachable(BUSINESS, base, &why, target, ANSWER);
            return Finding { advice: Some(advice.to_owned()), ..failed };
        }
    };
    let base = shown(base);
    let status = answer.status.as_u16();
    let advice = "deploy template.yaml again: its business routes require IAM signatures";
    match (target, status) {
        (Target::Local, 404) if answer.is_our_problem() => {
            Finding::ok(BUSINESS, format!("{base} responds, to this machine only and without authentication"))
        }
        (Target::Local, _) if answer.is_our_problem() => Finding::wrong(
            BUSINESS,
            format!("they are not available at {base} (status {status})"),
            "the lines about the secret and the table may say why",
        ),
        (Target::Local, _) => Finding::wrong(
            BUSINESS,
            format!("{base} is not our business API (status {status})"),
            "check --business-port, and which program listens there",
        ),
        (_, 403) if answer.is_our_problem() => Finding::wrong(
            BUSINESS,
            "the gateway admits callers without a signature; only the function itself refuses them",
            advice,
        ),
        (_, 401 | 403) => Finding::ok(BUSINESS, format!("{base} refuses callers without an IAM signature")),
        (_, _) if answer.is_our_problem() => Finding::wrong(
            BUSINESS,
            format!("they are open: anybody may read and create links (status {status})"),
            advice,
        ),
        _ => Finding::wrong(
            BUSINESS,
            format!("{base} does not lead to them (status {status} instead of 403)"),
            "deploy template.yaml again, and look at the API's log",
        ),
    }
}

/// Compares this machine's clock with the `Date` of a response.
pub(crate) fn judge_clock(behind: Option<i64>) -> Finding {
    let Some(seconds) = behind else {
        return Finding::warning(CLOCK, "not compared: no server sent its time", "see the lines above");
    };
    let skew = Duration::from_secs(seconds.unsigned_abs());
    let side = if seconds > 0 { "behind" } else { "ahead of" };
    let sentence = format!("it is {} {side} the server's", span(skew, Language::English));
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
