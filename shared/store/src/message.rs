//! Messages of accounts: each is handled once, every delivery of it gets the same answer, and what the bus did not take
//! waits here until it does.
//!
//! WeChat sends a message again when our answer does not reach it within 5 s. So a message is claimed before anything is
//! done with it, and what was answered is written down. Who claimed and died lets the next comer in after a moment. A
//! message that waits for the bus stands in the `due` index in shards of its own: however many they are, grants do not
//! wait behind them.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use base::clock::Timestamp;
use base::ids::{AppId, Digest};
use secrecy::SecretString;
use wechat::push::AccountMessage;

use super::accounts::PagePosition;
use super::item::{EXPIRES, Item, LeaseUpdate, Updated, expires, instant, secret, send, text, write};
use super::{Vault, VaultError};

const SORT: &str = "message";

/// A message that WeChat wrote longer ago than this is not handled: whether it was handled before would not be known.
/// WeChat tries three times within seconds.
pub const MESSAGE_MEMORY: Duration = Duration::from_hours(24);

/// How a message was answered is kept for longer by as much as WeChat's clock may be ahead of ours.
const KEEP: Duration = MESSAGE_MEMORY.saturating_add(Duration::from_hours(1));

/// How long a message waits for the bus at most.
const KEEP_WAITING: Duration = Duration::from_hours(24 * 30);

/// Messages that wait are spread over this many shards: one takes about a thousand writes a second.
const WAITING_SHARDS: u64 = 4;

/// Waiting messages of one page of the index.
const PAGE: i32 = 256;

/// What came of claiming a message.
pub enum MessageClaim {
    /// It is ours to handle.
    Ours {
        /// Whether nobody has had it before: who had may have got as far as asking the webhook.
        first: bool,
        /// The reply that whoever had it before got, as plain XML, and could not give.
        reply: Option<SecretString>,
    },
    /// It was answered with this; nothing where the answer was empty.
    Answered(Option<SecretString>),
    /// Somebody is at it.
    Busy,
}

