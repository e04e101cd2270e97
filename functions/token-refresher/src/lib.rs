//! The scheduled job that keeps every token alive (walk-through 3 of `docs/architecture.md`).
//!
//! It runs every five minutes, hourly for the reconciliation with WeChat's list, and whenever something enters the
//! inbox (by the table's stream). Any number of runs may overlap: leases and conditions decide.

mod accounts;
mod breaker;
mod effect;
mod event;
mod event_webhook;
mod finish;
mod gone;
mod inbox;
mod outbox;
mod publish;
mod rate_limiter;
mod reconcile;
mod refused;
mod release_check;
mod renew;
mod report;
mod requested;
mod shards;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use base::clock::Timestamp;
use futures::future::BoxFuture;
use platform::bus::Bus;
use platform::component::Component;
use platform::context::Context;
use platform::exchange::Exchange;
use platform::profiles::Profiles;
use platform::secret::PlatformError;
use platform::services::Services;
use platform::tokens::TokenError;
use platform::tokens::Tokens;
use platform::webhook::Webhook;
use runtime::config::{ConfigError, Environment, Origin};
use store::{DuePart, Outbox, Store, StoreError};
use tokio::time::Instant;
use wechat::api::Api;

use crate::breaker::Breaker;
use crate::event_webhook::{EventWebhook, WebhookOfRun};
use crate::rate_limiter::RateLimiter;

pub use event::{EventError, Task};
pub use event_webhook::EVENT_WEBHOOK;
pub use report::Report;

/// A run starts no more work this long before its deadline: the calls in progress must end and be recorded.
const STOP_BEFORE_DEADLINE: Duration = Duration::from_secs(10);

/// Calls of WeChat end this long before the deadline: their results must be recorded.
const LAST_WRITES: Duration = Duration::from_millis(2_500);

/// A run ends this long before the deadline, even if something is left unmeasured: its report must still be returned.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// A run that the stream started ends after this time, so that it never blocks the next push for long.
const STREAM_RUN: Duration = Duration::from_secs(20);

/// Bounds on the work of a run.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Renewals in progress at once: `REFRESHER_WINDOW`.
    pub window: usize,
    /// Renewals begun per second at most: WeChat publishes no figure, and its reaction to too many is a ban of minutes.
    pub per_second: u32,
    /// The most accounts that a run checks because a pass over WeChat's list did not name them: a list that is suddenly
    /// empty is WeChat's fault, not every merchant's wish, and must not use up the day's calls.
    pub gone_checks: usize,
    /// The least time between the beginnings of two requested runs.
    pub requested_pause: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { window: DEFAULT_WINDOW, per_second: 300, gone_checks: 500, requested_pause: REQUESTED_PAUSE }
    }
}

/// The least time between requested runs, however often one is requested.
const REQUESTED_PAUSE: Duration = Duration::from_secs(5);

/// Enough for the cap on starts per second while WeChat responds within 200 ms.
const DEFAULT_WINDOW: usize = 64;

/// Each renewal in progress may hold a connection to WeChat and one to the table, of the 1,024 files that a function
/// may have open, and the longest response in its 256 MB of memory.
const WIDEST_WINDOW: usize = 256;

impl Settings {
    /// Reads `REFRESHER_WINDOW`, by default 64; the rate of starts is not configurable.
    pub fn read(environment: &impl Environment) -> Result<Self, ConfigError> {
        let window = match environment.get(WINDOW) {
            None => DEFAULT_WINDOW,
            Some(text) => text
                .parse()
                .ok()
                .filter(|window| (1..=WIDEST_WINDOW).contains(window))
                .ok_or(ConfigError::Malformed { name: WINDOW, reason: "it must be a number from 1 to 256" })?,
        };
        Ok(Self { window, ..Self::default() })
    }
}

/// The variable for [`Settings::window`].
const WINDOW: &str = "REFRESHER_WINDOW";

/// Why a run did nothing at all.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The refresher does not know the event.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The platform's secret is unusable.
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

