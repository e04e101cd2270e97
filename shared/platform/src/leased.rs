//! Tokens under a lease, the component's and the accounts', by one mechanism: read the token; if it is not due, use it;
//! otherwise take the lease, call WeChat, and write the result on the condition that `token_seq` is unchanged.
//!
//! A caller that does not get the lease uses the old token until it expires, then waits and reads again; it never
//! issues a second one. The next renewal repairs whatever is lost between WeChat's response and the write: if WeChat no
//! longer accepts a refresh token, the current one is read from the account's details.

use std::time::Duration;

use base::clock::Timestamp;
use base::limits::LEASE;
use futures::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};
use store::{
    AccountState, Failure, Issued, LastFailure, Lease, LeaseTerm, RenewalReason, StoreError, TokenOwner, TokenRecord,
    WriteOutcome,
};
use tokio::time::Instant;
use wechat::api::{ErrCode, WechatError};

use crate::context::Context;
use crate::error::{Scope, TokenError};
use crate::schedule;

/// The outcome of a renewal.
#[derive(Debug)]
pub enum Renewal {
    /// WeChat issued a token and it is stored.
    Renewed(ValidToken),
    /// Another process is renewing or has renewed, or there was nothing to renew.
    NotOurs,
    /// WeChat refuses the grant or its refresh token, and the account's details do not help. The account is postponed
    /// and unchanged: more evidence is needed to end its grant ([`Refused`]).
    Refused(Refused),
}

/// A token that WeChat accepts.
#[derive(Debug, Clone)]
pub struct ValidToken {
    /// The token.
    pub token: SecretString,
    /// Until when it may be used without reading the table again: after that it may be renewed at any moment. In the
    /// past if it is being renewed.
    pub use_until: Timestamp,
    /// When WeChat stops accepting it.
    pub expires_at: Timestamp,
}

impl ValidToken {
    /// The stored token, unless it has expired.
    fn of(record: &TokenRecord, now: Timestamp) -> Option<Self> {
        let token = record.live_token(now)?.clone();
        Some(Self { token, use_until: record.good_until()?, expires_at: record.expires_at? })
    }

    fn is(&self, token: &SecretString) -> bool {
        self.token.expose_secret() == token.expose_secret()
    }
}

/// An account that WeChat refuses to renew, and what is known about it so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The `token_seq` that was read: a conclusion is stored only if it is unchanged.
    pub seq: u64,
    /// WeChat's code for the renewal.
    pub code: ErrCode,
    /// WeChat's id of the refused request.
    pub rid: Option<String>,
    /// Since when every renewal has been refused, by our clock.
    pub since: Timestamp,
    /// What the account's details say.
    pub details: DetailsSay,
}

/// What an account's details say after a refused renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetailsSay {
    /// The grant is gone.
    Gone,
    /// The grant is in force, and has no refresh token.
    NoRefreshToken,
    /// The grant is in force, and its refresh token is the one that was refused.
    SameRefreshToken,
    /// They could not be read.
    Nothing,
}

/// Why WeChat issued no token.
pub(crate) enum IssueError {
    Failed(TokenError),
    Refused(WechatError, DetailsSay),
    LeaseLost,
}

impl<E: Into<TokenError>> From<E> for IssueError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// A token that can be renewed, and how.
pub(crate) trait Renewable: Sync {
    fn owner(&self) -> TokenOwner;

    fn tokens(&self) -> (&store::StoredTokens, &Context);

    /// Renews the token under its lease, if the reason still holds. Two writes, no read.
    fn renew<'a>(&'a self, reason: RenewalReason<'a>) -> BoxFuture<'a, Result<Renewal, TokenError>>;
}

/// A token to be used, perhaps instead of one that WeChat refused.
pub(crate) struct UsableToken {
    pub(crate) token: ValidToken,
    /// Whether it was issued now, for this caller; otherwise it was already stored.
    pub(crate) renewed: bool,
}

