//! Messages of accounts: each is handled once, every delivery of it gets the same reply, and what the bus did not
//! accept waits here until it does.
//!
//! WeChat sends a message again if it gets no response within 5 s, so the response is stored. A message for the reply
//! webhook is claimed first, since the webhook gets each at most once; if a claimant dies, its lease expires and the
//! next delivery takes over. Other messages need no claim, which would be a second write for each
//! (`docs/decisions/0009`). Messages that wait for the bus have their own shards of the `due` index: however many there
//! are, grants do not wait behind them.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use secrecy::SecretString;
use wechat::push::{AccountMessage, MessageId};

use crate::StoreError;
use crate::attributes::{
    ACCOUNT_MESSAGE, ANSWERED_AT, AUTHORIZER, CONFIRMED, DUE_AT, DUE_SHARD, EXPIRES_AT, FIRST_OWNER, KEPT_AT, REPLY,
};
use crate::item::Item;
use crate::lease::{Lease, LeaseTerm};
use crate::part::{Key, Part};
use crate::request::{PagePosition, Written};
use crate::write::{Change, absent, exists};

/// A message that WeChat created longer ago than this is not handled, since it would not be known whether it was
/// handled before. WeChat tries three times within seconds.
pub const MESSAGE_MEMORY: Duration = Duration::from_hours(24);

/// How long the response to a message is kept: longer by as much as WeChat's clock may be ahead of ours.
const KEEP: Duration = MESSAGE_MEMORY.saturating_add(Duration::from_hours(1));

/// The longest time that a message waits for the bus.
const KEEP_WAITING: Duration = Duration::from_hours(24 * 30);

/// Waiting messages are spread over this many shards: one allows about a thousand writes per second.
const WAITING_SHARDS: u64 = 4;

/// The number of waiting messages on one page of the index.
const PAGE: i32 = 256;

/// Whether an earlier delivery of a message got a response.
pub enum MessageState {
    /// It got this reply; `None` if the response was empty.
    Answered(Option<SecretString>),
    /// It did not.
    Open,
}

/// The outcome of claiming a message.
pub enum MessageClaim {
    /// This process may handle it.
    Ours {
        /// Ends when the reply is stored, or when it is released.
        lease: Lease<MessageId>,
        /// Whether no process has claimed it before. An earlier claimant may already have called the webhook.
        first: bool,
        /// The reply that an earlier process got, as plaintext XML, but could not send.
        reply: Option<SecretString>,
    },
    /// It already got this reply; `None` if the response was empty.
    Answered(Option<SecretString>),
    /// Another process is handling it.
    Busy,
}

/// A message that waits for the bus.
pub struct WaitingMessage {
    /// The account.
    pub authorizer: AppId,
    /// The decrypted XML.
    pub xml: SecretString,
    /// Whether it is confirmed that the message is addressed to the account.
    pub is_confirmed: bool,
    /// When it began to wait, by our own clock.
    pub kept_at: Option<Timestamp>,
}

/// The messages of accounts.
#[derive(Debug, Clone)]
pub struct Messages(pub(crate) Part);

impl Messages {
    /// The number of shards over which waiting messages are spread.
    pub const WAITING_SHARDS: u64 = WAITING_SHARDS;

    fn key(&self, message: &MessageId) -> Key {
        self.0.key("message", message.as_str(), "message")
    }

    fn change(&self, message: &MessageId) -> Change {
        self.0.change(self.key(message))
    }

    /// Whether a message got a response, eventually consistent. Simultaneous deliveries of a message may all find it
    /// open; WeChat's next try comes after 5 s. One read.
    pub async fn state(&self, message: &MessageId) -> Result<MessageState, StoreError> {
        let item = Item::new("message", self.0.read_eventually(self.key(message), &[]).await?.unwrap_or_default());
        let is_answered = item.instant(ANSWERED_AT).is_some();
        Ok(if is_answered { MessageState::Answered(item.secret(REPLY)) } else { MessageState::Open })
    }

    /// Claims a message for the reply webhook. One write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the claim may have been taken; it then expires.
    pub async fn claim(&self, message: &MessageId, term: &LeaseTerm) -> Result<MessageClaim, StoreError> {
        let leasing = self
            .change(message)
            .begin_lease(term)
            .set_once(FIRST_OWNER, &term.owner)
            .set_once(EXPIRES_AT, term.now.plus(KEEP))
            .when(absent(ANSWERED_AT).and(term.is_free()));
        Ok(match leasing.apply_and_read().await? {
            Written::Done(attributes) => {
                let item = Item::new("message", attributes);
                MessageClaim::Ours {
                    lease: term.on(self.key(message), message.clone()),
                    first: item.text(FIRST_OWNER) == Some(&term.owner),
                    reply: item.secret(REPLY),
                }
            }
            Written::Refused(Some(attributes)) if attributes.contains_key(ANSWERED_AT) => {
                MessageClaim::Answered(Item::new("message", attributes).secret(REPLY))
            }
            Written::Refused(_) => MessageClaim::Busy,
        })
    }

