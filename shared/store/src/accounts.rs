//! Many accounts at once: those that fall due and those out of use, by the index, and a glance at the rows of a page of
//! WeChat's list.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use base::clock::Timestamp;
use base::ids::AppId;

use super::account::StoredAccount;
use super::item::{Attributes, text};
use super::token::DUE_SHARDS;
use super::{AccountState, Vault, VaultError};

/// Accounts of one page of the index: as many as are renewed at once at most.
const DUE_PAGE: i32 = 256;

/// Later than anything in the index: asks for all of it.
pub const END_OF_TIME: Timestamp = Timestamp::from_unix(99_999_999_999);

/// DynamoDB reads at most this many items in one batch.
const BATCH: usize = 100;

/// How often what DynamoDB left out of a batch is asked for again.
const BATCH_TRIES: u32 = 8;

/// The pause before that, doubled each time: a throttled partition recovers within a second or two.
const BATCH_PAUSE: Duration = Duration::from_millis(20);

/// Where a page of the index ended.
#[derive(Debug, Clone)]
pub struct PagePosition(Attributes);

impl Vault {
    /// Accounts of one shard of the index that fall due until `until`, the longest overdue first, a page at a time:
    /// `after` is the position that the page before returned. One query of the index, a quarter of a read unit for ten
    /// accounts. Every account in use stands in the index, so a distant `until` lists them all.
    ///
    /// `shard` counts from 0 to [`Vault::due_shards`].
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn due_accounts(
        &self,
        shard: u64,
        until: Timestamp,
        after: Option<PagePosition>,
    ) -> Result<(Vec<AppId>, Option<PagePosition>), VaultError> {
        self.page_of_index(self.due_shard_name(shard), until, DUE_PAGE, after, |pk| self.account_of(pk)).await
    }

    /// A page of what stands in one shard of the index, as `read` takes it from the items' keys.
    pub(super) async fn page_of_index<T>(
        &self,
        shard: String,
        until: Timestamp,
        limit: i32,
        after: Option<PagePosition>,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<(Vec<T>, Option<PagePosition>), VaultError> {
        let output = self
            .due_query(shard, until)
            .limit(limit)
            .set_exclusive_start_key(after.map(|position| position.0))
            .send()
            .await
            .map_err(|error| VaultError::from_sdk("Query", &error))?;
        let found = output.items().iter().filter_map(|item| read(item.get("pk")?.as_s().ok()?)).collect();
        Ok((found, output.last_evaluated_key.map(PagePosition)))
    }

    /// How many accounts fall due until `until`. One query a shard and megabyte.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn count_due(&self, until: Timestamp) -> Result<u64, VaultError> {
        self.count_shards((0..DUE_SHARDS).map(|shard| self.due_shard_name(shard)), until).await
    }

    /// How many accounts are in a state. Active ones are those that are renewed: one that granted no API permission has
    /// no token and is not among them. One query for each megabyte and, of active ones, shard.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn count_accounts(&self, state: AccountState) -> Result<u64, VaultError> {
        match state {
            AccountState::Active => self.count_due(END_OF_TIME).await,
            ended => self.count_index(self.ended_shard(ended), END_OF_TIME).await,
        }
    }

    /// The partition of the index that accounts out of use stand in.
    pub(super) fn ended_shard(&self, state: AccountState) -> String {
        self.key("ended", Some(state.as_str()))
    }

    /// How many shards the accounts of the index are spread over.
    #[must_use]
    pub const fn due_shards() -> u64 {
        DUE_SHARDS
    }

    /// Many accounts, a moment ago: rows that are missing or changed just now are looked at again with
    /// [`Vault::account`] before anything follows from them. An account may be named twice. Half a read unit an account.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]. Rows that DynamoDB leaves out again and again are missing from the answer.
    pub async fn glance(&self, authorizers: &[AppId]) -> Result<HashMap<AppId, StoredAccount>, VaultError> {
        let mut found = HashMap::with_capacity(authorizers.len());
        // DynamoDB refuses a batch that names an item twice.
        let distinct: Vec<&AppId> = authorizers.iter().collect::<HashSet<_>>().into_iter().collect();
        for chunk in distinct.chunks(BATCH) {
            let keys = chunk.iter().map(|authorizer| {
                let (pk, sk) = self.account_key(authorizer);
                Attributes::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
            });
            let mut wanted = Some(batch_of(keys.collect())?);
            let mut tries = 0;
            while let Some(keys) = wanted.take() {
                if tries > BATCH_TRIES {
                    break;
                }
                if tries > 0 {
                    tokio::time::sleep(BATCH_PAUSE * 2_u32.pow(tries - 1)).await;
                }
                tries += 1;
                let output = self
                    .client()
                    .batch_get_item()
                    .request_items(self.table(), keys)
                    .send()
                    .await
                    .map_err(|error| VaultError::from_sdk("BatchGetItem", &error))?;
                let rows = output.responses.unwrap_or_default().into_values().flatten();
                for row in rows {
                    let authorizer = row.get("pk").and_then(|pk| self.account_of(pk.as_s().ok()?));
                    if let Some(authorizer) = authorizer {
                        found.insert(authorizer, StoredAccount::read(row));
                    }
                }
                wanted = output.unprocessed_keys.and_then(|mut rest| rest.remove(self.table()));
            }
        }
        Ok(found)
    }

    fn account_of(&self, pk: &str) -> Option<AppId> {
        AppId::parse(pk.strip_prefix(&self.key("account", Some("")))?).ok()
    }
}

fn batch_of(keys: Vec<Attributes>) -> Result<KeysAndAttributes, VaultError> {
    KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .build()
        .map_err(|_| VaultError::Corrupt { item: "account", attribute: "key" })
}
