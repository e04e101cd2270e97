//! Claims: a code is exchanged by one comer only, and the others learn the result.
//!
//! A claim stands for a pre-auth code, or for the authorization code itself where that is unknown. For a pre-auth code
//! of ours it is made together with the attempt, so that a push that names the code leads to its link. What came of a
//! claim is remembered for each authorization code: under one pre-auth code several accounts may authorize, and one
//! account more than once. Codes are never keys: their digest is.

mod past;

use std::time::Duration;

use aws_sdk_dynamodb::types::Update;
use base::clock::Timestamp;
use base::ids::{AppId, AttemptId, Digest, LinkId};
use secrecy::{ExposeSecret as _, SecretString};

use self::past::{Past, Standing, exchanged};
use super::item::{EXPIRES, Item, LeaseUpdate, Updated, expires, send, text, write};
use super::{Vault, VaultError};

const SORT: &str = "claim";

/// A claim is kept this long after it last brought something: longer than any code lives and than an inbox entry is
/// tried.
pub(super) const KEEP: Duration = Duration::from_hours(24 * 30);

/// The name of a claim.
pub struct Claim;

impl Claim {
    /// The claim of a pre-auth code.
    #[must_use]
    pub fn of_pre_auth_code(code: &SecretString) -> Digest {
        Digest::of(&["pre-auth-code", code.expose_secret()])
    }

    /// The claim of an authorization code whose pre-auth code is unknown. By it the results of every code are
    /// remembered.
    #[must_use]
    pub fn of_authorization_code(code: &SecretString) -> Digest {
        Digest::of(&["authorization-code", code.expose_secret()])
    }
}

/// An authorization code that is claimed.
#[derive(Debug, Clone, Copy)]
pub struct ClaimedCode<'a> {
    /// The claim that it is exchanged under: [`Claim::of_pre_auth_code`] where that is known.
    pub claim: &'a Digest,
    /// [`Claim::of_authorization_code`].
    pub code: &'a Digest,
    /// Who brings it.
    pub comer: Comer<'a>,
}

/// Who brings a code.
#[derive(Debug, Clone, Copy)]
pub enum Comer<'a> {
    /// A push, which says for which account, and when the grant was.
    Push {
        /// The account.
        authorizer: &'a AppId,
        /// WeChat's time of the grant, where it can be believed.
        granted_at: Option<Timestamp>,
    },
    /// A redirect, or a message of the release check: nobody knows for which account.
    Redirect,
}

/// What an exchange under a claim has brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedGrant {
    /// The account.
    pub authorizer: AppId,
    /// The claim of the code that was exchanged; unknown of an item of before results were remembered by code.
    pub code: Option<Digest>,
}

/// The link and the attempt that a pre-auth code was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The link.
    pub link: LinkId,
    /// The attempt.
    pub attempt: AttemptId,
}

/// What came of claiming a code.
#[derive(Debug)]
pub enum Claimed {
    /// It is ours to exchange.
    Ours {
        /// The link it was made for, if it was made by us.
        binding: Option<Binding>,
        /// Whether a try of before may have spent a code without anybody having heard WeChat's answer.
        tried: bool,
        /// What a redirect brought at the time of the push's grant, for the same account but by another code: WeChat may
        /// have given both for one consent.
        redirected: Option<ClaimedGrant>,
    },
    /// It was exchanged already.
    Done(ClaimedGrant, Option<Binding>),
    /// Somebody is at it.
    Busy,
}

impl Vault {
    /// Claims a code for `owner` until `until`. One write, and another one for a redirect that comes after its push.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: the claim may be ours and ends by itself.
    pub async fn claim(
        &self,
        code: &ClaimedCode<'_>,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claimed, VaultError> {
        let lease = LeaseUpdate { owner, now, until, first: "tried_by", done: "#exchanged", keep: KEEP };
        let leasing = self
            .leasing(self.key("claim", Some(code.claim.as_str())), SORT, &lease)
            .expression_attribute_names("#exchanged", exchanged(code.code));
        let (ours, attributes) = match send(leasing).await? {
            Updated::Done(attributes) => (true, attributes),
            Updated::Refused(Some(attributes)) => (false, attributes),
            Updated::Refused(None) => return Ok(Claimed::Busy),
        };
        let item = Item::new("claim", attributes);
        let binding = binding(&item);
        let tried = item.text("tried_by") != Some(owner);
        let past = match (past::standing(&item, code, now), code.comer) {
            (Standing::Assumed(past), Comer::Push { .. }) if ours => {
                return Ok(Claimed::Ours { binding, tried, redirected: Some(past.grant) });
            }
            (Standing::Open, _) if ours => return Ok(Claimed::Ours { binding, tried, redirected: None }),
            (Standing::Assumed(past), Comer::Redirect) if ours => past,
            (Standing::Done(past), _) => past,
            _ => return Ok(Claimed::Busy),
        };
        if ours {
            self.release_claim(code.claim, owner, tried).await?;
        }
        self.note_return(code, &past).await?;
        Ok(Claimed::Done(past.grant, binding))
    }

