//! "A token, now": the component's and every account's, by one mechanism (design section 5).
//!
//! Read; if it is not due, use it; else take the lease, call WeChat, and write the result over the `token_seq` that was
//! read. Who does not get the lease uses the old token while it lives, else waits and reads again; it never issues a
//! second one. Whatever is lost between WeChat's answer and the write, the next renewal repairs: a refresh token that
//! WeChat no longer accepts is read back from the account's details.

use std::time::Duration;

use futures::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::ids::AppId;
use crate::limits::{LEASE, LEASE_LEFT_TO_CALL};
use crate::renewal;
use crate::session::Session;
use crate::telemetry::Metric;
use crate::vault::{AccountState, Failure, GrantWrite, Issued, Lease, LeaseFor, Slot, Stored, TokenRecord, VaultError};
use crate::wechat::{ErrCode, Reaction, WechatError};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The table did not answer.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// WeChat did not answer, or refused.
    #[error(transparent)]
    Wechat(#[from] WechatError),
    /// WeChat has not pushed a ticket yet: without one there is no component token.
    #[error("WeChat has not pushed a component_verify_ticket yet: check 授权事件接收URL in WeChat's console")]
    NoTicket,
    /// There is no component token, on which every call depends: no account's fault.
    #[error("there is no component token: {0}")]
    NoComponentToken(#[source] Box<TokenError>),
    /// No such account ever authorized the platform.
    #[error("account {0} has not authorized this platform")]
    UnknownAccount(AppId),
    /// The account's grant is gone.
    #[error("account {0} is {1}: the merchant has to authorize the platform again")]
    NotAuthorized(AppId, AccountState),
    /// The account granted no API permission: WeChat issues no token for it.
    #[error("account {0} granted no API permission")]
    NoPermission(AppId),
    /// Another process is renewing and did not finish in time.
    #[error("the token of {0} is being renewed: try again in a few seconds")]
    Busy(Slot),
    /// The last renewals failed and the old token has lapsed.
    #[error("the token of {slot} could not be renewed ({label}); the next try is at {next_try}")]
    Failing {
        /// Whose token.
        slot: Slot,
        /// The last failure.
        label: String,
        /// When it is tried again.
        next_try: Timestamp,
    },
}

impl TokenError {
    /// A short label with few values, to count failures by.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Vault(_) => "table".to_owned(),
            Self::Wechat(error) => error.code_label(),
            Self::NoTicket => "no-ticket".to_owned(),
            Self::NoComponentToken(cause) => cause.label(),
            Self::UnknownAccount(_) => "unknown-account".to_owned(),
            Self::NotAuthorized(..) => "not-authorized".to_owned(),
            Self::NoPermission(_) => "no-permission".to_owned(),
            Self::Busy(_) => "busy".to_owned(),
            Self::Failing { label, .. } => label.clone(),
        }
    }

    /// Whether the same can succeed later without anybody changing the request.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Wechat(error) => {
                !matches!(error.reaction(), Reaction::Caller | Reaction::Permission | Reaction::Unknown)
            }
            Self::UnknownAccount(_) | Self::NotAuthorized(..) | Self::NoPermission(_) => false,
            Self::Vault(_) | Self::NoTicket | Self::NoComponentToken(_) | Self::Busy(_) | Self::Failing { .. } => true,
        }
    }

    /// What WeChat said or failed to say, be it about the call or about the component token that it needed.
    #[must_use]
    pub fn wechat(&self) -> Option<&WechatError> {
        match self {
            Self::Wechat(error) => Some(error),
            Self::NoComponentToken(cause) => cause.wechat(),
            _ => None,
        }
    }

    /// Whether every other account would fail alike.
    #[must_use]
    pub const fn is_platform_wide(&self) -> bool {
        match self {
            // A token that is refused again right after it was renewed: another server renews too, and every further
            // call would only use up the day's issues.
            // And a call that there was no time left for: the next one would have less.
            Self::Wechat(error) => error.is_platform_wide() || error.token_rejected() || error.was_not_started(),
            Self::NoTicket
            | Self::NoComponentToken(_)
            | Self::Vault(VaultError::Unavailable { .. })
            | Self::Busy(Slot::Component)
            | Self::Failing { slot: Slot::Component, .. } => true,
            _ => false,
        }
    }
}

/// What came of a renewal.
#[derive(Debug)]
pub enum Renewal {
    /// WeChat issued a token and it is stored.
    Renewed(SecretString),
    /// Somebody else renews or has renewed, or there was nothing to renew.
    NotOurs,
    /// WeChat refuses the grant for good; the account is marked.
    Gone,
    /// WeChat refuses the refresh token and its details name no better one: the list of all accounts may.
    NeedsList {
        /// The `token_seq` that this was found with: what follows is written over it and nothing newer.
        seq: u64,
    },
}

