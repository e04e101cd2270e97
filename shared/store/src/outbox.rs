//! The outbox: events of accounts and API keys, written in the same transaction as the change that they report.
//!
//! The events of an account are items next to its details, those of a key have their own partition; they are numbered
//! consecutively. There are two targets, the event bus and, for accounts, the business's webhook, and an event stores
//! its progress with each. An event that has not been delivered to both is in the `due` index; afterwards it stays as
//! part of its subject's history until it expires.

use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::{AppId, Digest, KeyId};

use crate::StoreError;
use crate::attributes::{
    BUS_DONE, BUS_DUE_AT, DUE_AT, DUE_SHARD, EVENT, EXPIRES_AT, LIST_PK, LIST_SK, SK, TRIES, WEBHOOK_DONE,
    WEBHOOK_DUE_AT,
};
use crate::churn;
use crate::item::Item;
use crate::key_event::KeyEvent;
use crate::part::{Key, Part};
use crate::request::{Order, PagePosition};
use crate::state_event::StateEvent;
use crate::write::{Change, exists};

/// The prefix of the sort keys of events, by which the table's stream is filtered.
pub const EVENT_SORT_PREFIX: &str = "event#";

/// How long an event is kept as part of its subject's history.
const KEEP: Duration = Duration::from_hours(24 * 90);

/// Subjects with events to deliver are spread over this many partitions of the index.
const OUTBOX_SHARDS: u64 = 4;

/// The number of entries on one page of the index.
const PAGE: i32 = 256;

/// The kind of the partitions with accounts' events.
const ACCOUNTS: &str = "details";

/// The kind of the partitions with keys' events.
const KEYS: &str = "key-event";

/// The name of the item in errors.
const ITEM: &str = "event";

/// The subject of events: its events are in one partition, and are delivered in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// An account.
    Account(AppId),
    /// An API key.
    Key(KeyId),
}

/// An event with its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboxEvent {
    /// An account has changed.
    OfAccount(AppId, StateEvent),
    /// A key was created or revoked.
    OfKey(KeyId, KeyEvent),
}

/// The progress of an event with one of its targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It is to be delivered.
    Due,
    /// It could not be delivered, and is tried again at this time.
    Later(Timestamp),
    /// The target has it, or will never get it.
    Done,
}

impl Progress {
    /// Whether it is to be delivered now.
    #[must_use]
    pub fn is_due(self, now: Timestamp) -> bool {
        match self {
            Self::Due => true,
            Self::Later(at) => at <= now,
            Self::Done => false,
        }
    }

    /// Whether there is nothing left to do.
    #[must_use]
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Done)
    }
}

/// An event in the history of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastEvent {
    /// Its number among the account's events.
    pub sequence: u64,
    /// What happened; `None` for an event that this version does not understand.
    pub event: Option<StateEvent>,
    /// Whether it has not been delivered to both of its targets.
    pub is_waiting: bool,
}

impl PastEvent {
    fn read(item: &Item) -> Option<Self> {
        Some(Self {
            sequence: sequence(item)?,
            event: item.parsed(EVENT, |json| serde_json::from_str(json)),
            is_waiting: item.has(DUE_AT),
        })
    }
}

/// The number of an event among its subject's events.
fn sequence(item: &Item) -> Option<u64> {
    item.text(SK)?.strip_prefix(EVENT_SORT_PREFIX)?.parse().ok()
}

/// An event that has not been delivered to both of its targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEvent {
    /// Its number among its subject's events.
    pub sequence: u64,
    /// The event; `None` if it cannot be read.
    pub event: Option<OutboxEvent>,
    /// When it is next due.
    pub due_at: Timestamp,
    /// The progress with the bus.
    pub bus: Progress,
    /// The progress with the webhook.
    pub webhook: Progress,
    /// How often the webhook has not accepted it.
    pub webhook_tries: u32,
}

impl Subject {
    /// The kind of its partition. Accounts' events are next to the details; keys' events have their own partitions,
    /// since the role that delivers them must not read keys.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Account(_) => ACCOUNTS,
            Self::Key(_) => KEYS,
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Account(appid) => appid.as_str(),
            Self::Key(id) => id.as_str(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(appid) => write!(f, "account {appid}"),
            Self::Key(id) => write!(f, "key {id}"),
        }
    }
}