/// A message that waits for the bus.
pub struct WaitingMessage {
    /// The account.
    pub authorizer: AppId,
    /// The decrypted XML.
    pub xml: SecretString,
    /// Whether the account is known to be the one that it is addressed to.
    pub is_confirmed: bool,
    /// When it began to wait, by our own clock.
    pub kept_at: Option<Timestamp>,
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
        let lease = LeaseUpdate { owner, now, until, first: "first_owner", done: "answered_at", keep: KEEP };
        Ok(match send(self.leasing(self.message_key(message), SORT, &lease)).await? {
            Updated::Done(attributes) => {
                let item = Item::new("message", attributes);
                MessageClaim::Ours { first: item.text("first_owner") == Some(owner), reply: item.secret("reply") }
            }
            Updated::Refused(Some(attributes)) if attributes.contains_key("answered_at") => {
                MessageClaim::Answered(Item::new("message", attributes).secret("reply"))
            }
            Updated::Refused(_) => MessageClaim::Busy,
        })
    }

    /// Keeps a claimed message for the bus: it did not take it, or the account's name has to be known first, which
    /// `is_confirmed` tells apart. One write.
    ///
    /// # Errors
    /// [`VaultError`]: it may not be stored.
    pub async fn keep_message(
        &self,
        authorizer: &AppId,
        message: &AccountMessage,
        is_confirmed: bool,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        let digest = message.dedup(authorizer);
        let update = self
            .update(self.message_key(&digest), SORT)
            .update_expression(format!(
                "SET authorizer = :authorizer, account_message = :message, confirmed = :confirmed, \
                 kept_at = if_not_exists(kept_at, :now), due_shard = :shard, due_at = :now, {EXPIRES} = :expires"
            ))
            .condition_expression("attribute_exists(first_owner)")
            .expression_attribute_values(":authorizer", text(authorizer.as_str()))
            .expression_attribute_values(":message", secret(&message.xml))
            .expression_attribute_values(":confirmed", AttributeValue::Bool(is_confirmed))
            .expression_attribute_values(":shard", text(self.waiting_shard(digest.part(WAITING_SHARDS))))
            .expression_attribute_values(":now", instant(now))
            .expression_attribute_values(":expires", expires(now, KEEP_WAITING));
        if write(update).await? { Ok(()) } else { Err(VaultError::Contended { item: "message" }) }
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
        self.end_claim(message, owner, reply, Some(now)).await
    }

    /// Gives a claim back after a failure, so that WeChat's next try need not wait for its end; a reply that was got
    /// already is left to it. One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: the claim then ends by itself.
    pub async fn release_message(
        &self,
        message: &Digest,
        owner: &str,
        reply: Option<&SecretString>,
    ) -> Result<(), VaultError> {
        self.end_claim(message, owner, reply, None).await
    }

    async fn end_claim(
        &self,
        message: &Digest,
        owner: &str,
        reply: Option<&SecretString>,
        answered_at: Option<Timestamp>,
    ) -> Result<(), VaultError> {
        let set = [("answered_at", answered_at.map(instant)), ("reply", reply.map(secret))];
        let set: Vec<_> = set.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let assignments: Vec<String> = set.iter().map(|(name, _)| format!("{name} = :{name}")).collect();
        let assignments = if set.is_empty() { String::new() } else { format!("SET {} ", assignments.join(", ")) };
        let mut update = self
            .update(self.message_key(message), SORT)
            .update_expression(format!("{assignments}REMOVE lease_owner, lease_until"))
            .condition_expression("lease_owner = :owner")
            .expression_attribute_values(":owner", text(owner));
        for (name, value) in set {
            update = update.expression_attribute_values(format!(":{name}"), value);
        }
        write(update).await.map(drop)
    }

    /// Messages of one shard that wait for the bus and are due, the oldest first, a page at a time. One query of the
    /// index. `shard` counts from 0 to [`Vault::waiting_shards`].
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn waiting_messages(
        &self,
        shard: u64,
        until: Timestamp,
        after: Option<PagePosition>,
    ) -> Result<(Vec<Digest>, Option<PagePosition>), VaultError> {
        let prefix = self.key("message", Some(""));
        let digest = |pk: &str| pk.strip_prefix(&prefix).map(Digest::from_stored);
        self.page_of_index(self.waiting_shard(shard), until, PAGE, after, digest).await
    }

    /// How many shards waiting messages are spread over.
    #[must_use]
    pub const fn waiting_shards() -> u64 {
        WAITING_SHARDS
    }

    /// How many messages wait for the bus. Queries of the index.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn count_waiting_messages(&self, until: Timestamp) -> Result<u64, VaultError> {
        self.count_shards((0..WAITING_SHARDS).map(|shard| self.waiting_shard(shard)), until).await
    }

    /// A message that waits for the bus; none where it waits no longer. One read.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn waiting_message(&self, message: &Digest) -> Result<Option<WaitingMessage>, VaultError> {
        let attributes = self.get(self.message_key(message), SORT).await?;
        Ok(attributes.map(|attributes| Item::new("message", attributes)).and_then(|item| {
            let authorizer = item.parsed("authorizer", AppId::parse)?;
            // Those from before the name was asked for had been confirmed.
            let confirmed = item.attributes.get("confirmed").and_then(|confirmed| confirmed.as_bool().ok());
            let is_confirmed = confirmed.copied().unwrap_or(true);
            let kept_at = item.instant("kept_at");
            Some(WaitingMessage { authorizer, xml: item.secret("account_message")?, is_confirmed, kept_at })
        }))
    }

    /// Writes down that a message waits no longer, and forgets its text. One write; again changes nothing.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: it will be delivered once more.
    pub async fn finish_waiting_message(&self, message: &Digest, now: Timestamp) -> Result<(), VaultError> {
        let update = self
            .update(self.message_key(message), SORT)
            .update_expression(format!(
                "SET {EXPIRES} = :expires REMOVE due_shard, due_at, authorizer, account_message, confirmed, kept_at"
            ))
            .condition_expression("attribute_exists(due_at)")
            .expression_attribute_values(":expires", expires(now, KEEP));
        write(update).await.map(drop)
    }

    /// Puts a message that waits off until `due_at`. One write; without effect where it waits no longer.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: it is then tried again at once.
    pub async fn postpone_waiting_message(&self, message: &Digest, due_at: Timestamp) -> Result<(), VaultError> {
        let update = self
            .update(self.message_key(message), SORT)
            .update_expression("SET due_at = :due")
            .condition_expression("attribute_exists(due_at)")
            .expression_attribute_values(":due", instant(due_at));
        write(update).await.map(drop)
    }

    fn message_key(&self, message: &Digest) -> String {
        self.key("message", Some(message.as_str()))
    }

    fn waiting_shard(&self, shard: u64) -> String {
        self.key("waiting", Some(&shard.to_string()))
    }
}
