//! One renewal: lease, call, write (design section 5, "A token, now"; promises 2 and 7).

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use base::limits::{LEASE, LEASE_LEFT_TO_CALL};
use secrecy::{ExposeSecret as _, SecretString};
use store::{AccountState, Failure, GrantWrite, Issued, Lease, LeaseFor, Slot, Stored, TokenRecord, VaultError};
use tokio::time::Instant;
use wechat::api::{ErrCode, Reaction, WechatError};

use super::error::{Scope, TokenError};
use crate::schedule;
use crate::session::Session;

/// The outcome of a renewal.
#[derive(Debug)]
pub enum Renewal {
    /// WeChat issued a token and it is stored.
    Renewed(SecretString),
    /// Another process is renewing or has renewed, or there was nothing to renew.
    NotOurs,
    /// WeChat refuses the grant or its refresh token, and the account's details do not help. The account is postponed
    /// and keeps what it has: whether its grant has ended takes more than that ([`Refused`]).
    Refused(Refused),
}

/// An account that WeChat refuses to renew, and what has been heard about it so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The `token_seq` that was read: a conclusion is written over it and nothing newer.
    pub seq: u64,
    /// WeChat's code for the renewal.
    pub code: ErrCode,
    /// Since when it has been refused each time, by our clock.
    pub since: Timestamp,
    /// What the account's details say.
    pub details: DetailsSay,
}

/// What an account's details say after a refused renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetailsSay {
    /// The grant is gone.
    Gone,
    /// The grant stands, and has no refresh token.
    NoRefreshToken,
    /// The grant stands, and its refresh token is the one that was refused.
    SameRefreshToken,
    /// They could not be read.
    Nothing,
}

/// Why WeChat issued nothing.
enum IssueError {
    Failed(TokenError),
    Refused(ErrCode, DetailsSay),
    LeaseLost,
}

