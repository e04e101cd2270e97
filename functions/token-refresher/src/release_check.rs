//! The part of WeChat's release check that requires calls of WeChat (protocol section 7): exchange a code, and send a
//! customer-service message with exactly the token that it brings.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use platform::exchange::{Code, CodeOwner, Exchanged};
use platform::tokens::{Scope, TokenError};
use runtime::telemetry::{Measure, Metric};
use secrecy::SecretString;
use store::{AccountState, CheckMessage, ClaimKey, CodeDigest, StoredAccount, TokenOwner};
use wechat::api::{ErrCode, Reaction, WechatError};
use wechat::push::{AccountMessage, ApiCase};
use wechat::times;

use crate::Run;
use crate::effect::Outcome;

/// The greatest age of a grant: WeChat authorizes a test account and checks it at once; an older grant is not a
/// check's.
const FRESH_GRANT: Duration = Duration::from_hours(1);

/// The greatest age of a check: WeChat waits seconds for the message.
const IN_TIME: Duration = Duration::from_mins(10);

/// How often the message is sent if WeChat does not accept it: it fails on its own test accounts now and then.
const SEND_TRIES: u32 = 2;

/// How often the code is tried, without waiting for the next run: WeChat waits only for seconds.
const EXCHANGE_TRIES: u32 = 3;

impl Run {
    /// Responds to a message of the check, unless it is too late or the account's grant is not fresh.
    pub(crate) async fn answer_release_check(
        &self,
        check: &CheckMessage,
        received_at: Timestamp,
    ) -> Result<Outcome, TokenError> {
        let message = AccountMessage::parse(check.xml.clone());
        let Some(case) = ApiCase::of(&message) else { return Ok(Outcome::done("no code")) };
        let Some(open_id) = &message.open_id else { return Ok(Outcome::done("nobody to answer")) };
        let asked_at = message.create_time.and_then(|at| times::credible(at, received_at)).unwrap_or(received_at);
        if self.now().since(received_at) > IN_TIME {
            return Ok(Outcome::done("too late"));
        }
        let stored = self.store.accounts.get(&check.authorizer).await?;
        let stored = stored.filter(|stored| stored.token.state == AccountState::Active);
        if stored.as_ref().is_some_and(|stored| !is_fresh(stored, asked_at)) {
            self.context.metrics.put(&Metric::count(Measure::ReleaseCheck, 1).with_dimension("refused"));
            tracing::warn!(authorizer = %check.authorizer, "the release check's code is not for an account authorized just now");
            return Ok(Outcome::done("no fresh grant"));
        }
        let mut code = Code {
            code: Some(&case.code),
            claim: &ClaimKey::of_code(&CodeDigest::of(&case.code)),
            // A follower can make a code up: only one that WeChat takes says for which account it is.
            owner: CodeOwner::Presumed(&check.authorizer),
            // The message is no grant and must not make one look newer.
            granted_at: stored.and_then(|stored| stored.granted_at),
            received_at,
        };
        let mut exchanged = self.exchange_at_once(&code).await?;
        if exchanged == (Exchanged::Spent { by_us: true }) {
            // A process of ours has spent it and died: this account's grant is read back, with a token that is known.
            code.owner = CodeOwner::Known(&check.authorizer);
            exchanged = self.exchange_at_once(&code).await?;
        }
        let authorizer = match exchanged {
            Exchanged::Granted { authorizer, .. } => authorizer,
            Exchanged::Busy => return Ok(Outcome::Busy),
            Exchanged::RevokedSince | Exchanged::Gone => return Ok(Outcome::done("gone")),
            // Spent with the push of the grant: then the account has tokens.
            Exchanged::Spent { .. } => {
                if !self.store.inbox.was_pushed(&check.authorizer, &case.code).await? {
                    return Ok(Outcome::done("spent"));
                }
                check.authorizer.clone()
            }
        };
        self.send(&authorizer, open_id, &case.text).await
    }

    /// Exchanges a code, retrying soon after a failure that may pass.
    async fn exchange_at_once(&self, code: &Code<'_>) -> Result<Exchanged, TokenError> {
        let mut tries = 1;
        loop {
            let result = self.exchange.run(code).await;
            // The process that holds the code's claim also sends the message. A used-up quota is not tried again at
            // once.
            let again = result.as_ref().is_err_and(|error| {
                error.may_pass()
                    && error.scope() == Scope::Subject
                    && !error.wechat().is_some_and(WechatError::is_for_quota)
            });
            if !again || tries == EXCHANGE_TRIES || self.is_over() {
                return result;
            }
            tokio::time::sleep(self.context.limits.poll * tries).await;
            tries += 1;
        }
    }

    /// Sends with the token that the exchange has just stored.
    async fn send(&self, authorizer: &AppId, open_id: &str, text: &SecretString) -> Result<Outcome, TokenError> {
        let stored = self.store.accounts.get(authorizer).await?;
        let Some(mut token) = stored.and_then(|stored| stored.token.access_token) else {
            return Ok(Outcome::done("no permission"));
        };
        let mut word = String::new();
        for _ in 0..SEND_TRIES {
            match self.component.wechat().custom_send_text(&token, open_id, text).await {
                Ok(()) => return Ok(Outcome::done("sent")),
                Err(error) => {
                    self.context.report("the release check's message", &error);
                    word = error.code_label();
                    if error.was_not_started() {
                        return Err(error.into());
                    }
                    if !may_be_repeated(&error) {
                        break;
                    }
                    tokio::time::sleep(self.context.limits.poll).await;
                    // If the exchange's response was lost, the stored token may be older than the exchange.
                    if error.reaction() == Reaction::Refresh {
                        let owner = TokenOwner::Authorizer(authorizer.clone());
                        token = self.tokens.replace(&owner, &token, &error).await?.token.token;
                    }
                }
            }
        }
        Ok(Outcome::Done(word))
    }
}

/// Whether the grant is from the hour before the message, by WeChat's time of it, or by ours if its push, which brings
/// WeChat's, has not arrived yet.
fn is_fresh(stored: &StoredAccount, asked_at: Timestamp) -> bool {
    let granted_at = stored.granted_at.or(stored.token.stored_at);
    granted_at.is_some_and(|granted_at| asked_at.since(granted_at) < FRESH_GRANT)
}

/// Whether sending once more can help and cannot send the follower the message twice.
fn may_be_repeated(error: &WechatError) -> bool {
    error.reaction() == Reaction::Refresh
        || error.refusal().is_some_and(|refusal| refusal.code == ErrCode::SystemError)
        || !error.may_have_taken_effect()
}
