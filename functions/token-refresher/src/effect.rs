//! The effect of an inbox entry: a code is exchanged, a grant stored, a revocation recorded.
//!
//! Everything may come twice, late, or in the wrong order. So only WeChat's own times are compared, and if they do not
//! decide, WeChat is asked whether the account's grant is valid.

use base::clock::Timestamp;
use base::ids::AppId;
use platform::exchange::{Code, CodeOwner, Exchanged};
use platform::tokens::TokenError;
use secrecy::SecretString;
use store::{AccountState, ClaimKey, CodeDigest, Entry, EntryBody, GrantEnd, WriteOutcome};
use wechat::push::{AuthorizationEvent, Event, PushId};
use wechat::times::{self, Order};

use crate::Run;
use crate::report::Report;

/// How often a revocation is written to an account that others keep changing.
const MARK_TRIES: usize = 4;

/// The outcome of an entry.
pub(crate) enum Outcome {
    /// It has taken effect, or never will; the word is stored with it.
    Done(String),
    /// Another process is exchanging the same code.
    Busy,
}

impl Outcome {
    pub(crate) fn done(word: &str) -> Self {
        Self::Done(word.to_owned())
    }
}

/// A grant that a push reported: with its code, its account, or both.
struct PushedGrant<'a> {
    authorizer: Option<&'a AppId>,
    code: Option<&'a SecretString>,
    pre_auth_code: Option<&'a SecretString>,
    /// WeChat's time of the grant, if it is credible.
    granted_at: Option<Timestamp>,
    /// Identifies the push.
    push: PushId,
    received_at: Timestamp,
}

impl Run {
    /// Lets an entry take effect. `before` are the account's earlier entries that are still waiting: a revocation
    /// removes the codes among them.
    pub(crate) async fn take_effect(
        &self,
        entry: &Entry,
        push: Option<&AuthorizationEvent>,
        before: &mut Vec<&Entry>,
        report: &mut Report,
    ) -> Result<Outcome, TokenError> {
        match &entry.body {
            EntryBody::Callback(callback) => {
                let code = Code {
                    code: Some(&callback.code),
                    claim: &callback.claim,
                    owner: CodeOwner::Unknown,
                    granted_at: None,
                    received_at: entry.received_at,
                };
                return Ok(outcome(&self.exchange.run(&code).await?));
            }
            EntryBody::ReleaseCheck(check) => return self.answer_release_check(check, entry.received_at).await,
            EntryBody::Push(_) | EntryBody::Unreadable => {}
        }
        let Some(push) = push else { return Ok(Outcome::done("unreadable")) };
        let happened_at = happened_at(entry, push);
        match &push.event {
            Event::Authorized(grant) | Event::UpdateAuthorized(grant) => {
                self.on_granted(&PushedGrant {
                    authorizer: grant.authorizer.as_ref(),
                    code: grant.code.as_ref(),
                    pre_auth_code: grant.pre_auth_code.as_ref(),
                    granted_at: happened_at,
                    push: push.id(),
                    received_at: entry.received_at,
                })
                .await
            }
            Event::FastRegister(result) if result.status == Some(0) => {
                self.on_granted(&PushedGrant {
                    authorizer: result.appid.as_ref(),
                    code: result.auth_code.as_ref(),
                    pre_auth_code: None,
                    granted_at: happened_at,
                    push: push.id(),
                    received_at: entry.received_at,
                })
                .await
            }
            Event::Unauthorized { authorizer: Some(authorizer) } => {
                let outcome = self.on_unauthorized(authorizer, happened_at, report).await?;
                if matches!(&outcome, Outcome::Done(word) if word == MARKED) {
                    self.drop_open_codes(before, happened_at, report).await?;
                }
                Ok(outcome)
            }
            Event::FastRegister(_) | Event::Unauthorized { authorizer: None } => Ok(Outcome::done("noted")),
            Event::Notice(_) | Event::Unknown { .. } | Event::ComponentVerifyTicket { .. } => {
                Ok(Outcome::done("noted"))
            }
        }
    }

