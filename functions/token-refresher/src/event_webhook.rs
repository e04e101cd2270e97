//! The event webhook: the business's own service, which gets the events of accounts as the bus does.
//!
//! It is slower than the bus, and away more often. A run stops asking it when it has not answered for several events in a
//! row. A run of the stream, behind which the next pushes wait, also leaves one alone that has just been slow, or has not
//! answered several times in a row in whichever runs.

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

/// What this function calls a webhook for.
pub const EVENT_WEBHOOK: WebhookRole = WebhookRole {
    variable: "EVENT_WEBHOOK_URL",
    user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")),
};

/// The webhook counts as away when it has not answered for this many different events in a row. A single one may be what
/// it hangs at.
const EVENTS_IN_A_ROW: usize = 3;

/// How long runs of the stream leave a webhook alone that has not answered: until a scheduled run has asked it.
const REST: Duration = Duration::from_mins(5);

/// The wait after a first failure.
const FIRST_PAUSE: Duration = Duration::from_mins(1);

/// The longest wait after failures.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// The wait after the `tries`-th failure in a row, counted from 1: a minute, doubled up to an hour.
pub(crate) fn pause_after(tries: u32) -> Duration {
    (FIRST_PAUSE * 2_u32.pow(tries.saturating_sub(1).min(6))).min(LONGEST_PAUSE)
}

/// The event webhook of a process; clones share what is known of it.
#[derive(Clone)]
pub(crate) struct EventWebhook(Arc<Known>);

struct Known {
    webhook: Webhook,
    /// For how many events in a row there has been no answer, in whichever runs.
    unanswered: AtomicUsize,
    /// Until when, in seconds since 1970, runs of the stream leave it alone.
    rests_until: AtomicI64,
}

/// The event webhook in one run.
pub(crate) struct WebhookOfRun {
    of: EventWebhook,
    /// Whether what comes next waits for the end of the run.
    is_waited_for: bool,
    /// For how many events in a row there has been no answer in this run.
    unanswered: AtomicUsize,
    /// Whether it is left to other runs.
    is_left: AtomicBool,
}

impl EventWebhook {
    pub(crate) fn new(webhook: Webhook) -> Self {
        Self(Arc::new(Known { webhook, unanswered: AtomicUsize::new(0), rests_until: AtomicI64::new(i64::MIN) }))
    }

    /// The webhook for one run; `is_waited_for` says whether what comes next waits for the end of the run.
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
    /// Whether it is not asked any more in this run.
    pub(crate) fn is_away(&self) -> bool {
        self.is_left.load(Ordering::Relaxed) || self.unanswered.load(Ordering::Relaxed) >= EVENTS_IN_A_ROW
    }

    /// Notes the outcome of a call, and how long it took. A refusal is an answer too.
    fn note(&self, outcome: &Result<(), WebhookError>, took: Duration, now: Timestamp) {
        let known = &self.of.0;
        // The next pushes do not wait for a webhook that takes its time.
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
                "the event webhook has not answered {unanswered} times in a row: it is not asked any more in this run"
            );
        }
    }
}

impl Run {
    /// Sends an event to the webhook. Any 2xx answer is a success, whatever it says.
    ///
    /// # Errors
    /// [`WebhookError`]. The webhook may have taken it all the same.
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
