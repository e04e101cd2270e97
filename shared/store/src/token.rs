//! Tokens under a lease: the component's and every account's, by the same few writes.
//!
//! `token_seq` counts changes: every grant, result and revocation raises it. A result is stored only if the `token_seq`
//! on which its call was based is unchanged and no doubt about the stored token has come up meanwhile. The lease keeps
//! a second process from calling WeChat at the same time.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use secrecy::SecretString;

use crate::account_state::AccountState;
use crate::attributes::{
    ACCESS_TOKEN, AFTER_REFUSAL, DOUBTS, DUE_AT, EXPIRES_AT, FAILURES, GRANT_CLAIM, GRANTED_AT, LAST_ERROR,
    LAST_FAILURE, LEASE_UNTIL, REFRESH_TOKEN, REFUSED_SINCE, STATE, STORED_AT, TOKEN_EXPIRES_AT, TOKEN_SEQ,
};
use crate::last_failure::LastFailure;
use crate::lease::{Lease, LeaseTerm};
use crate::part::{Key, Part};
use crate::request::Written;
use crate::write::{Condition, absent, counts, equals, exists, is_until};
use crate::{StoreError, TokenOwner, TokenRecord, WriteOutcome};

/// How long after its last issue a ticket for web pages is deleted, if nobody has requested it again. It is valid for
/// two hours.
const TICKET_KEEP: Duration = Duration::from_hours(24);

/// Why a token is to be renewed.
#[derive(Clone, Copy)]
pub enum RenewalReason<'a> {
    /// It is due.
    Due,
    /// WeChat refused this token, which is a reason only if it is still the stored one.
    Rejected(&'a SecretString),
}

/// A token that WeChat issued.
pub struct Issued {
    /// The token.
    pub access_token: SecretString,
    /// When it was issued, by our clock.
    pub issued_at: Timestamp,
    /// When WeChat stops accepting it.
    pub expires_at: Timestamp,
    /// When it is due for renewal.
    pub due_at: Timestamp,
    /// The refresh token, if WeChat returned a new one.
    pub new_refresh_token: Option<SecretString>,
    /// Whether it was issued because WeChat had refused the previous token.
    pub after_refusal: bool,
}

impl Issued {
    /// Until when it may be used without reading it again: it is neither due nor expired before.
    #[must_use]
    pub fn good_until(&self) -> Timestamp {
        self.due_at.min(self.expires_at)
    }
}

/// A renewal that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The cause. Its label has few values.
    pub cause: LastFailure,
    /// When to try again.
    pub due_at: Timestamp,
    /// Whether it counts for the back-off.
    pub counts: bool,
    /// When WeChat refused the grant or its refresh token; `None` for any other failure.
    pub refused_at: Option<Timestamp>,
}

impl Part {
    /// The key of an account's row.
    pub(crate) fn account(&self, authorizer: &AppId) -> Key {
        self.key("account", authorizer.as_str(), "account")
    }
}

/// The condition that the account's row is unchanged since it was read with this `token_seq`; 0 if there was no row.
pub(crate) fn seq_is(seq: u64) -> Condition {
    counts(TOKEN_SEQ, seq)
}

/// The tokens of the component and the accounts, and the accounts' page tickets, each in its own item.
#[derive(Debug, Clone)]
pub struct StoredTokens(pub(crate) Part);

impl StoredTokens {
    fn key(&self, owner: &TokenOwner) -> Key {
        match owner {
            TokenOwner::Component => self.0.only("component", "token"),
            TokenOwner::Authorizer(authorizer) => self.0.account(authorizer),
            TokenOwner::Pages(authorizer, kind) => self.0.key("page-ticket", authorizer.as_str(), kind.as_str()),
        }
    }

    /// Reads a token, strongly consistent. One read.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it cannot be read.
    pub async fn get(&self, owner: &TokenOwner) -> Result<Option<TokenRecord>, StoreError> {
        Ok(self.0.get(self.key(owner)).await?.map(TokenRecord::of))
    }

    /// Takes the lease on a token; `None` if another process has it, or there is nothing to renew. One write, which
    /// returns the record on which the call has to be based, so that no read is needed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the lease may nevertheless have been taken; it then expires.
    pub async fn lease(
        &self,
        owner: &TokenOwner,
        term: &LeaseTerm,
        reason: RenewalReason<'_>,
    ) -> Result<Option<Lease<TokenRecord>>, StoreError> {
        let is_due = is_until(DUE_AT, term.now);
        let wanted = match (reason, owner) {
            (RenewalReason::Due, TokenOwner::Component | TokenOwner::Pages(..)) => is_due.or(absent(DUE_AT)),
            // An account without a due time granted no API permission.
            (RenewalReason::Due, TokenOwner::Authorizer(_)) => is_due,
            // A refused token is no reason for another call during the wait after a failure: after it, the token is
            // due.
            (RenewalReason::Rejected(token), _) => equals(ACCESS_TOKEN, token).and(counts(FAILURES, 0)),
        };
        let wanted = match owner {
            TokenOwner::Component | TokenOwner::Pages(..) => wanted,
            TokenOwner::Authorizer(_) => wanted.and(equals(STATE, AccountState::Active.as_str())),
        };
        let key = self.key(owner);
        let kept_until = matches!(owner, TokenOwner::Pages(..)).then(|| term.now.plus(TICKET_KEEP));
        let lease = self.0.change(key.clone()).set_some(EXPIRES_AT, kept_until).begin_lease(term);
        let lease = lease.when(term.is_free().and(wanted));
        Ok(match lease.apply_and_read().await? {
            Written::Done(attributes) => Some(term.on(key, TokenRecord::of(attributes))),
            Written::Refused(_) => None,
        })
    }