impl OutboxEvent {
    /// Its subject.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self {
            Self::OfAccount(appid, _) => Subject::Account(appid.clone()),
            Self::OfKey(id, _) => Subject::Key(id.clone()),
        }
    }

    /// When it happened, by our clock.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        Timestamp::from_unix(match self {
            Self::OfAccount(_, event) => event.at,
            Self::OfKey(_, event) => event.at,
        })
    }

    fn parse(subject: &Subject, json: &str) -> Result<Self, serde_json::Error> {
        Ok(match subject {
            Subject::Account(appid) => Self::OfAccount(appid.clone(), serde_json::from_str(json)?),
            Subject::Key(id) => Self::OfKey(id.clone(), serde_json::from_str(json)?),
        })
    }

    fn json(&self) -> Result<String, StoreError> {
        let json = match self {
            Self::OfAccount(_, event) => serde_json::to_string(event),
            Self::OfKey(_, event) => serde_json::to_string(event),
        };
        json.map_err(|_| StoreError::Corrupt { item: ITEM, attribute: EVENT })
    }

    /// Whether it is also sent to the webhook, which gets only the events of accounts.
    const fn is_for_webhook(&self) -> bool {
        matches!(self, Self::OfAccount(..))
    }
}

impl PendingEvent {
    pub(crate) fn read(subject: &Subject, item: &Item) -> Option<Self> {
        let progress = |done, due_at| match item.instant(due_at) {
            _ if item.has(done) => Progress::Done,
            Some(at) => Progress::Later(at),
            None => Progress::Due,
        };
        Some(Self {
            sequence: sequence(item)?,
            event: item.parsed(EVENT, |json| OutboxEvent::parse(subject, json)),
            due_at: item.instant(DUE_AT)?,
            bus: progress(BUS_DONE, BUS_DUE_AT),
            webhook: progress(WEBHOOK_DONE, WEBHOOK_DUE_AT),
            webhook_tries: item.number(TRIES).unwrap_or(0),
        })
    }
}

impl Part {
    pub(crate) fn event(&self, subject: &Subject, sequence: u64) -> Key {
        self.key(subject.kind(), subject.id(), &format!("{EVENT_SORT_PREFIX}{sequence:010}"))
    }

    fn outbox_shard(&self, shard: u64) -> String {
        self.partition("outbox", &shard.to_string())
    }

    /// Creates a new event, which is due at once.
    pub(crate) fn new_event(&self, sequence: u64, event: &OutboxEvent) -> Result<Change, StoreError> {
        let (subject, at) = (event.subject(), event.at());
        let (list, place) = churn::place(self, sequence, event).unzip();
        // Without a condition: the code that numbers the events uses each number only once.
        Ok(self
            .change(self.event(&subject, sequence))
            .set(EVENT, event.json()?)
            .set(DUE_SHARD, self.outbox_shard(Digest::of(&[subject.id()]).part(OUTBOX_SHARDS)))
            .set(DUE_AT, at)
            .set_some(WEBHOOK_DONE, (!event.is_for_webhook()).then_some(true))
            .set_some(LIST_PK, list)
            .set_some(LIST_SK, place)
            .set(EXPIRES_AT, at.plus(KEEP)))
    }
}

/// The events of accounts and keys.
#[derive(Debug, Clone)]
pub struct Outbox(pub(crate) Part);

impl Outbox {
    /// The number of shards of the index over which they are spread.
    pub const SHARDS: u64 = OUTBOX_SHARDS;

    fn change(&self, subject: &Subject, sequence: u64) -> Change {
        self.0.change(self.0.event(subject, sequence))
    }

    /// The partition key of a subject's events, as the stream has it.
    #[must_use]
    pub fn pk(&self, subject: &Subject) -> String {
        self.0.partition(subject.kind(), subject.id())
    }

