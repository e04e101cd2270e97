//! What happened to an account, to be reported: an outbox, written in the transaction that changes the state.
//!
//! The events of an account are items next to its details, numbered one after another. There are two targets, the event bus
//! and the business's webhook, and an event knows how far it has come with each. One that has not been delivered to both is
//! in the `due` index; one that has stays as the account's history until it expires.

use std::ops::ControlFlow;
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::{AppId, Digest, LinkId};
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::attributes::{
    BUS_DONE, BUS_DUE_AT, DUE_AT, DUE_SHARD, EVENT, EXPIRES_AT, SK, TRIES, WEBHOOK_DONE, WEBHOOK_DUE_AT,
};
use crate::item::Item;
use crate::labels::Labels;
use crate::part::{Key, Part};
use crate::request::PagePosition;
use crate::write::{Change, exists};

/// Sort keys of state events begin with this: the table's stream is filtered by it.
pub const EVENT_SORT_PREFIX: &str = "event#";

/// How long an event is kept as the account's history.
const KEEP: Duration = Duration::from_hours(24 * 90);

/// Accounts with events to deliver are spread over this many partitions of the index.
const OUTBOX_SHARDS: u64 = 4;

/// Entries of one page of the index.
const PAGE: i32 = 256;

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StateChange {
    /// A merchant has authorized the platform, for the first time or again.
    Authorized {
        /// The ids of the permission sets granted.
        permissions: Vec<u32>,
    },
    /// WeChat refuses the grant: the merchant has to authorize again.
    NeedsAuthorization {
        /// WeChat's code for the last refused call; `None` where an earlier version has ended the grant.
        errcode: Option<i64>,
        /// WeChat's id of that call, where it gave one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rid: Option<String>,
        /// The link that was made with the event, through which the merchant can authorize the platform again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asks_again: Option<LinkId>,
    },
    /// The merchant took the grant back.
    Unauthorized,
    /// A grant that had been taken for gone works again.
    Recovered {
        /// The ids of the permission sets granted.
        permissions: Vec<u32>,
    },
    /// The permission sets of a grant in use have changed.
    PermissionsChanged {
        /// The ids that were added.
        added: Vec<u32>,
        /// The ids that were taken away.
        removed: Vec<u32>,
    },
    /// The account looks different to people.
    ProfileChanged {
        /// The members of the profile that differ.
        members: Vec<String>,
    },
}

/// One change of an account, as it is reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateEvent {
    /// What changed.
    #[serde(flatten)]
    pub change: StateChange,
    /// When, by our clock, in seconds since 1970.
    pub at: i64,
    /// What the business had said about the account by then.
    #[serde(flatten)]
    pub labels: Labels,
    /// The link that the grant in use came through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkId>,
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

/// An event that has not been delivered to both of its targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEvent {
    /// Its number among those of the account.
    pub sequence: u64,
    /// What it says; `None` for one that cannot be read.
    pub event: Option<StateEvent>,
    /// From when on it is to be looked at.
    pub due_at: Timestamp,
    /// The bus.
    pub bus: Progress,
    /// The webhook.
    pub webhook: Progress,
    /// How often the webhook has not taken it.
    pub webhook_tries: u32,
}

impl StateChange {
    /// The word in the event's type.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Authorized { .. } => "authorized",
            Self::NeedsAuthorization { .. } => "needs_authorization",
            Self::Unauthorized => "unauthorized",
            Self::Recovered { .. } => "recovered",
            Self::PermissionsChanged { .. } => "permissions_changed",
            Self::ProfileChanged { .. } => "profile_changed",
        }
    }
}

impl PendingEvent {
    fn read(item: &Item) -> Option<Self> {
        let progress = |done, due_at| match item.instant(due_at) {
            _ if item.has(done) => Progress::Done,
            Some(at) => Progress::Later(at),
            None => Progress::Due,
        };
        Some(Self {
            sequence: item.text(SK)?.strip_prefix(EVENT_SORT_PREFIX)?.parse().ok()?,
            event: item.parsed(EVENT, |json| serde_json::from_str(json)),
            due_at: item.instant(DUE_AT)?,
            bus: progress(BUS_DONE, BUS_DUE_AT),
            webhook: progress(WEBHOOK_DONE, WEBHOOK_DUE_AT),
            webhook_tries: item.number(TRIES).unwrap_or(0),
        })
    }
}

