//! Many accounts at once: those that fall due and those out of use, by the index, and the rows of a page of WeChat's list.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use base::clock::Timestamp;
use base::ids::{AppId, Digest};

use crate::StoreError;
use crate::account::{Accounts, StoredAccount};
use crate::account_state::AccountState;
use crate::attributes::PK;
use crate::request::PagePosition;

/// Accounts are spread over this many partitions of the `due` index: each takes 1,000 index writes a second, so four
/// carry the renewals of some 25 million accounts.
const DUE_SHARDS: u64 = 4;

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

impl Accounts {
    /// How many shards the accounts of the index are spread over.
    pub const DUE_SHARDS: u64 = DUE_SHARDS;

    /// Accounts of one shard of the index that fall due until `until`, the longest overdue first, a page at a time:
    /// `after` is the position that the page before returned. One query of the index, a quarter of a read unit for ten
    /// accounts. Every account in use is in the index, so a distant `until` lists them all.
    ///
    /// `shard` counts from 0 to [`Accounts::DUE_SHARDS`].
    pub async fn due(
        &self,
        shard: u64,
        until: Timestamp,
        after: Option<PagePosition>,
    ) -> Result<(Vec<AppId>, Option<PagePosition>), StoreError> {
        self.0.page_of_due(self.shard(shard), until, DUE_PAGE, after, |pk| self.account_of(pk)).await
    }

    /// How many accounts fall due until `until`. One query a shard and megabyte.
    pub async fn count_due(&self, until: Timestamp) -> Result<u64, StoreError> {
        self.0.count_due((0..DUE_SHARDS).map(|shard| self.shard(shard)), until).await
    }

    /// How many accounts are in a state. Active ones are those that are renewed: one that granted no API permission has
    /// no token and is not among them. One query for each megabyte and, of active ones, shard.
    pub async fn count(&self, state: AccountState) -> Result<u64, StoreError> {
        match state {
            AccountState::Active => self.count_due(END_OF_TIME).await,
            ended => self.0.count_due([self.ended_shard(ended)], END_OF_TIME).await,
        }
    }

    /// The partition of the `due` index that an account's next renewal is in.
    pub(crate) fn due_shard(&self, authorizer: &AppId) -> String {
        self.shard(Digest::of(&[authorizer.as_str()]).part(DUE_SHARDS))
    }

    fn shard(&self, shard: u64) -> String {
        self.0.partition("due", &shard.to_string())
    }

    /// The partition of the index that accounts out of use are in.
    pub(crate) fn ended_shard(&self, state: AccountState) -> String {
        self.0.partition("ended", state.as_str())
    }

    /// Many accounts, as they were a moment ago: rows that are missing or were changed just now are read again with
    /// [`Accounts::get`] before anything follows from them. An account may be named twice. Half a read unit an account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]. Rows that DynamoDB leaves out again and again are missing from the result.
    pub async fn get_eventually(&self, authorizers: &[AppId]) -> Result<HashMap<AppId, StoredAccount>, StoreError> {
        let mut found = HashMap::with_capacity(authorizers.len());
        // DynamoDB refuses a batch that names an item twice.
        let distinct: Vec<&AppId> = authorizers.iter().collect::<HashSet<_>>().into_iter().collect();
        for chunk in distinct.chunks(BATCH) {
            let keys = chunk.iter().map(|authorizer| self.0.account(authorizer).attributes());
            let keys = KeysAndAttributes::builder().set_keys(Some(keys.collect())).build();
            let mut wanted = Some(keys.map_err(StoreError::unbuildable)?);
            let mut tries = 0;
            while let Some(keys) = wanted.take() {
                if tries > BATCH_TRIES {
                    break;
                }
                if tries > 0 {
                    tokio::time::sleep(BATCH_PAUSE * 2_u32.pow(tries - 1)).await;
                }
                tries += 1;
                let batch = self.0.client().batch_get_item().request_items(self.0.table(), keys).send().await;
                let batch = batch.map_err(|error| StoreError::from_sdk("BatchGetItem", &error))?;
                let rows = batch.responses.unwrap_or_default().into_values().flatten();
                for row in rows {
                    let authorizer = row.get(PK).and_then(|pk| self.account_of(pk.as_s().ok()?));
                    if let Some(authorizer) = authorizer {
                        found.insert(authorizer, StoredAccount::read(row));
                    }
                }
                wanted = batch.unprocessed_keys.and_then(|mut rest| rest.remove(self.0.table()));
            }
        }
        Ok(found)
    }

    fn account_of(&self, pk: &str) -> Option<AppId> {
        AppId::parse(self.0.id_in("account", pk)?).ok()
    }
}