    /// The subject with this partition key in the table.
    #[must_use]
    pub fn subject_of(&self, pk: &str) -> Option<Subject> {
        let key = || KeyId::parse(self.0.id_in(KEYS, pk)?).ok().map(Subject::Key);
        self.0.account_in(ACCOUNTS, pk).map(Subject::Account).or_else(key)
    }

    /// A page of the subjects with due events in one shard, which counts from 0 and is below [`Outbox::SHARDS`], the
    /// longest overdue first; a subject is listed once for each of its events. One query of the index.
    pub async fn due(
        &self,
        shard: u64,
        until: Timestamp,
        after: Option<PagePosition>,
    ) -> Result<(Vec<Subject>, Option<PagePosition>), StoreError> {
        self.0.page_of_due(self.0.outbox_shard(shard), until, PAGE, after, |pk| self.subject_of(pk)).await
    }

    /// The number of events that wait for delivery. Queries of the index.
    pub async fn count_waiting(&self, until: Timestamp) -> Result<u64, StoreError> {
        self.0.count_due(self.shards(), until).await
    }

    /// The partitions of the index with waiting events.
    pub(crate) fn shards(&self) -> impl Iterator<Item = String> {
        (0..OUTBOX_SHARDS).map(|shard| self.0.outbox_shard(shard))
    }

    /// A page of an account's events of the last 90 days before the one with the number `before`, newest first, and
    /// whether there are more. One query.
    pub async fn history(
        &self,
        account: &AppId,
        limit: usize,
        before: Option<u64>,
    ) -> Result<(Vec<PastEvent>, bool), StoreError> {
        let subject = Subject::Account(account.clone());
        let before = before.map(|sequence| self.0.event(&subject, sequence));
        let pk = self.pk(&subject);
        let (items, has_more) = self.0.page_below(pk, EVENT_SORT_PREFIX, &[], Order::Descending, limit, before).await?;
        let past = items.into_iter().filter_map(|item| PastEvent::read(&Item::new(ITEM, item)));
        Ok((past.collect(), has_more))
    }

    /// The events of a subject that have not been delivered, in order. One query per megabyte of its events.
    pub async fn waiting(&self, subject: &Subject) -> Result<Vec<PendingEvent>, StoreError> {
        let mut waiting = Vec::new();
        let take = |attributes| {
            waiting.extend(PendingEvent::read(subject, &Item::new(ITEM, attributes)));
            ControlFlow::Continue(())
        };
        self.0.each_of(self.pk(subject), EVENT_SORT_PREFIX, Some(DUE_AT), take).await?;
        Ok(waiting)
    }

    /// Stores the progress of an event. It is next due when the first of its targets is; when both are done, it leaves
    /// the index. One write; without effect if it no longer waits.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: what was delivered will be delivered once more.
    pub async fn note(&self, subject: &Subject, event: &PendingEvent) -> Result<(), StoreError> {
        let change = self.change(subject, event.sequence);
        let due = [event.bus, event.webhook].into_iter().filter_map(|progress| match progress {
            Progress::Due => Some(event.due_at),
            Progress::Later(at) => Some(at),
            Progress::Done => None,
        });
        let change = match due.min() {
            None => change.remove([DUE_SHARD, DUE_AT, BUS_DONE, BUS_DUE_AT, WEBHOOK_DONE, WEBHOOK_DUE_AT, TRIES]),
            // The progress of a concurrent run is never undone.
            Some(due_at) => change
                .set(DUE_AT, due_at)
                .set_some(BUS_DONE, done(event.bus))
                .set_some(BUS_DUE_AT, later(event.bus))
                .set_some(WEBHOOK_DONE, done(event.webhook))
                .set_some(WEBHOOK_DUE_AT, later(event.webhook))
                .set_some(TRIES, Some(event.webhook_tries).filter(|tries| *tries > 0)),
        };
        change.when(exists(DUE_AT)).apply().await.map(drop)
    }
}

fn done(progress: Progress) -> Option<bool> {
    progress.is_done().then_some(true)
}

const fn later(progress: Progress) -> Option<Timestamp> {
    match progress {
        Progress::Later(at) => Some(at),
        Progress::Due | Progress::Done => None,
    }
}
