//! The inbox: every push but the tickets, every code that came back through a redirect, and what WeChat's release check
//! asks for, until it has taken effect.
//!
//! An entry's key is made of what makes it the same message, so a repeat is stored once. What still has to be done
//! is in the `due` index; what is done leaves it and is kept 30 days, as the memory that recognizes a repeat. Entries
//! hold codes, which are secrets: they are in the encrypted table and nowhere else.

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

/// Sort keys of inbox entries begin with this: the table's stream is filtered by it.
pub const INBOX_SORT_PREFIX: &str = "entry#";

/// How long an entry is kept: WeChat promises no bound on how late a repeat may come.
const KEEP: Duration = Duration::from_hours(24 * 30);

/// A push that WeChat wrote longer ago than this has no effect: whether it had one before would not be known. An hour
/// less than entries are kept, since WeChat's clock may be ahead of ours.
pub const PUSH_MEMORY: Duration = KEEP.saturating_sub(Duration::from_hours(1));

/// The time in the key of an entry that came without one. It must be the same at every repeat, so it is none of ours.
const NO_TIME: Timestamp = Timestamp::from_unix(0);

/// The entries of one account, in the order of WeChat's times; or one entry whose account is not known.
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
        // No appid begins with a tilde. Without an account there is no order to keep, so each has its own partition.
        Self(account.map_or_else(|| format!("~{digest}"), |account| account.as_str().to_owned()))
    }
}

/// The place of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryKey {
    /// The account whose entry it is.
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

/// Where a code that came through a redirect is kept.
pub struct CallbackEntry {
    /// Its place.
    pub key: EntryKey,
    /// The claim that the code is exchanged under: that of its first coming.
    pub claim: ClaimKey,
    /// How it ended, if the same code had come before and is done with: as given to [`Inbox::finish`].
    pub outcome: Option<String>,
}

/// The list of the index that has all entries, in the order in which they came.
pub(crate) fn arrived(part: &Part) -> String {
    part.kind("arrived")
}

/// The entries of the inbox.
#[derive(Debug, Clone)]
pub struct Inbox(pub(crate) Part);

impl Inbox {
    /// Keeps a push; a repeat changes nothing. One write.
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

    /// Keeps a code that came through a redirect; a repeat changes nothing. One write.
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

    /// Keeps a code that came in an answer of WeChat's; a repeat changes nothing, and nothing is read back. One write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may not be stored.
    pub async fn put_code(&self, code: &SecretString, now: Timestamp) -> Result<(), StoreError> {
        let (_, entry) = self.new_code(code, &ClaimKey::of_code(&CodeDigest::of(code)), now);
        entry.put().await.map(drop)
    }

    /// The entry of a code whose account is not known.
    fn new_code(&self, code: &SecretString, claim: &ClaimKey, now: Timestamp) -> (EntryKey, NewItem) {
        let key = EntryKey::of(None, NO_TIME, CodeDigest::of(code).as_str());
        let entry = self.new_entry(&key, "redirect", now).set(CODE, code).set(CLAIM, claim);
        (key, entry)
    }

    /// Keeps a message of the release check, in order with the account's pushes; a repeat changes nothing. One write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may not be stored.
    pub async fn put_release_check(
        &self,
        authorizer: &AppId,
        message: &AccountMessage,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // Behind the pushes of the same second, which bring the grant: no digest begins with a tilde.
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

    /// The table key of a partition, as the table's stream names it.
    #[must_use]
    pub fn pk(&self, partition: &Partition) -> String {
        self.0.partition("inbox", &partition.0)
    }

    /// The partition that a table key names; `None` for another kind of item or another platform's.
    #[must_use]
    pub fn partition(&self, pk: &str) -> Option<Partition> {
        self.0.id_in("inbox", pk).map(|partition| Partition(partition.to_owned()))
    }

    pub(crate) fn shard(&self) -> String {
        self.0.kind("inbox")
    }
}
