//! The tokens of accounts, by the same mechanism as the component's (`leased.rs`).

use std::sync::Arc;
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::{AppId, LinkId, hex};
use base::limits::LEASE;
use futures::future::BoxFuture;
use runtime::telemetry::{Measure, Metric};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use store::{
    GrantEnd, Issued, Lease, NewGrant, RenewalReason, Store, StoreError, StoredAccount, TokenOwner, TokenRecord,
    WriteOutcome,
};
use wechat::api::{AuthorizerDetails, ErrCode, Reaction, WechatError};

use crate::component::Component;
use crate::context::Context;
use crate::leased::{self, IssueError, Renewable, UsableToken};
use crate::page_tickets;
use crate::profiles::Profiles;
use crate::schedule;

pub use crate::error::{Scope, TokenError};
pub use crate::leased::{DetailsSay, Refused, Renewal, ValidToken};
pub use crate::token_cache::TokenCache;

/// A token that was stored less than this ago is not renewed when a service says that WeChat refuses it: the next one
/// would soon be refused as well, and each renewal counts against the daily limit.
const BETWEEN_RENEWALS: Duration = Duration::from_mins(1);

/// The tokens of accounts, while one event is handled.
#[derive(Clone)]
pub struct Tokens {
    component: Component,
    profiles: Profiles,
    cache: Arc<TokenCache>,
}

/// The id of a token, which identifies it without revealing it: the first 16 hexadecimal digits of its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenId(String);

impl TokenId {
    /// The id of a token.
    #[must_use]
    pub fn of(token: &SecretString) -> Self {
        let digest = Sha256::digest(token.expose_secret());
        Self(hex(&digest[..8]))
    }

    /// Parses an id from a caller; `None` unless it is 16 digits of `0-9a-f`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == 16 && text.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The replacement of a token that WeChat has refused.
#[derive(Debug)]
pub struct Replacement {
    /// The token that is now stored.
    pub token: ValidToken,
    /// Whether it was issued for this caller; otherwise another process had already replaced the refused one.
    pub renewed: bool,
}

/// The token of one account.
struct AccountToken<'a> {
    tokens: &'a Tokens,
    authorizer: &'a AppId,
}

impl Tokens {
    /// The tokens of a platform's accounts.
    #[must_use]
    pub fn of(component: &Component) -> Self {
        Self { component: component.clone(), profiles: Profiles::of(component), cache: Arc::default() }
    }

    /// The same with the process's cache.
    #[must_use]
    pub fn remembering(self, cache: &Arc<TokenCache>) -> Self {
        Self { cache: Arc::clone(cache), ..self }
    }

    pub(crate) const fn component(&self) -> &Component {
        &self.component
    }

    pub(crate) const fn profiles(&self) -> &Profiles {
        &self.profiles
    }

    const fn store(&self) -> &Store {
        self.component.store()
    }

    pub(crate) const fn context(&self) -> &Context {
        self.component.context()
    }

    /// A token that WeChat accepts, renewed if it is due. One read, unless it is cached; for a ticket another one, of
    /// the account's token.
    ///
    /// A token that is due but cannot be renewed now is returned as it is until it expires.
    ///
    /// # Errors
    /// [`TokenError`]: there is no such token.
    pub async fn valid(&self, owner: &TokenOwner) -> Result<ValidToken, TokenError> {
        let now = self.context().now();
        if let Some(token) = self.cache.get(owner, now) {
            return Ok(token);
        }
        let reading = self.cache.begin(now);
        let token = self.usable(owner, None).await?.token;
        self.cache.keep(owner, &token, reading);
        Ok(token)
    }

    /// The store of tokens, and the context of a renewal.
    pub(crate) const fn kept(&self) -> (&store::StoredTokens, &Context) {
        (&self.store().tokens, self.context())
    }

    /// A token other than the one that WeChat has just refused: the stored one if it was replaced meanwhile, otherwise
    /// a new one.
    ///
    /// # Errors
    /// [`TokenError::RenewedJustNow`] if the refused token is the stored one and not a minute old,
    /// [`TokenError::StillAccepted`] if it is the platform's and WeChat accepts it in a call that names no account;
    /// otherwise as [`Self::valid`].
    pub async fn replace(
        &self,
        owner: &TokenOwner,
        rejected: &SecretString,
        refusal: &WechatError,
    ) -> Result<Replacement, TokenError> {
        leased::warn_of_rejection(owner, refusal);
        self.replace_by_id(owner, &TokenId::of(rejected)).await
    }

