//! The accounts of a platform as services and operators see them: paged lists, and what is known about each account.
//!
//! Nothing here reads a token: only the attributes in [`STATUS_ATTRIBUTES`] are read of an account's row.

use std::collections::HashMap;

use base::clock::Timestamp;
use base::ids::AppId;

use crate::StoreError;
use crate::account_state::AccountState;
use crate::attributes::{
    ACTIVE_SINCE, DETAILS_STATE, DUE_AT, FAILURES, FUNC_INFO, GRANTED_AT, LAST_ERROR, LAST_FAILURE,
    NEEDS_AUTHORIZATION_SINCE, PK, PROFILE, REFERENCE, STATE, STORED_AT, TOKEN_EXPIRES_AT, TOKEN_SEQ,
    UNAUTHORIZED_SINCE,
};
use crate::details::{AccountDetails, DETAILS_SORT, Details};
use crate::item::{Attributes, Item};
use crate::last_failure::LastFailure;
use crate::part::Part;
use crate::request::{Counted, Order};

/// The attributes of an account's row that [`AccountLists`] and [`Details`] read. A role that may read only these
/// cannot read tokens.
pub const STATUS_ATTRIBUTES: [&str; 16] = [
    PK,
    STATE,
    ACTIVE_SINCE,
    UNAUTHORIZED_SINCE,
    NEEDS_AUTHORIZATION_SINCE,
    GRANTED_AT,
    TOKEN_SEQ,
    TOKEN_EXPIRES_AT,
    STORED_AT,
    DUE_AT,
    FAILURES,
    LAST_ERROR,
    LAST_FAILURE,
    FUNC_INFO,
    PROFILE,
    DETAILS_STATE,
];

/// A list of accounts, ordered by appid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountList<'a> {
    /// Every account that has ever authorized the platform.
    All,
    /// The accounts in this state.
    InState(AccountState),
    /// The accounts with this reference.
    WithReference(&'a str),
}

impl AccountList<'_> {
    /// The sort key of an account's item in the list.
    const fn sort_key(self) -> &'static str {
        match self {
            Self::All => DETAILS_SORT,
            Self::InState(_) => STATE,
            Self::WithReference(_) => REFERENCE,
        }
    }

    /// Whether an account is in the list. The index may still contain it shortly after it has left.
    fn has(self, details: &AccountDetails) -> bool {
        match self {
            Self::All => true,
            Self::InState(state) => details.state.is_some_and(|(known, _)| known == state),
            Self::WithReference(reference) => details.labels.reference.as_deref() == Some(reference),
        }
    }
}

impl Part {
    /// The index partition of a list.
    pub(crate) fn list_of(&self, list: AccountList<'_>) -> String {
        match list {
            AccountList::All => self.kind("accounts"),
            AccountList::InState(state) => self.partition("accounts", &format!("state#{state}")),
            AccountList::WithReference(reference) => self.partition("accounts", &format!("reference#{reference}")),
        }
    }
}

/// The status of an account's token or the component's, without the token itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenStatus {
    /// WeChat's time of the newest grant, if it came with one.
    pub granted_at: Option<Timestamp>,
    /// The row's `token_seq`.
    pub seq: u64,
    /// When WeChat stops accepting the token; `None` if there is none.
    pub expires_at: Option<Timestamp>,
    /// When it was issued, by our clock.
    pub stored_at: Option<Timestamp>,
    /// When it is due for renewal, or for another try after a failure.
    pub due_at: Option<Timestamp>,
    /// How many renewals in a row have failed.
    pub failures: u32,
    /// The label of the last failure, such as `61004`; `None` if the last renewal succeeded.
    pub last_error: Option<String>,
    /// The details of that failure.
    pub last_failure: Option<LastFailure>,
}

impl TokenStatus {
    pub(crate) fn read(item: &Item) -> Self {
        let last_error = item.text(LAST_ERROR).map(str::to_owned);
        Self {
            granted_at: item.instant(GRANTED_AT),
            seq: item.number(TOKEN_SEQ).unwrap_or(0),
            expires_at: item.instant(TOKEN_EXPIRES_AT),
            stored_at: item.instant(STORED_AT),
            due_at: item.instant(DUE_AT),
            failures: item.number(FAILURES).unwrap_or(0),
            last_failure: item
                .parsed(LAST_FAILURE, |json| serde_json::from_str(json))
                // An earlier version updates only the label, so this may be outdated.
                .filter(|failure: &LastFailure| Some(&failure.label) == last_error.as_ref()),
            last_error,
        }
    }