/// The targets of events.
#[derive(Clone)]
pub struct Targets {
    /// The bus.
    pub bus: Bus,
    /// The business's service that also gets the events of accounts, if there is one.
    pub webhook: Option<Webhook>,
    /// Our own origin, for the links that events name.
    pub public_base: Origin,
}

/// The refresher, built once.
#[derive(Clone)]
pub struct Refresher {
    services: Services,
    bus: Bus,
    webhook: Option<EventWebhook>,
    public_base: Arc<Origin>,
    settings: Settings,
}

/// The state of a run: what it works with, and when to start no more work.
struct Run {
    component: Component,
    tokens: Tokens,
    exchange: Exchange,
    profiles: Profiles,
    store: Store,
    context: Context,
    bus: Bus,
    webhook: Option<WebhookOfRun>,
    public_base: Arc<Origin>,
    /// The accounts that it renews.
    part: DuePart,
    window: usize,
    gone_checks: usize,
    rate_limiter: RateLimiter,
    begun: Instant,
    stop_at: Instant,
    /// When the process may be stopped: even the final record ends before.
    ends_at: Instant,
    breaker: Breaker,
    /// Set when the bus has not responded: it is not called again in this run.
    bus_is_away: AtomicBool,
}

impl Run {
    fn now(&self) -> Timestamp {
        self.context.now()
    }

    /// Whether no more work is to be begun.
    fn is_over(&self) -> bool {
        self.breaker.cause().is_some() || Instant::now() >= self.stop_at
    }

    /// Whether the quota of an API was found to be used up in this run.
    fn is_used_up(&self, api: Api) -> bool {
        self.component.wechat().used_up().iter().any(|refusal| refusal.api == api)
    }
}

impl Refresher {
    /// A refresher over the given services, whose limits should be [`base::limits::Limits::background`], that delivers
    /// what has taken effect to `targets`.
    #[must_use]
    pub fn new(services: Services, targets: Targets, settings: Settings) -> Self {
        let Targets { bus, webhook, public_base } = targets;
        Self { services, bus, webhook: webhook.map(EventWebhook::new), public_base: Arc::new(public_base), settings }
    }

    /// Processes what is due in the inbox, delivers the due events of the outbox, and first starts a requested
    /// reconciliation or other run. This is for a host without a stream and without a bus that starts runs, which polls
    /// instead.
    ///
    /// # Errors
    /// [`RunError`] if the platform's secret cannot be used.
    pub async fn poll(&self, deadline: Instant) -> Result<Option<Report>, RunError> {
        let component = self.services.open(None).await?;
        let store = self.services.table.store(component.appid());
        if store.reconcile_passes.is_requested().await.unwrap_or(false) {
            return self.run(&Task::Reconcile, deadline).await.map(Some);
        }
        if store.run_requests.is_requested().await.unwrap_or(false) {
            return self.run(&Task::Requested, deadline).await.map(Some);
        }
        match keys_of_what_is_due(&store, component.context().now()).await {
            Ok(keys) if keys.is_empty() => Ok(None),
            // Unlike a run of the stream, it delays nothing.
            Ok(keys) => self.perform(&Task::Stream(keys), deadline, false).await.map(Some),
            Err(error) => {
                tracing::warn!("the inbox and the outbox could not be looked at: {error}");
                Ok(None)
            }
        }
    }

    /// Does one task, as far as it gets until `deadline`, and returns what was done. A failure is logged where it is
    /// handled and retried by a later run.
    ///
    /// # Errors
    /// [`RunError`] if the platform's secret cannot be used: nothing was done.
    pub async fn run(&self, task: &Task, deadline: Instant) -> Result<Report, RunError> {
        if matches!(task, Task::Requested) {
            let beginning: BoxFuture<'_, _> = Box::pin(self.begins());
            if !beginning.await? {
                return Ok(Report::default());
            }
        }
        self.perform(task, deadline, matches!(task, Task::Stream(_))).await
    }

