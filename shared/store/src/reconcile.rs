//! The state of a pass over `api_get_authorizer_list`: resumable, because the list of a large platform is longer than
//! one run.
//!
//! Each page that was processed leaves an item with its appids. The pages say where to continue, and at the end of the
//! pass which accounts the list did not name.

use std::hash::{BuildHasher as _, RandomState};
use std::ops::ControlFlow;
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;

use crate::StoreError;
use crate::attributes::{ENDED_READ_AT, EXPIRES_AT, LISTED, NEXT_OFFSET, STARTED_AT};
use crate::item::{Attributes, Item};
use crate::part::{Key, Part};
use crate::request::{Transacted, Written};
use crate::write::{Value, absent, equals, is_before};

/// Pages of a pass are kept this long: a pass takes minutes, or hours where it is resumed.
const KEEP: Duration = Duration::from_hours(48);

/// How often a page is written again that met a busy table or another transaction on the cursor.
const PAGE_TRIES: u32 = 5;

/// The pause before that, which grows with each try.
const PAGE_PAUSE: Duration = Duration::from_millis(50);

/// Where a pass over the list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReconcileCursor {
    /// When the pass began: its name.
    pub started_at: Timestamp,
    /// The offset of the next page.
    pub offset: u64,
}

/// The accounts that a pass named, as eight bytes each: so those of a large platform fit into memory.
///
/// What is kept of an appid is a hash, under keys that differ each time. Of a million accounts that WeChat does not list
/// one may seem listed in some twenty million passes, and the next pass sees it.
#[derive(Debug)]
pub struct ListedAccounts {
    keys: RandomState,
    /// In ascending order.
    hashes: Vec<u64>,
}

impl ListedAccounts {
    /// Whether the pass named an account.
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

    /// The pass to continue: the unfinished one, or a new one. One read, and one write for a new one.
    pub async fn open(&self, now: Timestamp) -> Result<ReconcileCursor, StoreError> {
        if let Some(attributes) = self.0.get(self.key()).await? {
            let item = Item::new("reconcile cursor", attributes);
            let unfinished = item.instant(STARTED_AT).zip(item.number(NEXT_OFFSET));
            if let Some((started_at, offset)) = unfinished
                && now < started_at.plus(KEEP)
            {
                return Ok(ReconcileCursor { started_at, offset });
            }
        }
        let is_over = absent(NEXT_OFFSET).or(is_before(STARTED_AT, now.minus(KEEP)));
        let begun = self.0.change(self.key()).set(STARTED_AT, now).set(NEXT_OFFSET, 0).when(is_over);
        let begun = match begun.apply_or_read().await? {
            Written::Done(()) => true,
            // Our own first try, whose reply was lost, counts.
            Written::Refused(cursor) => {
                cursor.and_then(|cursor| Item::new("reconcile cursor", cursor).instant(STARTED_AT)) == Some(now)
            }
        };
        if begun {
            return Ok(ReconcileCursor { started_at: now, offset: 0 });
        }
        Err(StoreError::Contended { item: "reconcile cursor" })
    }

    /// Writes down that a page was processed. A transaction of two writes. `None` if another run is at the same pass:
    /// leave it to that one.
    pub async fn finish_page(
        &self,
        cursor: ReconcileCursor,
        next_offset: u64,
        listed: &[AppId],
        now: Timestamp,
    ) -> Result<Option<ReconcileCursor>, StoreError> {
        let next = ReconcileCursor { offset: next_offset, ..cursor };
        let moved = self
            .0
            .change(self.key())
            .set(NEXT_OFFSET, next_offset)
            .when(equals(STARTED_AT, cursor.started_at).and(equals(NEXT_OFFSET, cursor.offset)));
        let page =
            self.0.new_item(self.page_key(cursor)).set(LISTED, Value::list(listed)).set(EXPIRES_AT, now.plus(KEEP));
        let writes = vec![moved.in_transaction()?, page.in_transaction()?];
        let mut last = Transacted::Conflict;
        for attempt in 1..=PAGE_TRIES {
            last = self.0.transact(writes.clone()).await?;
            match last {
                Transacted::Done => return Ok(Some(next)),
                Transacted::Refused => {
                    // Our own first try, whose reply was lost, counts.
                    let page = self.0.get(self.page_key(cursor)).await?;
                    let is_ours = page.is_some_and(|page| listed_in(page) == listed);
                    return Ok(is_ours.then_some(next));
                }
                Transacted::Conflict | Transacted::Throttled => tokio::time::sleep(PAGE_PAUSE * attempt).await,
            }
        }
        Err(last.failure("reconcile cursor"))
    }

    /// Every account that the pages of a pass named. One query per megabyte, some 50,000 accounts.
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

    /// When the rows of accounts out of use, which no list names, were last looked through. One read.
    pub async fn ended_read_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let cursor = self.0.get(self.key()).await?;
        Ok(cursor.and_then(|cursor| Item::new("reconcile cursor", cursor).instant(ENDED_READ_AT)))
    }

    /// Writes down that they were looked through. One write.
    pub async fn note_ended_read(&self, now: Timestamp) -> Result<(), StoreError> {
        self.0.change(self.key()).set(ENDED_READ_AT, now).apply().await.map(drop)
    }

    /// Ends a pass; the next run begins a new one. One write.
    pub async fn close(&self, cursor: ReconcileCursor) -> Result<(), StoreError> {
        let closed = self.0.change(self.key()).remove([NEXT_OFFSET]);
        closed.when(equals(STARTED_AT, cursor.started_at)).apply().await.map(drop)
    }

    fn page_key(&self, cursor: ReconcileCursor) -> Key {
        Key { sk: format!("{}{:010}", page_prefix(cursor), cursor.offset), ..self.key() }
    }
}

fn listed_in(page: Attributes) -> Vec<AppId> {
    let page = Item::new("reconcile page", page);
    page.list(LISTED).filter_map(|appid| AppId::parse(appid.as_s().ok()?).ok()).collect()
}

fn page_prefix(cursor: ReconcileCursor) -> String {
    format!("pass#{:010}#", cursor.started_at.unix())
}
