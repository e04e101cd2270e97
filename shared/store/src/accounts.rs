//! Reading many accounts at once: those that are due and those out of use, by the index, and the rows of a page of
//! WeChat's list.

use std::collections::{HashMap, HashSet};

use base::clock::Timestamp;
use base::ids::{AppId, Digest};

use crate::StoreError;
use crate::account::{Accounts, StoredAccount};
use crate::account_state::AccountState;
use crate::attributes::PK;
use crate::item::Attributes;
use crate::request::PagePosition;
use crate::run::AccountCounts;

/// Accounts are spread over this many partitions of the `due` index. Each partition allows 1,000 index writes per
/// second: 500 renewals, since a renewal moves an account to its next time with two writes. Four partitions suffice for
/// the renewals of about ten million accounts.
const DUE_SHARDS: u64 = 4;

/// The accounts of one renew run: all of them, or one of several equal parts, whose runs are concurrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DuePart {
    number: u64,
    of: u64,
}

impl DuePart {
    /// All accounts.
    pub const ALL: Self = Self { number: 0, of: 1 };

    /// Part `number`, counted from 0, of `of` equal parts; `None` if the shards cannot be divided like that.
    #[must_use]
    pub const fn new(number: u64, of: u64) -> Option<Self> {
        if of > 0 && DUE_SHARDS.is_multiple_of(of) && number < of { Some(Self { number, of }) } else { None }
    }

    /// All of `of` equal parts in order; `None` if the shards cannot be divided like that.
    #[must_use]
    pub fn all_of(of: u64) -> Option<Vec<Self>> {
        Self::new(0, of).map(|_| (0..of).map(|number| Self { number, of }).collect())
    }

    /// Its number, counted from 0.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.number
    }

    /// Whether its run also does the work that is done once for the whole platform.
    #[must_use]
    pub const fn is_first(self) -> bool {
        self.number == 0
    }

    /// The shards of the index with its accounts.
    pub fn shards(self) -> impl Iterator<Item = u64> {
        (0..DUE_SHARDS).filter(move |shard| shard % self.of == self.number)
    }

    /// This part's equal share of a limit for all parts together, rounded down.
    #[must_use]
    pub const fn share_of(self, all: u64) -> u64 {
        all / self.of
    }
}

/// The number of accounts on one page of the index: the most that are renewed at once.
const DUE_PAGE: i32 = 256;

/// A time later than anything in the index, to read all of it.
pub const END_OF_TIME: Timestamp = Timestamp::from_unix(99_999_999_999);

impl Accounts {
    /// A page of the accounts in one shard of the index that are due by `until`, the longest overdue first: `after` is
    /// the position that the previous page returned. One query of the index, a quarter of a read unit for ten accounts.
    /// Every account in use is in the index, so with a distant `until` all of them are listed, shard by shard
    /// ([`DuePart::shards`]).
    pub async fn due(
        &self,
        shard: u64,
        until: Timestamp,
        after: Option<PagePosition>,
    ) -> Result<(Vec<AppId>, Option<PagePosition>), StoreError> {
        self.0.page_of_due(self.shard(shard), until, DUE_PAGE, after, |pk| self.account_of(pk)).await
    }

    /// A page of the accounts out of use that are in `state`, ordered by when their grants ended. One query of the
    /// index.
    pub async fn ended(
        &self,
        state: AccountState,
        after: Option<PagePosition>,
    ) -> Result<(Vec<AppId>, Option<PagePosition>), StoreError> {
        self.0.page_of_due(self.ended_shard(state), END_OF_TIME, DUE_PAGE, after, |pk| self.account_of(pk)).await
    }

    /// The number of accounts of a part that are due by `until`. One query per shard and megabyte.
    pub async fn count_due(&self, part: DuePart, until: Timestamp) -> Result<u64, StoreError> {
        self.0.count_due(part.shards().map(|shard| self.shard(shard)), until).await
    }

    /// The number of accounts in a state. Active accounts are those that are renewed: one that granted no API
    /// permission has no token and is not counted. One query per megabyte and, for active ones, per shard.
    pub async fn count(&self, state: AccountState) -> Result<u64, StoreError> {
        match state {
            AccountState::Active => self.count_due(DuePart::ALL, END_OF_TIME).await,
            ended => self.0.count_due([self.ended_shard(ended)], END_OF_TIME).await,
        }
    }

    /// The number of accounts in each state. The queries of [`Accounts::count`], concurrently.
    pub async fn counts(&self) -> Result<AccountCounts, StoreError> {
        let (active, unauthorized, needs_authorization) = tokio::try_join!(
            self.count(AccountState::Active),
            self.count(AccountState::Unauthorized),
            self.count(AccountState::NeedsAuthorization),
        )?;
        Ok(AccountCounts { active, unauthorized, needs_authorization })
    }

    /// The partition of the `due` index with an account's next renewal.
    pub(crate) fn due_shard(&self, authorizer: &AppId) -> String {
        self.shard(Digest::of(&[authorizer.as_str()]).part(DUE_SHARDS))
    }

    fn shard(&self, shard: u64) -> String {
        self.0.partition("due", &shard.to_string())
    }

    /// The partition of the index with the accounts out of use.
    pub(crate) fn ended_shard(&self, state: AccountState) -> String {
        self.0.partition("ended", state.as_str())
    }

    /// Reads many accounts, eventually consistent. Rows that are missing or were just changed must be read again with
    /// [`Accounts::get`] before a decision is based on them. An account may be named twice. Half a read unit per
    /// account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]. Rows that DynamoDB repeatedly leaves out are missing from the result.
    pub async fn get_eventually(&self, authorizers: &[AppId]) -> Result<HashMap<AppId, StoredAccount>, StoreError> {
        // DynamoDB refuses a batch that names an item twice.
        let distinct: HashSet<&AppId> = authorizers.iter().collect();
        let keys = distinct.into_iter().map(|authorizer| self.0.account(authorizer)).collect();
        let (rows, _) = self.0.batch(keys, &[]).await?;
        let named = |row: Attributes| Some((self.account_of(row.get(PK)?.as_s().ok()?)?, StoredAccount::read(row)));
        Ok(rows.into_iter().filter_map(named).collect())
    }

    fn account_of(&self, pk: &str) -> Option<AppId> {
        self.0.account_in("account", pk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_share_out_all_shards() {
        for of in [1, 2, 4] {
            let parts = DuePart::all_of(of).unwrap();
            assert_eq!(u64::try_from(parts.len()).unwrap(), of);
            let mut shards: Vec<u64> = parts.into_iter().flat_map(DuePart::shards).collect();
            shards.sort_unstable();
            assert_eq!(shards, (0..DUE_SHARDS).collect::<Vec<_>>(), "{of}");
        }
        assert_eq!(DuePart::new(0, 1), Some(DuePart::ALL));
    }

    #[test]
    fn parts_that_are_not_equal_or_not_there_are_refused() {
        for (number, of) in [(0, 0), (1, 1), (2, 2), (0, 3), (4, 4), (0, 5), (0, 8), (u64::MAX, 4), (0, u64::MAX)] {
            assert_eq!(DuePart::new(number, of), None, "{number} of {of}");
        }
        for of in [0, 3, 5, 8, u64::MAX] {
            assert_eq!(DuePart::all_of(of), None, "{of}");
        }
    }
}
