//! The exchange of an authorization code for an account's tokens (protocol section 1.4), by whoever comes first: the
//! refresher with a push, or the callback with a redirect.
//!
//! A code can be spent once. So it is claimed before it is sent, the tokens are stored before anything else is done with
//! them, and a code that WeChat calls spent although no grant is stored leads to the account's refresh token in another
//! way. The future of [`Session::exchange`] must not be dropped once it was polled.

use secrecy::SecretString;

use crate::clock::Timestamp;
use crate::ids::{AppId, Digest};
use crate::limits::{LEASE, LEASE_LEFT_TO_CALL};
use crate::renewal::{self, Order};
use crate::session::Session;
use crate::tokens::TokenError;
use crate::vault::{
    AccountState, Binding, Bound, Claimed, GrantWrite, LeaseFor, NewGrant, Slot, StoredAccount, VaultError,
};
use crate::wechat::{AuthorizerDetails, Grant, Reaction};

/// How often tokens in hand are written again: each time the account had been changed, or the table had not answered.
const KEEP_TRIES: usize = 5;

/// A code to be exchanged.
pub struct Code<'a> {
    /// The code.
    pub code: &'a SecretString,
    /// Its claim.
    pub claim: &'a Digest,
    /// The account it is for, where a push said so.
    pub authorizer: Option<&'a AppId>,
    /// WeChat's time of the grant, where a push said so.
    pub granted_at: Option<Timestamp>,
}

/// What became of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchanged {
    /// The account's grant is stored, by this exchange or an earlier one.
    Granted {
        /// The account.
        authorizer: AppId,
        /// What became of the link that the code belongs to; `None` where it belongs to none.
        bound: Option<Bound>,
    },
    /// Somebody else is at it.
    Busy,
    /// WeChat says that the account's grant is gone again.
    Gone,
    /// The code is spent or lapsed and nothing tells for which account: if it brought a grant, reconcile finds it.
    Spent,
}

impl Session {
    /// Exchanges a code under its claim and stores what it brings; binds the link that the claim belongs to.
    ///
    /// # Errors
    /// [`TokenError`]: worth another try later, and nothing is lost by it.
    pub async fn exchange(&self, code: &Code<'_>) -> Result<Exchanged, TokenError> {
        let owner = self.random.token();
        let asked = self.now();
        let until = asked.plus(LEASE);
        let binding = match self.vault.claim(code.claim, &owner, asked, until).await? {
            Claimed::Busy => return Ok(Exchanged::Busy),
            Claimed::Done(authorizer, binding) => {
                if let Some(granted_at) = code.granted_at {
                    self.vault.note_grant_time(&authorizer, code.claim, granted_at).await?;
                }
                return self.granted(authorizer, binding).await;
            }
            Claimed::Ours(binding) => binding,
        };
        let result = if until.since(self.now()) < LEASE_LEFT_TO_CALL {
            Ok(Exchanged::Busy)
        } else {
            self.exchange_claimed(code, binding).await
        };
        if !matches!(result, Ok(Exchanged::Granted { .. }))
            && let Err(error) = self.vault.release_claim(code.claim, &owner).await
        {
            tracing::warn!("the claim on an authorization code ends by itself: {error}");
        }
        result
    }

    async fn exchange_claimed(&self, code: &Code<'_>, binding: Option<Binding>) -> Result<Exchanged, TokenError> {
        match self
            .with_component(|token| async move { self.wechat.query_auth(self.call(&token), code.code).await })
            .await
        {
            Ok(grant) => {
                if !self.keep_grant(&grant, code).await? {
                    return Ok(Exchanged::Gone);
                }
                let authorizer = &grant.authorizer;
                tracing::info!(authorizer = %authorizer, "account {authorizer} has authorized the platform");
                self.fetch_profile(authorizer).await;
                self.granted(grant.authorizer, binding).await
            }
            Err(TokenError::Wechat(refused)) => match refused.reaction() {
                Reaction::CodeSpent => self.recover_spent(code, binding).await,
                Reaction::Reauthorize => Ok(Exchanged::Gone),
                _ => Err(refused.into()),
            },
            Err(error) => Err(error),
        }
    }

    /// Stores the tokens of a grant, whatever else happens to the account meanwhile. `false` where the grant was taken
    /// back since.
    async fn keep_grant(&self, grant: &Grant, code: &Code<'_>) -> Result<bool, TokenError> {
        let now = self.now();
        let expires = now.plus(grant.expires_in);
        let margin = renewal::authorizer_margin(&self.random);
        let due_at = match (&grant.access_token, &grant.refresh_token) {
            (Some(_), _) => Some(renewal::due_at(now, grant.expires_in, margin)),
            (None, Some(_)) => Some(now),
            (None, None) => None,
        };
        let new = NewGrant {
            access_token: grant.access_token.as_ref().map(|token| (token, expires)),
            refresh_token: grant.refresh_token.as_ref(),
            due_at,
            granted_at: code.granted_at,
            func_info: &grant.func_info,
            claim: Some(code.claim),
        };
        self.keep_until_stored(&grant.authorizer, new).await
    }

