//! The state of a pass over `api_get_authorizer_list`. It can be resumed, because the list of a large platform takes
//! longer than one run.
//!
//! For each processed page there is an item with its appids. At the end of the pass these show which accounts were not
//! in the list.

use std::hash::{BuildHasher as _, RandomState};
use std::ops::ControlFlow;
use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use base::clock::Timestamp;
use base::ids::AppId;

use crate::StoreError;
use crate::attributes::{
    ADDED, BY, ENDED_READ_AT, EXPIRES_AT, FAILED, FINISHED_AT, GONE, LISTED, NEXT_OFFSET, PK, REPAIRED, REQUESTED,
    STARTED_AT, TOTAL,
};
use crate::item::{Attributes, Item};
use crate::part::{Key, Part};
use crate::request::Transacted;
use crate::write::{Change, Condition, Value, absent, differs, equals, exists};

/// How long the pages of a pass are kept: a pass takes minutes, or hours if it is resumed.
const KEEP: Duration = Duration::from_hours(48);

/// How long the result of a pass is kept.
const KEEP_RESULT: Duration = Duration::from_hours(24 * 30);

/// How often writing a page is tried again, if the table is throttled or another transaction is writing the cursor.
const PAGE_TRIES: u32 = 5;

/// The pause before such a try, which grows with each try.
const PAGE_PAUSE: Duration = Duration::from_millis(50);

/// The position of a pass over the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReconcileCursor {
    /// When the pass began, which identifies it.
    pub started_at: Timestamp,
    /// The offset of the next page.
    pub offset: u64,
}

impl ReconcileCursor {
    /// The id of the pass in the business API.
    #[must_use]
    pub fn id(self) -> String {
        self.started_at.unix().to_string()
    }
}

/// The counts of a part of a pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PassCounts {
    /// Accounts that were missing.
    pub added: u64,
    /// Accounts whose refresh token was not WeChat's.
    pub repaired: u64,
    /// Accounts whose grant turned out to be gone.
    pub gone: u64,
    /// Accounts and pages that could not be processed.
    pub failed: u64,
}

/// The progress or the result of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassProgress {
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; `None` while it is in progress, and for one that was abandoned.
    pub finished_at: Option<Timestamp>,
    /// Whether it is in progress. A pass that did not end within two days is not.
    pub is_under_way: bool,
    /// Entries of WeChat's list that it has processed.
    pub listed: u64,
    /// Entries of the whole list, according to WeChat; `None` before the first page.
    pub total: Option<u64>,
    /// Its counts.
    pub counts: PassCounts,
}

impl PassProgress {
    /// The progress of a pass that has just begun.
    #[must_use]
    pub const fn begun(pass: ReconcileCursor) -> Self {
        let counts = PassCounts { added: 0, repaired: 0, gone: 0, failed: 0 };
        Self { started_at: pass.started_at, finished_at: None, is_under_way: true, listed: 0, total: None, counts }
    }
}

/// A page of WeChat's list that was processed.
#[derive(Debug, Clone, Copy)]
pub struct FinishedPage<'a> {
    /// The offset of the next page.
    pub next_offset: u64,
    /// Entries of the whole list.
    pub total: u64,
    /// The accounts on the page.
    pub listed: &'a [AppId],
    /// The counts of the page.
    pub counts: PassCounts,
}

/// The result of requesting a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// A new pass has begun.
    New(ReconcileCursor),
    /// Another pass is in progress.
    UnderWay {
        /// The pass.
        pass: ReconcileCursor,
        /// Whether it was requested and no run has started it yet.
        is_waiting: bool,
    },
}

/// The accounts that a pass found in the list, in eight bytes each, so that those of a large platform fit into memory.
///
/// An appid is stored as a hash, with keys that differ each time. With a million accounts that WeChat does not list,
/// one of them wrongly seems listed in about one of twenty million passes, and the next pass corrects that.
#[derive(Debug)]
pub struct ListedAccounts {
    keys: RandomState,
    /// The hashes in ascending order.
    hashes: Vec<u64>,
}

impl ListedAccounts {
    /// Whether the pass found an account in the list.
    #[must_use]
    pub fn contains(&self, authorizer: &AppId) -> bool {
        self.hashes.binary_search(&self.keys.hash_one(authorizer)).is_ok()
    }
}

/// The passes over WeChat's list of accounts.
#[derive(Debug, Clone)]
pub struct ReconcilePasses(pub(crate) Part);

impl ReconcilePasses {
    fn key(&self) -> Key {
        self.0.only("reconcile", "cursor")
    }

    fn result_key(&self, started_at: Timestamp) -> Key {
        Key { sk: format!("result#{:010}", started_at.unix()), ..self.key() }
    }

    async fn cursor(&self) -> Result<Item, StoreError> {
        Ok(Item::new("reconcile cursor", self.0.get(self.key()).await?.unwrap_or_default()))
    }

