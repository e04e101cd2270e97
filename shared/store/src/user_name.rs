//! The original id (`gh_…`) of each account, to which `ToUserName` of its messages must be equal, and the account of
//! each id.
//!
//! They are separate items from the account's row, since a function that receives messages must not read tokens.
//! Original ids come from WeChat's details of the account, never from a message: a message proves that WeChat wrote it,
//! but not that the path to which it was sent is the right account's. A push about a grant proves that the account
//! belongs to the platform; its original id is stored later.

use base::clock::Timestamp;
use base::ids::AppId;

use crate::StoreError;
use crate::attributes::{AUTHORIZER, INTRODUCED_AT, USER_NAME};
use crate::item::Item;
use crate::part::{Key, Part};
use crate::write::{absent, differs};

/// The time when an account was introduced: the only attribute of these items that [`Introductions`] uses.
pub const INTRODUCED: &str = INTRODUCED_AT;

/// A name longer than any of WeChat's belongs to no account, and would not fit into a key.
const LONGEST_NAME: usize = 256;

/// Whether an account is the one that a message is addressed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient {
    /// It is, or the message names no account and the account belongs to the platform.
    Confirmed,
    /// The account belongs to the platform but its original id is not known yet, and the name is not known to be
    /// another account's.
    Unnamed,
    /// The message is for another account.
    Foreign,
    /// According to the table, the account does not belong to the platform.
    Unknown,
}

impl Part {
    fn name_of(&self, authorizer: &AppId) -> Key {
        self.key("user-name", authorizer.as_str(), "user-name")
    }

    fn owner_of(&self, user_name: &str) -> Key {
        self.key("user-name", user_name, "account")
    }

    /// The account with a name. One read.
    async fn account_named(&self, user_name: &str) -> Result<Option<AppId>, StoreError> {
        let item = self.get(self.owner_of(user_name)).await?;
        Ok(item.and_then(|item| Item::new("account of a user name", item).parsed(AUTHORIZER, AppId::parse)))
    }
}

/// Accounts that are known to belong to the platform, perhaps before their original ids are known. This is all that a
/// function may write that has only seen a push.
#[derive(Debug, Clone)]
pub struct Introductions(pub(crate) Part);

impl Introductions {
    /// Stores that an account belongs to the platform, before its original id is known. One write; without effect if
    /// that is already stored. It uses no other attribute, since the role of ticket-push does not allow it to write
    /// names.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may be stored.
    pub async fn put(&self, authorizer: &AppId, now: Timestamp) -> Result<(), StoreError> {
        let introduced = self.0.change(self.0.name_of(authorizer)).set(INTRODUCED_AT, now);
        introduced.when(absent(INTRODUCED_AT)).apply().await.map(drop)
    }
}

/// The accounts to which messages are addressed.
#[derive(Debug, Clone)]
pub struct Recipients(pub(crate) Part);

impl Recipients {
    /// Whether `authorizer` is the account with the original id `user_name`. One or two reads.
    pub async fn check(&self, authorizer: &AppId, user_name: Option<&str>) -> Result<Recipient, StoreError> {
        let Some(item) = self.0.get(self.0.name_of(authorizer)).await? else { return Ok(Recipient::Unknown) };
        let Some(user_name) = user_name else { return Ok(Recipient::Confirmed) };
        let item = Item::new("user name", item);
        let known = item.text(USER_NAME);
        if known.is_some_and(|known| known != user_name) || user_name.len() > LONGEST_NAME {
            return Ok(Recipient::Foreign);
        }
        // Names of an earlier version have no owner stored; the next reconciliation adds it.
        Ok(match self.0.account_named(user_name).await? {
            Some(owner) if owner != *authorizer => Recipient::Foreign,
            None if known.is_none() => Recipient::Unnamed,
            _ => Recipient::Confirmed,
        })
    }
}

/// The original ids of accounts, for writing and looking up.
#[derive(Debug, Clone)]
pub struct UserNames(pub(crate) Part);

impl UserNames {
    /// The account with this original id; `None` if there is none. One read.
    pub async fn account(&self, user_name: &str) -> Result<Option<AppId>, StoreError> {
        if user_name.len() > LONGEST_NAME { Ok(None) } else { self.0.account_named(user_name).await }
    }

    /// Stores the original id from WeChat's details of an account, for look-ups in both directions. Two writes.
    pub async fn put(&self, authorizer: &AppId, user_name: &str) -> Result<(), StoreError> {
        if user_name.len() > LONGEST_NAME {
            return Err(StoreError::Corrupt { item: "user name", attribute: USER_NAME });
        }
        let owner = self.0.change(self.0.owner_of(user_name)).set(AUTHORIZER, authorizer);
        owner.when(absent(AUTHORIZER).or(differs(AUTHORIZER, authorizer))).apply().await?;
        let name = self.0.change(self.0.name_of(authorizer)).set(USER_NAME, user_name);
        name.when(absent(USER_NAME).or(differs(USER_NAME, user_name))).apply().await.map(drop)
    }
}
