//! Delivery of what happened to accounts and API keys, in the order of each one's events: to the bus, and for accounts
//! also to the event webhook, if there is one.
//!
//! A change and its event are written together, by whichever process; the table's stream starts a run for it, and each
//! renew run processes what is left. The two targets do not wait for each other: an event that one of them does not
//! accept delays only later events of the same account or key to the same target. What both accept at once is recorded
//! once.

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::stream::{self, Stream};
use futures::{StreamExt as _, TryStreamExt as _};
use platform::bus::{BusError, BusEvent};
use runtime::telemetry::{Measure, Metric};
use store::{Outbox, OutboxEvent, PendingEvent, Progress, StoreError, Subject};
use tokio::sync::mpsc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::Run;
use crate::breaker::Breaker;
use crate::event_webhook::{WebhookOfRun, pause_after};
use crate::publish::{AT_ONCE, BUS_PAUSE, count_delivered};
use crate::report::Report;
use crate::shards::shards_by_turns;

/// The wait before an event that this version does not understand is looked at again.
const UNREADABLE_PAUSE: Duration = Duration::from_mins(10);

/// How long, from its own time on, an event is sent to a webhook that does not accept it.
const SENT_FOR: Duration = Duration::from_hours(24);

/// How often it is sent at least: half an hour of tries even if earlier events have delayed it for a day.
const LEAST_TRIES: u32 = 6;

/// A webhook that takes longer is slow: what the bus has accepted is then recorded before the webhook is waited for any
/// longer, so that a run that dies meanwhile does not publish it again.
pub(crate) const SLOW: Duration = Duration::from_secs(1);

/// The log message if the events of an account or a key could not be read or written.
const LEFT: &str = "the events of an account or a key are left to the next run";

/// A pending event being delivered.
struct UnderWay {
    event: PendingEvent,
    /// Whether the table has recorded its progress.
    is_noted: bool,
}

/// The events to send to the webhook now.
struct ForWebhook {
    subject: Subject,
    events: Vec<UnderWay>,
    /// One of the [`AT_ONCE`] permits of the webhook.
    _slot: OwnedSemaphorePermit,
}

impl UnderWay {
    fn bus(&mut self, progress: Progress) {
        self.event.bus = progress;
        self.is_noted = false;
    }

    fn webhook(&mut self, progress: Progress) {
        self.event.webhook = progress;
        self.is_noted = false;
    }
}

impl Run {
    /// Delivers the pending events, as far as time and their targets allow. This needs no call of WeChat, so it is done
    /// even in a run that WeChat's refusal has ended.
    pub(crate) async fn deliver_outbox(&self, report: &mut Report) {
        let (store, until) = (&self.store, self.now());
        let subjects = || {
            let subjects = shards_by_turns(&self.context.random, 0..Outbox::SHARDS, move |shard, after| {
                store.outbox.due(shard, until, after)
            });
            // A subject comes once for each of its events, and must be processed in one place only. Eight bytes of each
            // are kept.
            let (keys, mut seen) = (RandomState::new(), HashSet::new());
            subjects.try_filter(move |subject| futures::future::ready(seen.insert(keys.hash_one(subject))))
        };
        self.deliver_events_of(subjects, report).await;
    }

    /// Delivers the events of accounts and keys that the stream has named.
    pub(crate) async fn deliver_named(&self, subjects: &BTreeSet<Subject>, report: &mut Report) {
        self.deliver_events_of(|| stream::iter(subjects.iter().cloned()).map(Ok), report).await;
    }

    /// Puts the events of accounts and keys on the bus and sends them to the webhook. The bus never waits for the
    /// webhook: if the webhook is at its limit, the events are recorded as they are, and sent once the bus has got all
    /// of its events.
    async fn deliver_events_of<S>(&self, subjects: impl Fn() -> S, report: &mut Report)
    where
        S: Stream<Item = Result<Subject, StoreError>>,
    {
        let (table, slots, is_full) = (Breaker::default(), Arc::new(Semaphore::new(AT_ONCE)), AtomicBool::new(false));
        let (mut on_bus, mut sent) = (Report::default(), Report::default());
        let (hand_over, handed_over) = mpsc::unbounded_channel();
        let putting = async {
            let (table, slots, is_full) = (&table, &slots, &is_full);
            let hand_over = hand_over;
            let put = subjects()
                .take_while(|_| futures::future::ready(self.may_deliver_events(table)))
                .map(async |subject| self.put_events(subject?, slots, is_full, &hand_over).await)
                .buffer_unordered(AT_ONCE);
            on_bus.events_delivered = count_delivered(put, table, LEFT, &mut on_bus).await;
        };
        let sending = async {
            let handed_over = stream::unfold(handed_over, async |mut handed_over| {
                handed_over.recv().await.map(|work: ForWebhook| (work, handed_over))
            });
            let posted = handed_over
                .map(async |mut work| self.send_in_order(&work.subject, &mut work.events).await)
                .buffer_unordered(AT_ONCE);
            sent.events_sent = count_delivered(posted, &table, LEFT, &mut sent).await;
        };
        tokio::join!(putting, sending);
        if is_full.load(Ordering::Relaxed) {
            let posted = subjects()
                .take_while(|_| futures::future::ready(self.may_send_events(&table)))
                .map(async |subject| {
                    let subject = subject?;
                    self.send_in_order(&subject, &mut self.under_way(&subject).await?).await
                })
                .buffer_unordered(AT_ONCE);
            sent.events_sent += count_delivered(posted, &table, LEFT, &mut sent).await;
        }
        report.add(&on_bus);
        report.add(&sent);
    }

