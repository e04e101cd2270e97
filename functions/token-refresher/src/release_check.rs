//! The part of WeChat's release check that asks for calls of WeChat (protocol section 7): exchange a code, and send a
//! customer-service message with exactly the token that it brings.

use std::time::Duration;

use secrecy::SecretString;
use shared::clock::Timestamp;
use shared::exchange::{Code, Exchanged};
use shared::ids::AppId;
use shared::push::{AccountMessage, ApiCase};
use shared::telemetry::{Measure, Metric};
use shared::tokens::TokenError;
use shared::vault::{AccountState, Claim, KeptMessage, Slot};
use shared::wechat::Reaction;

use crate::Run;
use crate::inbox::Outcome;

/// WeChat authorizes a test account and checks at once; an older grant is not a check's.
const FRESH_GRANT: Duration = Duration::from_hours(1);

/// WeChat waits seconds for the message.
const IN_TIME: Duration = Duration::from_mins(10);

/// How often the message is sent where WeChat does not take it: it fails on its own test accounts now and then.
const SEND_TRIES: u32 = 2;

impl Run {
    /// Does what a message of the check asks for, unless it is too late or the account's grant is not fresh.
    pub(crate) async fn answer_release_check(
        &self,
        kept: &KeptMessage,
        received_at: Timestamp,
    ) -> Result<Outcome, TokenError> {
        let Ok(message) = AccountMessage::parse(kept.xml.clone()) else { return Ok(Outcome::done("unreadable")) };
        let Some(case) = ApiCase::of(&message) else { return Ok(Outcome::done("no code")) };
        if self.session.now().since(received_at) > IN_TIME {
            return Ok(Outcome::done("too late"));
        }
        if !self.has_fresh_grant(&kept.authorizer, message.create_time).await? {
            self.session.metrics().put(&Metric::count(Measure::ReleaseCheck, 1).by("refused"));
            tracing::warn!(authorizer = %kept.authorizer, "the release check's code is not for an account authorized just now");
            return Ok(Outcome::done("no fresh grant"));
        }
        let code = Code {
            code: &case.code,
            claim: &Claim::of_authorization_code(&case.code),
            authorizer: Some(&kept.authorizer),
            granted_at: Some(message.create_time),
        };
        match self.session.exchange(&code).await? {
            Exchanged::Granted { authorizer, .. } => self.send(&authorizer, &message.open_id, &case.text).await,
            Exchanged::Busy => Ok(Outcome::Busy),
            Exchanged::Gone => Ok(Outcome::done("gone")),
            Exchanged::Spent => Ok(Outcome::done("spent")),
        }
    }

    /// Whether nothing speaks against a grant of the last hour: by WeChat's own times, and where the push of the grant
    /// has not come yet, the code itself brings it.
    async fn has_fresh_grant(&self, authorizer: &AppId, asked_at: Timestamp) -> Result<bool, TokenError> {
        let stored = self.session.vault().account(authorizer).await?;
        Ok(stored
            .filter(|stored| stored.token.state == AccountState::Active)
            .is_none_or(|stored| stored.granted_at.is_some_and(|granted_at| asked_at.since(granted_at) < FRESH_GRANT)))
    }

    /// Sends with the token that the exchange has just stored.
    async fn send(&self, authorizer: &AppId, open_id: &str, text: &SecretString) -> Result<Outcome, TokenError> {
        let stored = self.session.vault().account(authorizer).await?;
        let Some(mut token) = stored.and_then(|stored| stored.token.access_token) else {
            return Ok(Outcome::done("no permission"));
        };
        let mut word = String::new();
        for _ in 0..SEND_TRIES {
            match self.session.wechat().custom_send_text(&token, open_id, text).await {
                Ok(()) => return Ok(Outcome::done("sent")),
                Err(error) => {
                    self.session.report("the release check's message", &error);
                    word = error.code_label();
                    // Where the exchange's answer was lost, what is stored may come from before it.
                    if error.reaction() == Reaction::Refresh {
                        let slot = Slot::Authorizer(authorizer.clone());
                        token = self.session.token_after_rejection(&slot, &token, &error).await?;
                    }
                }
            }
        }
        Ok(Outcome::Done(word))
    }
}
