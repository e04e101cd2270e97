//! The function's binary as a process of its own, polling for events as in Lambda: whom it lets in, what it answers, and
//! what it logs.
//!
//! Only tests in this folder can start this binary. The way back from WeChat is another function's.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod second_opinion;

#[cfg(test)]
use stories::http_events::HttpEvent;

/// The function's binary.
#[cfg(test)]
const BINARY: &str = env!("CARGO_BIN_EXE_preauth-link");

/// A business, as IAM names it.
#[cfg(test)]
const BUSINESS: &str = "arn:aws:sts::123456789012:assumed-role/orders/session";

/// A business asks for a link; whether IAM knows it is the caller's affair.
#[cfg(test)]
fn asks_for_link(body: &str) -> HttpEvent {
    HttpEvent::new("POST", "/authorization-links").header("content-type", "application/json").body(body)
}

/// A merchant's browser on a computer at a link's page.
#[cfg(test)]
fn at_page(method: &str, link_id: &str) -> HttpEvent {
    HttpEvent::new(method, &format!("/authorize/{link_id}"))
        .route("/authorize/{link_id}")
        .header("accept-language", "en")
}
