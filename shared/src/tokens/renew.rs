//! One renewal: lease, call, write (design section 5, "A token, now"; promises 2 and 7).

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use super::error::TokenError;
use crate::clock::Timestamp;
use crate::ids::AppId;
use crate::limits::{LEASE, LEASE_LEFT_TO_CALL};
use crate::renewal;
use crate::session::Session;
use crate::vault::{AccountState, Failure, GrantWrite, Issued, Lease, LeaseFor, Slot, Stored, TokenRecord, VaultError};
use crate::wechat::{ErrCode, Reaction, WechatError};

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
            Slot::Component => self.issue_component(until).await,
            Slot::Authorizer(authorizer) => self.issue_authorizer(slot, authorizer, &owner, until, &record).await,
        };
        match issued {
            Ok(issued) => self.keep_issued(slot, &record, issued).await,
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
                    self.end_grant(authorizer, record.seq, AccountState::NeedsAuthorization, None).await?;
                }
                Ok(Renewal::Gone)
            }
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
        // Another refresh token may be of another grant, with other permission sets.
        self.keep_profile(authorizer, record.seq, &details).await?;
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
        let written = self.vault.end_grant(authorizer, seq, state, revoked_at, self.now()).await?;
        if written == GrantWrite::Stored {
            tracing::info!(authorizer = %authorizer, state = state.as_str(), "account {authorizer} is now {state}");
        }
        Ok(written)
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
