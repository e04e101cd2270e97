//! What happened to an account, to be reported: an outbox, written in the transaction that changes the state.
//!
//! The events of an account are items next to its details, numbered one after another. One that has not been delivered is in
//! the `due` index; one that has stays as the account's history until it expires.

use std::ops::ControlFlow;
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::{AppId, Digest, LinkId};
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::attributes::{DUE_AT, DUE_SHARD, EVENT, EXPIRES_AT, SK};
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

/// An event that has not been delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEvent {
    /// Its number among those of the account.
    pub sequence: u64,
    /// What it says; `None` for one that cannot be read.
    pub event: Option<StateEvent>,
    /// When it is to be delivered, or tried again.
    pub due_at: Timestamp,
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
        Some(Self {
            sequence: item.text(SK)?.strip_prefix(EVENT_SORT_PREFIX)?.parse().ok()?,
            event: item.parsed(EVENT, |json| serde_json::from_str(json)),
            due_at: item.instant(DUE_AT)?,
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

    /// Postpones an event until `due_at`. One write; without effect if it waits no longer.
    pub async fn postpone(&self, authorizer: &AppId, sequence: u64, due_at: Timestamp) -> Result<(), StoreError> {
        self.change(authorizer, sequence).set(DUE_AT, due_at).when(exists(DUE_AT)).apply().await.map(drop)
    }

    /// Writes down that an event has been delivered. One write; again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it will be delivered once more.
    pub async fn finish(&self, authorizer: &AppId, sequence: u64) -> Result<(), StoreError> {
        let finished = self.change(authorizer, sequence).remove([DUE_SHARD, DUE_AT]);
        finished.when(exists(DUE_AT)).apply().await.map(drop)
    }
}