    /// What became of a code that a redirect brought. One read.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn claim_result(
        &self,
        claim: &Digest,
        code: &Digest,
        now: Timestamp,
    ) -> Result<Option<AppId>, VaultError> {
        let Some(attributes) = self.get(self.key("claim", Some(claim.as_str())), SORT).await? else { return Ok(None) };
        let item = Item::new("claim", attributes);
        Ok(match past::standing(&item, &ClaimedCode { claim, code, comer: Comer::Redirect }, now) {
            Standing::Done(past) => Some(past.grant.authorizer),
            // Whoever is at it may bring what the code is really of.
            Standing::Assumed(past) if item.instant("lease_until").is_none_or(|until| until <= now) => {
                Some(past.grant.authorizer)
            }
            Standing::Assumed(_) | Standing::Open => None,
        })
    }

    /// The link and attempt that a claim was made for, if it was made by us. One read.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn claim_binding(&self, claim: &Digest) -> Result<Option<Binding>, VaultError> {
        let attributes = self.get(self.key("claim", Some(claim.as_str())), SORT).await?;
        Ok(attributes.and_then(|attributes| binding(&Item::new("claim", attributes))))
    }

    /// Gives a claim back after a failure, so that the next try need not wait for its end; `unheard` where the code may be
    /// spent and nobody knows WeChat's answer. One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: the claim then ends by itself.
    pub async fn release_claim(&self, claim: &Digest, owner: &str, unheard: bool) -> Result<(), VaultError> {
        let tried = if unheard { "" } else { ", tried_by" };
        let update = self
            .update(self.key("claim", Some(claim.as_str())), SORT)
            .update_expression(format!("REMOVE lease_owner, lease_until{tried}"))
            .condition_expression("lease_owner = :owner")
            .expression_attribute_values(":owner", text(owner));
        write(update).await.map(drop)
    }

    /// Writes down what a code has brought, where [`Vault::store_grant`] did not. One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: the code is looked at once more.
    pub async fn finish_claim(
        &self,
        code: &ClaimedCode<'_>,
        authorizer: &AppId,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        let update = self
            .update(self.key("claim", Some(code.claim.as_str())), SORT)
            .update_expression(finish_expression())
            .expression_attribute_names("#exchanged", exchanged(code.code))
            .expression_attribute_values(":result", past::result(code, authorizer, now))
            .expression_attribute_values(":expires", expires(now, KEEP));
        write(update).await.map(drop)
    }

    /// The second half of [`Vault::store_grant`]'s transaction. Finished by whoever has the grant, also after the
    /// claim's lease has ended: the tokens in hand are the result.
    pub(super) fn finish_claim_update(
        &self,
        code: &ClaimedCode<'_>,
        authorizer: &AppId,
        now: Timestamp,
    ) -> Result<Update, VaultError> {
        Update::builder()
            .table_name(self.table())
            .key("pk", text(self.key("claim", Some(code.claim.as_str()))))
            .key("sk", text(SORT))
            .update_expression(finish_expression())
            .expression_attribute_names("#exchanged", exchanged(code.code))
            .expression_attribute_values(":result", past::result(code, authorizer, now))
            .expression_attribute_values(":expires", expires(now, KEEP))
            .build()
            .map_err(|_| VaultError::Corrupt { item: "claim", attribute: "update" })
    }

    /// Remembers that the redirect of a pushed grant has come: the next one, with another code, is not of that grant. One
    /// write, none for a push or where it is remembered.
    async fn note_return(&self, code: &ClaimedCode<'_>, past: &Past) -> Result<(), VaultError> {
        let Some(returned) = past.awaited_return(code) else { return Ok(()) };
        let update = self
            .update(self.key("claim", Some(code.claim.as_str())), SORT)
            .update_expression("SET #returned = :code")
            .condition_expression("attribute_not_exists(#returned)")
            .expression_attribute_names("#returned", returned)
            .expression_attribute_values(":code", text(code.code.as_str()));
        write(update).await.map(drop)
    }
}

/// Whoever writes a result, it is the same: a code brings one account, and no condition is needed.
fn finish_expression() -> String {
    format!("SET #exchanged = :result, {EXPIRES} = :expires REMOVE lease_owner, lease_until, tried_by")
}

fn binding(item: &Item) -> Option<Binding> {
    Some(Binding { link: item.parsed("link", LinkId::parse)?, attempt: item.parsed("attempt", AttemptId::parse)? })
}
