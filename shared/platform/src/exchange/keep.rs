//! Storing newly issued tokens, whatever else happens to the account meanwhile.

use base::clock::Timestamp;
use base::ids::AppId;
use store::{AccountState, NewGrant, StoreError, StoredAccount, WriteOutcome};
use wechat::api::Grant;
use wechat::times::{self, Order};

use super::{ClaimedExchange, Exchange};
use crate::schedule;
use crate::tokens::TokenError;

/// How often storing new tokens is tried, if the account is changed concurrently or the table does not respond.
const KEEP_TRIES: usize = 5;

/// The outcome of one try to store new tokens.
enum Kept {
    /// They are stored, with this `token_seq` of the account.
    Yes(u64),
    /// WeChat says that the grant is gone again.
    Revoked,
    /// The account was changed meanwhile: try again.
    NotYet,
}

impl Exchange {
    /// Stores the tokens of a grant and returns the account's `token_seq`, or `None` if the grant has been revoked
    /// since.
    pub(super) async fn keep_grant(
        &self,
        grant: &Grant,
        attempt: &ClaimedExchange<'_>,
    ) -> Result<Option<u64>, TokenError> {
        let issued = self.now();
        let margin = schedule::authorizer_margin(&self.context().random);
        let usual_due = match (&grant.access_token, &grant.refresh_token) {
            (Some(_), _) => Some(schedule::due_at(issued, grant.expires_in, margin)),
            (None, Some(_)) => Some(issued),
            (None, None) => None,
        };
        let new = NewGrant {
            access_token: grant.access_token.as_ref().map(|token| (token, issued.plus(grant.expires_in))),
            refresh_token: grant.refresh_token.as_ref(),
            due_at: usual_due,
            granted_at: attempt.code.granted_at,
            func_info: &grant.func_info,
            origin: None,
            is_recovery: false,
            claim: Some(attempt.claimed),
        };
        let mut last = StoreError::Contended { item: "account" };
        for _ in 0..KEEP_TRIES {
            match self.try_to_keep(&grant.authorizer, new, attempt, usual_due).await {
                Ok(Kept::Yes(seq)) => return Ok(Some(seq)),
                Ok(Kept::Revoked) => return Ok(None),
                Ok(Kept::NotYet) => {}
                Err(error) => last = error,
            }
            tokio::time::sleep(self.context().pause()).await;
        }
        Err(last.into())
    }

    async fn try_to_keep(
        &self,
        authorizer: &AppId,
        mut new: NewGrant<'_>,
        attempt: &ClaimedExchange<'_>,
        usual_due: Option<Timestamp>,
    ) -> Result<Kept, StoreError> {
        let now = self.now();
        let account = self.store().accounts.get(authorizer).await?;
        let mut seq = 0;
        if let Some(account) = &account {
            if account.grant_code.as_ref() == Some(attempt.claimed.code) {
                // Our own earlier write, whose reply was lost.
                return Ok(Kept::Yes(account.token.seq));
            }
            // If WeChat does not say, the tokens are kept: a grant that is gone is found at its next renewal.
            if may_be_revoked(account, attempt.code.granted_at, now)
                && self.component().is_gone(authorizer).await.unwrap_or(false)
            {
                return Ok(Kept::Revoked);
            }
            seq = account.token.seq;
            let known = account.granted_at.and_then(|at| times::credible(at, now));
            // An older grant that is exchanged late must not set back the time of a newer one.
            new.granted_at = attempt.code.granted_at.map(|at| known.map_or(at, |known| known.max(at)));
            new.due_at = if attempt.was_overtaken(authorizer, account) { usual_due.map(|_| now) } else { usual_due };
        }
        // Of two accounts that come through one link, only the one that the link is bound to gets what the business
        // said on it. The tokens are kept even if the link cannot be read: it is bound once they are stored.
        let origin = match &attempt.binding {
            Some(binding) => self.origin_of(binding, authorizer, attempt.code.evidence()).await.unwrap_or_default(),
            None => None,
        };
        new.origin = origin.as_ref();
        let written = self.store().accounts.store_grant(authorizer, seq, &new, now).await?;
        Ok(if written == WriteOutcome::Stored { Kept::Yes(seq.saturating_add(1)) } else { Kept::NotYet })
    }
}

impl ClaimedExchange<'_> {
    /// Whether other tokens may have been issued during this exchange; then the next renewal decides which are newer. A
    /// lease means that the result of a call is not stored yet, and may never be; and after a failed call nobody knows
    /// whether WeChat executed it.
    fn was_overtaken(&self, authorizer: &AppId, now: &StoredAccount) -> bool {
        let in_use = now.token.state == AccountState::Active;
        if self.code.owner.account() != Some(authorizer) {
            // The code's account was unknown, so its earlier state was not read.
            return in_use;
        }
        let before = self.before.as_ref().map_or(0, |before| before.token.seq);
        let in_doubt = now.token.lease_owner.is_some() || now.token.failures > 0 || now.token.doubts > 0;
        now.token.seq != before || in_use && in_doubt
    }
}

/// Whether a stored revocation is not clearly older, by WeChat's timestamps, than the grant.
fn may_be_revoked(account: &StoredAccount, granted_at: Option<Timestamp>, now: Timestamp) -> bool {
    account.token.state != AccountState::Active
        && account.revoked_at.is_some()
        && times::order(granted_at, account.revoked_at, now) != Order::Later
}