    /// Stores a result if the record on which its call was based is unchanged, and ends the lease. One write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the result may not be stored; the next renewal finds out.
    pub async fn store_issued(&self, lease: &Lease<TokenRecord>, issued: &Issued) -> Result<WriteOutcome, StoreError> {
        let basis = lease.record();
        let written = self
            .0
            .change(lease.key.clone())
            .set(ACCESS_TOKEN, &issued.access_token)
            .set(TOKEN_EXPIRES_AT, issued.expires_at)
            .set(DUE_AT, issued.due_at)
            .set(TOKEN_SEQ, basis.seq.saturating_add(1))
            .set(STORED_AT, issued.issued_at)
            .set_some(REFRESH_TOKEN, issued.new_refresh_token.as_ref())
            .set_or_remove(AFTER_REFUSAL, issued.after_refusal.then_some(true))
            .remove([FAILURES, LAST_ERROR, LAST_FAILURE, REFUSED_SINCE, DOUBTS])
            .end_lease()
            .when(seq_is(basis.seq).and(counts(DOUBTS, basis.doubts)))
            .apply_or_read()
            .await?;
        // Our own first try, whose reply was lost, counts as success.
        Ok(WriteOutcome::of(written, |now| TokenRecord::of(now).holds(&issued.access_token)))
    }

    /// Makes an account or the component due at once, if it is still in use: WeChat may no longer accept the stored
    /// token, and the next renewal decides. A renewal in progress may be older than the reason for this doubt, so its
    /// result is not stored either. One write.
    pub async fn mark_due(&self, owner: &TokenOwner, now: Timestamp) -> Result<(), StoreError> {
        let is_active = absent(STATE).or(equals(STATE, AccountState::Active.as_str()));
        let due = self.0.change(self.key(owner)).set(DUE_AT, now).increment(DOUBTS, 1);
        due.when(exists(DUE_AT).and(is_active)).apply().await.map(drop)
    }

    /// Makes a token due at once, if its `token_seq` is still this one and nobody is renewing it. One write.
    pub async fn make_due(&self, owner: &TokenOwner, seq: u64, now: Timestamp) -> Result<(), StoreError> {
        let is_idle = absent(LEASE_UNTIL).or(is_until(LEASE_UNTIL, now));
        let is_active = absent(STATE).or(equals(STATE, AccountState::Active.as_str()));
        let due = self.0.change(self.key(owner)).set(DUE_AT, now);
        due.when(seq_is(seq).and(exists(DUE_AT)).and(is_idle).and(is_active)).apply().await.map(drop)
    }

    /// Ends a lease after a failure and stores when to try again. One write; without effect if the lease is no longer
    /// ours or a result was stored in between.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the lease then expires.
    pub async fn release(&self, lease: &Lease<TokenRecord>, failure: &Failure) -> Result<(), StoreError> {
        let seq = lease.record().seq;
        let cause = serde_json::to_string(&failure.cause);
        let cause = cause.map_err(|_| StoreError::Corrupt { item: "token", attribute: LAST_FAILURE })?;
        let change = self
            .0
            .change(lease.key.clone())
            .set(DUE_AT, failure.due_at)
            .set(LAST_ERROR, &failure.cause.label)
            .set(LAST_FAILURE, cause)
            .increment(FAILURES, u32::from(failure.counts))
            .end_lease();
        let change = match failure.refused_at {
            Some(refused_at) => change.set_once(REFUSED_SINCE, refused_at),
            None => change.remove([REFUSED_SINCE]),
        };
        change.when(lease.is_held().and(seq_is(seq))).apply().await.map(drop)
    }

    /// Replaces a refresh token that WeChat no longer accepts, if the `token_seq` is still the one that was read, and
    /// extends the lease for the call that follows. One write. The `token_seq` stays, since nothing was issued. The new
    /// token may belong to a grant that is unknown here, so the time of the present grant is no longer known.
    pub async fn swap_refresh_token(
        &self,
        lease: &mut Lease<TokenRecord>,
        refresh_token: &SecretString,
        until: Timestamp,
    ) -> Result<WriteOutcome, StoreError> {
        let swapped = self
            .0
            .change(lease.key.clone())
            .set(REFRESH_TOKEN, refresh_token)
            .set(LEASE_UNTIL, until)
            .remove([GRANTED_AT, GRANT_CLAIM])
            .when(lease.is_held().and(equals(TOKEN_SEQ, lease.record().seq)))
            .apply()
            .await?;
        if !swapped {
            return Ok(WriteOutcome::Superseded);
        }
        lease.extend(until);
        Ok(WriteOutcome::Stored)
    }
}