/// A token that can be used: the stored one, unless it is due or was rejected; otherwise a new one.
pub(crate) async fn usable(token: &impl Renewable, rejected: Option<&SecretString>) -> Result<UsableToken, TokenError> {
    let owner = token.owner();
    let (tokens, context) = token.tokens();
    let give_up = Instant::now() + context.limits.token_wait;
    let give_up = context.deadline.map_or(give_up, |deadline| deadline.min(give_up));
    loop {
        let now = context.now();
        let record = tokens.get(&owner).await?;
        let usable = record.as_ref().and_then(|record| ValidToken::of(record, now));
        let usable = usable.filter(|token| rejected.is_none_or(|rejected| !token.is(rejected)));
        if let Some(reason) = reason_to_renew(&owner, record.as_ref(), rejected, now)? {
            match token.renew(reason).await {
                Ok(Renewal::Renewed(token)) => return Ok(UsableToken { token, renewed: true }),
                Ok(Renewal::NotOurs | Renewal::Refused(_)) => {}
                Err(error) if usable.is_none() => return Err(error),
                Err(error) => tracing::warn!(%owner, label = error.label(), "{owner} keeps its token for now: {error}"),
            }
        }
        if let Some(token) = usable {
            return Ok(UsableToken { token, renewed: false });
        }
        if Instant::now() >= give_up {
            return Err(TokenError::Busy(owner));
        }
        tokio::time::sleep(context.pause()).await;
    }
}

/// Logs that WeChat refused a stored token.
pub(crate) fn warn_of_rejection(owner: &TokenOwner, refusal: &WechatError) {
    tracing::warn!(%owner, code = refusal.code_label(), "WeChat refused the stored token of {owner}");
}

/// Whether there is a reason to renew now.
fn reason_to_renew<'a>(
    owner: &TokenOwner,
    record: Option<&TokenRecord>,
    rejected: Option<&'a SecretString>,
    now: Timestamp,
) -> Result<Option<RenewalReason<'a>>, TokenError> {
    let Some(record) = record else {
        return match owner {
            TokenOwner::Component | TokenOwner::Pages(..) => Ok(Some(RenewalReason::Due)),
            TokenOwner::Authorizer(authorizer) => Err(TokenError::UnknownAccount(authorizer.clone())),
        };
    };
    if record.state != AccountState::Active {
        return Err(no_grant(owner, record));
    }
    if record.is_leased(now) {
        return Ok(None);
    }
    let refused = rejected.filter(|rejected| record.holds(rejected));
    if let Some(refused) = refused
        && record.failures == 0
    {
        return Ok(Some(RenewalReason::Rejected(refused)));
    }
    match (record.due_at, owner) {
        (None, TokenOwner::Authorizer(authorizer)) => Err(TokenError::NoPermission(authorizer.clone())),
        (Some(next_try), _) if now < next_try && (refused.is_some() || record.live_token(now).is_none()) => {
            Err(TokenError::Failing {
                owner: owner.clone(),
                label: record.last_error.clone().unwrap_or_default(),
                next_try,
            })
        }
        (Some(due), _) if now < due => Ok(None),
        _ => Ok(Some(RenewalReason::Due)),
    }
}

fn no_grant(owner: &TokenOwner, record: &TokenRecord) -> TokenError {
    match owner {
        TokenOwner::Authorizer(authorizer) => {
            TokenError::NotAuthorized { authorizer: authorizer.clone(), state: record.state, since: record.due_at }
        }
        TokenOwner::Component | TokenOwner::Pages(..) => TokenError::Busy(owner.clone()),
    }
}

/// Takes the lease on a token, if the reason to renew it still holds.
pub(crate) async fn take(
    token: &impl Renewable,
    reason: RenewalReason<'_>,
) -> Result<Option<Lease<TokenRecord>>, TokenError> {
    let (tokens, context) = token.tokens();
    let term = LeaseTerm::new(&context.random, context.now(), LEASE);
    Ok(tokens.lease(&token.owner(), &term, reason).await?)
}

