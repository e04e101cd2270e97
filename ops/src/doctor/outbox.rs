//! What happened to accounts and API keys and has not been delivered yet: to the event bus, or to the event webhook.
//!
//! An event says itself how far it has come with each of them. One that waits holds up those behind it, of the same
//! account or key and on the way to the same target.

use std::collections::BTreeSet;
use std::time::Duration;

use base::clock::Timestamp;
use store::{END_OF_TIME, Outbox, OutboxEvent, Store, StoreError, Subject};

use super::items::unreadable;
use crate::finding::Finding;
use crate::format::{ago, count, span};

const EVENTS: &str = "events";

const WEBHOOK: &str = "event webhook";

/// An event is delivered within seconds, or by the next run: after this long three runs have failed to.
const SLOW: Duration = Duration::from_mins(15);

/// The events of at most this many accounts and keys are looked at.
const LOOK: usize = 50;

/// What waits for one target.
#[derive(Debug, Default)]
struct Waiting {
    events: u64,
    oldest: Option<Event>,
    /// The oldest that the target has refused, or not answered.
    failing: Option<(Event, u32)>,
}

#[derive(Debug, Clone)]
struct Event {
    happened_at: Timestamp,
    subject: Subject,
    sequence: u64,
}

/// What waits, as far as it was looked at.
#[derive(Debug, Default)]
struct Waits {
    bus: Waiting,
    /// Only what the bus has, or never gets: there is a webhook for it, or the refresher has not looked yet.
    webhook: Waiting,
    /// Whether there is more.
    is_cut: bool,
}

/// What waits, and whether a target fails.
pub(super) async fn examine(store: &Store, now: Timestamp) -> Vec<Finding> {
    match look(store).await {
        Ok(waits) => waits.findings(now),
        Err(error) => vec![unreadable(EVENTS, &error)],
    }
}

/// At most a query of each shard of the index, and one of each account and key.
async fn look(store: &Store) -> Result<Waits, StoreError> {
    let mut subjects = BTreeSet::new();
    let mut is_cut = false;
    for shard in 0..Outbox::SHARDS {
        let (page, more) = store.outbox.due(shard, END_OF_TIME, None).await?;
        subjects.extend(page);
        is_cut |= more.is_some();
    }
    let mut waits = Waits { is_cut: is_cut || subjects.len() > LOOK, ..Waits::default() };
    for subject in subjects.into_iter().take(LOOK) {
        for event in store.outbox.waiting(&subject).await? {
            let happened_at = event.event.as_ref().map_or(event.due_at, OutboxEvent::at);
            let known = Event { happened_at, subject: subject.clone(), sequence: event.sequence };
            if event.bus.is_done() {
                waits.webhook.add(known, event.webhook_tries);
            } else {
                waits.bus.add(known, 0);
            }
        }
    }
    Ok(waits)
}

impl Waiting {
    fn add(&mut self, event: Event, tries: u32) {
        self.events += 1;
        if tries > 0 && self.failing.as_ref().is_none_or(|(known, _)| event.happened_at < known.happened_at) {
            self.failing = Some((event.clone(), tries));
        }
        if self.oldest.as_ref().is_none_or(|known| event.happened_at < known.happened_at) {
            self.oldest = Some(event);
        }
    }

    fn is_late(&self, now: Timestamp) -> bool {
        self.oldest.as_ref().is_some_and(|oldest| now.since(oldest.happened_at) > SLOW)
    }
}

impl Waits {
    fn findings(&self, now: Timestamp) -> Vec<Finding> {
        let mut findings = vec![self.of_bus(now)];
        findings.extend(self.of_webhook(now));
        findings
    }

    fn of_bus(&self, now: Timestamp) -> Finding {
        let Some(oldest) = &self.bus.oldest else { return Finding::ok(EVENTS, "none waits for the event bus") };
        let waiting = self.count(self.bus.events);
        let sentence =
            format!("waiting for the event bus: {waiting}, the oldest since {}", span(now.since(oldest.happened_at)));
        if self.bus.is_late(now) {
            let advice = "the bus takes none or too few: token-refresher's log has EventBridge's code for it; they are \
                          offered again every five minutes, those of each account in their order";
            Finding::warning(EVENTS, sentence, advice)
        } else {
            Finding::ok(EVENTS, sentence)
        }
    }

    /// Nothing where nothing is wrong with it: most deployments have none.
    fn of_webhook(&self, now: Timestamp) -> Option<Finding> {
        let oldest = self.webhook.oldest.as_ref()?;
        let waiting = self.count(self.webhook.events);
        if let Some((Event { happened_at, subject, sequence }, tries)) = &self.webhook.failing {
            let tries = if *tries == 1 { "1 try".to_owned() } else { format!("{tries} tries") };
            let sentence = format!(
                "waiting for it: {waiting}; it has not taken event {sequence} of {subject}, which happened {}, \
                 in {tries}",
                ago(*happened_at, now),
            );
            let advice = "token-refresher's log and the metric event_webhook_failed say why its calls fail; each event is \
                          sent again for a day, and the bus has them all";
            return Some(Finding::warning(WEBHOOK, sentence, advice));
        }
        self.webhook.is_late(now).then(|| {
            let since = span(now.since(oldest.happened_at));
            let sentence = format!("waiting for it: {waiting}, the oldest since {since}");
            let advice = "it was not asked: the line about the refresher says whether that runs, its log whether the \
                          webhook has stopped answering";
            Finding::warning(WEBHOOK, sentence, advice)
        })
    }

    fn count(&self, events: u64) -> String {
        let at_least = if self.is_cut { "at least " } else { "" };
        format!("{at_least}{}", count(events, "event"))
    }
}
