//! The state of a pass over `api_get_authorizer_list`: resumable, because the list of a large platform is longer than
//! one run.
//!
//! Each page that was worked off leaves an item with its appids. The pages tell where to go on, and at the end of the
//! pass which accounts the list did not name.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use base::clock::Timestamp;
use base::ids::AppId;

use super::item::{Attributes, EXPIRES, Item, Updated, expires, instant, number, text, write, write_or_read};
use super::{Vault, VaultError};

const CURSOR: &str = "cursor";

/// Pages of a pass are kept this long: a pass takes minutes, or hours where it is resumed.
const KEEP: Duration = Duration::from_hours(48);

/// How often a page is written again that met a busy table or another transaction on the cursor.
const PAGE_TRIES: u32 = 5;

/// The pause before that, which grows with each try.
const PAGE_PAUSE: Duration = Duration::from_millis(50);

/// A pass over the list that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// When it began: its name.
    pub started_at: Timestamp,
    /// The offset of the next page.
    pub offset: u64,
}

impl Vault {
    fn reconcile_key(&self) -> String {
        self.key("reconcile", None)
    }

    /// The pass to go on with: the unfinished one, or a new one. One read, and one write for a new one.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn open_pass(&self, now: Timestamp) -> Result<Pass, VaultError> {
        if let Some(attributes) = self.get(self.reconcile_key(), CURSOR).await? {
            let item = Item::new("reconcile cursor", attributes);
            let unfinished = item.instant("started_at").zip(item.number("next_offset"));
            if let Some((started_at, offset)) = unfinished
                && now < started_at.plus(KEEP)
            {
                return Ok(Pass { started_at, offset });
            }
        }
        let update = self
            .update(self.reconcile_key(), CURSOR)
            .update_expression("SET started_at = :now, next_offset = :zero")
            .condition_expression("attribute_not_exists(next_offset) OR started_at < :stale")
            .expression_attribute_values(":now", instant(now))
            .expression_attribute_values(":stale", instant(now.minus(KEEP)))
            .expression_attribute_values(":zero", number(0));
        match write_or_read(update).await? {
            Updated::Done(()) => Ok(Pass { started_at: now, offset: 0 }),
            Updated::Refused(attributes) => {
                // Our own first try, whose reply was lost, counts.
                let begun = attributes.and_then(|cursor| Item::new("reconcile cursor", cursor).instant("started_at"));
                if begun == Some(now) {
                    return Ok(Pass { started_at: now, offset: 0 });
                }
                Err(VaultError::Contended { item: "reconcile cursor" })
            }
        }
    }

    /// Writes down that a page was worked off. A transaction of two writes. `None` where another run is at the same
    /// pass: leave it to that one.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn finish_page(
        &self,
        pass: Pass,
        next_offset: u64,
        listed: &[AppId],
        now: Timestamp,
    ) -> Result<Option<Pass>, VaultError> {
        let impossible = |_| VaultError::Corrupt { item: "reconcile cursor", attribute: "update" };
        let cursor = Update::builder()
            .table_name(self.table())
            .key("pk", text(self.reconcile_key()))
            .key("sk", text(CURSOR))
            .update_expression("SET next_offset = :next")
            .condition_expression("started_at = :started AND next_offset = :offset")
            .expression_attribute_values(":next", number(next_offset))
            .expression_attribute_values(":started", instant(pass.started_at))
            .expression_attribute_values(":offset", number(pass.offset))
            .build()
            .map_err(impossible)?;
        let appids = listed.iter().map(|appid| text(appid.as_str())).collect();
        let page = Put::builder()
            .table_name(self.table())
            .condition_expression("attribute_not_exists(pk)")
            .item("pk", text(self.reconcile_key()))
            .item("sk", text(page_sort(pass)))
            .item("listed", AttributeValue::L(appids))
            .item(EXPIRES, expires(now, KEEP))
            .build()
            .map_err(impossible)?;
        let transaction = self
            .client()
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().update(cursor).build())
            .transact_items(TransactWriteItem::builder().put(page).build());
        for attempt in 1..=PAGE_TRIES {
            match transaction.clone().send().await {
                Ok(_) => return Ok(Some(Pass { offset: next_offset, ..pass })),
                Err(error) if error.as_service_error().is_some_and(lost_a_condition) => {
                    // Our own first try, whose reply was lost, counts.
                    let is_ours = self.page_of(pass).await?.is_some_and(|page| page == listed);
                    return Ok(is_ours.then_some(Pass { offset: next_offset, ..pass }));
                }
                Err(error) if error.as_service_error().is_some_and(was_cancelled) => {
                    tokio::time::sleep(PAGE_PAUSE * attempt).await;
                }
                Err(error) => return Err(VaultError::from_sdk("TransactWriteItems", &error)),
            }
        }
        Err(VaultError::Contended { item: "reconcile cursor" })
    }

    /// The accounts of the page that begins where a pass is.
    async fn page_of(&self, pass: Pass) -> Result<Option<Vec<AppId>>, VaultError> {
        let page = self.get(self.reconcile_key(), &page_sort(pass)).await?;
        Ok(page.map(|page| listed_in(&page)))
    }

    /// Every account that the pages of a pass named. One query per megabyte, some 50,000 accounts.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn listed_accounts(&self, pass: Pass) -> Result<HashSet<AppId>, VaultError> {
        let mut listed = HashSet::new();
        let mut after = None;
        loop {
            let output = self
                .client()
                .query()
                .table_name(self.table())
                .key_condition_expression("pk = :pk AND begins_with(sk, :pass)")
                .expression_attribute_values(":pk", text(self.reconcile_key()))
                .expression_attribute_values(":pass", text(page_prefix(pass)))
                .consistent_read(true)
                .set_exclusive_start_key(after)
                .send()
                .await
                .map_err(|error| VaultError::from_sdk("Query", &error))?;
            listed.extend(output.items().iter().flat_map(listed_in));
            match output.last_evaluated_key {
                Some(key) => after = Some(key),
                None => return Ok(listed),
            }
        }
    }

    /// Ends a pass; the next run begins a new one. One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn close_pass(&self, pass: Pass) -> Result<(), VaultError> {
        let update = self
            .update(self.reconcile_key(), CURSOR)
            .update_expression("REMOVE next_offset")
            .condition_expression("started_at = :started")
            .expression_attribute_values(":started", instant(pass.started_at));
        write(update).await.map(drop)
    }
}

/// Whether a transaction was cancelled because somebody else had written what it expected to find, not because the table
/// was busy.
fn lost_a_condition(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else { return false };
    cancelled.cancellation_reasons().iter().any(|reason| reason.code() == Some("ConditionalCheckFailed"))
}

fn was_cancelled(error: &TransactWriteItemsError) -> bool {
    error.is_transaction_canceled_exception()
}

fn listed_in(page: &Attributes) -> Vec<AppId> {
    let listed = page.get("listed").and_then(|listed| listed.as_l().ok()).into_iter().flatten();
    listed.filter_map(|appid| AppId::parse(appid.as_s().ok()?).ok()).collect()
}

fn page_sort(pass: Pass) -> String {
    format!("{}{:010}", page_prefix(pass), pass.offset)
}

fn page_prefix(pass: Pass) -> String {
    format!("pass#{:010}#", pass.started_at.unix())
}