impl Part {
    fn state_event(&self, authorizer: &AppId, sequence: u64) -> Key {
        self.key("details", authorizer.as_str(), &format!("{EVENT_SORT_PREFIX}{sequence:010}"))
    }

    fn outbox_shard(&self, shard: u64) -> String {
        self.partition("outbox", &shard.to_string())
    }

    /// A new event, which is due at once.
    pub(crate) fn new_state_event(
        &self,
        authorizer: &AppId,
        sequence: u64,
        event: &StateEvent,
    ) -> Result<Change, StoreError> {
        let json = serde_json::to_string(event);
        let json = json.map_err(|_| StoreError::Corrupt { item: "state event", attribute: EVENT })?;
        let at = Timestamp::from_unix(event.at);
        // Without a condition: the version of the details gives each number once.
        Ok(self
            .change(self.state_event(authorizer, sequence))
            .set(EVENT, json)
            .set(DUE_SHARD, self.outbox_shard(Digest::of(&[authorizer.as_str()]).part(OUTBOX_SHARDS)))
            .set(DUE_AT, at)
            .set(EXPIRES_AT, at.plus(KEEP)))
    }
}

/// The events of accounts.
#[derive(Debug, Clone)]
pub struct StateEvents(pub(crate) Part);

impl StateEvents {
    /// How many shards of the index they are spread over.
    pub const SHARDS: u64 = OUTBOX_SHARDS;

    fn change(&self, authorizer: &AppId, sequence: u64) -> Change {
        self.0.change(self.0.state_event(authorizer, sequence))
    }

    /// The key of the partition that has an account's events, as the stream names it.
    #[must_use]
    pub fn pk(&self, authorizer: &AppId) -> String {
        self.0.partition("details", authorizer.as_str())
    }

    /// The account that a partition of the table has the events of.
    #[must_use]
    pub fn account_of(&self, pk: &str) -> Option<AppId> {
        self.0.account_in("details", pk)
    }

    /// Accounts of one shard, from 0 to [`StateEvents::SHARDS`], with events that are due, the longest overdue first, a
    /// page at a time; an account comes once for each of its events. One query of the index.
    pub async fn due(
        &self,
        shard: u64,
        until: Timestamp,
        after: Option<PagePosition>,
    ) -> Result<(Vec<AppId>, Option<PagePosition>), StoreError> {
        self.0.page_of_due(self.0.outbox_shard(shard), until, PAGE, after, |pk| self.account_of(pk)).await
    }

    /// How many events wait to be delivered. Queries of the index.
    pub async fn count_waiting(&self, until: Timestamp) -> Result<u64, StoreError> {
        self.0.count_due((0..OUTBOX_SHARDS).map(|shard| self.0.outbox_shard(shard)), until).await
    }

    /// The events of an account that have not been delivered, in their order. One query for each megabyte of
    /// its events.
    pub async fn waiting(&self, authorizer: &AppId) -> Result<Vec<PendingEvent>, StoreError> {
        let mut waiting = Vec::new();
        let take = |attributes| {
            waiting.extend(PendingEvent::read(&Item::new("state event", attributes)));
            ControlFlow::Continue(())
        };
        self.0.each_of(self.pk(authorizer), EVENT_SORT_PREFIX, Some(DUE_AT), take).await?;
        Ok(waiting)
    }

    /// Writes down how far an event has come. It is looked at again when the first of its targets is due; once both are done
    /// it leaves the index. One write; without effect if it waits no longer.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: what has been delivered will be delivered once more.
    pub async fn note(&self, authorizer: &AppId, event: &PendingEvent) -> Result<(), StoreError> {
        let change = self.change(authorizer, event.sequence);
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
