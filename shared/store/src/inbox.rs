//! The inbox: every push except tickets, every code from a redirect, and the requests of WeChat's release check, until
//! they have taken effect.
//!
//! An entry's key is derived from what identifies the message, so a repeat is not stored again. Entries that still have
//! to be processed are in the `due` index; processed ones leave it and are kept for 30 days, so that repeats are
//! recognized. Entries contain codes, which are secrets: they are in the encrypted table and nowhere else.

mod queue;

use std::fmt;
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use secrecy::SecretString;
use wechat::push::{AccountMessage, AuthorizationEvent};

use crate::StoreError;
use crate::attributes::{
    AUTHORIZER, CLAIM, CODE, DUE_AT, DUE_SHARD, EXPIRES_AT, INFO_TYPE, LIST_PK, LIST_SK, OUTCOME, PUSH, RECEIVED_AT,
    RELEASE_CHECK,
};
use crate::claim::{ClaimKey, CodeDigest};
use crate::item::Item;
use crate::part::{Key, Part};
use crate::request::Written;
use crate::write::NewItem;

pub use self::queue::{CheckMessage, Entry, EntryBody};

/// The prefix of the sort keys of inbox entries, by which the table's stream is filtered.
pub const INBOX_SORT_PREFIX: &str = "entry#";

/// How long an entry is kept: WeChat documents no limit on how late a repeat may come.
const KEEP: Duration = Duration::from_hours(24 * 30);

/// A push that WeChat created longer ago than this has no effect, since it would not be known whether it already had
/// one. It is an hour less than entries are kept, since WeChat's clock may be ahead of ours.
pub const PUSH_MEMORY: Duration = KEEP.saturating_sub(Duration::from_hours(1));

/// The time in the key of an entry that came without one. It must be the same for every repeat, so it cannot be our own
/// time.
const NO_TIME: Timestamp = Timestamp::from_unix(0);

/// The entries of one account, in the order of WeChat's times; or one entry whose account is unknown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(String);

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Partition {
    /// Whether the account is known.
    #[must_use]
    pub fn is_of_account(&self) -> bool {
        !self.0.starts_with('~')
    }

    fn of(account: Option<&AppId>, digest: &str) -> Self {
        // No appid begins with a tilde. Entries without an account need no order, so each has its own partition.
        Self(account.map_or_else(|| format!("~{digest}"), |account| account.as_str().to_owned()))
    }
}

/// The key of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryKey {
    /// Its partition, which is that of its account if known.
    pub partition: Partition,
    sort: String,
}

impl EntryKey {
    fn of(account: Option<&AppId>, time: Timestamp, digest: &str) -> Self {
        let sort = format!("{INBOX_SORT_PREFIX}{:010}#{digest}", time.unix());
        Self { partition: Partition::of(account, digest), sort }
    }
}

impl fmt::Display for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.partition.0, self.sort)
    }
}

/// A code that came back through a merchant's browser.
pub struct Callback {
    /// The authorization code.
    pub code: SecretString,
    /// The claim to exchange the code under. If the attempt's cookie matched, this is the pre-auth code's claim, which
    /// also binds the link; otherwise it is the authorization code's own claim.
    pub claim: ClaimKey,
}

/// The stored entry of a code from a redirect.
pub struct CallbackEntry {
    /// Its key.
    pub key: EntryKey,
    /// The claim under which the code is exchanged: that of its first arrival.
    pub claim: ClaimKey,
    /// Its outcome, if the same code had arrived before and is processed: as passed to [`Inbox::finish`].
    pub outcome: Option<String>,
}

/// The list in the index with all entries, in the order of their arrival.
pub(crate) fn arrived(part: &Part) -> String {
    part.kind("arrived")
}

/// The entries of the inbox.
#[derive(Debug, Clone)]
pub struct Inbox(pub(crate) Part);

