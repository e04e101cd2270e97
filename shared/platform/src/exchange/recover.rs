//! What is done where the tokens of a code are not in hand: WeChat's details name the account's refresh token (protocol
//! section 1.8). They describe the grant that stands now, of which nobody says since when: it may be a later one than
//! that of the code which made us ask.

use base::clock::Timestamp;
use base::ids::AppId;
use store::{
    AccountState, Binding, BoundBy, ClaimedGrant, GrantWrite, LeaseFor, NewGrant, Slot, StoredAccount, VaultError,
};
use wechat::api::{AuthorizerDetails, Reaction};
use wechat::times;
use wechat::times::Order;

use super::{Attempt, Code, Exchanged};
use crate::session::Session;
use crate::tokens::TokenError;

/// How often a profile is read anew because the account was changed meanwhile.
const PROFILE_TRIES: usize = 3;

impl Session {
    /// A code that is spent or lapsed, or a grant that came without one. Unless what is stored comes from this code, or
    /// surely from a later grant, the tokens that it brought were lost, and they may have replaced those that are stored.
    pub(super) async fn recover_spent(&self, attempt: &Attempt<'_>) -> Result<Exchanged, TokenError> {
        let Some(authorizer) = attempt.code.whose.known() else {
            return Ok(Exchanged::Spent { by_us: attempt.tried });
        };
        let account = self.vault.account(authorizer).await?;
        if !account.is_some_and(|account| self.has_all_of(&account, attempt)) {
            if attempt.code.code.is_some() {
                self.vault.mark_due(&Slot::Authorizer(authorizer.clone()), self.now()).await?;
            }
            if !self.agrees_with_details(authorizer).await? {
                return Ok(Exchanged::Gone);
            }
            self.renew_at_once(authorizer).await;
            tracing::warn!(authorizer = %authorizer, "the grant of account {authorizer} was read back: its code was spent before, or none came");
        }
        self.vault.finish_claim(&attempt.claimed, authorizer, self.now()).await?;
        self.granted(authorizer.clone(), attempt.binding.as_ref(), attempt.code.shows()).await
    }

    /// Whether nothing that the code brought can be missing.
    fn has_all_of(&self, account: &StoredAccount, attempt: &Attempt<'_>) -> bool {
        let from_this_code = account.grant_claim.as_ref() == Some(attempt.claimed.code);
        let from_a_later_grant =
            times::order(attempt.code.granted_at, account.granted_at, self.now()) == Order::Earlier;
        account.token.state == AccountState::Active && (from_this_code || from_a_later_grant && !attempt.tried)
    }

    /// A code that was exchanged before. A push may come long after its redirect, when the account has been taken back and
    /// has returned: where its grant is not surely over, WeChat says whether one stands.
    pub(super) async fn exchanged_before(
        &self,
        code: &Code<'_>,
        grant: &ClaimedGrant,
        account: Option<&StoredAccount>,
        binding: Option<Binding>,
    ) -> Result<Exchanged, TokenError> {
        if code.whose.known() == Some(&grant.authorizer) {
            self.note_grant_time(code, grant).await?;
            let in_use = account.is_some_and(|account| account.token.state == AccountState::Active);
            if !in_use && !self.agrees_with_details(&grant.authorizer).await? {
                return Ok(Exchanged::Gone);
            }
        }
        // Any other code than the one that was exchanged shows nothing: it may be made up.
        let is_the_one = grant.code == Some(code.digest());
        let by = if is_the_one { code.shows() } else { BoundBy::Push };
        self.granted(grant.authorizer.clone(), binding.as_ref(), by).await
    }

    /// A push whose account came through a redirect by another code. Mostly both are of one consent. Where the merchant has
    /// consented twice, details show what the second consent changed, and no code need be spent to learn it.
    pub(super) async fn confirm_redirected(
        &self,
        attempt: &Attempt<'_>,
        grant: &ClaimedGrant,
    ) -> Result<Exchanged, TokenError> {
        self.note_grant_time(attempt.code, grant).await?;
        if !self.agrees_with_details(&grant.authorizer).await? {
            return Ok(Exchanged::Gone);
        }
        self.granted(grant.authorizer.clone(), attempt.binding.as_ref(), BoundBy::Push).await
    }

    async fn note_grant_time(&self, code: &Code<'_>, grant: &ClaimedGrant) -> Result<(), VaultError> {
        match (code.granted_at, &grant.code) {
            (Some(granted_at), Some(exchanged)) => {
                self.vault.note_grant_time(&grant.authorizer, exchanged, granted_at).await
            }
            _ => Ok(()),
        }
    }

