//! The inbox as a queue: what is due, what a partition holds, and how an entry leaves.

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

/// Inbox entries of one page of the index.
const DUE_PAGE: i32 = 1_000;

/// A message of WeChat's release check that asks for calls of WeChat.
pub struct CheckMessage {
    /// The account.
    pub authorizer: AppId,
    /// The decrypted XML.
    pub xml: SecretString,
}

/// What an entry holds.
pub enum EntryBody {
    /// A push: the decrypted XML.
    Push(SecretString),
    /// A redirect.
    Callback(Callback),
    /// A message of WeChat's release check.
    ReleaseCheck(CheckMessage),
    /// Nothing that this program has written.
    Unreadable,
}

/// An entry that has not taken effect yet.
pub struct Entry {
    /// Its place.
    pub key: EntryKey,
    /// What it holds.
    pub body: EntryBody,
    /// How it has taken effect, if that has not been published yet.
    pub outcome: Option<String>,
    /// How often it was tried in vain.
    pub tries: u32,
    /// When it is to be tried next.
    pub due_at: Timestamp,
    /// When it reached us.
    pub received_at: Timestamp,
}

impl Inbox {
    /// The partitions that have something due, a page at a time, the longest overdue first: `after` is the position that
    /// the page before returned. A partition may be on several pages. One query of the index.
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

    /// How many entries wait that fall due until `until`. Queries of the index.
    pub async fn count_waiting(&self, until: Timestamp) -> Result<u64, StoreError> {
        self.0.count_due([self.shard()], until).await
    }

    /// What has not taken effect yet in a partition, in the order of WeChat's times. One query per megabyte.
    ///
    /// # Errors
    /// [`StoreError`] where it cannot be read.
    pub async fn waiting(&self, partition: &Partition) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        let take = |attributes| {
            entries.extend(entry(partition, attributes));
            ControlFlow::Continue(())
        };
        self.0.each_of(self.pk(partition), INBOX_SORT_PREFIX, Some(DUE_AT), take).await?;
        Ok(entries)
    }

    /// Whether a code has come with a push of the account: it was exchanged then, or will be. Codes are not kept, but
    /// the key of an entry is made of them. One query per megabyte.
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

    /// Writes down that an entry has taken effect, and how. One write; again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it will be looked at once more.
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

    /// Writes down that an entry failed and when to try again. One write; without effect if another process tried it in
    /// between.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it is then tried again at once.
    pub async fn postpone(&self, entry: &Entry, label: &str, due_at: Timestamp) -> Result<(), StoreError> {
        let postponed = self.postponed(entry, label, due_at);
        postponed.when(equals(DUE_AT, entry.due_at)).apply().await.map(drop)
    }

    /// Writes down that an entry has taken effect, and how, that this has not been published, and when to try that again.
    /// One write, also if another process has postponed the entry in between.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it then takes effect once more.
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

/// Whether the key of an entry is made of this code.
fn is_of(item: &Item, authorizer: &AppId, code: &SecretString) -> Option<bool> {
    let (time, digest) = item.text(SK)?.strip_prefix(INBOX_SORT_PREFIX)?.split_once('#')?;
    let time = time.trim_start_matches('0');
    let made_of_it = Digest::of(&[item.text(INFO_TYPE)?, authorizer.as_str(), time, code.expose_secret()]);
    Some(made_of_it.as_str() == digest)
}

/// An entry; `None` only without a key or a time to try it, which nothing in the index is. One that holds nothing
/// readable must not keep the account's other entries from being read.
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
