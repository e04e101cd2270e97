//! account-api: access, responses, the cost of a kill, and the log.

mod answers;
mod logs;
mod second_opinion;

use stories::http_events::HttpEvent;

/// The function's binary.
const BINARY: &str = env!("CARGO_BIN_EXE_process-account-api");

/// A service, as IAM names it.
const SERVICE: &str = "arn:aws:sts::123456789012:assumed-role/crm/session";

/// A request of a service with an IAM identity.
fn asks(method: &str, path: &str) -> HttpEvent {
    HttpEvent::new(method, path).iam(SERVICE)
}

/// A request for a key that is for one account.
fn makes_a_key(account: &base::ids::AppId) -> HttpEvent {
    let body = format!(r#"{{"name":"crm","scopes":["accounts:read"],"appids":["{account}"]}}"#);
    asks("POST", "/keys").header("content-type", "application/json").body(&body)
}

/// A request with an API key.
fn with_key(method: &str, path: &str, key: &str) -> HttpEvent {
    HttpEvent::new(method, &format!("/v1{path}")).header("authorization", &format!("Bearer {key}"))
}

/// A patch of an account.
fn patches(account: &base::ids::AppId, body: &str) -> HttpEvent {
    asks("PATCH", &format!("/accounts/{account}")).header("content-type", "application/json").body(body)
}
