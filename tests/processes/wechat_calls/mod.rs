//! wechat-calls: access, what it passes on, the cost of a kill during a call, and the log.

mod answers;
mod logs;
mod second_opinion;

use base::ids::AppId;
use stories::http_events::HttpEvent;

/// The function's binary.
const BINARY: &str = env!("CARGO_BIN_EXE_process-wechat-calls");

/// A service, as IAM names it.
const CALLER: &str = "arn:aws:sts::123456789012:assumed-role/crm/session";

/// Its call of an account's API, or the platform's.
fn calls(method: &str, owner: &str, api: &str) -> HttpEvent {
    HttpEvent::new(method, &format!("/wechat/{owner}/{api}")).iam(CALLER)
}

/// A message to a follower, under a key.
fn sends(account: &AppId, key: &str) -> HttpEvent {
    calls("POST", account.as_str(), "cgi-bin/message/custom/send")
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .body(r#"{"touser":"oFollower1","msgtype":"text","text":{"content":"once"}}"#)
}