/// Why WeChat issued nothing.
enum IssueError {
    Failed(TokenError),
    Gone(WechatError),
    NeedsList(WechatError),
    LeaseLost,
}

impl<E: Into<TokenError>> From<E> for IssueError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Session {
    /// The platform's `component_access_token`, renewed if it is due.
    ///
    /// # Errors
    /// [`TokenError`].
    #[must_use]
    pub fn component_token(&self) -> BoxFuture<'_, Result<SecretString, TokenError>> {
        // Boxed: renewing an account's token needs the component's, by the same function.
        Box::pin(self.token(&Slot::Component, None))
    }

    /// An account's `authorizer_access_token`, renewed if it is due.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn authorizer_token(&self, authorizer: &AppId) -> Result<SecretString, TokenError> {
        self.token(&Slot::Authorizer(authorizer.clone()), None).await
    }

    /// Calls WeChat with the component token; if WeChat refuses the token, renews it unless somebody has, and calls
    /// once more, never twice.
    ///
    /// # Errors
    /// [`TokenError`]: no token, or the call's own failure.
    pub async fn with_component<T, F>(&self, call: impl Fn(SecretString) -> F) -> Result<T, TokenError>
    where
        F: Future<Output = Result<T, WechatError>>,
    {
        let none = |cause| TokenError::NoComponentToken(Box::new(cause));
        let token = self.component_token().await.map_err(none)?;
        match call(token.clone()).await {
            Err(refused) if refused.token_rejected() => {
                let fresh = Box::pin(self.token_after_rejection(&Slot::Component, &token, &refused));
                Ok(call(fresh.await.map_err(none)?).await?)
            }
            answer => Ok(answer?),
        }
    }

    /// A token other than the one that WeChat just refused: the stored one if it was replaced meanwhile, else a new
    /// one. When nobody of ours had replaced it, another server issues tokens for the same platform.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn token_after_rejection(
        &self,
        slot: &Slot,
        rejected: &SecretString,
        refusal: &WechatError,
    ) -> Result<SecretString, TokenError> {
        let code = refusal.code_label();
        tracing::warn!(code, "WeChat refused the stored token of {slot}");
        self.token(slot, Some(rejected)).await
    }

    async fn token(&self, slot: &Slot, rejected: Option<&SecretString>) -> Result<SecretString, TokenError> {
        let give_up = Instant::now() + self.limits.token_wait;
        let give_up = self.deadline.map_or(give_up, |deadline| deadline.min(give_up));
        loop {
            let now = self.now();
            let record = self.vault.token(slot).await?;
            let usable = record
                .as_ref()
                .and_then(|record| record.live_token(now))
                .filter(|token| rejected.is_none_or(|rejected| rejected.expose_secret() != token.expose_secret()));
            if let Some(reason) = reason_to_renew(slot, record.as_ref(), rejected, now)? {
                match self.renew(slot, reason).await {
                    Ok(Renewal::Renewed(token)) => {
                        if rejected.is_some() {
                            self.metrics.put(&Metric::count("second_issuer", 1));
                            tracing::error!(
                                "{slot} was issued a token by somebody else: is another server running this platform?"
                            );
                        }
                        return Ok(token);
                    }
                    Ok(Renewal::Gone) => return Err(no_grant(slot, AccountState::NeedsAuthorization)),
                    Ok(Renewal::NotOurs | Renewal::NeedsList { .. }) => {}
                    Err(error) if usable.is_none() => return Err(error),
                    Err(error) => tracing::warn!(label = error.label(), "{slot} keeps its token for now: {error}"),
                }
            }
            if let Some(token) = usable {
                return Ok(token.clone());
            }
            if Instant::now() >= give_up {
                return Err(TokenError::Busy(slot.clone()));
            }
            tokio::time::sleep(self.pause()).await;
        }
    }

    /// Whether a call that issues or spends may begin: its result must be written down before the lease ends at `until`,
    /// and it must not be cut short by our own deadline, when WeChat has done it and nobody hears the answer.
    pub(crate) fn may_still_call(&self, until: Timestamp) -> Result<(), WechatError> {
        let lease_suffices = until.since(self.now()) >= LEASE_LEFT_TO_CALL;
        let time_suffices =
            self.deadline.is_none_or(|deadline| Instant::now() + self.limits.least_for_wechat <= deadline);
        if lease_suffices && time_suffices { Ok(()) } else { Err(WechatError::not_started()) }
    }

    /// Half to all of the polling interval, so that many who wait do not read at the same moment.
    pub(crate) fn pause(&self) -> Duration {
        let half = self.limits.poll / 2;
        half + Duration::from_micros(self.random.up_to(u64::try_from(half.as_micros()).unwrap_or(0)))
    }

    /// Renews a token under its lease, if the reason still holds. Two writes, no read.
    ///
    /// # Errors
    /// [`TokenError`]; the failure is written down and the next try put off.
    pub async fn renew(&self, slot: &Slot, reason: LeaseFor<'_>) -> Result<Renewal, TokenError> {
        let owner = self.random.token();
        let asked = self.now();
        let until = asked.plus(LEASE);
        let record = match self.vault.lease(slot, &owner, asked, until, reason).await? {
            Lease::Won(record) => record,
            Lease::Lost(_) => return Ok(Renewal::NotOurs),
        };
        let issued = match slot {
            Slot::Component => self.issue_component(until).await,
            Slot::Authorizer(authorizer) => self.issue_authorizer(slot, authorizer, &owner, until, &record).await,
        };
        match issued {
            Ok(issued) => self.keep_issued(slot, record.seq, issued).await,
            Err(IssueError::Failed(error)) => {
                let wait = put_off(slot, &record, &error);
                self.give_up(slot, &owner, &record, &error.label(), wait).await;
                Err(error)
            }
            Err(IssueError::LeaseLost) => Ok(Renewal::NotOurs),
            Err(IssueError::NeedsList(error)) => {
                let wait = Some(renewal::backoff(record.failures.saturating_add(1)));
                self.give_up(slot, &owner, &record, &error.code_label(), wait).await;
                Ok(Renewal::NeedsList { seq: record.seq })
            }
            Err(IssueError::Gone(error)) => {
                if let Slot::Authorizer(authorizer) = slot {
                    self.report(&format!("the grant of {slot} is gone"), &error);
                    self.vault.end_grant(authorizer, record.seq, AccountState::NeedsAuthorization, None).await?;
                }
                Ok(Renewal::Gone)
            }
        }
    }

    /// Writes a result; where the item was changed meanwhile, leaves the decision to the next renewal.
    async fn keep_issued(&self, slot: &Slot, seq: u64, issued: Issued) -> Result<Renewal, TokenError> {
        let stored = match self.vault.store_issued(slot, seq, &issued).await {
            // WeChat has forgotten the old token: the new one is worth a second series of tries.
            Err(VaultError::Unavailable { .. }) => self.vault.store_issued(slot, seq, &issued).await?,
            stored => stored?,
        };
        match stored {
            Stored::Yes => Ok(Renewal::Renewed(issued.access_token)),
            Stored::Superseded => {
                tracing::warn!("{slot} was changed while its token was renewed: it is renewed again");
                self.vault.mark_due(slot, self.now()).await?;
                Ok(Renewal::NotOurs)
            }
        }
    }

    /// Ends the lease after a failure. `wait` puts the next try off and counts the failure; without it the token stays due.
    async fn give_up(&self, slot: &Slot, owner: &str, record: &TokenRecord, label: &str, wait: Option<Duration>) {
        let due_at = self.now().plus(wait.unwrap_or_default());
        let failure = Failure { label: label.to_owned(), due_at, counts: wait.is_some() };
        if let Err(error) = self.vault.release(slot, owner, record.seq, &failure).await {
            tracing::warn!("the lease on the token of {slot} ends by itself: {error}");
        }
    }

    /// `api_component_token` (protocol section 1.2).
    async fn issue_component(&self, until: Timestamp) -> Result<Issued, IssueError> {
        let ticket = self.vault.ticket().await?.ok_or(TokenError::NoTicket)?;
        self.may_still_call(until)?;
        let platform = &self.platform;
        let issued = self.wechat.component_token(&platform.component, &platform.app_secret, &ticket.ticket).await?;
        let now = self.now();
        Ok(Issued {
            access_token: issued.token,
            issued_at: now,
            expires_at: now.plus(issued.expires_in),
            due_at: renewal::due_at(now, issued.expires_in, renewal::COMPONENT_MARGIN),
            new_refresh_token: None,
        })
    }

    /// `api_authorizer_token` (protocol section 1.5), with the refresh token that is stored, else with the one that the
    /// account's details name.
    async fn issue_authorizer(
        &self,
        slot: &Slot,
        authorizer: &AppId,
        owner: &str,
        until: Timestamp,
        record: &TokenRecord,
    ) -> Result<Issued, IssueError> {
        let Some(stored) = &record.refresh_token else {
            return Err(TokenError::NoPermission(authorizer.clone()).into());
        };
        let refused = match self.renewed(authorizer, stored, until).await {
            Err(TokenError::Wechat(refused)) if asks_for_recovery(&refused) => refused,
            answer => return Ok(answer?),
        };
        if refused.code() == Some(ErrCode::PasswordChanged) {
            return Err(IssueError::Gone(refused));
        }
        let details = match self.details(authorizer).await {
            Err(TokenError::Wechat(gone)) if gone.reaction() == Reaction::Reauthorize => {
                return Err(IssueError::Gone(gone));
            }
            answer => answer?,
        };
        let Some(known) = details.refresh_token.filter(|known| known.expose_secret() != stored.expose_secret()) else {
            return Err(IssueError::NeedsList(refused));
        };
        tracing::warn!("{slot} had lost its refresh token; WeChat's details name the new one");
        let until = self.now().plus(LEASE);
        if self.vault.replace_refresh_token(slot, owner, record.seq, &known, until).await? == Stored::Superseded {
            return Err(IssueError::LeaseLost);
        }
        match self.renewed(authorizer, &known, until).await {
            Err(TokenError::Wechat(refused)) if refused.reaction() == Reaction::RefreshTokenInvalid => {
                Err(IssueError::NeedsList(refused))
            }
            answer => Ok(answer?),
        }
    }

    async fn renewed(
        &self,
        authorizer: &AppId,
        refresh_token: &SecretString,
        until: Timestamp,
    ) -> Result<Issued, TokenError> {
        let renewed = self
            .with_component(|token| async move {
                self.may_still_call(until)?;
                self.wechat.authorizer_token(self.call(&token), authorizer, refresh_token).await
            })
            .await?;
        let now = self.now();
        Ok(Issued {
            access_token: renewed.access_token,
            issued_at: now,
            expires_at: now.plus(renewed.expires_in),
            due_at: renewal::due_at(now, renewed.expires_in, renewal::authorizer_margin(&self.random)),
            new_refresh_token: renewed
                .refresh_token
                .filter(|answered| answered.expose_secret() != refresh_token.expose_secret()),
        })
    }

    /// Marks an account's grant as gone, unless the account was changed since it was read.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn end_grant(
        &self,
        authorizer: &AppId,
        seq: u64,
        state: AccountState,
        revoked_at: Option<Timestamp>,
    ) -> Result<GrantWrite, VaultError> {
        let written = self.vault.end_grant(authorizer, seq, state, revoked_at).await?;
        if written == GrantWrite::Stored {
            tracing::info!(authorizer = %authorizer, state = state.as_str(), "account {authorizer} is now {state}");
        }
        Ok(written)
    }
}

