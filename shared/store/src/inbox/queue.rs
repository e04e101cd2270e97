//! The inbox as a queue: what is due, what a partition contains, and how an entry leaves it.

use std::collections::HashSet;
use std::ops::ControlFlow;

use base::clock::Timestamp;
use base::ids::{AppId, Digest};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Callback, EntryKey, INBOX_SORT_PREFIX, Inbox, Partition};
use crate::StoreError;
use crate::attributes::{
    AUTHORIZER, CLAIM, CODE, DUE_AT, DUE_SHARD, FINISHED_AT, INFO_TYPE, LAST_ERROR, OUTCOME, PUSH, RECEIVED_AT,
    RELEASE_CHECK, SK, TRIES,
};
use crate::claim::ClaimKey;
use crate::item::{Attributes, Item};
use crate::request::PagePosition;
use crate::write::{Change, equals, exists};

/// The number of inbox entries on one page of the index.
const DUE_PAGE: i32 = 1_000;

/// A message of WeChat's release check that requires calls of WeChat.
pub struct CheckMessage {
    /// The account.
    pub authorizer: AppId,
    /// The decrypted XML.
    pub xml: SecretString,
}

/// The content of an entry.
pub enum EntryBody {
    /// A push: the decrypted XML.
    Push(SecretString),
    /// A redirect.
    Callback(Callback),
    /// A message of WeChat's release check.
    ReleaseCheck(CheckMessage),
    /// Something that this program has not written.
    Unreadable,
}

/// An entry that has not taken effect yet.
pub struct Entry {
    /// Its place.
    pub key: EntryKey,
    /// Its content.
    pub body: EntryBody,
    /// How it has taken effect, if that has not been published yet.
    pub outcome: Option<String>,
    /// How many tries have failed.
    pub tries: u32,
    /// When it is to be tried next.
    pub due_at: Timestamp,
    /// When it arrived.
    pub received_at: Timestamp,
}

impl Inbox {
    /// A page of the partitions with due entries, the longest overdue first: `after` is the position that the previous
    /// page returned. A partition may be on several pages. One query of the index.
    pub async fn due_partitions(
        &self,
        until: Timestamp,
        after: Option<PagePosition>,
    ) -> Result<(Vec<Partition>, Option<PagePosition>), StoreError> {
        let partition = |pk: &str| self.partition(pk);
        let (mut partitions, next) = self.0.page_of_due(self.shard(), until, DUE_PAGE, after, partition).await?;
        let mut seen = HashSet::new();
        partitions.retain(|partition| seen.insert(partition.clone()));
        Ok((partitions, next))
    }

    /// The number of waiting entries that are due by `until`. Queries of the index.
    pub async fn count_waiting(&self, until: Timestamp) -> Result<u64, StoreError> {
        self.0.count_due([self.shard()], until).await
    }

    /// The entries of a partition that have not taken effect yet, in the order of WeChat's times. One query per
    /// megabyte.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    pub async fn waiting(&self, partition: &Partition) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        let take = |attributes| {
            entries.extend(entry(partition, attributes));
            ControlFlow::Continue(())
        };
        self.0.each_of(self.pk(partition), INBOX_SORT_PREFIX, Some(DUE_AT), take).await?;
        Ok(entries)
    }

    /// Whether a code has arrived in a push of the account, so that it was or will be exchanged. Codes are not stored
    /// forever, but the key of an entry is derived from its code. One query per megabyte.
    pub async fn was_pushed(&self, authorizer: &AppId, code: &SecretString) -> Result<bool, StoreError> {
        let partition = Partition(authorizer.as_str().to_owned());
        let mut found = false;
        let take = |attributes| {
            found = is_of(&Item::new("inbox entry", attributes), authorizer, code) == Some(true);
            if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        self.0.each_of(self.pk(&partition), INBOX_SORT_PREFIX, None, take).await?;
        Ok(found)
    }

    fn change(&self, key: &EntryKey) -> Change {
        self.0.change(self.key(key))
    }

    /// Stores that an entry has taken effect, and how. One write; repeating it changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it will be processed once more.
    pub async fn finish(&self, key: &EntryKey, outcome: &str, now: Timestamp) -> Result<(), StoreError> {
        self.change(key)
            .set(OUTCOME, outcome)
            .set(FINISHED_AT, now)
            .remove([DUE_SHARD, DUE_AT, CODE, PUSH, RELEASE_CHECK])
            .when(exists(DUE_AT))
            .apply()
            .await
            .map(drop)
    }

    /// Stores that an entry failed and when to try again. One write; without effect if another process tried it in
    /// between.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: then it is tried again at once.
    pub async fn postpone(&self, entry: &Entry, label: &str, due_at: Timestamp) -> Result<(), StoreError> {
        let postponed = self.postponed(entry, label, due_at);
        postponed.when(equals(DUE_AT, entry.due_at)).apply().await.map(drop)
    }

    /// Stores that an entry has taken effect, and how, but could not be published, and when to try that again. One
    /// write, even if another process has postponed the entry in between.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: then it takes effect once more.
    pub async fn postpone_publishing(
        &self,
        entry: &Entry,
        outcome: &str,
        label: &str,
        due_at: Timestamp,
    ) -> Result<(), StoreError> {
        let postponed = self.postponed(entry, label, due_at).set(OUTCOME, outcome);
        postponed.when(exists(DUE_AT)).apply().await.map(drop)
    }

    fn postponed(&self, entry: &Entry, label: &str, due_at: Timestamp) -> Change {
        self.change(&entry.key).set(DUE_AT, due_at).set(LAST_ERROR, label).set(TRIES, entry.tries.saturating_add(1))
    }
}

/// Whether the key of an entry is derived from this code.
fn is_of(item: &Item, authorizer: &AppId, code: &SecretString) -> Option<bool> {
    let (time, digest) = item.text(SK)?.strip_prefix(INBOX_SORT_PREFIX)?.split_once('#')?;
    let time = time.trim_start_matches('0');
    let made_of_it = Digest::of(&[item.text(INFO_TYPE)?, authorizer.as_str(), time, code.expose_secret()]);
    Some(made_of_it.as_str() == digest)
}

/// Reads an entry; `None` only if it has no key or no due time, which everything in the index has. An unreadable entry
/// must not keep the account's other entries from being processed.
fn entry(partition: &Partition, attributes: Attributes) -> Option<Entry> {
    let item = Item::new("inbox entry", attributes);
    let due_at = item.instant(DUE_AT)?;
    Some(Entry {
        key: EntryKey { partition: partition.clone(), sort: item.text(SK)?.to_owned() },
        body: body(&item).unwrap_or(EntryBody::Unreadable),
        outcome: item.text(OUTCOME).map(str::to_owned),
        tries: item.number(TRIES).unwrap_or(0),
        due_at,
        received_at: item.instant(RECEIVED_AT).unwrap_or(due_at),
    })
}

fn body(item: &Item) -> Option<EntryBody> {
    if let Some(push) = item.secret(PUSH) {
        return Some(EntryBody::Push(push));
    }
    if let Some(code) = item.secret(CODE) {
        return Some(EntryBody::Callback(Callback { code, claim: ClaimKey::from_stored(item.text(CLAIM)?) }));
    }
    let authorizer = item.parsed(AUTHORIZER, AppId::parse)?;
    Some(EntryBody::ReleaseCheck(CheckMessage { authorizer, xml: item.secret(RELEASE_CHECK)? }))
}
