//! `POST /wechat/events`, WeChat's 授权事件接收URL (protocol section 3.2): verifies, stores, acknowledges.
//!
//! What was received is durable before the response is `success`; all that follows from it is the refresher's work. So
//! this function never calls WeChat, and a push costs one write and no read.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::{Method, StatusCode};
use axum::middleware;
use axum::response::Response;
use axum::routing::post;
use base::clock::{SharedClock, Timestamp};
use base::ids::AppId;
use platform::secret::PlatformSource;
use runtime::telemetry::{Measure, Metric, Metrics};
use store::{Access, Introductions, PUSH_MEMORY, StoreError, access_to};
use web::push::{PlatformPush, Verified, answer_in_time, plain_answer};
use wechat::push::{Event, is_beyond_memory};

/// The routes of this function, from which its router is built.
pub const ROUTES: [(Method, &str); 1] = [(Method::POST, "/wechat/events")];

/// What the function is built from, once.
#[derive(Clone)]
pub struct Receiver {
    /// The platform's secret.
    pub platform: Arc<PlatformSource>,
    /// The table.
    pub table: Access<Repositories>,
    /// The clock that the rules use.
    pub clock: SharedClock,
    /// The sink for metrics.
    pub metrics: Metrics,
    /// The limit from the request to its response, whatever hangs: [`base::limits::Limits::push`].
    pub bound: Duration,
}

access_to! {
    /// What the function may use of the table.
    pub struct Repositories {
        tickets: Tickets,
        inbox: Inbox,
        introductions: Introductions,
    }
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

/// The response to an authentic push that is not durable. WeChat does not promise to deliver it again to this URL, but
/// may.
fn not_stored() -> Response {
    plain_answer(StatusCode::INTERNAL_SERVER_ERROR, "not stored: send it again")
}

fn too_slow() -> Response {
    tracing::error!("a push was not stored: no response of the table within the bound");
    not_stored()
}

async fn receive(State(receiver): State<Receiver>, Verified(push): Verified<PlatformPush>) -> Response {
    match store(&receiver, &push).await {
        Ok(()) => plain_answer(StatusCode::OK, "success"),
        Err(cause) => {
            let event = &push.event.event;
            tracing::error!(info_type = event.label(), authorizer = account(event), "a push was not stored: {cause}");
            not_stored()
        }
    }
}

/// The account that an event names, for the log; empty if it names none.
fn account(event: &Event) -> &str {
    event.account().map_or("", AppId::as_str)
}

async fn store(receiver: &Receiver, push: &PlatformPush) -> Result<(), StoreError> {
    let store = receiver.table.of(&push.component);
    let (event, now) = (&push.event.event, receiver.clock.now());
    if is_beyond_memory(push.event.create_time, push.sent_at, now, PUSH_MEMORY) {
        receiver.metrics.put(&Metric::count(Measure::PushStale, 1));
        tracing::warn!(info_type = event.label(), authorizer = account(event), "a push is too old to have an effect");
        return Ok(());
    }
    if let Event::ComponentVerifyTicket { ticket: Some(ticket) } = event {
        if store.tickets.put(ticket, push.event.create_time.unwrap_or(now), now).await? {
            tracing::info!(component = %push.component, "a new component_verify_ticket is stored");
        } else {
            tracing::info!(component = %push.component, "an equal or newer component_verify_ticket was there");
        }
    } else {
        store.inbox.put_push(&push.event, now).await?;
        introduce(&store.introductions, event, now).await;
        let info_type = event.label();
        tracing::info!(info_type, authorizer = account(event), "a push {info_type} was put into the inbox");
    }
    receiver.metrics.put(&Metric::count(Measure::PushStored, 1).with_dimension(kind(event)));
    Ok(())
}

/// The most time to record an account: its push is stored already, and must be acknowledged in time.
const INTRODUCTION: Duration = Duration::from_millis(500);

/// Records the account of a grant, so that its messages are accepted before the grant has taken effect. If this fails,
/// it is done when the grant takes effect.
async fn introduce(introductions: &Introductions, event: &Event, now: Timestamp) {
    let (Event::Authorized(_) | Event::UpdateAuthorized(_) | Event::FastRegister(_), Some(account)) =
        (event, event.account())
    else {
        return;
    };
    let failure = match tokio::time::timeout(INTRODUCTION, introductions.put(account, now)).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the table was too slow".to_owned(),
    };
    tracing::warn!(authorizer = %account, "messages of account {account} are accepted once its grant has taken effect: {failure}");
}

/// The dimension of the metric: names that WeChat invents must not create new metrics.
fn kind(event: &Event) -> &str {
    match event {
        Event::Unknown { .. } => "unknown",
        known => known.info_type(),
    }
}
