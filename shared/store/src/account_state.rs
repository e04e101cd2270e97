//! Whether the platform may act for an account, and since when.
//!
//! Each state has its own attribute for the time when it began. Entering a state sets that attribute unless it exists,
//! and removes the others. So a single write keeps the time of a state that is entered twice, without knowing the
//! previous state.

use std::collections::{HashMap, HashSet};
use std::fmt;

use base::clock::Timestamp;
use base::ids::AppId;

use crate::StoreError;
use crate::attributes::{ACTIVE_SINCE, DETAILS_STATE, NEEDS_AUTHORIZATION_SINCE, PK, STATE, UNAUTHORIZED_SINCE};
use crate::item::{Attributes, Item};
use crate::part::Part;
use crate::write::Change;

/// The attributes that [`Standings::get`] reads. A role that may read only these cannot read tokens.
pub const STANDING_ATTRIBUTES: [&str; 5] = [PK, STATE, ACTIVE_SINCE, UNAUTHORIZED_SINCE, NEEDS_AUTHORIZATION_SINCE];

/// Whether the platform may act for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    /// The grant is in force; the token is renewed.
    Active,
    /// WeChat said that the merchant revoked the grant.
    Unauthorized,
    /// WeChat refuses the grant: only the merchant can restore it, by authorizing again.
    NeedsAuthorization,
}

impl AccountState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Active, Self::Unauthorized, Self::NeedsAuthorization];

    /// The word in the table, in metrics and in the business API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Unauthorized => "unauthorized",
            Self::NeedsAuthorization => "needs-authorization",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(())
    }

    /// The attribute with the time when the state began, by our clock.
    pub(crate) const fn since(self) -> &'static str {
        match self {
            Self::Active => ACTIVE_SINCE,
            Self::Unauthorized => UNAUTHORIZED_SINCE,
            Self::NeedsAuthorization => NEEDS_AUTHORIZATION_SINCE,
        }
    }
}

impl fmt::Display for AccountState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Change {
    /// Makes an account enter a state, unless it is already in it. Its details enter it in the same transaction.
    pub(crate) fn enter(self, state: AccountState, now: Timestamp) -> Self {
        let others = AccountState::ALL.into_iter().filter(|other| *other != state).map(AccountState::since);
        self.set(STATE, state.as_str()).set(DETAILS_STATE, state.as_str()).set_once(state.since(), now).remove(others)
    }
}

/// The state that an account is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The state.
    pub state: AccountState,
    /// When it began, by our clock; `None` for a row of an earlier version, which stored no time, until its state
    /// changes.
    pub since: Option<Timestamp>,
}

impl Standing {
    fn read(attributes: Attributes) -> Option<Self> {
        let item = Item::new("account", attributes);
        let state = item.parsed(STATE, AccountState::parse)?;
        Some(Self { state, since: item.instant(state.since()) })
    }
}

/// The states of accounts, without their tokens.
#[derive(Debug, Clone)]
pub struct Standings(pub(crate) Part);

impl Standings {
    /// Reads the state of an account; `None` if it has no row. One read, which names its attributes, so that a role can
    /// be limited to them and not see the tokens in the same row.
    pub async fn get(&self, authorizer: &AppId) -> Result<Option<Standing>, StoreError> {
        let row = self.0.read(self.0.account(authorizer), &STANDING_ATTRIBUTES).await?;
        Ok(row.and_then(Standing::read))
    }

    /// Reads the states of many accounts, eventually consistent; an account may be named twice. Half a read unit per
    /// account.
    pub async fn of(&self, authorizers: &[&AppId]) -> Result<HashMap<AppId, Standing>, StoreError> {
        let distinct: HashSet<&AppId> = authorizers.iter().copied().collect();
        let keys = distinct.into_iter().map(|authorizer| self.0.account(authorizer)).collect();
        let rows = self.0.batch_complete(keys, &STANDING_ATTRIBUTES).await?;
        let named = |row: Attributes| {
            let authorizer = self.0.account_in("account", row.get(PK)?.as_s().ok()?)?;
            Some((authorizer, Standing::read(row)?))
        };
        Ok(rows.into_iter().filter_map(named).collect())
    }
}
