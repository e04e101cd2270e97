//! Making waiting items due at once: for an operator who has removed the reason for their failures.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use base::clock::Timestamp;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use wechat::push::MessageId;

use crate::StoreError;
use crate::attributes::{AUTHORIZER, BUS_DUE_AT, DUE_AT, PK, SK, WEBHOOK_DUE_AT};
use crate::inbox::{INBOX_SORT_PREFIX, Inbox, Partition};
use crate::item::{Attributes, Item};
use crate::message::Messages;
use crate::outbox::{EVENT_SORT_PREFIX, Outbox, Subject};
use crate::part::{Key, Part};
use crate::run_request::RetryOf;
use crate::write::{exists, is_after};

/// How many items are made due concurrently.
const AT_ONCE: usize = 16;

/// How many messages are searched for those of one account.
const LOOK: usize = 1_000;

/// Waiting items, to be tried again. Each method finds at most `limit` items.
#[derive(Debug, Clone)]
pub struct Waiting(pub(crate) Part);

impl Waiting {
    /// Makes entries of the inbox due that wait for their next try, and returns their partitions. A query, and a write
    /// for each entry.
    ///
    /// # Errors
    /// [`StoreError`]: some may be due.
    pub async fn entries(&self, of: &RetryOf, limit: usize, now: Timestamp) -> Result<Vec<Partition>, StoreError> {
        let inbox = Inbox(self.0.clone());
        let keys = match of {
            RetryOf::All => self.0.first_due([inbox.shard()], limit).await?.0,
            RetryOf::Account(appid) => {
                self.below(self.0.partition("inbox", appid.as_str()), INBOX_SORT_PREFIX, limit).await?
            }
        };
        let found: BTreeSet<Partition> = keys.iter().filter_map(|key| inbox.partition(&key.pk)).collect();
        self.make_due(keys, &[], now).await?;
        Ok(found.into_iter().collect())
    }

    /// Makes events due that wait for the bus or for the event webhook, and returns their subjects. A query, or for all
    /// accounts one of each shard of the index, and a write for each event.
    ///
    /// # Errors
    /// [`StoreError`]: some may be due.
    pub async fn events(&self, of: &RetryOf, limit: usize, now: Timestamp) -> Result<BTreeSet<Subject>, StoreError> {
        let outbox = Outbox(self.0.clone());
        let keys = match of {
            RetryOf::All => self.0.first_due(outbox.shards(), limit).await?.0,
            RetryOf::Account(appid) => {
                self.below(outbox.pk(&Subject::Account(appid.clone())), EVENT_SORT_PREFIX, limit).await?
            }
        };
        let found = keys.iter().filter_map(|key| outbox.subject_of(&key.pk)).collect();
        self.make_due(keys, &[BUS_DUE_AT, WEBHOOK_DUE_AT], now).await?;
        Ok(found)
    }

    /// The messages that wait for the bus; for a single account, those among the first thousand. Queries of the index,
    /// and for an account half a read unit per 4 KB of each message.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if they cannot be read.
    pub async fn messages(&self, of: &RetryOf, limit: usize) -> Result<Vec<MessageId>, StoreError> {
        let waiting = Messages(self.0.clone());
        let shards = waiting.shards();
        let keys = match of {
            RetryOf::All => self.0.first_due(shards, limit).await?.0,
            RetryOf::Account(appid) => {
                let (keys, _) = self.0.first_due(shards, LOOK).await?;
                let items = self.0.batch_complete(keys, &[PK, SK, AUTHORIZER]).await?;
                let own = items.into_iter().map(|item| Item::new("message", item));
                let own = own.filter(|item| item.text(AUTHORIZER) == Some(appid.as_str()));
                own.filter_map(|item| key_of(&item)).take(limit).collect()
            }
        };
        let id = |key: &Key| self.0.id_in("message", &key.pk).map(MessageId::from_stored);
        Ok(keys.iter().filter_map(id).collect())
    }

    /// The keys of the waiting items of a partition.
    async fn below(&self, pk: String, prefix: &str, limit: usize) -> Result<Vec<Key>, StoreError> {
        let mut keys = Vec::new();
        let take = |attributes: Attributes| {
            keys.extend(key_of(&Item::new("waiting item", attributes)));
            if keys.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        self.0.each_of(pk, prefix, Some(DUE_AT), take).await?;
        Ok(keys)
    }

    /// Makes waiting items due that are not, and removes these attributes from them.
    async fn make_due(&self, keys: Vec<Key>, remove: &[&str], now: Timestamp) -> Result<(), StoreError> {
        let changed = stream::iter(keys).map(|key| {
            let due = self.0.change(key).set(DUE_AT, now).remove(remove.iter().copied());
            due.when(exists(DUE_AT).and(is_after(DUE_AT, now))).apply()
        });
        changed.buffer_unordered(AT_ONCE).try_for_each(|_| std::future::ready(Ok(()))).await
    }
}

fn key_of(item: &Item) -> Option<Key> {
    Some(Key { pk: item.text(PK)?.to_owned(), sk: item.text(SK)?.to_owned() })
}
