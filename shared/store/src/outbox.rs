//! What is to be reported, of accounts and of API keys: an outbox, written in the transaction that changes what it reports.
//!
//! The events of an account are items next to its details, those of a key have a partition of their own; they are numbered
//! one after another. There are two targets, the event bus and, for accounts, the business's webhook, and an event knows how
//! far it has come with each. One that has not been delivered to both is in the `due` index; one that has stays as the
//! history of its subject until it expires.

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
use crate::item::Item;
use crate::key_event::KeyEvent;
use crate::part::{Key, Part};
use crate::request::{Order, PagePosition};
use crate::state_event::StateEvent;
use crate::turn;
use crate::write::{Change, exists};

/// Sort keys of events begin with this: the table's stream is filtered by it.
pub const EVENT_SORT_PREFIX: &str = "event#";

/// How long an event is kept as the history of its subject.
const KEEP: Duration = Duration::from_hours(24 * 90);

/// Subjects with events to deliver are spread over this many partitions of the index.
const OUTBOX_SHARDS: u64 = 4;

/// Entries of one page of the index.
const PAGE: i32 = 256;

/// The kind of partition with the events of an account.
const ACCOUNTS: &str = "details";

/// The kind of partition with the events of a key.
const KEYS: &str = "key-event";

/// What an event is called in failures.
const ITEM: &str = "event";

/// What an event is about: its events are in one partition, and are delivered in their order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// An account.
    Account(AppId),
    /// An API key.
    Key(KeyId),
}

/// What happened, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboxEvent {
    /// An account has changed.
    OfAccount(AppId, StateEvent),
    /// A key was made or revoked.
    OfKey(KeyId, KeyEvent),
}

/// How far an event has come with one of its targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It is to be delivered.
    Due,
    /// It could not be delivered, and is tried again from this time on.
    Later(Timestamp),
    /// The target has it, or never gets it.
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

/// What has happened to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastEvent {
    /// Its number among those of the account.
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

/// The number of an event among those of its subject.
fn sequence(item: &Item) -> Option<u64> {
    item.text(SK)?.strip_prefix(EVENT_SORT_PREFIX)?.parse().ok()
}

/// An event that has not been delivered to both of its targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEvent {
    /// Its number among those of its subject.
    pub sequence: u64,
    /// What it says; `None` for one that cannot be read.
    pub event: Option<OutboxEvent>,
    /// From when on it is to be looked at.
    pub due_at: Timestamp,
    /// The bus.
    pub bus: Progress,
    /// The webhook.
    pub webhook: Progress,
    /// How often the webhook has not taken it.
    pub webhook_tries: u32,
}

impl Subject {
    /// The kind of item that its events are next to, or the kind of its events where they are by themselves: the role that
    /// delivers them has no business with keys.
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
    /// What it is about.
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

    /// Whether the webhook gets it as well: it is for what happens to accounts.
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

    /// A new event, which is due at once.
    pub(crate) fn new_event(&self, sequence: u64, event: &OutboxEvent) -> Result<Change, StoreError> {
        let (subject, at) = (event.subject(), event.at());
        let (list, place) = turn::place(self, sequence, event).unzip();
        // Without a condition: whoever numbers the events gives each number once.
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
    /// How many shards of the index they are spread over.
    pub const SHARDS: u64 = OUTBOX_SHARDS;

    fn change(&self, subject: &Subject, sequence: u64) -> Change {
        self.0.change(self.0.event(subject, sequence))
    }

    /// The key of the partition that has the events of a subject, as the stream names it.
    #[must_use]
    pub fn pk(&self, subject: &Subject) -> String {
        self.0.partition(subject.kind(), subject.id())
    }

    /// The subject whose events a partition of the table has.
    #[must_use]
    pub fn subject_of(&self, pk: &str) -> Option<Subject> {
        let key = || KeyId::parse(self.0.id_in(KEYS, pk)?).ok().map(Subject::Key);
        self.0.account_in(ACCOUNTS, pk).map(Subject::Account).or_else(key)
    }

    /// Subjects of one shard, from 0 to [`Outbox::SHARDS`], with events that are due, the longest overdue first, a page at a
    /// time; a subject comes once for each of its events. One query of the index.
    pub async fn due(
        &self,
        shard: u64,
        until: Timestamp,
        after: Option<PagePosition>,
    ) -> Result<(Vec<Subject>, Option<PagePosition>), StoreError> {
        self.0.page_of_due(self.0.outbox_shard(shard), until, PAGE, after, |pk| self.subject_of(pk)).await
    }

    /// How many events wait to be delivered. Queries of the index.
    pub async fn count_waiting(&self, until: Timestamp) -> Result<u64, StoreError> {
        self.0.count_due(self.shards(), until).await
    }

    /// The partitions of the index with events that wait.
    pub(crate) fn shards(&self) -> impl Iterator<Item = String> {
        (0..OUTBOX_SHARDS).map(|shard| self.0.outbox_shard(shard))
    }

    /// A page of what has happened to an account within the last 90 days, the newest first, and whether there is more behind
    /// it: the events before the one with the number `before`. One query.
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

    /// The events of a subject that have not been delivered, in their order. One query for each megabyte of its events.
    pub async fn waiting(&self, subject: &Subject) -> Result<Vec<PendingEvent>, StoreError> {
        let mut waiting = Vec::new();
        let take = |attributes| {
            waiting.extend(PendingEvent::read(subject, &Item::new(ITEM, attributes)));
            ControlFlow::Continue(())
        };
        self.0.each_of(self.pk(subject), EVENT_SORT_PREFIX, Some(DUE_AT), take).await?;
        Ok(waiting)
    }

    /// Writes down how far an event has come. It is looked at again when the first of its targets is due; once both are done
    /// it leaves the index. One write; without effect if it waits no longer.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: what has been delivered will be delivered once more.
    pub async fn note(&self, subject: &Subject, event: &PendingEvent) -> Result<(), StoreError> {
        let change = self.change(subject, event.sequence);
        let due = [event.bus, event.webhook].into_iter().filter_map(|progress| match progress {
            Progress::Due => Some(event.due_at),
            Progress::Later(at) => Some(at),
            Progress::Done => None,
        });
        let change = match due.min() {
            None => change.remove([DUE_SHARD, DUE_AT, BUS_DONE, BUS_DUE_AT, WEBHOOK_DONE, WEBHOOK_DUE_AT, TRIES]),
            // What another run has done meanwhile is never taken back.
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
