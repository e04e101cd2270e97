//! How an account looks to people, and whom its messages are addressed to.

use aws_sdk_dynamodb::types::AttributeValue;
use base::ids::AppId;
use wechat::api::Profile;

use super::account::GrantWrite;
use super::item::{number, text, write};
use super::token::Slot;
use super::{Vault, VaultError};

impl Vault {
    /// Writes an account's profile and permission sets over the `token_seq` that was read before WeChat was asked for them,
    /// and whom its messages are addressed to. Three writes.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn put_profile(
        &self,
        authorizer: &AppId,
        seq: u64,
        profile: &Profile,
        func_info: &[u32],
    ) -> Result<GrantWrite, VaultError> {
        let Ok(json) = serde_json::to_string(profile) else {
            return Err(VaultError::Corrupt { item: "account", attribute: "profile" });
        };
        if let Some(user_name) = &profile.user_name {
            self.put_user_name(authorizer, user_name).await?;
        }
        let update = self
            .update_token(&Slot::Authorizer(authorizer.clone()))
            .update_expression("SET profile = :profile, func_info = :sets, name_owned = :yes")
            .condition_expression("token_seq = :seq")
            .expression_attribute_values(":seq", number(seq))
            .expression_attribute_values(":profile", text(json))
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .expression_attribute_values(":sets", AttributeValue::L(func_info.iter().map(|id| number(*id)).collect()));
        Ok(if write(update).await? { GrantWrite::Stored } else { GrantWrite::Changed })
    }

    /// Stores whom an account's messages are addressed to, where its profile was stored without. Three writes.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn name_account(&self, authorizer: &AppId, user_name: Option<&str>) -> Result<(), VaultError> {
        if let Some(user_name) = user_name {
            self.put_user_name(authorizer, user_name).await?;
        }
        let update = self
            .update_token(&Slot::Authorizer(authorizer.clone()))
            .update_expression("SET name_owned = :yes")
            .condition_expression("attribute_exists(token_seq)")
            .expression_attribute_values(":yes", AttributeValue::Bool(true));
        write(update).await.map(drop)
    }
}