    /// Opens the pass to continue: the unfinished one, or a new one. `by` names the run. One read; a transaction of two
    /// writes for a new pass, and one write for a requested one.
    pub async fn open(&self, by: &str, now: Timestamp) -> Result<ReconcileCursor, StoreError> {
        match self.begin(by, false, now).await? {
            Begun::New(pass) => Ok(pass),
            Begun::UnderWay { pass, is_waiting } => {
                if is_waiting {
                    let taken_up = self.0.change(self.key()).remove([REQUESTED]);
                    taken_up.when(equals(STARTED_AT, pass.started_at)).apply().await?;
                }
                Ok(pass)
            }
        }
    }

    /// Begins a pass that somebody requests, unless one is in progress. `by` names the request. One read, and a
    /// transaction of two writes.
    pub async fn request(&self, by: &str, now: Timestamp) -> Result<Begun, StoreError> {
        self.begin(by, true, now).await
    }

    /// Whether a pass was requested that no run has started yet. One read.
    pub async fn is_requested(&self) -> Result<bool, StoreError> {
        Ok(self.cursor().await?.has(REQUESTED))
    }

    async fn begin(&self, by: &str, is_requested: bool, now: Timestamp) -> Result<Begun, StoreError> {
        let mut last = Transacted::Conflict;
        for attempt in 0..PAGE_TRIES {
            if matches!(last, Transacted::Conflict | Transacted::Throttled) {
                tokio::time::sleep(PAGE_PAUSE * attempt).await;
            }
            let cursor = self.cursor().await?;
            if let Some(pass) = unfinished(&cursor, now) {
                // Our own first try, whose reply was lost, counts as success.
                let is_ours = attempt > 0 && cursor.text(BY) == Some(by);
                let is_waiting = cursor.has(REQUESTED);
                return Ok(if is_ours { Begun::New(pass) } else { Begun::UnderWay { pass, is_waiting } });
            }
            let before = cursor.instant(STARTED_AT);
            // A pass is identified by the second in which it began, so no two may begin in the same second.
            let started_at = before.map_or(now, |before| now.max(before.plus(Duration::from_secs(1))));
            let begun = self
                .0
                .change(self.key())
                .set(STARTED_AT, started_at)
                .set(NEXT_OFFSET, 0)
                .set(BY, by)
                .set_or_remove(REQUESTED, is_requested.then_some(true))
                .when(before.map_or_else(|| absent(STARTED_AT), |before| equals(STARTED_AT, before)));
            let result = self.0.new_item(self.result_key(started_at)).set(EXPIRES_AT, started_at.plus(KEEP_RESULT));
            last = self.0.transact(vec![begun.in_transaction()?, result.in_transaction()?]).await?;
            if last == Transacted::Done {
                return Ok(Begun::New(ReconcileCursor { started_at, offset: 0 }));
            }
        }
        Err(last.failure("reconcile cursor"))
    }

    /// The progress or result of the pass with this id; `None` if there is none, or it began more than 30 days ago. Two
    /// reads.
    pub async fn progress(&self, id: &str, now: Timestamp) -> Result<Option<PassProgress>, StoreError> {
        let Some(started_at) = id.parse().ok().map(Timestamp::from_unix).filter(|at| at.unix().to_string() == id)
        else {
            return Ok(None);
        };
        let (cursor, result) = tokio::try_join!(self.cursor(), self.0.get(self.result_key(started_at)))?;
        let Some(result) = result else { return Ok(None) };
        let result = Item::new("result of a reconciliation", result);
        if result.instant(EXPIRES_AT).is_none_or(|expires| expires <= now) {
            return Ok(None);
        }
        let count = |attribute| result.number(attribute).unwrap_or(0);
        Ok(Some(PassProgress {
            started_at,
            finished_at: result.instant(FINISHED_AT),
            is_under_way: unfinished(&cursor, now).is_some_and(|pass| pass.started_at == started_at),
            listed: count(NEXT_OFFSET),
            total: result.number(TOTAL),
            counts: PassCounts {
                added: count(ADDED),
                repaired: count(REPAIRED),
                gone: count(GONE),
                failed: count(FAILED),
            },
        }))
    }

    /// The change that adds the counts of a part of a pass to the pass's result.
    fn counted(&self, pass: ReconcileCursor, counts: PassCounts, by: &str) -> Change {
        let PassCounts { added, repaired, gone, failed } = counts;
        let counted = self.0.change(self.result_key(pass.started_at)).set(BY, by);
        [(ADDED, added), (REPAIRED, repaired), (GONE, gone), (FAILED, failed)]
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .fold(counted, |change, (attribute, count)| change.increment(attribute, count))
    }

    /// Adds the counts of a run after the last page that it finished. `by` names this addition: a second try after a
    /// lost reply adds nothing. One write.
    pub async fn count(&self, pass: ReconcileCursor, counts: PassCounts, by: &str) -> Result<(), StoreError> {
        let counted = self.counted(pass, counts, by).when(exists(PK).and(absent(BY).or(differs(BY, by))));
        counted.apply().await.map(drop)
    }

