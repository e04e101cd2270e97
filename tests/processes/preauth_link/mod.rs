//! preauth-link: access, responses, and the log.
//!
//! The way back from WeChat belongs to another function.

mod answers;
mod identity;
mod logs;
mod second_opinion;

use stories::http_events::HttpEvent;

/// The function's binary.
const BINARY: &str = env!("CARGO_BIN_EXE_process-preauth-link");

/// A business, as IAM names it.
const BUSINESS: &str = "arn:aws:sts::123456789012:assumed-role/orders/session";

/// A business's request for a link; the caller decides whether it has an IAM identity.
fn asks_for_link(body: &str) -> HttpEvent {
    HttpEvent::new("POST", "/authorization-links").header("content-type", "application/json").body(body)
}

/// A merchant's browser on a computer at a link's page.
fn at_page(method: &str, link_id: &str) -> HttpEvent {
    HttpEvent::new(method, &format!("/authorize/{link_id}"))
        .route("/authorize/{link_id}")
        .header("accept-language", "en")
}
