//! The state of a pass over `api_get_authorizer_list`: resumable, because the list of a large platform is longer than
//! one run.
//!
//! Each page that was worked off leaves an item with its appids. The pages tell where to go on, and at the end of the
//! pass which accounts the list did not name.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};

use super::item::{EXPIRES, Item, Updated, expires, instant, number, text, write, write_or_read};
use super::{Vault, VaultError};
use crate::clock::Timestamp;
use crate::ids::AppId;

const CURSOR: &str = "cursor";

/// Pages of a pass are kept this long: a pass takes minutes, or hours where it is resumed.
const KEEP: Duration = Duration::from_hours(48);

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
            .item("sk", text(format!("{}{:010}", page_prefix(pass), pass.offset)))
            .item("listed", AttributeValue::L(appids))
            .item(EXPIRES, expires(now, KEEP))
            .build()
            .map_err(impossible)?;
        let sent = self
            .client()
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().update(cursor).build())
            .transact_items(TransactWriteItem::builder().put(page).build())
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Some(Pass { offset: next_offset, ..pass })),
            Err(SdkError::ServiceError(service)) if service.err().is_transaction_canceled_exception() => Ok(None),
            Err(error) => Err(VaultError::from_sdk("TransactWriteItems", &error)),
        }
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
            let pages = output.items().iter().filter_map(|item| item.get("listed")?.as_l().ok());
            listed.extend(pages.flatten().filter_map(|appid| AppId::parse(appid.as_s().ok()?).ok()));
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

fn page_prefix(pass: Pass) -> String {
    format!("pass#{:010}#", pass.started_at.unix())
}
