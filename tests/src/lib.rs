//! The harness of the end-to-end stories.
//!
//! What a story needs in addition to the system itself: faults between the AWS SDK and DynamoDB or Secrets Manager
//! ([`faults`], [`slow`]), a database without a network ([`in_process`]), logs and metrics that can be inspected
//! ([`logs`], [`metrics`]), real processes that can be killed ([`process`]), Lambda's side of a function's binary
//! ([`runtime_api`]), the binary itself, running in a world ([`bootstrap`]), and the events that API Gateway, the
//! schedules and the table's stream send ([`http_events`], [`refresher_events`]), of which the folder `events/` has a
//! collection ([`demo_events`]), a merchant's browser ([`browser`]) and a business that calls the API ([`business`]) or
//! replies to followers ([`webhook`]), the schemas of events ([`schema`]) and of the API's responses ([`openapi`]), the
//! deployment ([`template`]), and the cost of all this ([`meter`], [`cost`]). It knows no story.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a harness fails where it stands, as a test does"
)]

pub mod bootstrap;
pub mod browser;
pub mod business;
pub mod cable;
pub mod cost;
pub mod demo_events;
pub mod due;
pub mod faults;
pub mod http_events;
pub mod in_process;
pub mod log;
pub mod logs;
pub mod meter;
pub mod metrics;
pub mod moto;
pub mod openapi;
pub mod process;
mod proof;
pub mod proxy;
pub mod recorder;
pub mod refresher_events;
pub mod runtime_api;
pub mod schema;
pub mod slow;
pub mod template;
pub mod webhook;
pub mod world;

/// A plain HTTP client, for what merchants, WeChat and businesses do. It follows no redirect and trusts no certificate:
/// reading the machine's takes longer than many stories.
#[must_use]
pub fn http_client() -> reqwest::Client {
    #[expect(clippy::disallowed_methods, reason = "plays the other side; the product's own client is built elsewhere")]
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    client.tls_certs_only([]).build().unwrap()
}
