//! What WeChat's details say about an account, apart from its tokens: its profile, its permission sets, and its
//! original id.

use base::ids::AppId;
use store::{StoreError, WriteOutcome};
use wechat::api::{AuthorizerDetails, WechatError};

use crate::component::Component;
use crate::error::TokenError;

/// How often a profile is read again because the account was changed meanwhile.
const TRIES: usize = 3;

/// The profiles of accounts.
#[derive(Clone)]
pub struct Profiles {
    component: Component,
}

impl Profiles {
    /// The profiles of a platform's accounts.
    #[must_use]
    pub fn of(component: &Component) -> Self {
        Self { component: component.clone() }
    }

    /// Reads the profile of an account that has this `token_seq`, and stores it. If that fails, only the profile is
    /// missing: the grant is not affected, and reconciliation reads the profile again.
    pub(crate) async fn fetch(&self, authorizer: &AppId, seq: u64) {
        if let Err(error) = self.read(authorizer, seq).await {
            tracing::warn!(authorizer = %authorizer, "the profile of account {authorizer} is missing: {error}");
            self.introduce(authorizer).await;
        }
    }

    /// Reads WeChat's details of an account that has this `token_seq`, and stores them; does so again if the account
    /// was changed meanwhile, since they may be older than the change. No token is read.
    ///
    /// # Errors
    /// [`TokenError`]: nothing is stored. A response of WeChat without a profile is such an error.
    pub async fn read(&self, authorizer: &AppId, mut seq: u64) -> Result<(), TokenError> {
        for _ in 0..TRIES {
            let details = self.component.details(authorizer).await?;
            if self.keep(authorizer, seq, &details).await? == WriteOutcome::Stored {
                let kept = details.profile.map(drop);
                return kept.ok_or_else(|| WechatError::Malformed("authorizer_info").into());
            }
            let now = self.component.store().account_lists.get(authorizer).await?;
            seq = now.ok_or_else(|| TokenError::UnknownAccount(authorizer.clone()))?.token.seq;
        }
        Err(StoreError::Contended { item: "account" }.into())
    }

    /// Stores that the account belongs to the platform although its original id is unknown: its messages may arrive.
    async fn introduce(&self, authorizer: &AppId) {
        let introductions = &self.component.store().introductions;
        if let Err(error) = introductions.put(authorizer, self.component.context().now()).await {
            tracing::warn!(authorizer = %authorizer, "messages to account {authorizer} are refused until its original id is known: {error}");
        }
    }

    /// Stores what the details say about the account, if anything, on the condition that its `token_seq` is the one
    /// that was read before WeChat was called.
    pub async fn keep(
        &self,
        authorizer: &AppId,
        seq: u64,
        details: &AuthorizerDetails,
    ) -> Result<WriteOutcome, StoreError> {
        let store = self.component.store();
        match details.profile.as_ref().and_then(|profile| profile.user_name.as_ref()) {
            Some(user_name) => store.user_names.put(authorizer, user_name).await?,
            None => self.introduce(authorizer).await,
        }
        match &details.profile {
            Some(profile) => {
                let now = self.component.context().now();
                store.accounts.put_profile(authorizer, seq, profile, &details.func_info, now).await
            }
            None => Ok(WriteOutcome::Stored),
        }
    }
}
