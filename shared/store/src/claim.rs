//! Claims: a code is exchanged by only one process, and the others get the result.
//!
//! A claim belongs to a pre-auth code, or to the authorization code itself if the pre-auth code is unknown. For one of
//! our own pre-auth codes it is created together with the attempt, so that a push with the code leads to its link. The
//! result is stored for each authorization code: under one pre-auth code several accounts may authorize, and one
//! account more than once. Codes are never used as keys, only their digests.

mod past;

use std::time::Duration;

use base::clock::Timestamp;
use base::digest_id;
use base::ids::{AppId, AttemptId, Digest, LinkId};
use secrecy::{ExposeSecret as _, SecretString};
use wechat::push::PushId;

use self::past::{CodeHistory, Past, exchanged};
use crate::StoreError;
use crate::attributes::{ATTEMPT, EXPIRES_AT, LEASE_UNTIL, LINK, TRIED_BY};
use crate::item::Item;
use crate::lease::{Lease, LeaseTerm};
use crate::part::{Key, Part};
use crate::request::Written;
use crate::write::{Change, absent, id_value};

/// How long a claim is kept after its last result: longer than the life of any code, and than an inbox entry is tried.
pub(crate) const CLAIM_KEEP: Duration = Duration::from_hours(24 * 30);

digest_id! {
    /// The digest of an authorization code, under which results are stored.
    CodeDigest
}

digest_id! {
    /// The key of a claim.
    ClaimKey
}

id_value!(CodeDigest, ClaimKey);

impl CodeDigest {
    /// The digest of an authorization code.
    #[must_use]
    pub fn of(code: &SecretString) -> Self {
        Self(Digest::of(&["authorization-code", code.expose_secret()]))
    }
}

impl ClaimKey {
    /// The claim of a pre-auth code.
    #[must_use]
    pub fn of_pre_auth_code(code: &SecretString) -> Self {
        Self(Digest::of(&["pre-auth-code", code.expose_secret()]))
    }

    /// The claim of a grant whose push names neither a pre-auth code nor an authorization code.
    #[must_use]
    pub fn of_push(push: &PushId) -> Self {
        Self(push.as_ref().clone())
    }

    /// The claim of an authorization code whose pre-auth code is unknown.
    #[must_use]
    pub fn of_code(code: &CodeDigest) -> Self {
        Self(Digest::from_stored(code.as_str()))
    }
}

/// An authorization code to be claimed.
#[derive(Debug, Clone, Copy)]
pub struct ClaimedCode<'a> {
    /// The claim under which it is exchanged: the pre-auth code's if that is known.
    pub claim: &'a ClaimKey,
    /// The code.
    pub code: &'a CodeDigest,
    /// How it arrived.
    pub arrival: Arrival<'a>,
}

/// How a code arrived.
#[derive(Debug, Clone, Copy)]
pub enum Arrival<'a> {
    /// In a push, which names the account and has the time of the grant.
    Push {
        /// The account.
        authorizer: &'a AppId,
        /// WeChat's time of the grant, if it is credible.
        granted_at: Option<Timestamp>,
    },
    /// Through a redirect, or in a message of the release check: the account is unknown.
    Redirect,
}

/// The result of an exchange under a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedGrant {
    /// The account.
    pub authorizer: AppId,
    /// The code that was exchanged; `None` in an item from before results were stored by code.
    pub code: Option<CodeDigest>,
}

/// The link and the attempt for which a pre-auth code was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The link.
    pub link: LinkId,
    /// The attempt.
    pub attempt: AttemptId,
}

/// The outcome of claiming a code.
#[derive(Debug)]
pub enum Claimed {
    /// This process may exchange it.
    Ours {
        /// Ends when the result is stored, or when it is released.
        lease: Lease<ClaimKey>,
        /// The link for which the pre-auth code was created, if it is one of ours.
        binding: Option<Binding>,
        /// Whether an earlier attempt may have spent the code and lost WeChat's response.
        tried: bool,
        /// The grant of a redirect at about the time of the push, for the same account but with another code: WeChat
        /// may have issued both codes for one consent.
        redirected: Option<ClaimedGrant>,
    },
    /// It was already exchanged.
    Done(ClaimedGrant, Option<Binding>),
    /// Another process is exchanging it.
    Busy,
}

/// The claims of codes.
#[derive(Debug, Clone)]
pub struct Claims(pub(crate) Part);

impl Part {
    pub(crate) fn claim(&self, claim: &ClaimKey) -> Key {
        self.key("claim", claim.as_str(), "claim")
    }
}

