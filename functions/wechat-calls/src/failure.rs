//! Whether a call failed, and with which code.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use diagnosis::codes::{HTTP, TOO_LARGE, UNUSABLE, errcode};
use http::Method;
use store::FailedCall;
use tokio::time::{Instant, timeout_at};
use web::caller::Caller;
use wechat::api::relay::{RelayAnswer, RelayError};
use wechat::api::{Api, Reaction, WechatError};

use crate::OpenPlatform;
use crate::attempt::Answered;
use crate::call::count;
use crate::request::CallRequest;

/// The code under which a failed call is listed: WeChat's, `http-` and the status, or a word; `None` for a success.
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

/// A call that the platform makes itself to respond to a service, by `GET`, with what the list of failed calls says
/// about it.
pub(crate) struct Asked<'a> {
    pub(crate) account: &'a AppId,
    caller: &'a Caller,
    path: &'static str,
    begun: Instant,
}

impl<'a> Asked<'a> {
    /// A call that begins now.
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
            tracing::warn!("a failed call is missing from the list: no time was left");
        }
    }
}

/// The kind of a failure, for the metric: there are hundreds of codes, and each value of a dimension is paid for.
pub(crate) fn kind(code: &str) -> &'static str {
    let Some(code) = errcode(code) else { return "unanswered" };
    match code.reaction_to(Api::OnBehalf) {
        Reaction::Retry => "busy",
        Reaction::Refresh | Reaction::RefreshTokenInvalid => "token",
        Reaction::Reauthorize | Reaction::Permission => "permission",
        Reaction::Quota | Reaction::WaitMinute => "quota",
        Reaction::Config | Reaction::NewTicket => "platform",
        Reaction::CodeSpent | Reaction::Caller => "request",
        Reaction::Unknown => "unknown",
    }
}