    /// Until when the token may be used without reading it again: it is neither due nor expired before. `None` if there
    /// is none.
    #[must_use]
    pub fn use_until(&self) -> Option<Timestamp> {
        self.expires_at.map(|expires| self.due_at.map_or(expires, |due| due.min(expires)))
    }
}

/// What is known about an account, without its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAccount {
    /// The account.
    pub appid: AppId,
    /// Its profile, its permission sets, and what the business has said.
    pub details: AccountDetails,
    /// The status of its token.
    pub token: TokenStatus,
}

/// The lists of accounts.
#[derive(Debug, Clone)]
pub struct AccountLists(pub(crate) Part);

impl AccountLists {
    /// A page of a list: the accounts after `after`, and whether there are more. One query of the index, one read unit
    /// for about 40 accounts. The index may lag slightly behind the table.
    pub async fn page(
        &self,
        list: AccountList<'_>,
        limit: usize,
        after: Option<&AppId>,
    ) -> Result<(Vec<AppId>, bool), StoreError> {
        let after = after.map(|appid| (self.0.key("details", appid.as_str(), list.sort_key()), appid.to_string()));
        let (entries, has_more) = self.0.page_of_list(&self.0.list_of(list), Order::Ascending, limit, after).await?;
        let accounts = entries.iter().filter_map(|entry| self.account_of("details", entry)).collect();
        Ok((accounts, has_more))
    }

    /// The number of accounts in a list. Counting queries of the index: one read unit for about 40 accounts.
    pub async fn count(&self, list: AccountList<'_>) -> Result<u64, StoreError> {
        self.0.count_list(&self.0.list_of(list)).await
    }

    /// The number of accounts in a list, as far as one query counts: about 10,000 for 128 read units.
    pub async fn count_first(&self, list: AccountList<'_>) -> Result<Counted, StoreError> {
        self.0.count_first_of_list(&self.0.list_of(list)).await
    }

    /// What is known about these accounts, in the given order, eventually consistent. Accounts that are unknown, or no
    /// longer in the list, are left out. Half a read unit each for an account's details and its row.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], also if DynamoDB leaves items out: none is silently missing.
    pub async fn known(&self, list: AccountList<'_>, accounts: &[AppId]) -> Result<Vec<KnownAccount>, StoreError> {
        let details = accounts.iter().map(|account| self.0.details(account)).collect();
        let rows = accounts.iter().map(|account| self.0.account(account)).collect();
        let (details, rows) =
            tokio::join!(self.0.batch_complete(details, &[]), self.0.batch_complete(rows, &STATUS_ATTRIBUTES));
        let by_account = |kind: &'static str, items: Vec<Attributes>| -> HashMap<AppId, Attributes> {
            items.into_iter().filter_map(|item| Some((self.account_of(kind, &item)?, item))).collect()
        };
        let (mut details, mut rows) = (by_account("details", details?), by_account("account", rows?));
        let known = accounts.iter().filter_map(|account| {
            let row = Item::new("account", rows.remove(account).unwrap_or_default());
            let details = AccountDetails::read(details.remove(account)?).with_row(&row);
            list.has(&details).then(|| KnownAccount { appid: account.clone(), details, token: TokenStatus::read(&row) })
        });
        Ok(known.collect())
    }

    /// Reads one account, strongly consistent. Two reads, and another one for a row that an earlier version has
    /// written.
    pub async fn get(&self, account: &AppId) -> Result<Option<KnownAccount>, StoreError> {
        let details = Details(self.0.clone());
        let row = self.0.read(self.0.account(account), &STATUS_ATTRIBUTES);
        let (details, row) = tokio::join!(details.get(account), row);
        let (Some(details), Some(row)) = (details?, row?) else { return Ok(None) };
        let row = Item::new("account", row);
        Ok(Some(KnownAccount {
            appid: account.clone(),
            details: details.with_row(&row),
            token: TokenStatus::read(&row),
        }))
    }

    fn account_of(&self, kind: &str, item: &Attributes) -> Option<AppId> {
        self.0.account_in(kind, item.get(PK)?.as_s().ok()?)
    }
}