impl Inbox {
    /// Stores a push; a repeat changes nothing. One write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may not be stored.
    pub async fn put_push(&self, event: &AuthorizationEvent, now: Timestamp) -> Result<EntryKey, StoreError> {
        let time = event.create_time.unwrap_or(NO_TIME);
        let key = EntryKey::of(event.event.account(), time, event.id().as_str());
        let entry = self.new_entry(&key, event.event.info_type(), now).set(PUSH, &event.xml);
        entry.put().await?;
        Ok(key)
    }

    /// Stores a code from a redirect; a repeat changes nothing. One write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may not be stored.
    pub async fn put_callback(&self, callback: &Callback, now: Timestamp) -> Result<CallbackEntry, StoreError> {
        let (key, entry) = self.new_code(&callback.code, &callback.claim, now);
        let known = match entry.put_or_read().await? {
            Written::Done(()) => None,
            Written::Refused(known) => known,
        };
        let known = Item::new("inbox entry", known.unwrap_or_default());
        let claim = known.text(CLAIM).map_or_else(|| callback.claim.clone(), ClaimKey::from_stored);
        Ok(CallbackEntry { key, claim, outcome: known.text(OUTCOME).map(str::to_owned) })
    }

    /// Stores a code from a response of WeChat; a repeat changes nothing, and nothing is read back. One write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may not be stored.
    pub async fn put_code(&self, code: &SecretString, now: Timestamp) -> Result<(), StoreError> {
        let (_, entry) = self.new_code(code, &ClaimKey::of_code(&CodeDigest::of(code)), now);
        entry.put().await.map(drop)
    }

    /// The entry of a code whose account is unknown.
    fn new_code(&self, code: &SecretString, claim: &ClaimKey, now: Timestamp) -> (EntryKey, NewItem) {
        let key = EntryKey::of(None, NO_TIME, CodeDigest::of(code).as_str());
        let entry = self.new_entry(&key, "redirect", now).set(CODE, code).set(CLAIM, claim);
        (key, entry)
    }

    /// Stores a message of the release check, in order with the account's pushes; a repeat changes nothing. One write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may not be stored.
    pub async fn put_release_check(
        &self,
        authorizer: &AppId,
        message: &AccountMessage,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // After the pushes of the same second, which contain the grant: no digest begins with a tilde.
        let digest = format!("~{}", message.id(authorizer).as_str());
        let key = EntryKey::of(Some(authorizer), message.create_time.unwrap_or(NO_TIME), &digest);
        let entry =
            self.new_entry(&key, "release-check", now).set(AUTHORIZER, authorizer).set(RELEASE_CHECK, &message.xml);
        entry.put().await.map(drop)
    }

    fn new_entry(&self, key: &EntryKey, info_type: &str, now: Timestamp) -> NewItem {
        self.0
            .new_item(self.key(key))
            .set(INFO_TYPE, info_type)
            .set(RECEIVED_AT, now)
            .set(DUE_SHARD, self.shard())
            .set(DUE_AT, now)
            .set(LIST_PK, arrived(&self.0))
            .set(LIST_SK, format!("{:010}#{}#{}", now.unix(), key.partition, key.sort))
            .set(EXPIRES_AT, now.plus(KEEP))
    }

    fn key(&self, key: &EntryKey) -> Key {
        Key { pk: self.pk(&key.partition), sk: key.sort.clone() }
    }

    /// The partition key in the table, as the table's stream has it.
    #[must_use]
    pub fn pk(&self, partition: &Partition) -> String {
        self.0.partition("inbox", &partition.0)
    }

    /// The partition with this key in the table; `None` for another kind of item or another platform's.
    #[must_use]
    pub fn partition(&self, pk: &str) -> Option<Partition> {
        self.0.id_in("inbox", pk).map(|partition| Partition(partition.to_owned()))
    }

    pub(crate) fn shard(&self) -> String {
        self.0.kind("inbox")
    }
}
