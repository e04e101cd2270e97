//! When a call counts as failed, what it means, and what can be done.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use http::Method;
use store::FailedCall;
use tokio::time::{Instant, timeout_at};
use web::caller::Caller;
use wechat::api::relay::{RelayAnswer, RelayError};
use wechat::api::{Api, ErrCode, Reaction, WechatError};

use crate::OpenPlatform;
use crate::attempt::Answered;
use crate::call::count;
use crate::request::CallRequest;

/// The code that a failed call is listed under: WeChat's, `http-` and its status, or a word; `None` for a success.
fn code(answered: &Answered) -> Option<String> {
    match answered {
        Ok(RelayAnswer { refusal: Some(refusal), .. }) => Some(refusal.code.to_string()),
        Ok(answer) => (!answer.status.is_success()).then(|| format!("{HTTP}{}", answer.status.as_u16())),
        Err(RelayError::TooLarge) => Some(TOO_LARGE.to_owned()),
        Err(RelayError::NotRedacted) => Some(UNUSABLE.to_owned()),
        Err(RelayError::NoAnswer(error)) => Some(error.code_label()),
    }
}

/// The entry for the list of failed calls; `None` for a success.
pub(crate) fn failed_call(
    request: &CallRequest,
    bytes_sent: usize,
    answered: &Answered,
    at: Timestamp,
    took: Duration,
) -> Option<FailedCall> {
    let code = code(answered)?;
    let answer = answered.as_ref().ok();
    let size = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
    Some(FailedCall {
        at: at.unix(),
        account: request.target().to_owned(),
        caller: request.caller.principal().to_owned(),
        method: request.method.to_string(),
        path: request.path.as_str().to_owned(),
        code,
        status: answer.map(|answer| answer.status.as_u16()),
        rid: answer.and_then(|answer| answer.refusal.as_ref()?.rid.clone()),
        milliseconds: milliseconds(took),
        bytes_sent: size(bytes_sent),
        bytes_received: size(answer.map_or(0, |answer| answer.body.len())),
    })
}

fn milliseconds(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// A call that the platform makes of itself to answer a service, by `GET`: what the list of failed calls says of it.
pub(crate) struct Asked<'a> {
    pub(crate) account: &'a AppId,
    caller: &'a Caller,
    path: &'static str,
    begun: Instant,
}

impl<'a> Asked<'a> {
    /// One that begins now.
    pub(crate) fn get(caller: &'a Caller, account: &'a AppId, path: &'static str) -> Self {
        Self { account, caller, path, begun: Instant::now() }
    }

    /// Records that it has failed.
    pub(crate) async fn record(&self, open: &OpenPlatform, error: &WechatError) {
        let failed = FailedCall {
            at: open.component.context().now().unix(),
            account: self.account.to_string(),
            caller: self.caller.principal().to_owned(),
            method: Method::GET.to_string(),
            path: self.path.to_owned(),
            code: error.code_label(),
            rid: error.rid().map(str::to_owned),
            milliseconds: milliseconds(self.begun.elapsed()),
            ..FailedCall::default()
        };
        if timeout_at(open.writes_end(), count(open, Some(failed))).await.is_err() {
            tracing::warn!("a failed call is missing in the list of them: there was no time left");
        }
    }
}

const HTTP: &str = "http-";
const TOO_LARGE: &str = "answer-too-large";
const UNUSABLE: &str = "answer-unusable";

/// What a code in the list of failed calls means, and what to do about it.
pub(crate) fn explanation(code: &str) -> (&'static str, &'static str) {
    if let Ok(code) = code.parse() {
        let code = ErrCode::from_code(code);
        return (code.meaning(), advice(code.reaction_to(Api::OnBehalf)));
    }
    match code {
        "connect" | "not-started" => ("WeChat could not be reached; nothing was sent", "try again"),
        "timeout" | "connection-lost" => (
            "WeChat's response did not arrive; the call may have taken effect",
            "check whether it did before you repeat it",
        ),
        TOO_LARGE => (
            "WeChat's response was too large to return; the call was made",
            "ask for less per call, or send X-Large-Answer: redirect",
        ),
        UNUSABLE => (
            "secrets could not be removed from WeChat's response; the call may have taken effect",
            "check whether it did before you repeat it",
        ),
        _ if code.strip_prefix(HTTP).is_some_and(|status| status.starts_with('5')) => (
            "a proxy in front of WeChat answered with an error page; the call may have taken effect",
            "check whether it did before you repeat it",
        ),
        _ => ("WeChat answered with an error page and no error code", "check the path and the method"),
    }
}

/// The kind of a failure, to be counted by: there are hundreds of codes, and each value of a metric is paid for.
pub(crate) fn kind(code: &str) -> &'static str {
    let Ok(code) = code.parse() else { return "unanswered" };
    match ErrCode::from_code(code).reaction_to(Api::OnBehalf) {
        Reaction::Retry => "busy",
        Reaction::Refresh | Reaction::RefreshTokenInvalid => "token",
        Reaction::Reauthorize | Reaction::Permission => "permission",
        Reaction::Quota | Reaction::WaitMinute => "quota",
        Reaction::Config | Reaction::NewTicket => "platform",
        Reaction::CodeSpent | Reaction::Caller => "request",
        Reaction::Unknown => "unknown",
    }
}

const fn advice(reaction: Reaction) -> &'static str {
    match reaction {
        Reaction::Retry => "try again later, if a second call does no harm",
        Reaction::Refresh => {
            "try again in a minute: the platform renews the token; if this continues, something else is renewing it too"
        }
        Reaction::Reauthorize => "the merchant has to authorize the platform again",
        Reaction::Permission => {
            "the merchant has to grant the permission through a new link, unless WeChat does not offer it to this account"
        }
        Reaction::Quota => {
            "wait until the quota is renewed, the day's at midnight in Beijing; cgi-bin/clear_quota clears it ten times a month"
        }
        Reaction::WaitMinute => "call less often: wait a minute",
        Reaction::Config => "an operator has to change the platform's settings: cargo ops doctor says which",
        Reaction::NewTicket => "the platform waits for WeChat's next ticket: try again in ten minutes",
        Reaction::CodeSpent | Reaction::Caller => "change the request",
        Reaction::RefreshTokenInvalid => "the platform repairs the account's tokens: try again in a minute",
        Reaction::Unknown => "look the code up in WeChat's documents; WeChat's support asks for rid",
    }
}