/// Ends a renewal: stores what was issued, or that nothing was and when to try again.
pub(crate) async fn settle(
    token: &impl Renewable,
    lease: &Lease<TokenRecord>,
    issued: Result<Issued, IssueError>,
) -> Result<Renewal, TokenError> {
    let owner = token.owner();
    let (_, context) = token.tokens();
    let (seq, failures) = (lease.record().seq, lease.record().failures.saturating_add(1));
    match issued {
        Ok(issued) => keep(token, lease, issued).await,
        Err(IssueError::Failed(error)) => {
            let wait = wait_after(&owner, failures, &error);
            give_up(token, lease, &error.label(), error.wechat(), wait, None).await;
            Err(error)
        }
        Err(IssueError::LeaseLost) => Ok(Renewal::NotOurs),
        Err(IssueError::Refused(refused, details)) => {
            let (wait, now) = (Some(schedule::backoff(failures)), context.now());
            let code = refused.code().unwrap_or(ErrCode::RefreshTokenInvalid);
            give_up(token, lease, &code.to_string(), Some(&refused), wait, Some(now)).await;
            let since = lease.record().refused_since.unwrap_or(now);
            let rid = refused.refusal().and_then(|refusal| refusal.rid.clone());
            Ok(Renewal::Refused(Refused { seq, code, rid, since, details }))
        }
    }
}

/// Stores a result; if the item was changed meanwhile, the next renewal decides.
async fn keep(token: &impl Renewable, lease: &Lease<TokenRecord>, issued: Issued) -> Result<Renewal, TokenError> {
    let owner = token.owner();
    let (tokens, context) = token.tokens();
    let stored = match tokens.store_issued(lease, &issued).await {
        // WeChat has invalidated the old token: storing the new one is worth a second series of tries.
        Err(StoreError::Unavailable { .. }) => tokens.store_issued(lease, &issued).await?,
        stored => stored?,
    };
    match stored {
        WriteOutcome::Stored => {
            let (use_until, expires_at) = (issued.good_until(), issued.expires_at);
            Ok(Renewal::Renewed(ValidToken { token: issued.access_token, use_until, expires_at }))
        }
        WriteOutcome::Superseded => {
            tracing::warn!(%owner, "{owner} was changed while its token was being renewed: it will be renewed again");
            tokens.mark_due(&owner, context.now()).await?;
            Ok(Renewal::NotOurs)
        }
    }
}

/// Ends the lease after a failure. `wait` postpones the next try and counts the failure; without it the token stays due.
async fn give_up(
    token: &impl Renewable,
    lease: &Lease<TokenRecord>,
    label: &str,
    said: Option<&WechatError>,
    wait: Option<Duration>,
    refused_at: Option<Timestamp>,
) {
    let (tokens, context) = token.tokens();
    let now = context.now();
    let cause = match said.and_then(WechatError::refusal) {
        Some(said) => LastFailure::refused(now, label, &said.api.to_string(), &said.errmsg, said.rid.as_deref()),
        None => LastFailure::silent(now, label),
    };
    let due_at = now.plus(wait.unwrap_or_default());
    let failure = Failure { cause, due_at, counts: wait.is_some(), refused_at };
    if let Err(error) = tokens.release(lease, &failure).await {
        tracing::warn!(owner = %token.owner(), "the lease on the token of {} was not released and will expire: {error}", token.owner());
    }
}

/// How long a failed renewal waits. A failure that is not the owner's is not counted: the token stays due and is among
/// the first to be tried when the cause is gone.
fn wait_after(owner: &TokenOwner, failures: u32, error: &TokenError) -> Option<Duration> {
    let is_own = match owner {
        TokenOwner::Component => !matches!(error, TokenError::NoTicket),
        TokenOwner::Authorizer(_) | TokenOwner::Pages(..) => matches!(error.scope(), Scope::Subject | Scope::Table),
    };
    let wait = match owner {
        // These two are requested only when somebody waits for them.
        TokenOwner::Component | TokenOwner::Pages(..) => schedule::component_backoff(failures),
        TokenOwner::Authorizer(_) => schedule::backoff(failures),
    };
    (is_own && error.scope() != Scope::OutOfTime).then_some(wait)
}
