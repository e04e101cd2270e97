//! Claims: a code is exchanged by one process only, and the others learn the result.
//!
//! A claim belongs to a pre-auth code, or to the authorization code itself if the pre-auth code is unknown. For a
//! pre-auth code of ours it is made together with the attempt, so that a push that names the code leads to its link. The
//! result is remembered for each authorization code: under one pre-auth code several accounts may authorize, and one
//! account more than once. Codes are never keys: their digests are.

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

/// A claim is kept this long after it last brought something: longer than any code lives and than an inbox entry is
/// tried.
pub(crate) const CLAIM_KEEP: Duration = Duration::from_hours(24 * 30);

digest_id! {
    /// The digest of an authorization code, by which results are remembered.
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

/// An authorization code that is claimed.
#[derive(Debug, Clone, Copy)]
pub struct ClaimedCode<'a> {
    /// The claim that it is exchanged under: the pre-auth code's if that is known.
    pub claim: &'a ClaimKey,
    /// The code.
    pub code: &'a CodeDigest,
    /// How it came.
    pub arrival: Arrival<'a>,
}

/// How a code came.
#[derive(Debug, Clone, Copy)]
pub enum Arrival<'a> {
    /// In a push, which says for which account, and when the grant was.
    Push {
        /// The account.
        authorizer: &'a AppId,
        /// WeChat's time of the grant, if it is credible.
        granted_at: Option<Timestamp>,
    },
    /// Through a redirect, or in a message of the release check: the account is not known.
    Redirect,
}

/// The result of an exchange under a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedGrant {
    /// The account.
    pub authorizer: AppId,
    /// The code that was exchanged; unknown of an item from before results were remembered by code.
    pub code: Option<CodeDigest>,
}

/// The link and the attempt that a pre-auth code was made for.
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
    /// It is ours to exchange.
    Ours {
        /// Ends when the result is stored, or when it is given back.
        lease: Lease<ClaimKey>,
        /// The link it was made for, if it was made by us.
        binding: Option<Binding>,
        /// Whether an earlier attempt may have spent a code and lost WeChat's response.
        tried: bool,
        /// What a redirect brought at the time of the push's grant, for the same account but by another code: WeChat may
        /// have given both for one consent.
        redirected: Option<ClaimedGrant>,
    },
    /// It was exchanged already.
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
    /// [`StoreError::Unavailable`]: the claim may be ours and ends by itself.
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

    /// The account that a code of a redirect has brought. One read.
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
            // A process that is exchanging it may bring the account that the code is really of.
            CodeHistory::Assumed(past) if item.instant(LEASE_UNTIL).is_none_or(|until| until <= now) => {
                Some(past.grant.authorizer)
            }
            CodeHistory::Assumed(_) | CodeHistory::Unknown => None,
        })
    }

    /// The link and attempt that a claim was made for, if it was made by us. One read.
    pub async fn binding(&self, claim: &ClaimKey) -> Result<Option<Binding>, StoreError> {
        let attributes = self.0.get(self.0.claim(claim)).await?;
        Ok(attributes.and_then(|attributes| binding(&Item::new("claim", attributes))))
    }

    /// Gives a claim back after a failure, so that the next attempt need not wait for its end; `may_be_spent` if the code may
    /// be spent and WeChat's response was lost. One write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the claim then ends by itself.
    pub async fn release(&self, lease: &Lease<ClaimKey>, may_be_spent: bool) -> Result<(), StoreError> {
        let released = self.0.change(lease.key.clone()).end_lease();
        let released = if may_be_spent { released } else { released.remove([TRIED_BY]) };
        released.when(lease.is_held()).apply().await.map(drop)
    }

    /// Writes down the account that a code has brought, if [`crate::Accounts::store_grant`] did not. One write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the code is looked at once more.
    pub async fn finish(&self, code: &ClaimedCode<'_>, authorizer: &AppId, now: Timestamp) -> Result<(), StoreError> {
        finished(&self.0, code, authorizer, now).apply().await.map(drop)
    }

    /// Remembers that the redirect of a pushed grant has come: the next one, with another code, is not of that grant. One
    /// write, none for a push or if it is remembered.
    async fn note_return(&self, code: &ClaimedCode<'_>, past: &Past) -> Result<(), StoreError> {
        let Some(returned) = past.awaited_return(code) else { return Ok(()) };
        let noted = self.0.change(self.0.claim(code.claim)).set(&returned, code.code);
        noted.when(absent(&returned)).apply().await.map(drop)
    }
}

/// The end of a claim, which every process may write that has the grant, also after the claim's lease has ended: a code
/// brings one account, so that they all write the same, and no condition is needed.
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