    /// Makes the account's row agree with what WeChat's details say; `false` where they say that no grant stands.
    async fn agrees_with_details(&self, authorizer: &AppId) -> Result<bool, TokenError> {
        let before = self.vault.account(authorizer).await?;
        let details = match self.details(authorizer).await {
            Err(TokenError::Wechat(refused)) if refused.reaction() == Reaction::Reauthorize => return Ok(false),
            details => details?,
        };
        match &before {
            Some(account) if has_grant_of(account, &details) => {
                self.keep_profile(authorizer, account.token.seq, &details).await?;
            }
            // The details may be behind what was stored just now: the account's own refresh token is tried first, and
            // renewing falls back on theirs.
            Some(account) if account.token.is_renewable() => {
                self.vault.mark_due(&Slot::Authorizer(authorizer.clone()), self.now()).await?;
                self.renew_at_once(authorizer).await;
            }
            before => self.adopt(authorizer, before.as_ref(), &details, None).await?,
        }
        Ok(true)
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

    /// Stores a grant of which only WeChat's details are known over the row as it was before WeChat was asked, and renews
    /// its token at once. `granted_at` is WeChat's time of that very grant, where somebody has said it.
    ///
    /// # Errors
    /// [`TokenError`]; [`VaultError::Contended`] where the row was changed meanwhile: what changed it knows better.
    pub async fn adopt(
        &self,
        authorizer: &AppId,
        before: Option<&StoredAccount>,
        details: &AuthorizerDetails,
        granted_at: Option<Timestamp>,
    ) -> Result<(), TokenError> {
        let now = self.now();
        // A token that still lives serves until the new one is there.
        let living = before.map(|row| &row.token).and_then(|token| token.live_token(now).zip(token.expires_at));
        let new = NewGrant {
            access_token: living,
            refresh_token: details.refresh_token.as_ref(),
            due_at: details.refresh_token.as_ref().map(|_| now),
            granted_at: granted_at.and_then(|at| times::credible(at, now)),
            func_info: &details.func_info,
            claim: None,
        };
        let seq = before.map_or(0, |row| row.token.seq);
        if self.vault.store_grant(authorizer, seq, &new, now).await? == GrantWrite::Changed {
            return Err(VaultError::Contended { item: "account" }.into());
        }
        self.keep_profile(authorizer, seq.saturating_add(1), details).await?;
        if details.refresh_token.is_some() {
            self.renew_at_once(authorizer).await;
        }
        Ok(())
    }

    /// Renews an account that is due. Should it fail, the refresher goes on with it.
    async fn renew_at_once(&self, authorizer: &AppId) {
        if let Err(error) = self.renew(&Slot::Authorizer(authorizer.clone()), LeaseFor::Due).await {
            tracing::warn!(authorizer = %authorizer, "account {authorizer} is renewed later: {error}");
        }
    }

    /// Reads the profile of an account that has this `token_seq`, and keeps it. A failure costs the
    /// profile, never the grant: reconcile reads it again.
    pub(crate) async fn fetch_profile(&self, authorizer: &AppId, mut seq: u64) {
        for _ in 0..PROFILE_TRIES {
            match self.try_to_fetch_profile(authorizer, seq).await {
                Ok(None) => return,
                Ok(Some(changed)) => seq = changed,
                Err(error) => {
                    tracing::warn!(authorizer = %authorizer, "the profile of account {authorizer} is missing: {error}");
                    return self.introduce(authorizer).await;
                }
            }
        }
    }

    /// Notes that the account is one of the platform's although its name is not known: messages of it may come.
    async fn introduce(&self, authorizer: &AppId) {
        if let Err(error) = self.vault.introduce(authorizer, self.now()).await {
            tracing::warn!(authorizer = %authorizer, "messages of account {authorizer} are refused until its name is known: {error}");
        }
    }

    /// Returns the account's `token_seq` where it was changed meanwhile: what was read may be older than the change.
    async fn try_to_fetch_profile(&self, authorizer: &AppId, seq: u64) -> Result<Option<u64>, TokenError> {
        let details = self.details(authorizer).await?;
        match self.keep_profile(authorizer, seq, &details).await? {
            GrantWrite::Stored => Ok(None),
            GrantWrite::Changed => {
                let row = self.vault.token(&Slot::Authorizer(authorizer.clone())).await?;
                Ok(row.map(|row| row.seq))
            }
        }
    }

    /// Stores what the details say of the account, where they do, over the `token_seq` that was read before WeChat was asked
    /// for them.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn keep_profile(
        &self,
        authorizer: &AppId,
        seq: u64,
        details: &AuthorizerDetails,
    ) -> Result<GrantWrite, VaultError> {
        if details.profile.as_ref().is_none_or(|profile| profile.user_name.is_none()) {
            self.introduce(authorizer).await;
        }
        match &details.profile {
            Some(profile) => self.vault.put_profile(authorizer, seq, profile, &details.func_info).await,
            None => Ok(GrantWrite::Stored),
        }
    }
}

/// Whether an account in use has the grant that the details are of. Details without a refresh token do not say.
fn has_grant_of(account: &StoredAccount, details: &AuthorizerDetails) -> bool {
    account.token.state == AccountState::Active
        && details.refresh_token.as_ref().is_none_or(|known| account.token.is_renewed_by(known))
}