    /// `is_waited_for` says whether other work waits for the end of the run.
    async fn perform(&self, task: &Task, deadline: Instant, is_waited_for: bool) -> Result<Report, RunError> {
        let deadline = match task {
            Task::Stream(_) => deadline.min(Instant::now() + STREAM_RUN),
            Task::Renew(_) | Task::Requested | Task::Reconcile => deadline,
        };
        let begun = Instant::now();
        let calls_end = deadline.checked_sub(LAST_WRITES).unwrap_or(begun);
        let stop_at = deadline.checked_sub(STOP_BEFORE_DEADLINE).unwrap_or(begun);
        let component = self.services.open(Some(calls_end)).await?.recording();
        let rate_limiter = RateLimiter::per_second(self.settings.per_second);
        let ends_at = deadline.checked_sub(LAST_MOMENT).unwrap_or(begun);
        let run = Run {
            tokens: Tokens::of(&component),
            exchange: Exchange::of(&component),
            profiles: Profiles::of(&component),
            store: self.services.table.store(component.appid()),
            context: component.context().clone(),
            component,
            bus: self.bus.clone(),
            webhook: self.webhook.as_ref().map(|webhook| webhook.of_run(is_waited_for, self.services.clock.now())),
            public_base: Arc::clone(&self.public_base),
            part: task.part(),
            window: self.settings.window,
            gone_checks: self.settings.gone_checks,
            rate_limiter,
            begun,
            stop_at,
            ends_at,
            breaker: Breaker::default(),
            bus_is_away: AtomicBool::new(false),
        };
        let mut report = Report::default();
        // Each task is a large state machine: boxed, it is not part of every future around it.
        let work: BoxFuture<'_, ()> = match task {
            Task::Renew(_) => Box::pin(run.renew(&mut report)),
            Task::Requested => Box::pin(run.renew_on_request(&mut report)),
            Task::Reconcile => Box::pin(run.reconcile(&mut report)),
            Task::Stream(keys) => Box::pin(run.process_named(keys, &mut report)),
        };
        work.await;
        run.report_what_stopped_it(&mut report);
        let close: BoxFuture<'_, ()> = Box::pin(run.finish(task, &report));
        close.await;
        tracing::info!(renewed = report.renewed, left_over = report.left_over, "{task}: {report}");
        Ok(report)
    }
}

/// The table keys that the stream would name.
async fn keys_of_what_is_due(store: &Store, now: Timestamp) -> Result<BTreeSet<String>, StoreError> {
    let (due, _) = store.inbox.due_partitions(now, None).await?;
    let mut keys: BTreeSet<String> = due.iter().map(|partition| store.inbox.pk(partition)).collect();
    for shard in 0..Outbox::SHARDS {
        let (subjects, _) = store.outbox.due(shard, now, None).await?;
        keys.extend(subjects.iter().map(|subject| store.outbox.pk(subject)));
    }
    Ok(keys)
}

impl Run {
    /// Counts and logs, once, what ended the run and which of WeChat's APIs became unusable.
    fn report_what_stopped_it(&self, report: &mut Report) {
        for refusal in self.component.wechat().used_up() {
            let api = refusal.api;
            report.fail(&refusal.code.to_string());
            self.context.report(&format!("{api} is not called any more in this run"), &refusal.into());
        }
        let Some(cause) = self.breaker.cause() else { return };
        report.fail(&cause.label());
        match (cause.wechat(), cause) {
            (Some(refused), _) => self.context.report("the run stops here", refused),
            (None, TokenError::NoComponentToken(inner)) if matches!(**inner, TokenError::NoTicket) => {
                tracing::warn!("the run stops here: {inner}");
            }
            (None, _) => tracing::error!("the run stops here: {cause}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_a_number_from_1_to_256() {
        let read = |text: Option<&str>| {
            let text = text.map(str::to_owned);
            Settings::read(&move |name: &str| text.clone().filter(|_| name == WINDOW)).map(|settings| settings.window)
        };
        assert_eq!(read(None), Ok(64));
        assert_eq!((read(Some("1")), read(Some("256"))), (Ok(1), Ok(256)));
        for bad in ["0", "257", "-1", "64.0", "many", " 64"] {
            assert!(read(Some(bad)).unwrap_err().to_string().contains("REFRESHER_WINDOW"), "{bad}");
        }
    }
}
