//! `POST /wechat/events`, WeChat's 授权事件接收URL (protocol section 3.2): verifies, stores, acknowledges.
//!
//! What was received is durable before WeChat hears `success`; everything it causes is the refresher's work. So this
//! function never calls WeChat, and a push costs one write and no read.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::{Method, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use shared::clock::SharedClock;
use shared::platform::PlatformSource;
use shared::push::{AuthorizationEvent, Event, Verified, answer_in_time, plain_answer};
use shared::telemetry::{Measure, Metric, Metrics};
use shared::vault::{Store, VaultError};

/// The routes of this function, from which its router is built.
pub const ROUTES: [(Method, &str); 1] = [(Method::POST, "/wechat/events")];

/// What the function is built from, once.
#[derive(Clone)]
pub struct Receiver {
    /// The platform's secret.
    pub platform: Arc<PlatformSource>,
    /// The table.
    pub store: Store,
    /// Where the rules read the time.
    pub clock: SharedClock,
    /// Where metrics go.
    pub metrics: Metrics,
    /// From the request to its answer, whatever hangs: [`shared::limits::Limits::push`].
    pub bound: Duration,
}

impl FromRef<Receiver> for Arc<PlatformSource> {
    fn from_ref(receiver: &Receiver) -> Self {
        Self::clone(&receiver.platform)
    }
}

impl FromRef<Receiver> for Metrics {
    fn from_ref(receiver: &Receiver) -> Self {
        receiver.metrics.clone()
    }
}

/// The function's router.
pub fn router(receiver: Receiver) -> Router {
    let [(_, events)] = ROUTES;
    let bound = receiver.bound;
    Router::new()
        .route(events, post(receive))
        .layer(middleware::from_fn(move |request, next| answer_in_time(bound, too_slow, request, next)))
        .with_state(receiver)
}

/// Why an authentic push is not acknowledged.
#[derive(Debug, thiserror::Error)]
enum ReceiveError {
    /// It is not durable. WeChat promises no second delivery for this URL, but may make one.
    #[error("the push could not be stored")]
    NotStored(#[from] VaultError),
    /// Something hung.
    #[error("the push could not be stored in time")]
    TooSlow,
}

impl IntoResponse for ReceiveError {
    fn into_response(self) -> Response {
        match &self {
            Self::NotStored(cause) => tracing::error!("a push was not stored: {cause}"),
            Self::TooSlow => tracing::error!("a push was not stored: no answer within the bound"),
        }
        plain_answer(StatusCode::INTERNAL_SERVER_ERROR, "not stored: send it again")
    }
}

fn too_slow() -> Response {
    ReceiveError::TooSlow.into_response()
}

async fn receive(
    State(receiver): State<Receiver>,
    Verified(push): Verified<AuthorizationEvent>,
) -> Result<Response, ReceiveError> {
    let vault = receiver.store.vault(&push.component);
    let now = receiver.clock.now();
    match &push.event {
        Event::ComponentVerifyTicket { ticket } => {
            if vault.put_ticket(ticket, push.create_time, now).await? {
                tracing::info!(component = %push.component, "a new component_verify_ticket is stored");
            } else {
                tracing::info!(component = %push.component, "an equal or newer component_verify_ticket was there");
            }
        }
        event => {
            vault.put_push(&push, now).await?;
            let account = event.account().map(ToString::to_string).unwrap_or_default();
            tracing::info!(info_type = event.label(), account, "a push {} is in the inbox", event.label());
        }
    }
    receiver.metrics.put(&Metric::count(Measure::PushStored, 1).by(kind(&push.event)));
    Ok(plain_answer(StatusCode::OK, "success"))
}

/// The dimension of the metric: names that WeChat makes up must not make new metrics.
fn kind(event: &Event) -> &str {
    match event {
        Event::Unknown { .. } => "unknown",
        known => known.info_type(),
    }
}