    /// Whether to look at the next events: there is time, the table is available, and so is one of the targets.
    fn may_deliver_events(&self, table: &Breaker) -> bool {
        self.may_deliver(table) || self.may_send_events(table)
    }

    fn may_send_events(&self, table: &Breaker) -> bool {
        self.has_time(table) && self.webhook.as_ref().is_some_and(|webhook| !webhook.is_away())
    }

    /// The pending events. Without a webhook none is ever sent to one, not even to one that is configured later.
    async fn under_way(&self, subject: &Subject) -> Result<Vec<UnderWay>, StoreError> {
        let waiting = self.store.outbox.waiting(subject).await?.into_iter();
        let under_way = waiting.map(|event| {
            // Of two simultaneous runs, each may have seen one target accept it: then neither has removed it from the
            // index.
            let is_noted = !(event.bus.is_done() && event.webhook.is_done());
            let mut under_way = UnderWay { event, is_noted };
            if self.webhook.is_none() && !under_way.event.webhook.is_done() {
                under_way.webhook(Progress::Done);
            }
            under_way
        });
        Ok(under_way.collect())
    }

    /// Puts the events of an account or a key on the bus, and hands over those for the webhook; returns how many the
    /// bus has accepted.
    async fn put_events(
        &self,
        subject: Subject,
        slots: &Arc<Semaphore>,
        is_full: &AtomicBool,
        hand_over: &mpsc::UnboundedSender<ForWebhook>,
    ) -> Result<u64, StoreError> {
        let mut events = self.under_way(&subject).await?;
        let put = self.put_in_order(&subject, &mut events).await?;
        if self.is_to_be_sent(&events) {
            if let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
                drop(hand_over.send(ForWebhook { subject, events, _slot: slot }));
                return Ok(put);
            }
            is_full.store(true, Ordering::Relaxed);
        }
        self.note_all(&subject, &mut events).await?;
        Ok(put)
    }

    /// Whether the first event that the webhook has not received is due now.
    fn is_to_be_sent(&self, events: &[UnderWay]) -> bool {
        let first = events.iter().map(|under_way| &under_way.event).find(|event| !event.webhook.is_done());
        first.is_some_and(|event| event.webhook.is_due(self.now()) && event.event.is_some())
    }

    /// Puts events of one subject on the bus until one has to wait; returns how many it has accepted. Events that need
    /// nothing else are recorded at once.
    async fn put_in_order(&self, subject: &Subject, events: &mut [UnderWay]) -> Result<u64, StoreError> {
        let mut count = 0;
        for under_way in events.iter_mut().filter(|under_way| !under_way.event.bus.is_done()) {
            let (now, sequence) = (self.now(), under_way.event.sequence);
            if !under_way.event.bus.is_due(now) {
                break;
            }
            let Some(event) = &under_way.event.event else {
                // It was written by a later version, which delivers it.
                tracing::error!(%subject, sequence, "event {sequence} of {subject} cannot be read and waits");
                let later = Progress::Later(now.plus(UNREADABLE_PAUSE));
                under_way.bus(later);
                if !under_way.event.webhook.is_done() {
                    under_way.webhook(later);
                }
                break;
            };
            match self.put(&self.bus_event(sequence, event)).await {
                Ok(()) => {
                    count += 1;
                    under_way.bus(Progress::Done);
                }
                // Left as it is, for the next run.
                Err(BusError::Unavailable(_)) => break,
                Err(error) if error.may_pass() => {
                    tracing::warn!(%subject, sequence, "event {sequence} of {subject} will be put on the bus later: {error}");
                    under_way.bus(Progress::Later(self.now().plus(BUS_PAUSE)));
                    break;
                }
                Err(error) => {
                    tracing::error!(%subject, sequence, "event {sequence} of {subject} will never be put on the bus: {error}");
                    under_way.bus(Progress::Done);
                }
            }
            if under_way.event.webhook.is_done() {
                self.note(subject, under_way).await?;
            }
        }
        Ok(count)
    }

    /// Sends events of one subject to the webhook until one has to wait; returns how many it has accepted. The progress
    /// of each is recorded, on the bus too.
    async fn send_in_order(&self, subject: &Subject, events: &mut [UnderWay]) -> Result<u64, StoreError> {
        let (mut count, mut holds) = (0, self.webhook.is_none());
        let mut left = events;
        while let Some((under_way, behind)) = mem::take(&mut left).split_first_mut() {
            if let Some(webhook) = &self.webhook
                && !holds
                && !under_way.event.webhook.is_done()
            {
                count += u64::from(self.send_one(webhook, subject, under_way, behind).await?);
                holds = !under_way.event.webhook.is_done();
            }
            self.note(subject, under_way).await?;
            left = behind;
        }
        Ok(count)
    }

    /// Sends an event to the webhook, if it is due; returns whether it was accepted. `behind` are the later events.
    async fn send_one(
        &self,
        webhook: &WebhookOfRun,
        subject: &Subject,
        under_way: &mut UnderWay,
        behind: &mut [UnderWay],
    ) -> Result<bool, StoreError> {
        let sequence = under_way.event.sequence;
        let Some(event) = under_way.event.event.as_ref().filter(|_| under_way.event.webhook.is_due(self.now())) else {
            return Ok(false);
        };
        let ends_at = event.at().plus(SENT_FOR);
        if webhook.is_away() || Instant::now() >= self.stop_at {
            return Ok(false);
        }
        let bus_event = self.bus_event(sequence, event);
        let mut posting = pin!(self.post(webhook, &bus_event));
        let posted = if let Ok(posted) = timeout(SLOW, &mut posting).await {
            posted
        } else {
            // What is not recorded here is recorded with the outcome.
            let noting = async { self.note(subject, under_way).await.and(self.note_all(subject, behind).await) };
            let (posted, _) = tokio::join!(posting, noting);
            posted
        };
        let tries = under_way.event.webhook_tries.saturating_add(1);
        match posted {
            Ok(()) => {
                under_way.webhook(Progress::Done);
                return Ok(true);
            }
            // An event that earlier ones have delayed gets its tries too.
            Err(error) if self.now() >= ends_at && tries >= LEAST_TRIES => {
                self.give_up(subject, under_way, &error.to_string());
            }
            Err(error) => {
                tracing::warn!(%subject, sequence, reason = error.reason(), "event {sequence} of {subject} will be sent to the event webhook later: {error}");
                under_way.event.webhook_tries = tries;
                let next = self.now().plus(pause_after(tries));
                let is_last = tries >= LEAST_TRIES && ends_at > self.now();
                under_way.webhook(Progress::Later(if is_last { next.min(ends_at) } else { next }));
            }
        }
        Ok(false)
    }

    /// Gives up an event that the webhook has not accepted for a day: the later events are next.
    fn give_up(&self, subject: &Subject, under_way: &mut UnderWay, cause: &str) {
        let sequence = under_way.event.sequence;
        self.context.metrics.put(&Metric::count(Measure::EventGivenUp, 1));
        tracing::error!(%subject, sequence, "event {sequence} of {subject} is not sent to the event webhook any more: {cause}");
        under_way.webhook(Progress::Done);
    }

    fn bus_event(&self, sequence: u64, event: &OutboxEvent) -> BusEvent {
        let component = self.store.component();
        match event {
            OutboxEvent::OfAccount(account, event) => {
                BusEvent::of_state(component, account, sequence, event, &self.public_base)
            }
            OutboxEvent::OfKey(key, event) => BusEvent::of_key(component, key, event),
        }
    }

    async fn note_all(&self, subject: &Subject, events: &mut [UnderWay]) -> Result<(), StoreError> {
        for under_way in events {
            self.note(subject, under_way).await?;
        }
        Ok(())
    }

    /// Records the progress of an event, unless the table has it.
    async fn note(&self, subject: &Subject, under_way: &mut UnderWay) -> Result<(), StoreError> {
        if !under_way.is_noted {
            self.store.outbox.note(subject, &under_way.event).await?;
            under_way.is_noted = true;
        }
        Ok(())
    }
}
