//! Recovery of a grant whose tokens are lost: WeChat's details contain the account's refresh token (protocol section
//! 1.8). They describe the grant that is in force now, without its time: it may be later than the one of the code in
//! question.

use base::clock::Timestamp;
use base::ids::AppId;
use store::{
    AccountState, Binding, BoundBy, ClaimedGrant, NewGrant, StoreError, StoredAccount, TokenOwner, WriteOutcome,
};
use wechat::api::AuthorizerDetails;
use wechat::times::{self, Order};

use super::{ClaimedExchange, Code, Exchange, Exchanged};
use crate::tokens::TokenError;

impl Exchange {
    /// Recovers the grant of a code that is spent or expired, or a grant that came without a code. Unless what is
    /// stored comes from this code, or certainly from a later grant, the code's tokens were lost, and they may have
    /// replaced the stored ones.
    pub(super) async fn recover_spent(&self, attempt: &ClaimedExchange<'_>) -> Result<Exchanged, TokenError> {
        let Some(authorizer) = attempt.code.owner.known() else {
            return Ok(Exchanged::Spent { by_us: attempt.tried });
        };
        let account = self.store().accounts.get(authorizer).await?;
        if !account.is_some_and(|account| self.has_all_of(&account, attempt)) {
            if attempt.code.code.is_some() {
                self.store().tokens.mark_due(&TokenOwner::Authorizer(authorizer.clone()), self.now()).await?;
            }
            if !self.agrees_with_details(authorizer).await? {
                return Ok(Exchanged::Gone);
            }
            self.tokens.renew_at_once(authorizer).await;
            tracing::warn!(authorizer = %authorizer, "the grant of account {authorizer} was read from WeChat's details: its code was already spent, or there was none");
        }
        self.store().claims.finish(&attempt.claimed, authorizer, self.now()).await?;
        self.granted(authorizer.clone(), attempt.binding.as_ref(), attempt.code.evidence()).await
    }

    /// Whether certainly nothing of the code's grant is missing.
    fn has_all_of(&self, account: &StoredAccount, attempt: &ClaimedExchange<'_>) -> bool {
        let from_this_code = account.grant_code.as_ref() == Some(attempt.claimed.code);
        let from_a_later_grant =
            times::order(attempt.code.granted_at, account.granted_at, self.now()) == Order::Earlier;
        account.token.state == AccountState::Active && (from_this_code || from_a_later_grant && !attempt.tried)
    }

    /// Handles a code that was exchanged before. A push may come long after its redirect, when the merchant has revoked
    /// the grant and authorized again: if the account is not in use, WeChat's details say whether a grant is in force.
    pub(super) async fn exchanged_before(
        &self,
        code: &Code<'_>,
        grant: &ClaimedGrant,
        account: Option<&StoredAccount>,
        binding: Option<Binding>,
    ) -> Result<Exchanged, TokenError> {
        if code.owner.known() == Some(&grant.authorizer) {
            self.note_grant_time(code, grant).await?;
            let in_use = account.is_some_and(|account| account.token.state == AccountState::Active);
            if !in_use && !self.agrees_with_details(&grant.authorizer).await? {
                return Ok(Exchanged::Gone);
            }
        }
        // Any code other than the exchanged one proves nothing: it may be made up.
        let is_the_one = grant.code == Some(code.digest());
        let by = if is_the_one { code.evidence() } else { BoundBy::Push };
        self.granted(grant.authorizer.clone(), binding.as_ref(), by).await
    }

    /// Handles a push whose account was already authorized by a redirect with another code. Usually both are from one
    /// consent. If the merchant has consented twice, the details show what the second consent changed, without spending
    /// a code.
    pub(super) async fn confirm_redirected(
        &self,
        attempt: &ClaimedExchange<'_>,
        grant: &ClaimedGrant,
    ) -> Result<Exchanged, TokenError> {
        self.note_grant_time(attempt.code, grant).await?;
        if !self.agrees_with_details(&grant.authorizer).await? {
            return Ok(Exchanged::Gone);
        }
        self.granted(grant.authorizer.clone(), attempt.binding.as_ref(), BoundBy::Push).await
    }

    async fn note_grant_time(&self, code: &Code<'_>, grant: &ClaimedGrant) -> Result<(), StoreError> {
        match (code.granted_at, &grant.code) {
            (Some(granted_at), Some(exchanged)) => {
                self.store().accounts.note_grant_time(&grant.authorizer, exchanged, granted_at).await
            }
            _ => Ok(()),
        }
    }

    /// Updates the account's row from WeChat's details; `false` if they say that no grant is in force.
    async fn agrees_with_details(&self, authorizer: &AppId) -> Result<bool, TokenError> {
        let before = self.store().accounts.get(authorizer).await?;
        let details = match self.component().details(authorizer).await {
            Err(error) if error.says_gone() => return Ok(false),
            details => details?,
        };
        match &before {
            Some(account) if has_grant_of(account, &details) => {
                self.profiles().keep(authorizer, account.token.seq, &details).await?;
            }
            // The details may be older than what was just stored: the account's own refresh token is tried first, and
            // renewal falls back to theirs.
            Some(account) if account.token.is_renewable() => {
                self.store().tokens.mark_due(&TokenOwner::Authorizer(authorizer.clone()), self.now()).await?;
                self.tokens.renew_at_once(authorizer).await;
            }
            before => self.adopt(authorizer, before.as_ref(), &details, None).await?,
        }
        Ok(true)
    }

    /// Stores a grant that is known only from WeChat's details, replacing the row that was read before WeChat was
    /// called, and renews its token at once. `granted_at` is WeChat's time of that grant, if known.
    ///
    /// # Errors
    /// [`TokenError`]; [`StoreError::Contended`] if the row was changed meanwhile: the other change is newer.
    pub async fn adopt(
        &self,
        authorizer: &AppId,
        before: Option<&StoredAccount>,
        details: &AuthorizerDetails,
        granted_at: Option<Timestamp>,
    ) -> Result<(), TokenError> {
        let now = self.now();
        // A token that is still valid is kept until the new one is stored.
        let living = before.map(|row| &row.token).and_then(|token| token.live_token(now).zip(token.expires_at));
        let new = NewGrant {
            access_token: living,
            refresh_token: details.refresh_token.as_ref(),
            due_at: details.refresh_token.as_ref().map(|_| now),
            granted_at: granted_at.and_then(|at| times::credible(at, now)),
            func_info: &details.func_info,
            origin: None,
            is_recovery: false,
            claim: None,
        };
        let seq = before.map_or(0, |row| row.token.seq);
        if self.store().accounts.store_grant(authorizer, seq, &new, now).await? == WriteOutcome::Superseded {
            return Err(StoreError::Contended { item: "account" }.into());
        }
        self.profiles().keep(authorizer, seq.saturating_add(1), details).await?;
        if details.refresh_token.is_some() {
            self.tokens.renew_at_once(authorizer).await;
        }
        Ok(())
    }
}

/// Whether an account in use has the grant that the details describe. Details without a refresh token are taken to
/// agree.
fn has_grant_of(account: &StoredAccount, details: &AuthorizerDetails) -> bool {
    account.token.state == AccountState::Active
        && details.refresh_token.as_ref().is_none_or(|known| account.token.is_renewed_by(known))
}
