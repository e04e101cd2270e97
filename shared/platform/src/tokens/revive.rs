//! An account whose grant was taken for gone is brought back into use, where WeChat shows that it stands.

use base::ids::AppId;
use base::limits::LEASE;
use store::{GrantWrite, NewGrant, Slot, StoredAccount};
use wechat::api::AuthorizerDetails;

use super::error::TokenError;
use crate::session::Session;

impl Session {
    /// Renews an account's token with the refresh token of its details, read after the row, and puts the account back
    /// into use over the `token_seq` of the row. `false` if the refresh token does not work, or somebody else has
    /// changed the account meanwhile. What is known about the grant's time stays as it is: it may be the same grant.
    ///
    /// # Errors
    /// [`TokenError`]: nothing is known about the refresh token.
    pub async fn revive(
        &self,
        authorizer: &AppId,
        row: &StoredAccount,
        details: &AuthorizerDetails,
    ) -> Result<bool, TokenError> {
        let Some(refresh_token) = &details.refresh_token else { return Ok(false) };
        let until = self.now().plus(LEASE);
        let issued = match self.renewed(authorizer, refresh_token, until).await {
            Err(TokenError::Wechat(refused)) if super::renew::asks_for_recovery(&refused) => return Ok(false),
            issued => issued?,
        };
        let grant = NewGrant {
            access_token: Some((&issued.access_token, issued.expires_at)),
            refresh_token: issued.new_refresh_token.as_ref().or(Some(refresh_token)),
            due_at: Some(issued.due_at),
            granted_at: row.granted_at,
            func_info: &details.func_info,
            claim: None,
        };
        match self.vault.store_grant(authorizer, row.token.seq, &grant, issued.issued_at).await? {
            GrantWrite::Stored => {
                self.keep_profile(authorizer, row.token.seq.saturating_add(1), details).await?;
                Ok(true)
            }
            GrantWrite::Changed => {
                // The token in hand may have replaced the one that was stored instead: the next renewal decides.
                self.vault.mark_due(&Slot::Authorizer(authorizer.clone()), self.now()).await?;
                Ok(false)
            }
        }
    }
}
