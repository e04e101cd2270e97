//! Messages of accounts: each is handled once, and every delivery of it gets the same answer.
//!
//! WeChat sends a message again when our answer does not reach it within 5 s. So a message is claimed before anything is
//! done with it, and what was answered is written down. Who claimed and died lets the next comer in after a moment.

use std::time::Duration;

use secrecy::SecretString;

use super::item::{EXPIRES, Item, Updated, expires, instant, secret, send, text};
use super::{Vault, VaultError};
use crate::clock::Timestamp;
use crate::ids::Digest;

const SORT: &str = "message";

/// WeChat tries three times within seconds; what is answered is kept long beyond that.
const KEEP: Duration = Duration::from_hours(24);

/// What came of claiming a message.
pub enum MessageClaim {
    /// It is ours to handle.
    Ours {
        /// Whether nobody has had it before: who had may have got as far as asking the webhook.
        first: bool,
    },
    /// It was answered with this; nothing where the answer was empty.
    Answered(Option<SecretString>),
    /// Somebody is at it.
    Busy,
}

impl Vault {
    /// Claims a message for `owner` until `until`. One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: the claim may be ours and ends by itself.
    pub async fn claim_message(
        &self,
        message: &Digest,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<MessageClaim, VaultError> {
        let update = self
            .update(self.message_key(message), SORT)
            .update_expression(format!(
                "SET lease_owner = :owner, lease_until = :until, first_owner = if_not_exists(first_owner, :owner), \
                 received_at = if_not_exists(received_at, :now), {EXPIRES} = if_not_exists({EXPIRES}, :expires)"
            ))
            .condition_expression(
                "attribute_not_exists(answered_at) AND \
                 (attribute_not_exists(lease_until) OR lease_until <= :now OR lease_owner = :owner)",
            )
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":until", instant(until))
            .expression_attribute_values(":now", instant(now))
            .expression_attribute_values(":expires", expires(now, KEEP));
        Ok(match send(update).await? {
            Updated::Done(attributes) => {
                let item = Item::new("message", attributes);
                MessageClaim::Ours { first: item.text("first_owner") == Some(owner) }
            }
            Updated::Refused(Some(attributes)) if attributes.contains_key("answered_at") => {
                MessageClaim::Answered(Item::new("message", attributes).secret("reply"))
            }
            Updated::Refused(_) => MessageClaim::Busy,
        })
    }

    /// Writes down how a message was answered: `reply` is the plain XML, none for an empty answer. One write; without
    /// effect where the claim has gone to somebody else.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: the message may be handled once more.
    pub async fn answer_message(
        &self,
        message: &Digest,
        owner: &str,
        reply: Option<&SecretString>,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        let answer = if reply.is_some() { ", reply = :reply" } else { "" };
        let mut update = self
            .update(self.message_key(message), SORT)
            .update_expression(format!("SET answered_at = :now{answer} REMOVE lease_owner, lease_until"))
            .condition_expression("lease_owner = :owner")
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":now", instant(now));
        if let Some(reply) = reply {
            update = update.expression_attribute_values(":reply", secret(reply));
        }
        send(update).await.map(drop)
    }

    /// Gives a claim back after a failure, so that WeChat's next try need not wait for its end. One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: the claim then ends by itself.
    pub async fn release_message(&self, message: &Digest, owner: &str) -> Result<(), VaultError> {
        self.drop_lease(self.message_key(message), SORT, owner).await
    }

    fn message_key(&self, message: &Digest) -> String {
        self.key("message", Some(message.as_str()))
    }
}
