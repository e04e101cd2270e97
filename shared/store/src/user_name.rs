//! The original id (`gh_…`) of each account, which `ToUserName` of its messages must be, and the account of each id.
//!
//! Items of their own next to the account's row: a function that receives messages has no business with tokens. Names
//! come from WeChat's details of the account, never from a message: a message proves that WeChat wrote it, not whose
//! path it was sent to. What a push of the grant proves is that the account is one of the platform's; its name follows.

use base::clock::Timestamp;
use base::ids::AppId;

use super::item::{Item, instant, text, write};
use super::{Vault, VaultError};

const NAME: &str = "user-name";
const OWNER: &str = "account";

/// When an account was introduced: the one attribute of these items that whoever introduces it names.
pub const INTRODUCED: &str = "introduced_at";

/// A longer name than any of WeChat's is nobody's: it would not fit into a key.
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

impl Vault {
    /// Whether `authorizer` is the account that is called `user_name`. One read, or two.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn recipient(&self, authorizer: &AppId, user_name: Option<&str>) -> Result<Recipient, VaultError> {
        let Some(item) = self.get(self.user_name_key(authorizer.as_str()), NAME).await? else {
            return Ok(Recipient::Unknown);
        };
        let Some(user_name) = user_name else { return Ok(Recipient::Confirmed) };
        let item = Item::new("user name", item);
        let known = item.text("user_name");
        if known.is_some_and(|known| known != user_name) || user_name.len() > LONGEST_NAME {
            return Ok(Recipient::Foreign);
        }
        // Names that were stored before their owners were have none; the next reconcile adds it.
        Ok(match self.owner_of(user_name).await? {
            Some(owner) if owner != *authorizer => Recipient::Foreign,
            None if known.is_none() => Recipient::Unnamed,
            _ => Recipient::Confirmed,
        })
    }

    async fn owner_of(&self, user_name: &str) -> Result<Option<AppId>, VaultError> {
        let item = self.get(self.user_name_key(user_name), OWNER).await?;
        Ok(item.and_then(|item| Item::new("account of a user name", item).parsed("authorizer", AppId::parse)))
    }

    /// An account's original id, if it is known; opaque text. One read.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn user_name(&self, authorizer: &AppId) -> Result<Option<String>, VaultError> {
        let attributes = self.get(self.user_name_key(authorizer.as_str()), NAME).await?;
        Ok(attributes.and_then(|attributes| Item::new("user name", attributes).text("user_name").map(str::to_owned)))
    }

    /// Notes that an account is one of the platform's, before its name is known. One write; without effect where it has
    /// been noted. It names no other attribute: the role of ticket-push must not let it write names.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: it may be noted.
    pub async fn introduce(&self, authorizer: &AppId, now: Timestamp) -> Result<(), VaultError> {
        let update = self
            .update(self.user_name_key(authorizer.as_str()), NAME)
            .update_expression(format!("SET {INTRODUCED} = :now"))
            .condition_expression(format!("attribute_not_exists({INTRODUCED})"))
            .expression_attribute_values(":now", instant(now));
        write(update).await.map(drop)
    }

    /// Stores what WeChat's details of the account say, for both ways of asking. Two writes.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn put_user_name(&self, authorizer: &AppId, user_name: &str) -> Result<(), VaultError> {
        if user_name.len() > LONGEST_NAME {
            return Err(VaultError::Corrupt { item: "user name", attribute: "user_name" });
        }
        let owner = self
            .update(self.user_name_key(user_name), OWNER)
            .update_expression("SET authorizer = :authorizer")
            .condition_expression("attribute_not_exists(authorizer) OR authorizer <> :authorizer")
            .expression_attribute_values(":authorizer", text(authorizer.as_str()));
        write(owner).await?;
        let name = self
            .update(self.user_name_key(authorizer.as_str()), NAME)
            .update_expression("SET user_name = :name")
            .condition_expression("attribute_not_exists(user_name) OR user_name <> :name")
            .expression_attribute_values(":name", text(user_name));
        write(name).await.map(drop)
    }

    fn user_name_key(&self, id: &str) -> String {
        self.key("user-name", Some(id))
    }
}
