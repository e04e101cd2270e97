//! Claims: a code is exchanged by one comer only, and the others learn the result.
//!
//! A claim stands for a pre-auth code, or for the authorization code itself where that is unknown. For a pre-auth code
//! of ours it is made together with the attempt, so that a push that names the code leads to its link. Codes are never
//! keys: their digest is.

use aws_sdk_dynamodb::types::Update;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::HashMap;
use std::time::Duration;

use super::item::{EXPIRES, Item, LeaseUpdate, Updated, expires, instant, send, text, write};
use super::{Vault, VaultError};
use crate::clock::Timestamp;
use crate::ids::{AppId, AttemptId, Digest, LinkId};

const SORT: &str = "claim";

/// A claim is kept this long: longer than any code lives and than an inbox entry is tried.
pub(super) const KEEP: Duration = Duration::from_hours(24 * 30);

/// The name of a claim.
pub struct Claim;

impl Claim {
    /// The claim of a pre-auth code.
    #[must_use]
    pub fn of_pre_auth_code(code: &SecretString) -> Digest {
        Digest::of(&["pre-auth-code", code.expose_secret()])
    }

    /// The claim of an authorization code whose pre-auth code is unknown.
    #[must_use]
    pub fn of_authorization_code(code: &SecretString) -> Digest {
        Digest::of(&["authorization-code", code.expose_secret()])
    }
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
        /// Whether somebody has tried before and not come back with an answer of WeChat's.
        tried: bool,
    },
    /// It was exchanged already.
    Done {
        /// The account that it brought.
        authorizer: AppId,
        /// The link it was made for, if it was made by us.
        binding: Option<Binding>,
        /// The digest of the authorization code that was exchanged.
        code: Option<Digest>,
    },
    /// Somebody is at it.
    Busy,
}

impl Vault {
    /// Claims a code for `owner` until `until`. One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: the claim may be ours and ends by itself.
    pub async fn claim(
        &self,
        claim: &Digest,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claimed, VaultError> {
        let lease = LeaseUpdate { owner, now, until, first: "tried_by", done: "authorizer", keep: KEEP };
        Ok(match send(self.leasing(self.key("claim", Some(claim.as_str())), SORT, &lease)).await? {
            Updated::Done(attributes) => {
                let item = Item::new("claim", attributes);
                Claimed::Ours { binding: binding(&item), tried: item.text("tried_by") != Some(owner) }
            }
            Updated::Refused(attributes) => outcome(attributes),
        })
    }

    /// What became of a claim. One read.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn claim_result(&self, claim: &Digest) -> Result<Option<AppId>, VaultError> {
        let attributes = self.get(self.key("claim", Some(claim.as_str())), SORT).await?;
        Ok(attributes.and_then(|attributes| Item::new("claim", attributes).parsed("authorizer", AppId::parse)))
    }

    /// The link and attempt that a claim was made for, if it was made by us. One read.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn claim_binding(&self, claim: &Digest) -> Result<Option<Binding>, VaultError> {
        let attributes = self.get(self.key("claim", Some(claim.as_str())), SORT).await?;
        Ok(attributes.and_then(|attributes| binding(&Item::new("claim", attributes))))
    }

    /// Gives a claim back after a failure, so that the next try need not wait for its end; `answered` where WeChat has
    /// said what became of the code. One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: the claim then ends by itself.
    pub async fn release_claim(&self, claim: &Digest, owner: &str, answered: bool) -> Result<(), VaultError> {
        let tried = if answered { ", tried_by" } else { "" };
        let update = self
            .update(self.key("claim", Some(claim.as_str())), SORT)
            .update_expression(format!("REMOVE lease_owner, lease_until{tried}"))
            .condition_expression("lease_owner = :owner")
            .expression_attribute_values(":owner", text(owner));
        write(update).await.map(drop)
    }

    /// The second half of [`Vault::store_grant`]'s transaction. Finished by whoever has the grant, also after the
    /// claim's lease has ended: the tokens in hand are the result.
    pub(super) fn finish_claim_update(
        &self,
        claim: &Digest,
        code: Option<&Digest>,
        authorizer: &AppId,
        now: Timestamp,
    ) -> Result<Update, VaultError> {
        let set_code = if code.is_some() { ", code = if_not_exists(code, :code)" } else { "" };
        Update::builder()
            .table_name(self.table())
            .key("pk", text(self.key("claim", Some(claim.as_str()))))
            .key("sk", text(SORT))
            .update_expression(format!(
                "SET authorizer = :authorizer, finished_at = :now, {EXPIRES} = if_not_exists({EXPIRES}, :expires){set_code} \
                 REMOVE lease_owner, lease_until"
            ))
            .set_expression_attribute_values(code.map(|code| HashMap::from([(":code".to_owned(), text(code.as_str()))])))
            .condition_expression("attribute_not_exists(authorizer) OR authorizer = :authorizer")
            .expression_attribute_values(":authorizer", text(authorizer.as_str()))
            .expression_attribute_values(":now", instant(now))
            .expression_attribute_values(":expires", expires(now, KEEP))
            .build()
            .map_err(|_| VaultError::Corrupt { item: "claim", attribute: "update" })
    }
}

fn binding(item: &Item) -> Option<Binding> {
    Some(Binding { link: item.parsed("link", LinkId::parse)?, attempt: item.parsed("attempt", AttemptId::parse)? })
}

fn outcome(attributes: Option<super::item::Attributes>) -> Claimed {
    let Some(item) = attributes.map(|attributes| Item::new("claim", attributes)) else { return Claimed::Busy };
    match item.parsed("authorizer", AppId::parse) {
        Some(authorizer) => {
            Claimed::Done { authorizer, binding: binding(&item), code: item.text("code").map(Digest::from_stored) }
        }
        None => Claimed::Busy,
    }
}
