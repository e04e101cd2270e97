//! The exchange of a code in the inbox, up to the page that the merchant sees (walk-through 2 of
//! `docs/architecture.md`).
//!
//! Once begun, the exchange is never cancelled: neither a browser that goes away nor the limit of the page stops it,
//! and the response waits for it, since a sandbox that has responded does no more work. The platform was opened with a
//! deadline, which ends WeChat's calls in time; only a table that hangs just then makes the page later than its limit.

use platform::exchange::{Code, CodeOwner, Exchanged};
use platform::tokens::TokenError;
use store::{Bound, CodeDigest, StoreError};
use tokio::time::{Instant, sleep};
use web::{InternalError, spawn_and_wait};

use crate::CallbackService;
use crate::outcome::Outcome;
use crate::receive::AcceptedCode;

/// The work's name in the log. Whatever fails in it is retried by the refresher as long as it can succeed.
const EXCHANGING: &str = "exchanging an authorization code";

/// The outcome written to an inbox entry that brought a grant.
const GRANTED: &str = "granted";

/// The outcome written to an entry that will never bring a grant.
const FAILED: &str = "failed";

/// Exchanges the code if there is time, otherwise leaves it to the refresher.
pub(crate) async fn exchange(service: &CallbackService, received: AcceptedCode, bound: Instant) -> Outcome {
    let services = service.services();
    let time_left = received.deadline.saturating_duration_since(Instant::now());
    if time_left < services.limits.least_for_call {
        tracing::warn!(link = %received.target().link, "a code is left to the refresher: too little time is left for WeChat");
        return Outcome::Pending;
    }
    match spawn_and_wait(async move { received.exchanged(bound).await }).await {
        Ok(outcome) => outcome,
        Err(trouble) => {
            trouble.report(EXCHANGING, &services.random, &services.metrics);
            Outcome::Pending
        }
    }
}

impl AcceptedCode {
    async fn exchanged(&self, bound: Instant) -> Outcome {
        let error = match self.result(bound).await {
            Ok(outcome) => return outcome,
            Err(error) => error,
        };
        let may_pass = error.may_pass();
        InternalError::Token(error).report(EXCHANGING, &self.context.random, &self.context.metrics);
        if may_pass {
            return Outcome::Pending;
        }
        self.finish(FAILED).await;
        Outcome::Failed
    }

    async fn result(&self, bound: Instant) -> Result<Outcome, TokenError> {
        // The page was loaded again: a code that WeChat has refused is not sent a second time.
        let done_before = self.entry.outcome.is_some();
        if done_before && !self.is_known().await? {
            return Ok(Outcome::Failed);
        }
        let mut exchanged = self.exchange.run(&self.code()).await?;
        while exchanged == Exchanged::Busy {
            // The refresher has the push of the same authorization and reports the outcome.
            sleep(self.context.limits.poll).await;
            if Instant::now() >= bound {
                return Ok(Outcome::Pending);
            }
            if self.is_known().await? {
                exchanged = self.exchange.run(&self.code()).await?;
            }
        }
        Ok(match exchanged {
            Exchanged::Granted { bound, authorizer } => {
                self.finish(GRANTED).await;
                match bound.filter(|_| self.binds()) {
                    Some(Bound::Another) => Outcome::LinkUsed(authorizer),
                    Some(Bound::Cancelled) => Outcome::LinkCancelled(authorizer),
                    Some(Bound::Yes | Bound::Missing) | None => Outcome::Authorized(authorizer),
                }
            }
            Exchanged::RevokedSince | Exchanged::Gone => {
                self.finish(FAILED).await;
                Outcome::Withdrawn
            }
            Exchanged::Spent { .. } => {
                self.finish(FAILED).await;
                Outcome::Failed
            }
            Exchanged::Busy => Outcome::Pending,
        })
    }

    /// Whether the claim records what the code brought.
    async fn is_known(&self) -> Result<bool, StoreError> {
        let code = CodeDigest::of(&self.code);
        Ok(self.items.claims.result(&self.claim, &code, self.context.now()).await?.is_some())
    }

    fn code(&self) -> Code<'_> {
        Code {
            code: Some(&self.code),
            claim: &self.claim,
            owner: CodeOwner::Unknown,
            granted_at: None,
            received_at: self.context.now(),
        }
    }

    /// Finishes the entry for the refresher; if that fails, the refresher looks at it once more and changes nothing.
    async fn finish(&self, outcome: &str) {
        let done = self.items.inbox.finish(&self.entry.key, outcome, self.context.now()).await;
        if let Err(error) = done {
            tracing::warn!(entry = %self.entry.key, "a finished inbox entry is left to the refresher: {error}");
        }
    }
}