/// Whether there is a reason to renew now.
fn reason_to_renew<'a>(
    slot: &Slot,
    record: Option<&TokenRecord>,
    rejected: Option<&'a SecretString>,
    now: Timestamp,
) -> Result<Option<LeaseFor<'a>>, TokenError> {
    let Some(record) = record else {
        return match slot {
            Slot::Component => Ok(Some(LeaseFor::Due)),
            Slot::Authorizer(authorizer) => Err(TokenError::UnknownAccount(authorizer.clone())),
        };
    };
    if record.state != AccountState::Active {
        return Err(no_grant(slot, record.state));
    }
    if record.is_leased(now) {
        return Ok(None);
    }
    let refused = rejected.filter(|rejected| record.holds(rejected));
    if let Some(refused) = refused
        && record.failures == 0
    {
        return Ok(Some(LeaseFor::Rejected(refused)));
    }
    match (record.due_at, slot) {
        (None, Slot::Authorizer(authorizer)) => Err(TokenError::NoPermission(authorizer.clone())),
        (Some(next_try), _) if now < next_try && (refused.is_some() || record.live_token(now).is_none()) => {
            Err(TokenError::Failing {
                slot: slot.clone(),
                label: record.last_error.clone().unwrap_or_default(),
                next_try,
            })
        }
        (Some(due), _) if now < due => Ok(None),
        _ => Ok(Some(LeaseFor::Due)),
    }
}

fn no_grant(slot: &Slot, state: AccountState) -> TokenError {
    match slot {
        Slot::Authorizer(authorizer) => TokenError::NotAuthorized(authorizer.clone(), state),
        Slot::Component => TokenError::Busy(Slot::Component),
    }
}

/// How long a failed renewal waits. What would hit every account alike is not the account's failure: it stays due and
/// is the first to be tried when the cause is gone.
fn put_off(slot: &Slot, record: &TokenRecord, error: &TokenError) -> Option<Duration> {
    let failures = record.failures.saturating_add(1);
    match (slot, error) {
        (_, TokenError::NoTicket) => None,
        (_, TokenError::Wechat(error)) if error.was_not_started() => None,
        (Slot::Component, _) => Some(renewal::component_backoff(failures)),
        (Slot::Authorizer(_), error) if error.is_platform_wide() => None,
        (Slot::Authorizer(_), _) => Some(renewal::backoff(failures)),
    }
}

/// Whether the refusal says that the refresh token or the grant is not what it was.
fn asks_for_recovery(refused: &WechatError) -> bool {
    matches!(refused.reaction(), Reaction::RefreshTokenInvalid | Reaction::Reauthorize)
}