    /// Stores a message for the bus, because the bus did not accept it, or because the account's original id has to be
    /// known first; `is_confirmed` distinguishes the two. One write; without effect if another delivery got a response,
    /// since that one has published or stored it.
    ///
    /// # Errors
    /// [`StoreError`]: it may not be stored.
    pub async fn keep(
        &self,
        authorizer: &AppId,
        message: &AccountMessage,
        is_confirmed: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let id = message.id(authorizer);
        let kept = self
            .change(&id)
            .set(AUTHORIZER, authorizer)
            .set(ACCOUNT_MESSAGE, &message.xml)
            .set(CONFIRMED, is_confirmed)
            .set_once(KEPT_AT, now)
            .set(DUE_SHARD, self.shard(id.part(WAITING_SHARDS)))
            .set(DUE_AT, now)
            .set(EXPIRES_AT, now.plus(KEEP_WAITING));
        kept.when(absent(ANSWERED_AT)).apply().await.map(drop)
    }

    /// Stores the response to a claimed message: `reply` is the plaintext XML, `None` for an empty response. One write;
    /// without effect if another process has taken the claim.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the message may be handled once more.
    pub async fn answer_claimed(
        &self,
        lease: &Lease<MessageId>,
        reply: Option<&SecretString>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let answered = self.answered(lease.key.clone(), reply, now).end_lease();
        answered.when(lease.is_held()).apply().await.map(drop)
    }

    /// The same for a message without a claim. One write; without effect if another delivery got a response.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the message may be handled once more.
    pub async fn answer(
        &self,
        message: &MessageId,
        reply: Option<&SecretString>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.answered(self.key(message), reply, now).when(absent(ANSWERED_AT)).apply().await.map(drop)
    }

    fn answered(&self, key: Key, reply: Option<&SecretString>, now: Timestamp) -> Change {
        let change = self.0.change(key).set(ANSWERED_AT, now).set_some(REPLY, reply);
        change.set_once(EXPIRES_AT, now.plus(KEEP))
    }

    /// Releases a claim after a failure, so that WeChat's next try need not wait for its expiry; a reply that is
    /// already there is stored for that try. One write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the claim then expires.
    pub async fn release(&self, lease: &Lease<MessageId>, reply: Option<&SecretString>) -> Result<(), StoreError> {
        let released = self.0.change(lease.key.clone()).set_some(REPLY, reply).end_lease();
        released.when(lease.is_held()).apply().await.map(drop)
    }

    /// A page of the messages of one shard that wait for the bus and are due, oldest first. One query of the index.
    /// `shard` counts from 0 and is below [`Messages::WAITING_SHARDS`].
    pub async fn due(
        &self,
        shard: u64,
        until: Timestamp,
        after: Option<PagePosition>,
    ) -> Result<(Vec<MessageId>, Option<PagePosition>), StoreError> {
        let id = |pk: &str| self.0.id_in("message", pk).map(MessageId::from_stored);
        self.0.page_of_due(self.shard(shard), until, PAGE, after, id).await
    }

    /// The number of messages that wait for the bus. Queries of the index.
    pub async fn count_waiting(&self, until: Timestamp) -> Result<u64, StoreError> {
        self.0.count_due(self.shards(), until).await
    }

    /// Reads a message that waits for the bus; `None` if it no longer waits. One read.
    pub async fn waiting(&self, message: &MessageId) -> Result<Option<WaitingMessage>, StoreError> {
        let attributes = self.0.get(self.key(message)).await?;
        Ok(attributes.map(|attributes| Item::new("message", attributes)).and_then(|item| {
            Some(WaitingMessage {
                authorizer: item.parsed(AUTHORIZER, AppId::parse)?,
                xml: item.secret(ACCOUNT_MESSAGE)?,
                // Messages from before original ids were checked count as confirmed.
                is_confirmed: item.flag(CONFIRMED).unwrap_or(true),
                kept_at: item.instant(KEPT_AT),
            })
        }))
    }

    /// Stores that a message no longer waits, and deletes its text. One write; repeating it changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it will be delivered once more.
    pub async fn finish_waiting(&self, message: &MessageId, now: Timestamp) -> Result<(), StoreError> {
        self.change(message)
            .set(EXPIRES_AT, now.plus(KEEP))
            .remove([DUE_SHARD, DUE_AT, AUTHORIZER, ACCOUNT_MESSAGE, CONFIRMED, KEPT_AT])
            .when(exists(DUE_AT))
            .apply()
            .await
            .map(drop)
    }

    /// Postpones a waiting message until `due_at`. One write; without effect if it no longer waits.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: then it is tried again at once.
    pub async fn postpone_waiting(&self, message: &MessageId, due_at: Timestamp) -> Result<(), StoreError> {
        self.change(message).set(DUE_AT, due_at).when(exists(DUE_AT)).apply().await.map(drop)
    }

    /// The partitions of the index with waiting messages.
    pub(crate) fn shards(&self) -> impl Iterator<Item = String> {
        (0..WAITING_SHARDS).map(|shard| self.shard(shard))
    }

    fn shard(&self, shard: u64) -> String {
        self.0.partition("waiting", &shard.to_string())
    }
}