    /// The same for a caller that names the refused token by its id.
    ///
    /// # Errors
    /// As [`Self::replace`].
    pub async fn replace_by_id(&self, owner: &TokenOwner, rejected: &TokenId) -> Result<Replacement, TokenError> {
        self.cache.forget(owner);
        let now = self.context().now();
        let reading = self.cache.begin(now);
        let stored = self.store().tokens.get(owner).await?;
        let is_refused = |token: &SecretString| TokenId::of(token) == *rejected;
        let refused = stored.filter(|record| record.access_token.as_ref().is_some_and(is_refused));
        let again_at = refused.as_ref().and_then(|record| record.stored_at).map(|at| at.plus(BETWEEN_RENEWALS));
        if let Some(again_at) = again_at.filter(|again_at| now < *again_at) {
            return Err(TokenError::RenewedJustNow { owner: owner.clone(), again_at });
        }
        let refused = refused.and_then(|record| record.access_token);
        if let (TokenOwner::Component, Some(token)) = (owner, &refused)
            && self.component.is_accepted(token).await
        {
            return Err(TokenError::StillAccepted(owner.clone()));
        }
        let UsableToken { token, renewed } = self.usable(owner, refused.as_ref()).await?;
        self.cache.keep(owner, &token, reading);
        let renewed = renewed && refused.is_some();
        if renewed {
            self.context().metrics.put(&Metric::count(Measure::TokenRefused, 1));
        }
        if *owner == TokenOwner::Component {
            self.component.report_second_issuer(renewed);
        }
        Ok(Replacement { token, renewed })
    }

    /// Makes an account due after WeChat has said in a call that it has not authorized the platform (61003): the next
    /// run renews its token, and WeChat's response to that counts. One read and one write; without effect within a
    /// minute after a renewal, during one, and if its renewals already fail.
    ///
    /// # Errors
    /// [`StoreError`]: then the account is renewed when it is due.
    pub async fn check_soon(&self, authorizer: &AppId) -> Result<(), StoreError> {
        let (owner, now) = (TokenOwner::Authorizer(authorizer.clone()), self.context().now());
        let Some(record) = self.store().tokens.get(&owner).await? else { return Ok(()) };
        let is_new = record.stored_at.is_some_and(|at| now.since(at) < BETWEEN_RENEWALS);
        if is_new || record.is_due(now) || record.last_error.is_some() {
            return Ok(());
        }
        self.cache.forget(&owner);
        self.store().tokens.make_due(&owner, record.seq, now).await
    }

    async fn usable(&self, owner: &TokenOwner, rejected: Option<&SecretString>) -> Result<UsableToken, TokenError> {
        match owner {
            TokenOwner::Component => Box::pin(leased::usable(&self.component, rejected)).await,
            TokenOwner::Authorizer(authorizer) => {
                Box::pin(leased::usable(&AccountToken { tokens: self, authorizer }, rejected)).await
            }
            TokenOwner::Pages(account, kind) => Box::pin(page_tickets::usable(self, account, *kind, rejected)).await,
        }
    }

    /// Renews an account's token under its lease, if it is due. Two writes, no read.
    ///
    /// # Errors
    /// [`TokenError`]; the failure is stored and the next try postponed.
    pub async fn renew(&self, authorizer: &AppId) -> Result<Renewal, TokenError> {
        AccountToken { tokens: self, authorizer }.renew_for(RenewalReason::Due).await
    }

    /// Renews an account that is due. If that fails, the refresher tries again.
    pub(crate) async fn renew_at_once(&self, authorizer: &AppId) {
        if let Err(error) = self.renew(authorizer).await {
            tracing::warn!(authorizer = %authorizer, "account {authorizer} will be renewed later: {error}");
        }
    }

    /// Marks an account's grant as gone, unless the account was changed since it was read.
    pub async fn end_grant(&self, authorizer: &AppId, seq: u64, end: &GrantEnd) -> Result<WriteOutcome, StoreError> {
        let now = self.context().now();
        let link = LinkId::generate(&self.context().random);
        let written = self.store().accounts.end_grant(authorizer, seq, end, &link, now).await?;
        if written == WriteOutcome::Stored {
            let state = end.state();
            tracing::info!(authorizer = %authorizer, state = state.as_str(), "account {authorizer} is now {state}");
        }
        Ok(written)
    }

    /// Renews an account's token with the refresh token of its details, which were read after the row, and puts the
    /// account back into use if the row's `token_seq` is unchanged. `false` if the refresh token does not work, or
    /// another process has changed the account meanwhile. The stored time of the grant stays as it is: it may be the
    /// same grant.
    ///
    /// # Errors
    /// [`TokenError`]: whether the refresh token works is unknown.
    pub async fn revive(
        &self,
        authorizer: &AppId,
        row: &StoredAccount,
        details: &AuthorizerDetails,
    ) -> Result<bool, TokenError> {
        let Some(refresh_token) = &details.refresh_token else { return Ok(false) };
        let until = self.context().now().plus(LEASE);
        let issued = match self.issue_with(authorizer, refresh_token, until).await {
            Err(TokenError::Wechat(refused)) if asks_for_recovery(&refused) => return Ok(false),
            issued => issued?,
        };
        let grant = NewGrant {
            access_token: Some((&issued.access_token, issued.expires_at)),
            refresh_token: issued.new_refresh_token.as_ref().or(Some(refresh_token)),
            due_at: Some(issued.due_at),
            granted_at: row.granted_at,
            func_info: &details.func_info,
            origin: None,
            is_recovery: true,
            claim: None,
        };
        match self.store().accounts.store_grant(authorizer, row.token.seq, &grant, issued.issued_at).await? {
            WriteOutcome::Stored => {
                self.profiles.keep(authorizer, row.token.seq.saturating_add(1), details).await?;
                Ok(true)
            }
            WriteOutcome::Superseded => {
                // The new token may have replaced the one that was stored instead: the next renewal decides.
                let owner = TokenOwner::Authorizer(authorizer.clone());
                self.store().tokens.mark_due(&owner, self.context().now()).await?;
                Ok(false)
            }
        }
    }