    /// Stores that a page was processed, with its counts. `by` names the run and the page. A transaction of three
    /// writes. `None` if another run is working on the same pass: leave it to that run.
    pub async fn finish_page(
        &self,
        pass: ReconcileCursor,
        page: &FinishedPage<'_>,
        by: &str,
        now: Timestamp,
    ) -> Result<Option<ReconcileCursor>, StoreError> {
        let &FinishedPage { next_offset, total, listed, counts } = page;
        let moved = self.0.change(self.key()).set(NEXT_OFFSET, next_offset).when(is_at(pass));
        let page = self
            .0
            .new_item(self.page_key(pass))
            .set(LISTED, Value::list(listed))
            .set(BY, by)
            .set(EXPIRES_AT, now.plus(KEEP));
        let counted = self.counted(pass, counts, by).set(NEXT_OFFSET, next_offset).set(TOTAL, total);
        let writes = vec![moved.in_transaction()?, page.in_transaction()?, counted.in_transaction()?];
        let is_written = self.write_once(writes, self.page_key(pass), by).await?;
        Ok(is_written.then_some(ReconcileCursor { offset: next_offset, ..pass }))
    }

    /// Sends a transaction until it has taken effect or a condition does not hold. In the latter case the item with
    /// this key shows whether its own first try, whose reply was lost, was the reason.
    async fn write_once(&self, writes: Vec<TransactWriteItem>, key: Key, by: &str) -> Result<bool, StoreError> {
        let mut last = Transacted::Conflict;
        for attempt in 1..=PAGE_TRIES {
            last = self.0.transact(writes.clone()).await?;
            match last {
                Transacted::Done => return Ok(true),
                Transacted::Refused => {
                    let written = self.0.get(key).await?.map(|item| Item::new("reconcile pass", item));
                    return Ok(written.is_some_and(|item| item.text(BY) == Some(by)));
                }
                Transacted::Conflict | Transacted::Throttled => tokio::time::sleep(PAGE_PAUSE * attempt).await,
            }
        }
        Err(last.failure("reconcile cursor"))
    }

    /// All accounts on the pages of a pass. One query per megabyte, about 50,000 accounts.
    pub async fn listed(&self, cursor: ReconcileCursor) -> Result<ListedAccounts, StoreError> {
        let (keys, mut hashes) = (RandomState::new(), Vec::new());
        let take = |page| {
            hashes.extend(listed_in(page).iter().map(|authorizer| keys.hash_one(authorizer)));
            ControlFlow::Continue(())
        };
        self.0.each_of(self.key().pk, &page_prefix(cursor), None, take).await?;
        hashes.sort_unstable();
        Ok(ListedAccounts { keys, hashes })
    }

    /// When the rows of accounts out of use, which are in no list, were last checked. One read.
    pub async fn ended_read_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let cursor = self.0.get(self.key()).await?;
        Ok(cursor.and_then(|cursor| Item::new("reconcile cursor", cursor).instant(ENDED_READ_AT)))
    }

    /// Stores that they were checked. One write.
    pub async fn note_ended_read(&self, now: Timestamp) -> Result<(), StoreError> {
        self.0.change(self.key()).set(ENDED_READ_AT, now).apply().await.map(drop)
    }

    /// Ends a pass, and adds the counts after its last page; the next run begins a new one. `by` names the run. A
    /// transaction of two writes. `false` if another run has ended it.
    pub async fn close(
        &self,
        pass: ReconcileCursor,
        counts: PassCounts,
        by: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let closed = self.0.change(self.key()).remove([NEXT_OFFSET, REQUESTED]).when(is_at(pass));
        let result = self.counted(pass, counts, by).set(FINISHED_AT, now).when(absent(FINISHED_AT));
        let writes = vec![closed.in_transaction()?, result.in_transaction()?];
        self.write_once(writes, self.result_key(pass.started_at), by).await
    }

    fn page_key(&self, cursor: ReconcileCursor) -> Key {
        Key { sk: format!("{}{:010}", page_prefix(cursor), cursor.offset), ..self.key() }
    }
}

/// The condition that the cursor is where it was when it was read.
fn is_at(pass: ReconcileCursor) -> Condition {
    equals(STARTED_AT, pass.started_at).and(equals(NEXT_OFFSET, pass.offset))
}

/// The pass of a cursor, unless it has ended or is too old.
fn unfinished(cursor: &Item, now: Timestamp) -> Option<ReconcileCursor> {
    let (started_at, offset) = cursor.instant(STARTED_AT).zip(cursor.number(NEXT_OFFSET))?;
    (now < started_at.plus(KEEP)).then_some(ReconcileCursor { started_at, offset })
}

fn listed_in(page: Attributes) -> Vec<AppId> {
    let page = Item::new("reconcile page", page);
    page.list(LISTED).filter_map(|appid| AppId::parse(appid.as_s().ok()?).ok()).collect()
}

fn page_prefix(cursor: ReconcileCursor) -> String {
    format!("pass#{:010}#", cursor.started_at.unix())
}