impl<E: Into<TokenError>> From<E> for IssueError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Session {
    /// Whether a call that issues or spends may begin: its result must be written down before the lease ends at `until`,
    /// and it must not be cut short by our own deadline, when WeChat has done it and nobody hears the answer.
    pub(crate) fn may_still_call(&self, until: Timestamp) -> Result<(), WechatError> {
        let lease_suffices = until.since(self.now()) >= LEASE_LEFT_TO_CALL;
        let time_suffices =
            self.deadline.is_none_or(|deadline| Instant::now() + self.limits.least_for_wechat <= deadline);
        if lease_suffices && time_suffices { Ok(()) } else { Err(WechatError::not_started()) }
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
            Slot::Component => self.issue_component(until, matches!(reason, LeaseFor::Rejected(_))).await,
            Slot::Authorizer(authorizer) => self.issue_authorizer(slot, authorizer, &owner, until, &record).await,
        };
        let failures = record.failures.saturating_add(1);
        match issued {
            Ok(issued) => self.keep_issued(slot, &record, issued).await,
            Err(IssueError::Failed(error)) => {
                let wait = put_off(slot, failures, &error);
                self.give_up(slot, &owner, &record, &error.label(), wait, None).await;
                self.read_status(slot, record.seq, &error).await;
                Err(error)
            }
            Err(IssueError::LeaseLost) => Ok(Renewal::NotOurs),
            Err(IssueError::Refused(code, details)) => {
                let (wait, now) = (Some(schedule::backoff(failures)), self.now());
                self.give_up(slot, &owner, &record, &code.to_string(), wait, Some(now)).await;
                let since = record.refused_since.unwrap_or(now);
                Ok(Renewal::Refused(Refused { seq: record.seq, code, since, details }))
            }
        }
    }

    /// 50002 says that the account was frozen, closed or moved; which of them is part of its details.
    async fn read_status(&self, slot: &Slot, seq: u64, error: &TokenError) {
        let limited = error.wechat().and_then(WechatError::code) == Some(ErrCode::AccountLimited);
        if let (true, Slot::Authorizer(authorizer)) = (limited, slot) {
            self.fetch_profile(authorizer, seq).await;
        }
    }

    /// Writes a result; where the item was changed meanwhile, leaves the decision to the next renewal.
    async fn keep_issued(&self, slot: &Slot, record: &TokenRecord, issued: Issued) -> Result<Renewal, TokenError> {
        let stored = match self.vault.store_issued(slot, record, &issued).await {
            // WeChat has forgotten the old token: the new one is worth a second series of tries.
            Err(VaultError::Unavailable { .. }) => self.vault.store_issued(slot, record, &issued).await?,
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

    /// Ends the lease after a failure. `wait` postpones the next try and counts the failure; without it the token stays due.
    async fn give_up(
        &self,
        slot: &Slot,
        owner: &str,
        record: &TokenRecord,
        label: &str,
        wait: Option<Duration>,
        refused_at: Option<Timestamp>,
    ) {
        let due_at = self.now().plus(wait.unwrap_or_default());
        let failure = Failure { label: label.to_owned(), due_at, counts: wait.is_some(), refused_at };
        if let Err(error) = self.vault.release(slot, owner, record.seq, &failure).await {
            tracing::warn!("the lease on the token of {slot} ends by itself: {error}");
        }
    }

    /// `api_component_token` (protocol section 1.2).
    async fn issue_component(&self, until: Timestamp, after_refusal: bool) -> Result<Issued, IssueError> {
        let ticket = self.vault.ticket().await?.ok_or(TokenError::NoTicket)?;
        self.may_still_call(until)?;
        let platform = &self.platform;
        let issued = self.wechat.component_token(&platform.component, &platform.app_secret, &ticket.ticket).await?;
        let now = self.now();
        Ok(Issued {
            access_token: issued.token,
            issued_at: now,
            expires_at: now.plus(issued.expires_in),
            due_at: schedule::due_at(now, issued.expires_in, schedule::COMPONENT_MARGIN),
            new_refresh_token: None,
            after_refusal,
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
        let code = match self.renewed(authorizer, stored, until).await {
            Err(TokenError::Wechat(refused)) if asks_for_recovery(&refused) => code_of(&refused),
            answer => return Ok(answer?),
        };
        let details = match self.details(authorizer).await {
            Ok(details) => details,
            Err(TokenError::Wechat(gone)) if gone.reaction() == Reaction::Reauthorize => {
                return Err(IssueError::Refused(code, DetailsSay::Gone));
            }
            Err(error) if matches!(error.scope(), Scope::Platform | Scope::OutOfTime) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(authorizer = %authorizer, "the details of account {authorizer} cannot be read: {error}");
                return Err(IssueError::Refused(code, DetailsSay::Nothing));
            }
        };
        let Some(known) = &details.refresh_token else {
            return Err(IssueError::Refused(code, DetailsSay::NoRefreshToken));
        };
        if record.is_renewed_by(known) {
            return Err(IssueError::Refused(code, DetailsSay::SameRefreshToken));
        }
        tracing::warn!(authorizer = %authorizer, "{slot} had lost its refresh token; WeChat's details name the new one");
        let until = self.now().plus(LEASE);
        if self.vault.replace_refresh_token(slot, owner, record.seq, known, until).await? == Stored::Superseded {
            return Err(IssueError::LeaseLost);
        }
        // Another refresh token may be of another grant, with other permission sets.
        if let Err(error) = self.keep_profile(authorizer, record.seq, &details).await {
            tracing::warn!(authorizer = %authorizer, "the profile of account {authorizer} was not stored: {error}");
        }
        match self.renewed(authorizer, known, until).await {
            Err(TokenError::Wechat(refused)) if asks_for_recovery(&refused) => {
                Err(IssueError::Refused(code_of(&refused), DetailsSay::SameRefreshToken))
            }
            answer => Ok(answer?),
        }
    }

    pub(super) async fn renewed(
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
            due_at: schedule::due_at(now, renewed.expires_in, schedule::authorizer_margin(&self.random)),
            new_refresh_token: renewed
                .refresh_token
                .filter(|answered| answered.expose_secret() != refresh_token.expose_secret()),
            after_refusal: false,
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
        let written = self.vault.end_grant(authorizer, seq, state, revoked_at, self.now()).await?;
        if written == GrantWrite::Stored {
            tracing::info!(authorizer = %authorizer, state = state.as_str(), "account {authorizer} is now {state}");
        }
        Ok(written)
    }
}

/// How long a failed renewal waits. What is not the account's own failure is not counted: the account stays due and is
/// among the first to be tried when the cause is gone.
fn put_off(slot: &Slot, failures: u32, error: &TokenError) -> Option<Duration> {
    let is_own = match slot {
        Slot::Component => !matches!(error, TokenError::NoTicket),
        Slot::Authorizer(_) => matches!(error.scope(), Scope::Subject | Scope::Table),
    };
    let wait = match slot {
        Slot::Component => schedule::component_backoff(failures),
        Slot::Authorizer(_) => schedule::backoff(failures),
    };
    (is_own && error.scope() != Scope::OutOfTime).then_some(wait)
}

/// Whether the refusal says that the refresh token or the grant is not what it was.
pub(super) fn asks_for_recovery(refused: &WechatError) -> bool {
    matches!(refused.reaction(), Reaction::RefreshTokenInvalid | Reaction::Reauthorize)
}

fn code_of(refused: &WechatError) -> ErrCode {
    refused.code().unwrap_or(ErrCode::RefreshTokenInvalid)
}