    /// Calls `api_authorizer_token` (protocol section 1.5) with a refresh token; the result must be stored before
    /// `until`.
    async fn issue_with(
        &self,
        authorizer: &AppId,
        refresh_token: &SecretString,
        until: Timestamp,
    ) -> Result<Issued, TokenError> {
        let (component, context) = (&self.component, self.context());
        let renewed = component.call(|token| async move {
            context.may_still_call(until)?;
            component.wechat().authorizer_token(component.carries(&token), authorizer, refresh_token).await
        });
        let renewed = renewed.await?;
        let now = context.now();
        Ok(Issued {
            access_token: renewed.access_token,
            issued_at: now,
            expires_at: now.plus(renewed.expires_in),
            due_at: schedule::due_at(now, renewed.expires_in, schedule::authorizer_margin(&context.random)),
            new_refresh_token: renewed
                .refresh_token
                .filter(|answered| answered.expose_secret() != refresh_token.expose_secret()),
            after_refusal: false,
        })
    }
}

impl AccountToken<'_> {
    async fn renew_for(&self, reason: RenewalReason<'_>) -> Result<Renewal, TokenError> {
        let Some(mut lease) = leased::take(self, reason).await? else { return Ok(Renewal::NotOurs) };
        let issued = self.issue(&mut lease).await;
        let renewal = leased::settle(self, &lease, issued).await;
        if let Err(error) = &renewal {
            self.read_status(lease.record().seq, error).await;
        }
        renewal
    }

    /// Issues a token with the stored refresh token, or else with the one in the account's details.
    async fn issue(&self, lease: &mut Lease<TokenRecord>) -> Result<Issued, IssueError> {
        let Self { tokens, authorizer } = *self;
        let Some(stored) = &lease.record().refresh_token else {
            return Err(TokenError::NoPermission(authorizer.clone()).into());
        };
        let refused = match tokens.issue_with(authorizer, stored, lease.until()).await {
            Err(TokenError::Wechat(refused)) if asks_for_recovery(&refused) => refused,
            answer => return Ok(answer?),
        };
        let details = match tokens.component.details(authorizer).await {
            Ok(details) => details,
            Err(error) if error.says_gone() => return Err(IssueError::Refused(refused, DetailsSay::Gone)),
            Err(error) if matches!(error.scope(), Scope::Platform | Scope::OutOfTime) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(authorizer = %authorizer, "the details of account {authorizer} cannot be read: {error}");
                return Err(IssueError::Refused(refused, DetailsSay::Nothing));
            }
        };
        let Some(known) = &details.refresh_token else {
            return Err(IssueError::Refused(refused, DetailsSay::NoRefreshToken));
        };
        if lease.record().is_renewed_by(known) {
            return Err(IssueError::Refused(refused, DetailsSay::SameRefreshToken));
        }
        tracing::warn!(authorizer = %authorizer, "account {authorizer} had lost its refresh token; WeChat's details name the new one");
        let until = tokens.context().now().plus(LEASE);
        if tokens.store().tokens.swap_refresh_token(lease, known, until).await? == WriteOutcome::Superseded {
            return Err(IssueError::LeaseLost);
        }
        // Another refresh token may belong to another grant, with other permission sets.
        if let Err(error) = tokens.profiles.keep(authorizer, lease.record().seq, &details).await {
            tracing::warn!(authorizer = %authorizer, "the profile of account {authorizer} was not stored: {error}");
        }
        match tokens.issue_with(authorizer, known, lease.until()).await {
            Err(TokenError::Wechat(refused)) if asks_for_recovery(&refused) => {
                Err(IssueError::Refused(refused, DetailsSay::SameRefreshToken))
            }
            answer => Ok(answer?),
        }
    }

    /// Reads the account's status after 50002, which says that the account was frozen, closed or moved; its details say
    /// which.
    async fn read_status(&self, seq: u64, error: &TokenError) {
        if error.wechat().and_then(WechatError::code) == Some(ErrCode::AccountLimited) {
            self.tokens.profiles.fetch(self.authorizer, seq).await;
        }
    }
}

impl Renewable for AccountToken<'_> {
    fn owner(&self) -> TokenOwner {
        TokenOwner::Authorizer(self.authorizer.clone())
    }

    fn tokens(&self) -> (&store::StoredTokens, &Context) {
        self.tokens.kept()
    }

    fn renew<'a>(&'a self, reason: RenewalReason<'a>) -> BoxFuture<'a, Result<Renewal, TokenError>> {
        Box::pin(self.renew_for(reason))
    }
}

/// Whether the refusal says that the refresh token or the grant is not what it was.
fn asks_for_recovery(refused: &WechatError) -> bool {
    matches!(refused.reaction(), Reaction::RefreshTokenInvalid | Reaction::Reauthorize)
}
