//! token-api: access, responses, the cost of a kill during a renewal, and the log.

mod answers;
mod logs;
mod second_opinion;

use stories::http_events::HttpEvent;

/// The function's binary.
const BINARY: &str = env!("CARGO_BIN_EXE_process-token-api");

/// A request of a service, as IAM names it.
fn asks(method: &str, path: &str) -> HttpEvent {
    HttpEvent::new(method, path).iam("arn:aws:sts::123456789012:assumed-role/crm/session")
}

/// A service says that WeChat has refused a token.
fn refused(owner: &str, token_id: &str) -> HttpEvent {
    let body = serde_json::json!({ "token_id": token_id }).to_string();
    asks("POST", &format!("/tokens/{owner}/renewals")).header("content-type", "application/json").body(&body)
}
