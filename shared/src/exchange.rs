//! The exchange of an authorization code for an account's tokens (protocol section 1.4), by whoever comes first: the
//! refresher with a push, or the callback with a redirect.
//!
//! A code can be spent once. So it is claimed before it is sent, the tokens are stored before anything else is done with
//! them, and a code that WeChat calls spent although no grant is stored leads to the account's refresh token in another
//! way. The future of [`Session::exchange`] must not be dropped once it was polled.

use secrecy::SecretString;

use crate::clock::Timestamp;
use crate::ids::{AppId, Digest};
use crate::limits::LEASE;
use crate::renewal::{self, Order};
use crate::session::Session;
use crate::tokens::TokenError;
use crate::vault::{
    AccountState, Binding, Bound, BoundBy, Claim, Claimed, GrantWrite, LeaseFor, NewGrant, Slot, StoredAccount,
    VaultError,
};
use crate::wechat::{AuthorizerDetails, Grant, Reaction};

/// How often tokens in hand are written again: each time the account had been changed, or the table had not answered.
const KEEP_TRIES: usize = 5;

/// How often a profile is read anew because the account was changed meanwhile.
const PROFILE_TRIES: usize = 3;

/// A code to be exchanged.
pub struct Code<'a> {
    /// The code. WeChat's pushes about trial mini programs have none: the account's details bring what it would have
    /// brought.
    pub code: Option<&'a SecretString>,
    /// Its claim.
    pub claim: &'a Digest,
    /// The account it is for, where a push said so.
    pub authorizer: Option<&'a AppId>,
    /// WeChat's time of the grant, where a push said so.
    pub granted_at: Option<Timestamp>,
}

