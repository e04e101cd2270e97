//! The original id (`gh_…`) of each account, which `ToUserName` of its messages must be, and the account of each id.
//!
//! Items of their own next to the account's row: a function that receives messages has no business with tokens. Names
//! come from WeChat's details of the account, never from a message: a message proves that WeChat wrote it, not whose
//! path it was sent to. What a push of the grant proves is that the account is one of the platform's; its name follows.

use base::clock::Timestamp;
use base::ids::AppId;

use crate::StoreError;
use crate::attributes::{AUTHORIZER, INTRODUCED_AT, USER_NAME};
use crate::item::Item;
use crate::part::{Key, Part};
use crate::write::{absent, differs};

/// When an account was introduced: the one attribute of these items that [`Introductions`] names.
pub const INTRODUCED: &str = INTRODUCED_AT;

/// A longer name than any of WeChat's belongs to no account: it would not fit into a key.
const LONGEST_NAME: usize = 256;

/// Whether an account is the one that a message is addressed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient {
    /// It is, or the message is addressed to nobody and the account is one of the platform's.
    Confirmed,
    /// The account is one of the platform's whose name is not known yet, and the name is not known to be another's.
    Unnamed,
    /// The message is another account's.
    Foreign,
    /// The platform has nothing to do with the account, as far as the table says.
    Unknown,
}

impl Part {
    fn name_of(&self, authorizer: &AppId) -> Key {
        self.key("user-name", authorizer.as_str(), "user-name")
    }

    fn owner_of(&self, user_name: &str) -> Key {
        self.key("user-name", user_name, "account")
    }

    /// The account of a name. One read.
    async fn account_named(&self, user_name: &str) -> Result<Option<AppId>, StoreError> {
        let item = self.get(self.owner_of(user_name)).await?;
        Ok(item.and_then(|item| Item::new("account of a user name", item).parsed(AUTHORIZER, AppId::parse)))
    }
}

/// Accounts that are known to be the platform's, perhaps before their names are: all that a function may write of the
/// names that has only seen a push.
#[derive(Debug, Clone)]
pub struct Introductions(pub(crate) Part);

impl Introductions {
    /// Notes that an account is one of the platform's, before its name is known. One write; without effect if it has
    /// been noted. It names no other attribute: the role of ticket-push must not let it write names.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may be noted.
    pub async fn put(&self, authorizer: &AppId, now: Timestamp) -> Result<(), StoreError> {
        let introduced = self.0.change(self.0.name_of(authorizer)).set(INTRODUCED_AT, now);
        introduced.when(absent(INTRODUCED_AT)).apply().await.map(drop)
    }
}

/// Whom messages are addressed to.
#[derive(Debug, Clone)]
pub struct Recipients(pub(crate) Part);

impl Recipients {
    /// Whether `authorizer` is the account that is called `user_name`. One read, or two.
    pub async fn check(&self, authorizer: &AppId, user_name: Option<&str>) -> Result<Recipient, StoreError> {
        let Some(item) = self.0.get(self.0.name_of(authorizer)).await? else { return Ok(Recipient::Unknown) };
        let Some(user_name) = user_name else { return Ok(Recipient::Confirmed) };
        let item = Item::new("user name", item);
        let known = item.text(USER_NAME);
        if known.is_some_and(|known| known != user_name) || user_name.len() > LONGEST_NAME {
            return Ok(Recipient::Foreign);
        }
        // Names that were stored before their owners were have none; the next reconcile adds it.
        Ok(match self.0.account_named(user_name).await? {
            Some(owner) if owner != *authorizer => Recipient::Foreign,
            None if known.is_none() => Recipient::Unnamed,
            _ => Recipient::Confirmed,
        })
    }
}

/// The names of accounts, to be written and looked up.
#[derive(Debug, Clone)]
pub struct UserNames(pub(crate) Part);

impl UserNames {
    /// The account that has this name; `None` if none has. One read.
    pub async fn account(&self, user_name: &str) -> Result<Option<AppId>, StoreError> {
        if user_name.len() > LONGEST_NAME { Ok(None) } else { self.0.account_named(user_name).await }
    }

    /// Stores the name that WeChat's details of an account say, for both ways of asking. Two writes.
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