impl Claims {
    /// Claims a code. One write, and another one for a redirect that comes after its push.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the claim may have been taken; it then expires.
    pub async fn claim(&self, code: &ClaimedCode<'_>, term: &LeaseTerm) -> Result<Claimed, StoreError> {
        let key = self.0.claim(code.claim);
        let leasing = self
            .0
            .change(key.clone())
            .begin_lease(term)
            .set_once(TRIED_BY, &term.owner)
            .set_once(EXPIRES_AT, term.now.plus(CLAIM_KEEP))
            .when(absent(&exchanged(code.code)).and(term.is_free()));
        let (ours, attributes) = match leasing.apply_and_read().await? {
            Written::Done(attributes) => (true, attributes),
            Written::Refused(Some(attributes)) => (false, attributes),
            Written::Refused(None) => return Ok(Claimed::Busy),
        };
        let item = Item::new("claim", attributes);
        let binding = binding(&item);
        let tried = item.text(TRIED_BY) != Some(&term.owner);
        let lease = term.on(key, code.claim.clone());
        let past = match (past::history(&item, code, term.now), code.arrival) {
            (CodeHistory::Assumed(past), Arrival::Push { .. }) if ours => {
                return Ok(Claimed::Ours { lease, binding, tried, redirected: Some(past.grant) });
            }
            (CodeHistory::Unknown, _) if ours => {
                return Ok(Claimed::Ours { lease, binding, tried, redirected: None });
            }
            (CodeHistory::Assumed(past), Arrival::Redirect) if ours => past,
            (CodeHistory::Exchanged(past), _) => past,
            _ => return Ok(Claimed::Busy),
        };
        if ours {
            self.release(&lease, tried).await?;
        }
        self.note_return(code, &past).await?;
        Ok(Claimed::Done(past.grant, binding))
    }

    /// The grant for which a redirect's code was exchanged. One read.
    pub async fn result(
        &self,
        claim: &ClaimKey,
        code: &CodeDigest,
        now: Timestamp,
    ) -> Result<Option<AppId>, StoreError> {
        let Some(attributes) = self.0.get(self.0.claim(claim)).await? else { return Ok(None) };
        let item = Item::new("claim", attributes);
        Ok(match past::history(&item, &ClaimedCode { claim, code, arrival: Arrival::Redirect }, now) {
            CodeHistory::Exchanged(past) => Some(past.grant.authorizer),
            // A process that is exchanging the code may return the account to which it really belongs.
            CodeHistory::Assumed(past) if item.instant(LEASE_UNTIL).is_none_or(|until| until <= now) => {
                Some(past.grant.authorizer)
            }
            CodeHistory::Assumed(_) | CodeHistory::Unknown => None,
        })
    }

    /// The link and attempt for which a claim was created, if it is one of ours. One read.
    pub async fn binding(&self, claim: &ClaimKey) -> Result<Option<Binding>, StoreError> {
        let attributes = self.0.get(self.0.claim(claim)).await?;
        Ok(attributes.and_then(|attributes| binding(&Item::new("claim", attributes))))
    }

    /// Releases a claim after a failure, so that the next attempt need not wait for its expiry; `may_be_spent` if the
    /// code may be spent and WeChat's response was lost. One write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the claim then expires.
    pub async fn release(&self, lease: &Lease<ClaimKey>, may_be_spent: bool) -> Result<(), StoreError> {
        let released = self.0.change(lease.key.clone()).end_lease();
        let released = if may_be_spent { released } else { released.remove([TRIED_BY]) };
        released.when(lease.is_held()).apply().await.map(drop)
    }

    /// Stores the account of a code, if [`crate::Accounts::store_grant`] did not. One write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the code is processed once more.
    pub async fn finish(&self, code: &ClaimedCode<'_>, authorizer: &AppId, now: Timestamp) -> Result<(), StoreError> {
        finished(&self.0, code, authorizer, now).apply().await.map(drop)
    }

    /// Records that the redirect of a pushed grant has arrived: a later one, with another code, does not belong to that
    /// grant. One write, or none for a push or if that is already recorded.
    async fn note_return(&self, code: &ClaimedCode<'_>, past: &Past) -> Result<(), StoreError> {
        let Some(returned) = past.awaited_return(code) else { return Ok(()) };
        let noted = self.0.change(self.0.claim(code.claim)).set(&returned, code.code);
        noted.when(absent(&returned)).apply().await.map(drop)
    }
}

/// The end of a claim. Every process that has the grant may write it, even after the claim's lease has ended: a code
/// belongs to one account, so they all write the same, and no condition is needed.
pub(crate) fn finished(part: &Part, code: &ClaimedCode<'_>, authorizer: &AppId, now: Timestamp) -> Change {
    part.change(part.claim(code.claim))
        .set(&exchanged(code.code), past::result(code, authorizer, now))
        .set(EXPIRES_AT, now.plus(CLAIM_KEEP))
        .remove([TRIED_BY])
        .end_lease()
}

fn binding(item: &Item) -> Option<Binding> {
    Some(Binding { link: item.parsed(LINK, LinkId::parse)?, attempt: item.parsed(ATTEMPT, AttemptId::parse)? })
}
