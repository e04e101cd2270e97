//! What all accounts are sent alike, and how what comes back is judged.

use std::time::Duration;

use base::ids::{AppId, hex};
use base::random::Random;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use simulator::{AnswerFault, MessageOutcome, PushAnswer, PushOutcome};
use tokio::time::Instant;

use super::control::{Control, ControlError};
use super::report::Row;

/// The text that every platform must know.
pub(super) const TEXT: &str = "TESTCOMPONENT_MSG_TYPE_TEXT";

/// The event that is sent; any will do.
pub(super) const EVENT: &str = "LOCATION";

/// Before the code in a message that asks for a customer-service message.
const QUERY: &str = "QUERY_AUTH_CODE:";

/// WeChat waits this long for the answer to a message.
const ANSWER: Duration = Duration::from_secs(5);

const NOT_CONFIGURED: &str = "fill in the platform's secret: cargo run -- doctor says what it lacks";

const SIGNATURES: &str =
    "simulator and platform must have the same token, key and component_appid: start both with one secret";

const ROUTE: &str = "the message URL must lead to account-push: start cargo run of this version again";

pub(super) const PUSH_LOG: &str = "account-push's log says why; cargo run -- doctor looks at what it needs";

/// What is wrong, and what to do.
pub(super) type Problem = (String, &'static str);

impl ControlError {
    pub(super) fn problem(&self) -> Problem {
        (self.to_string(), "is cargo run still there? Look at its log")
    }
}

/// Milliseconds since `start`.
pub(super) fn milliseconds(start: Instant) -> u128 {
    start.elapsed().as_millis()
}

/// A row from an outcome.
pub(super) fn row(
    case: &'static str,
    account: &str,
    outcome: Result<String, Problem>,
    milliseconds: Option<u128>,
) -> Row {
    let passed = outcome.is_ok();
    let (what, advice) = match outcome {
        Ok(what) => (what, None),
        Err((what, advice)) => (what, Some(advice)),
    };
    Row { passed, case, account: account.to_owned(), came: what, milliseconds, advice }
}

/// The row of a push that must be answered with `success`.
pub(super) fn accepted(case: &'static str, account: &str, push: &PushOutcome, milliseconds: u128) -> Row {
    let outcome = match &push.answer {
        _ if push.is_accepted() => Ok("success".to_owned()),
        PushAnswer::Answered { status: 200, .. } => Err(("an answer other than success".to_owned(), ROUTE)),
        PushAnswer::Answered { status, .. } => Err(refused(*status)),
        PushAnswer::Unanswered { .. } => Err(("no answer".to_owned(), PUSH_LOG)),
    };
    row(case, account, outcome, Some(milliseconds))
}

fn refused(status: u16) -> Problem {
    let advice = match status {
        400 | 401 => SIGNATURES,
        404 | 405 => ROUTE,
        503 => NOT_CONFIGURED,
        _ => PUSH_LOG,
    };
    (format!("status {status}"), advice)
}

/// A follower whom nobody has seen before, so that no answer is one to an earlier check.
pub(super) fn somebody() -> String {
    format!("oReleaseCheck{}", hex(&Random::system().bytes::<8>()))
}

pub(super) fn text(content: &str) -> Value {
    json!({ "MsgType": "text", "Content": content })
}

pub(super) fn event() -> Value {
    json!({ "MsgType": "event", "Event": EVENT, "Latitude": "23.137466", "Longitude": "113.352425", "Precision": "119.385040" })
}

pub(super) fn query(code: &SecretString) -> Value {
    text(&format!("{QUERY}{}", code.expose_secret()))
}

/// Lets an account authorize the platform, as WeChat's own push tells it.
pub(super) async fn authorize(control: &Control, appid: &AppId, name: &str) -> Row {
    const CASE: &str = "authorized";
    let start = Instant::now();
    match control.authorize(appid).await {
        Ok(Some(push)) => accepted(CASE, name, &push, milliseconds(start)),
        Ok(None) => {
            let advice = "PUT /_simulator/behaviour with another delivery than redirect-only";
            row(CASE, name, Err(("the simulator is told not to push".to_owned(), advice)), None)
        }
        Err(error) => row(CASE, name, Err(error.problem()), None),
    }
}

/// Whether a message got an answer that WeChat accepts, before WeChat gave up.
pub(super) fn in_time(outcome: &MessageOutcome) -> Result<(), Problem> {
    match (&outcome.answer, outcome.fault) {
        (PushAnswer::Answered { status, .. }, Some(AnswerFault::Status)) => Err(refused(*status)),
        (_, Some(fault @ (AnswerFault::Signature | AnswerFault::Undecipherable | AnswerFault::AppId))) => {
            Err((fault.to_string(), SIGNATURES))
        }
        (_, Some(fault)) => Err((fault.to_string(), PUSH_LOG)),
        (_, None) if outcome.elapsed > ANSWER => Err(("an answer after WeChat gave up".to_owned(), PUSH_LOG)),
        (_, None) => Ok(()),
    }
}
