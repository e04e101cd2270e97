//! The event webhook: the business's own service, which gets the same events of accounts as the bus.
//!
//! It is slower than the bus, and more often unavailable. A run stops calling it when it has not responded for several
//! events in a row. A run of the stream, which delays the next pushes, also skips a webhook that has just been slow, or
//! has not responded several times in a row in any run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use base::clock::Timestamp;
use platform::bus::BusEvent;
use platform::webhook::{Webhook, WebhookError, WebhookRole, payload};
use runtime::telemetry::{Measure, Metric};
use tokio::time::Instant;

use crate::Run;
use crate::outbox::SLOW;

/// The role in which this function calls a webhook.
pub const EVENT_WEBHOOK: WebhookRole = WebhookRole {
    variable: "EVENT_WEBHOOK_URL",
    user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")),
};

/// The webhook counts as unavailable when it has not responded for this many different events in a row. A single event
/// may be the cause of its hanging.
const EVENTS_IN_A_ROW: usize = 3;

/// How long runs of the stream skip a webhook that has not responded: until a scheduled run has called it.
const REST: Duration = Duration::from_mins(5);

/// The wait after a first failure.
const FIRST_PAUSE: Duration = Duration::from_mins(1);

/// The longest wait after failures.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// The wait after the `tries`-th failure in a row, counted from 1: a minute, doubled up to an hour.
pub(crate) fn pause_after(tries: u32) -> Duration {
    (FIRST_PAUSE * 2_u32.pow(tries.saturating_sub(1).min(6))).min(LONGEST_PAUSE)
}

/// The event webhook of a process; clones share what is known about it.
#[derive(Clone)]
pub(crate) struct EventWebhook(Arc<Known>);

struct Known {
    webhook: Webhook,
    /// The events in a row without a response, in any run.
    unanswered: AtomicUsize,
    /// Until when, as Unix time in seconds, runs of the stream skip it.
    rests_until: AtomicI64,
}

/// The event webhook in one run.
pub(crate) struct WebhookOfRun {
    of: EventWebhook,
    /// Whether other work waits for the end of the run.
    is_waited_for: bool,
    /// The events in a row without a response in this run.
    unanswered: AtomicUsize,
    /// Whether this run skips it.
    is_left: AtomicBool,
}

impl EventWebhook {
    pub(crate) fn new(webhook: Webhook) -> Self {
        Self(Arc::new(Known { webhook, unanswered: AtomicUsize::new(0), rests_until: AtomicI64::new(i64::MIN) }))
    }

    /// The webhook for one run; `is_waited_for` says whether other work waits for the end of the run.
    pub(crate) fn of_run(&self, is_waited_for: bool, now: Timestamp) -> WebhookOfRun {
        let rests = is_waited_for && now.unix() < self.0.rests_until.load(Ordering::Relaxed);
        WebhookOfRun {
            of: self.clone(),
            is_waited_for,
            unanswered: AtomicUsize::new(0),
            is_left: AtomicBool::new(rests),
        }
    }
}

impl WebhookOfRun {
    /// Whether this run no longer calls it.
    pub(crate) fn is_away(&self) -> bool {
        self.is_left.load(Ordering::Relaxed) || self.unanswered.load(Ordering::Relaxed) >= EVENTS_IN_A_ROW
    }

    /// Records the outcome of a call, and how long it took. A refusal is a response too.
    fn note(&self, outcome: &Result<(), WebhookError>, took: Duration, now: Timestamp) {
        let known = &self.of.0;
        // The next pushes do not wait for a slow webhook.
        if self.is_waited_for && took > SLOW {
            self.is_left.store(true, Ordering::Relaxed);
        }
        if matches!(outcome, Ok(()) | Err(WebhookError::Status(_))) {
            self.unanswered.store(0, Ordering::Relaxed);
            known.unanswered.store(0, Ordering::Relaxed);
            known.rests_until.store(i64::MIN, Ordering::Relaxed);
            return;
        }
        let unanswered = self.unanswered.fetch_add(1, Ordering::Relaxed) + 1;
        if known.unanswered.fetch_add(1, Ordering::Relaxed) + 1 >= EVENTS_IN_A_ROW {
            known.rests_until.store(now.plus(REST).unix(), Ordering::Relaxed);
        }
        if unanswered == EVENTS_IN_A_ROW {
            tracing::warn!(
                "the event webhook has not responded {unanswered} times in a row: it is not called any more in this run"
            );
        }
    }
}

impl Run {
    /// Sends an event to the webhook. Any response with status 2xx is a success, whatever its body.
    ///
    /// # Errors
    /// [`WebhookError`]. The webhook may have processed the event all the same.
    pub(crate) async fn post(&self, webhook: &WebhookOfRun, event: &BusEvent) -> Result<(), WebhookError> {
        let (now, begun) = (self.now(), Instant::now());
        let outcome = match &self.component.platform().webhook_key {
            Ok(key) => {
                let (id, body) = (event.id.as_str(), payload(event, now));
                let within = self.context.limits.webhook;
                webhook.of.0.webhook.post(key, id, body, now, within).await.map(drop)
            }
            Err(error) => Err(WebhookError::from(*error)),
        };
        webhook.note(&outcome, begun.elapsed(), self.now());
        if let Err(error) = &outcome {
            self.context.metrics.put(&Metric::count(Measure::EventWebhookFailed, 1).with_dimension(error.reason()));
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_grow_from_a_minute_to_an_hour() {
        let minutes: Vec<u64> = (1..=8).map(|tries| pause_after(tries).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause_after(u32::MAX), LONGEST_PAUSE);
    }
}
