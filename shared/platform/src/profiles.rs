//! What WeChat's details say of an account, apart from its tokens: how it looks, what it permits, and its name.

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
    /// The profiles of the accounts of a platform.
    #[must_use]
    pub fn of(component: &Component) -> Self {
        Self { component: component.clone() }
    }

    /// Reads the profile of an account that has this `token_seq`, and keeps it. A failure costs the profile, never the
    /// grant: reconcile reads it again.
    pub(crate) async fn fetch(&self, authorizer: &AppId, seq: u64) {
        if let Err(error) = self.read(authorizer, seq).await {
            tracing::warn!(authorizer = %authorizer, "the profile of account {authorizer} is missing: {error}");
            self.introduce(authorizer).await;
        }
    }

    /// Reads what WeChat says of an account that has this `token_seq`, and keeps it; again if the account was changed
    /// meanwhile, since what was read may be older than the change. No token is read.
    ///
    /// # Errors
    /// [`TokenError`]: nothing is kept, also where WeChat's answer has no profile.
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

    /// Notes that the account is one of the platform's although its name is not known: messages of it may come.
    async fn introduce(&self, authorizer: &AppId) {
        let introductions = &self.component.store().introductions;
        if let Err(error) = introductions.put(authorizer, self.component.context().now()).await {
            tracing::warn!(authorizer = %authorizer, "messages of account {authorizer} are refused until its name is known: {error}");
        }
    }

    /// Stores what the details say of the account, if they say anything, over the `token_seq` that was read before WeChat
    /// was asked for them.
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