    async fn keep_until_stored(&self, authorizer: &AppId, mut grant: NewGrant<'_>) -> Result<bool, TokenError> {
        let mut last = VaultError::Contended { item: "account" };
        for _ in 0..KEEP_TRIES {
            let account = match self.vault.account(authorizer).await {
                Ok(account) => account,
                Err(error) => {
                    last = error;
                    continue;
                }
            };
            if let Some(account) = &account
                && may_be_revoked(account, grant.granted_at)
                && self.is_gone(authorizer).await?
            {
                return Ok(false);
            }
            // An older grant that is exchanged late does not turn back the time of a newer one.
            if let Some((new, stored)) = grant.granted_at.zip(account.as_ref().and_then(|account| account.granted_at)) {
                grant.granted_at = Some(new.max(stored));
            }
            let seq = account.map_or(0, |account| account.token.seq);
            match self.vault.store_grant(authorizer, seq, &grant, self.now()).await {
                Ok(GrantWrite::Stored) => return Ok(true),
                Ok(GrantWrite::Changed) => {
                    // A claim that brought another account keeps its result; these tokens are stored without it.
                    if let Some(claim) = grant.claim
                        && self.vault.claim_result(claim).await?.is_some_and(|done| done != *authorizer)
                    {
                        grant.claim = None;
                    }
                }
                Err(error) => last = error,
            }
        }
        Err(last.into())
    }

    /// Whether WeChat itself says that the account has not authorized the platform.
    ///
    /// # Errors
    /// [`TokenError`] where WeChat does not say.
    pub async fn is_gone(&self, authorizer: &AppId) -> Result<bool, TokenError> {
        match self.details(authorizer).await {
            Ok(_) => Ok(false),
            Err(TokenError::Wechat(refused)) if refused.reaction() == Reaction::Reauthorize => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// What WeChat knows about an account.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn details(&self, authorizer: &AppId) -> Result<AuthorizerDetails, TokenError> {
        self.with_component(|token| async move { self.wechat.authorizer_info(self.call(&token), authorizer).await })
            .await
    }

    /// A code that is spent although nothing newer is stored: an earlier try brought tokens that were lost. WeChat's
    /// details name the account's refresh token (protocol section 1.8).
    async fn recover_spent(&self, code: &Code<'_>, binding: Option<Binding>) -> Result<Exchanged, TokenError> {
        let Some(authorizer) = code.authorizer else { return Ok(Exchanged::Spent) };
        let account = self.vault.account(authorizer).await?;
        if account.as_ref().is_some_and(|account| is_at_least_as_new(account, code)) {
            return self.granted(authorizer.clone(), binding).await;
        }
        let details = match self.details(authorizer).await {
            Err(TokenError::Wechat(refused)) if refused.reaction() == Reaction::Reauthorize => {
                return Ok(Exchanged::Gone);
            }
            details => details?,
        };
        let recovered = self.adopt(authorizer, &details, code.granted_at, Some(code.claim)).await?;
        tracing::warn!(authorizer = %authorizer, "the code of account {authorizer} was spent before: its grant was read back");
        if recovered { self.granted(authorizer.clone(), binding).await } else { Ok(Exchanged::Gone) }
    }

    /// Stores a grant of which only WeChat's details are known, and renews its token at once. `false` where the grant
    /// was taken back since.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn adopt(
        &self,
        authorizer: &AppId,
        details: &AuthorizerDetails,
        granted_at: Option<Timestamp>,
        claim: Option<&Digest>,
    ) -> Result<bool, TokenError> {
        let new = NewGrant {
            access_token: None,
            refresh_token: details.refresh_token.as_ref(),
            due_at: details.refresh_token.as_ref().map(|_| self.now()),
            granted_at,
            func_info: &details.func_info,
            claim,
        };
        if !self.keep_until_stored(authorizer, new).await? {
            return Ok(false);
        }
        self.vault.put_profile(authorizer, &details.profile, &details.func_info).await?;
        if details.refresh_token.is_some() {
            // Should this fail, the account is due and the refresher goes on with it.
            let renewed = self.renew(&Slot::Authorizer(authorizer.clone()), LeaseFor::Due).await;
            if let Err(error) = renewed {
                tracing::warn!(authorizer = %authorizer, "account {authorizer} is renewed later: {error}");
            }
        }
        Ok(true)
    }

    /// Reads an account's profile and keeps it. A failure costs the profile, never the grant: reconcile reads it again.
    pub async fn fetch_profile(&self, authorizer: &AppId) {
        let kept = match self.details(authorizer).await {
            Ok(details) => self.vault.put_profile(authorizer, &details.profile, &details.func_info).await,
            Err(error) => {
                tracing::warn!(authorizer = %authorizer, "the profile of account {authorizer} is missing: {error}");
                return;
            }
        };
        if let Err(error) = kept {
            tracing::warn!(authorizer = %authorizer, "the profile of account {authorizer} was not stored: {error}");
        }
    }

    async fn granted(&self, authorizer: AppId, binding: Option<Binding>) -> Result<Exchanged, TokenError> {
        let bound = match binding {
            Some(binding) => Some(self.vault.bind_link(&binding.link, &authorizer, self.now()).await?),
            None => None,
        };
        Ok(Exchanged::Granted { authorizer, bound })
    }
}

/// Whether a revocation is stored that WeChat's times do not place before the grant.
fn may_be_revoked(account: &StoredAccount, granted_at: Option<Timestamp>) -> bool {
    account.token.state != AccountState::Active
        && account.revoked_at.is_some_and(|revoked| {
            granted_at.is_none_or(|granted| renewal::order(granted, Some(revoked)) != Order::Later)
        })
}

/// Whether what is stored already comes from this code or from a later grant.
fn is_at_least_as_new(account: &StoredAccount, code: &Code<'_>) -> bool {
    account.token.state == AccountState::Active
        && (account.grant_claim.as_ref() == Some(code.claim)
            || code.granted_at.zip(account.granted_at).is_some_and(|(granted, stored)| stored >= granted))
}