impl Code<'_> {
    /// What a claim keeps of the code that was exchanged under it.
    fn digest(&self) -> Digest {
        self.code.map_or_else(|| self.claim.clone(), Claim::of_authorization_code)
    }

    /// Who has shown, by bringing this code, that its account was authorized through a link: a push names the account, a
    /// browser cannot.
    const fn shows(&self) -> BoundBy {
        if self.authorizer.is_some() { BoundBy::Push } else { BoundBy::Browser }
    }
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
    Spent {
        /// Whether it may be an earlier try of ours that has spent it, whose answer was lost.
        by_us: bool,
    },
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
        let (binding, tried) = match self.vault.claim(code.claim, &owner, asked, until).await? {
            Claimed::Busy => return Ok(Exchanged::Busy),
            Claimed::Done { authorizer, binding, code: exchanged } => {
                if let Some(granted_at) = code.granted_at {
                    self.vault.note_grant_time(&authorizer, code.claim, granted_at).await?;
                }
                // Any other code than the one that was exchanged shows nothing: it may be made up.
                let is_the_one = exchanged.is_some_and(|exchanged| exchanged == code.digest());
                let by = if is_the_one { code.shows() } else { BoundBy::Push };
                return self.granted(authorizer, binding, by).await;
            }
            Claimed::Ours { binding, tried } => (binding, tried),
        };
        let result = match self.exchange_claimed(code, until, binding).await {
            Ok(Exchanged::Spent { .. }) => Ok(Exchanged::Spent { by_us: tried }),
            result => result,
        };
        if !matches!(result, Ok(Exchanged::Granted { .. }))
            && let Err(error) = self.vault.release_claim(code.claim, &owner, result.is_ok()).await
        {
            tracing::warn!("the claim on an authorization code ends by itself: {error}");
        }
        result
    }

    async fn exchange_claimed(
        &self,
        code: &Code<'_>,
        until: Timestamp,
        binding: Option<Binding>,
    ) -> Result<Exchanged, TokenError> {
        let Some(secret) = code.code else { return self.recover_spent(code, binding).await };
        let asked = self.now();
        let sent = self.with_component(|token| async move {
            self.may_still_call(until)?;
            self.wechat.query_auth(self.call(&token), secret).await
        });
        match sent.await {
            Ok(grant) => {
                if !self.keep_grant(&grant, code, asked).await? {
                    return Ok(Exchanged::Gone);
                }
                let authorizer = &grant.authorizer;
                tracing::info!(authorizer = %authorizer, "account {authorizer} has authorized the platform");
                self.fetch_profile(authorizer).await;
                self.granted(grant.authorizer, binding, code.shows()).await
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
    /// back since. `asked` is when the code was sent.
    async fn keep_grant(&self, grant: &Grant, code: &Code<'_>, asked: Timestamp) -> Result<bool, TokenError> {
        let authorizer = &grant.authorizer;
        let issued = self.now();
        let expires = issued.plus(grant.expires_in);
        let margin = renewal::authorizer_margin(&self.random);
        let usual_due = match (&grant.access_token, &grant.refresh_token) {
            (Some(_), _) => Some(renewal::due_at(issued, grant.expires_in, margin)),
            (None, Some(_)) => Some(issued),
            (None, None) => None,
        };
        let mut new = NewGrant {
            access_token: grant.access_token.as_ref().map(|token| (token, expires)),
            refresh_token: grant.refresh_token.as_ref(),
            due_at: usual_due,
            granted_at: code.granted_at,
            func_info: &grant.func_info,
            claim: Some(code.claim),
        };
        let mut last = VaultError::Contended { item: "account" };
        for _ in 0..KEEP_TRIES {
            match self.try_to_keep(authorizer, &mut new, code, asked, usual_due).await {
                Ok(Kept::Yes) => return Ok(true),
                Ok(Kept::Revoked) => return Ok(false),
                Ok(Kept::NotYet) => {}
                Err(error) => last = error,
            }
            tokio::time::sleep(self.pause()).await;
        }
        Err(last.into())
    }

    async fn try_to_keep(
        &self,
        authorizer: &AppId,
        new: &mut NewGrant<'_>,
        code: &Code<'_>,
        asked: Timestamp,
        usual_due: Option<Timestamp>,
    ) -> Result<Kept, VaultError> {
        let account = self.vault.account(authorizer).await?;
        let mut seq = 0;
        if let Some(account) = &account {
            if new.claim.is_some() && account.grant_claim.as_ref() == new.claim {
                // Our own earlier try, whose reply was lost.
                return Ok(Kept::Yes);
            }
            // Where WeChat does not say, tokens in hand are kept: a grant that is gone is found at its next renewal.
            if may_be_revoked(account, code.granted_at, self.now()) && self.is_gone(authorizer).await.unwrap_or(false) {
                return Ok(Kept::Revoked);
            }
            seq = account.token.seq;
            // An older grant that is exchanged late does not turn back the time of a newer one.
            new.granted_at = code.granted_at.map(|at| account.granted_at.map_or(at, |stored| stored.max(at)));
            // Something else was stored while WeChat answered: which tokens are the newer ones, the next renewal decides.
            let overtaken = account.token.stored_at.is_some_and(|stored| stored > asked);
            new.due_at = if overtaken { usual_due.map(|_| self.now()) } else { usual_due };
        }
        let stored = self.vault.store_exchanged_grant(authorizer, seq, new, &code.digest(), self.now()).await?;
        if stored == GrantWrite::Stored {
            return Ok(Kept::Yes);
        }
        // A claim that brought another account keeps its result; these tokens are stored without it.
        if let Some(claim) = new.claim
            && self.vault.claim_result(claim).await?.is_some_and(|done| done != *authorizer)
        {
            new.claim = None;
        }
        Ok(Kept::NotYet)
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

    /// A code that is spent although nothing newer is stored: an earlier try brought tokens that were lost; or a grant
    /// that came without a code. WeChat's details name the account's refresh token (protocol section 1.8).
    async fn recover_spent(&self, code: &Code<'_>, binding: Option<Binding>) -> Result<Exchanged, TokenError> {
        let Some(authorizer) = code.authorizer else { return Ok(Exchanged::Spent { by_us: false }) };
        let account = self.vault.account(authorizer).await?;
        if account.as_ref().is_some_and(|account| is_at_least_as_new(account, code)) {
            return self.granted(authorizer.clone(), binding, code.shows()).await;
        }
        let details = match self.details(authorizer).await {
            Err(TokenError::Wechat(refused)) if refused.reaction() == Reaction::Reauthorize => {
                return Ok(Exchanged::Gone);
            }
            details => details?,
        };
        self.adopt(authorizer, account.as_ref(), &details, code.granted_at, Some(code.claim)).await?;
        tracing::warn!(authorizer = %authorizer, "the grant of account {authorizer} was read back: its code was spent before, or none came");
        self.granted(authorizer.clone(), binding, code.shows()).await
    }

    /// Stores a grant of which only WeChat's details are known over the row as it was before WeChat was asked, and renews
    /// its token at once.
    ///
    /// # Errors
    /// [`TokenError`]; [`VaultError::Contended`] where the row was changed meanwhile: what changed it knows better.
    pub async fn adopt(
        &self,
        authorizer: &AppId,
        before: Option<&StoredAccount>,
        details: &AuthorizerDetails,
        granted_at: Option<Timestamp>,
        claim: Option<&Digest>,
    ) -> Result<(), TokenError> {
        let now = self.now();
        // A token that still lives serves until the new one is there.
        let living = before.map(|row| &row.token).and_then(|token| token.live_token(now).zip(token.expires_at));
        let known = before.and_then(|row| row.granted_at);
        let new = NewGrant {
            access_token: living,
            refresh_token: details.refresh_token.as_ref(),
            due_at: details.refresh_token.as_ref().map(|_| now),
            granted_at: granted_at.max(known),
            func_info: &details.func_info,
            claim,
        };
        let seq = before.map_or(0, |row| row.token.seq);
        if self.vault.store_grant(authorizer, seq, &new, now).await? == GrantWrite::Changed {
            return Err(VaultError::Contended { item: "account" }.into());
        }
        self.keep_profile(authorizer, seq.saturating_add(1), details).await?;
        if details.refresh_token.is_some() {
            // Should this fail, the account is due and the refresher goes on with it.
            let renewed = self.renew(&Slot::Authorizer(authorizer.clone()), LeaseFor::Due).await;
            if let Err(error) = renewed {
                tracing::warn!(authorizer = %authorizer, "account {authorizer} is renewed later: {error}");
            }
        }
        Ok(())
    }

    /// Reads an account's profile and keeps it. A failure costs the profile, never the grant: reconcile reads it again.
    pub(crate) async fn fetch_profile(&self, authorizer: &AppId) {
        for _ in 0..PROFILE_TRIES {
            match self.try_to_fetch_profile(authorizer).await {
                Ok(GrantWrite::Stored) => return,
                // What was read may be older than what was stored meanwhile: read again.
                Ok(GrantWrite::Changed) => {}
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

    async fn try_to_fetch_profile(&self, authorizer: &AppId) -> Result<GrantWrite, TokenError> {
        let row = self.vault.token(&Slot::Authorizer(authorizer.clone())).await?;
        let seq = row.map_or(0, |row| row.seq);
        let details = self.details(authorizer).await?;
        Ok(self.keep_profile(authorizer, seq, &details).await?)
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

    async fn granted(&self, authorizer: AppId, binding: Option<Binding>, by: BoundBy) -> Result<Exchanged, TokenError> {
        let bound = match binding {
            Some(binding) => Some(self.vault.bind_link(&binding.link, &authorizer, by, self.now()).await?),
            None => None,
        };
        Ok(Exchanged::Granted { authorizer, bound })
    }
}

/// What came of one try to store tokens in hand.
enum Kept {
    Yes,
    /// WeChat says that the grant is gone again.
    Revoked,
    /// The account was changed meanwhile: look again.
    NotYet,
}

/// Whether a revocation is stored that WeChat's times do not place before the grant.
fn may_be_revoked(account: &StoredAccount, granted_at: Option<Timestamp>, now: Timestamp) -> bool {
    account.token.state != AccountState::Active
        && account.revoked_at.is_some()
        && renewal::order(granted_at, account.revoked_at, now) != Order::Later
}

/// Whether what is stored already comes from this code or from a later grant.
fn is_at_least_as_new(account: &StoredAccount, code: &Code<'_>) -> bool {
    account.token.state == AccountState::Active
        && (account.grant_claim.as_ref() == Some(code.claim)
            || code.granted_at.zip(account.granted_at).is_some_and(|(granted, stored)| stored >= granted))
}
