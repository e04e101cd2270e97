//! The original id (`gh_…`) of each account, which `ToUserName` of its messages must be.
//!
//! An item of its own beside the account's row: whoever receives messages has no business with tokens.

use super::item::{Item, Updated, text, write, write_or_read};
use super::{Vault, VaultError};
use crate::ids::AppId;

const SORT: &str = "user-name";

impl Vault {
    /// An account's original id, if it is known; opaque text. One read.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn user_name(&self, authorizer: &AppId) -> Result<Option<String>, VaultError> {
        let attributes = self.get(self.user_name_key(authorizer), SORT).await?;
        Ok(attributes.and_then(|attributes| Item::new("user name", attributes).text("user_name").map(str::to_owned)))
    }

    /// Remembers what an authentic message was addressed to, unless something is known; returns what is known then.
    /// One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: it may be stored.
    pub async fn learn_user_name(&self, authorizer: &AppId, user_name: &str) -> Result<String, VaultError> {
        let update = self
            .update(self.user_name_key(authorizer), SORT)
            .update_expression("SET user_name = :name")
            .condition_expression("attribute_not_exists(user_name)")
            .expression_attribute_values(":name", text(user_name));
        Ok(match write_or_read(update).await? {
            Updated::Refused(Some(known)) => {
                Item::new("user name", known).text("user_name").unwrap_or(user_name).to_owned()
            }
            Updated::Done(()) | Updated::Refused(None) => user_name.to_owned(),
        })
    }

    /// Stores what WeChat's details of the account say, over anything learned from a message. One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(super) async fn put_user_name(&self, authorizer: &AppId, user_name: &str) -> Result<(), VaultError> {
        let update = self
            .update(self.user_name_key(authorizer), SORT)
            .update_expression("SET user_name = :name")
            .condition_expression("attribute_not_exists(user_name) OR user_name <> :name")
            .expression_attribute_values(":name", text(user_name));
        write(update).await.map(drop)
    }

    fn user_name_key(&self, authorizer: &AppId) -> String {
        self.key("user-name", Some(authorizer.as_str()))
    }
}