    async fn on_granted(&self, pushed: &PushedGrant<'_>) -> Result<Outcome, TokenError> {
        // With neither, the push says nothing that reconcile would not find.
        if pushed.authorizer.is_none() && pushed.code.is_none() {
            return Ok(Outcome::done("noted"));
        }
        let claim = match (pushed.pre_auth_code, pushed.code) {
            (Some(pre_auth_code), _) => ClaimKey::of_pre_auth_code(pre_auth_code),
            (None, Some(code)) => ClaimKey::of_code(&CodeDigest::of(code)),
            (None, None) => ClaimKey::of_push(&pushed.push),
        };
        let code = Code {
            code: pushed.code,
            claim: &claim,
            owner: pushed.authorizer.map_or(CodeOwner::Unknown, CodeOwner::Known),
            granted_at: pushed.granted_at,
            received_at: pushed.received_at,
        };
        Ok(outcome(&self.exchange.run(&code).await?))
    }

    async fn on_unauthorized(
        &self,
        authorizer: &AppId,
        revoked_at: Option<Timestamp>,
        report: &mut Report,
    ) -> Result<Outcome, TokenError> {
        for _ in 0..MARK_TRIES {
            let stored = self.store.accounts.get(authorizer).await?;
            let now = self.now();
            let seq = stored.as_ref().map_or(0, |stored| stored.token.seq);
            if let Some(stored) = &stored {
                let known = stored.revoked_at.and_then(|known| times::credible(known, now));
                if revoked_at.zip(known).is_some_and(|(revoked_at, known)| revoked_at <= known) {
                    return Ok(Outcome::done("known"));
                }
                let stands = stored.token.state == AccountState::Active
                    && match times::order(revoked_at, stored.granted_at, now) {
                        Order::Later => false,
                        Order::Earlier => true,
                        Order::Undecided => !self.component.is_gone(authorizer).await?,
                    };
                if stands {
                    return Ok(Outcome::done("granted since"));
                }
            }
            let marked = self.tokens.end_grant(authorizer, seq, &GrantEnd::TakenBack { at: revoked_at }).await?;
            if marked == WriteOutcome::Stored {
                report.gone += 1;
                return Ok(Outcome::done(MARKED));
            }
        }
        Ok(Outcome::Busy)
    }

    /// Finishes the entries with codes of grants that, by WeChat's times, came before the revocation: these codes are
    /// no longer valid. The business is notified of those grants all the same. If the times do not decide, the exchange
    /// does.
    async fn drop_open_codes(
        &self,
        before: &mut Vec<&Entry>,
        revoked_at: Option<Timestamp>,
        report: &mut Report,
    ) -> Result<(), TokenError> {
        for entry in std::mem::take(before) {
            let push = match &entry.body {
                EntryBody::Push(xml) => Some(AuthorizationEvent::parse(xml.clone())),
                EntryBody::Callback(_) | EntryBody::ReleaseCheck(_) | EntryBody::Unreadable => None,
            };
            let granted_at = push.as_ref().and_then(|push| happened_at(entry, push));
            if times::order(granted_at, revoked_at, self.now()) == Order::Earlier {
                self.tell_and_finish(entry, push.as_ref(), REVOKED_SINCE, report).await?;
            } else {
                before.push(entry);
            }
        }
        Ok(())
    }
}

/// WeChat's time of the event that a push reports; `None` if it was far ahead of our clock when the push arrived.
fn happened_at(entry: &Entry, push: &AuthorizationEvent) -> Option<Timestamp> {
    times::credible(push.create_time?, entry.received_at)
}

/// The outcome of a grant that was over before its code was exchanged.
const REVOKED_SINCE: &str = "revoked since";

/// The outcome of a revocation that took effect.
const MARKED: &str = "marked";

fn outcome(exchanged: &Exchanged) -> Outcome {
    match exchanged {
        Exchanged::Granted { .. } => Outcome::done("granted"),
        Exchanged::Busy => Outcome::Busy,
        Exchanged::RevokedSince => Outcome::done(REVOKED_SINCE),
        Exchanged::Gone => Outcome::done("gone"),
        Exchanged::Spent { .. } => Outcome::done("spent"),
    }
}
