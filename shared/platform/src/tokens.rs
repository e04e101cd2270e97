//! "A token, now": the component's and every account's, by one mechanism (design section 5).
//!
//! Read; if it is not due, use it; else take the lease, call WeChat, and write the result over the `token_seq` that was
//! read. Who does not get the lease uses the old token while it lives, else waits and reads again; it never issues a
//! second one. Whatever is lost between WeChat's answer and the write, the next renewal repairs: a refresh token that
//! WeChat no longer accepts is read back from the account's details.

mod error;
mod renew;
mod revive;

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use futures::future::BoxFuture;
use runtime::telemetry::{Measure, Metric};
use secrecy::{ExposeSecret as _, SecretString};
use store::{AccountState, LeaseFor, Slot, TokenRecord};
use tokio::time::Instant;
use wechat::api::WechatError;

use crate::session::Session;

pub use self::error::{Scope, TokenError};
pub use self::renew::{DetailsSay, Refused, Renewal};

impl Session {
    /// The platform's `component_access_token`, renewed if it is due.
    ///
    /// # Errors
    /// [`TokenError`].
    #[must_use]
    pub fn component_token(&self) -> BoxFuture<'_, Result<SecretString, TokenError>> {
        // Boxed: renewing an account's token needs the component's, by the same function.
        Box::pin(async { Ok(self.token(&Slot::Component, None).await?.token) })
    }

    /// An account's `authorizer_access_token`, renewed if it is due.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn authorizer_token(&self, authorizer: &AppId) -> Result<SecretString, TokenError> {
        Ok(self.token(&Slot::Authorizer(authorizer.clone()), None).await?.token)
    }

    /// Calls WeChat with the component token; if WeChat refuses the token, renews it unless somebody has, and calls
    /// once more, never twice.
    ///
    /// WeChat also refuses the token in calls about one account only, and goes on doing so with every new token. A call
    /// that names no account tells the two apart.
    ///
    /// # Errors
    /// [`TokenError`]: [`TokenError::NoComponentToken`] if there is no token that WeChat accepts, else the call's own
    /// failure.
    pub async fn with_component<T, F>(&self, call: impl Fn(SecretString) -> F) -> Result<T, TokenError>
    where
        F: Future<Output = Result<T, WechatError>>,
    {
        let token = self.component_token().await.map_err(no_component_token)?;
        let refused = match call(token.clone()).await {
            Err(refused) if refused.token_rejected() => refused,
            answer => return Ok(answer?),
        };
        if self.was_replaced_in_vain(&token, &refused).await? {
            return Err(refused.into());
        }
        let fresh = Box::pin(self.token_after_rejection(&Slot::Component, &token, &refused));
        let fresh = fresh.await.map_err(no_component_token)?;
        match call(fresh.token.clone()).await {
            Err(refused) if refused.token_rejected() => {
                if self.accepts(&fresh.token, &refused).await {
                    return Err(refused.into());
                }
                fresh.report(self);
                Err(no_component_token(refused.into()))
            }
            answer => {
                fresh.report(self);
                Ok(answer?)
            }
        }
    }

    /// Whether a token that WeChat refuses has itself replaced a refused one, and is accepted all the same in a call that
    /// names no account: another one would be refused as well, and each uses up one of the day's issues.
    async fn was_replaced_in_vain(&self, token: &SecretString, refused: &WechatError) -> Result<bool, TokenError> {
        let record = self.vault.token(&Slot::Component).await?;
        let replaced = record.is_some_and(|record| record.after_refusal && record.holds(token));
        Ok(replaced && self.accepts(token, refused).await)
    }

    /// Whether WeChat accepts the component token in a call that names no account, although it refused it in another
    /// call. Where it does not say, the other call's refusal counts for that call only.
    async fn accepts(&self, token: &SecretString, refused: &WechatError) -> bool {
        if !refused.refusal().is_some_and(|refusal| refusal.api.names_subject()) {
            return false;
        }
        let answer = self.wechat.authorizer_list(self.call(token), 0, 1).await;
        !answer.is_err_and(|error| error.token_rejected() || error.is_platform_wide())
    }

    /// A token other than the one that WeChat just refused: the stored one if it was replaced meanwhile, else a new
    /// one.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn token_after_rejection(
        &self,
        slot: &Slot,
        rejected: &SecretString,
        refusal: &WechatError,
    ) -> Result<UsableToken, TokenError> {
        let code = refusal.code_label();
        tracing::warn!(code, "WeChat refused the stored token of {slot}");
        self.token(slot, Some(rejected)).await
    }

    async fn token(&self, slot: &Slot, rejected: Option<&SecretString>) -> Result<UsableToken, TokenError> {
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
                    Ok(Renewal::Renewed(token)) => return Ok(UsableToken { token, was_ours: rejected.is_none() }),
                    Ok(Renewal::NotOurs | Renewal::Refused(_)) => {}
                    Err(error) if usable.is_none() => return Err(error),
                    Err(error) => tracing::warn!(label = error.label(), "{slot} keeps its token for now: {error}"),
                }
            }
            if let Some(token) = usable {
                return Ok(UsableToken { token: token.clone(), was_ours: true });
            }
            if Instant::now() >= give_up {
                return Err(TokenError::Busy(slot.clone()));
            }
            tokio::time::sleep(self.pause()).await;
        }
    }

    /// Half to all of the polling interval, so that many who wait do not read at the same moment.
    pub(crate) fn pause(&self) -> Duration {
        let half = self.limits.poll / 2;
        half + Duration::from_micros(self.random.up_to(u64::try_from(half.as_micros()).unwrap_or(0)))
    }
}

/// A token to be used, perhaps in the place of one that WeChat refused.
pub struct UsableToken {
    /// The token.
    pub token: SecretString,
    /// Whether nothing was refused, or a process of this platform had replaced the refused token already.
    was_ours: bool,
}

impl UsableToken {
    /// Reports that somebody else issues tokens for the platform: a token of ours was void and none of our processes had
    /// replaced it. To be called once it is clear that the refusal was about the token.
    fn report(&self, session: &Session) {
        if !self.was_ours {
            session.metrics.put(&Metric::count(Measure::SecondIssuer, 1));
            tracing::error!("the platform was issued a token by somebody else: is another server running it?");
        }
    }
}

fn no_component_token(cause: TokenError) -> TokenError {
    TokenError::NoComponentToken(Box::new(cause))
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
