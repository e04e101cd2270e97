//! The inbox: every push but the tickets, every code that came back through a redirect, and what WeChat's release check
//! asks for, until it has taken effect.
//!
//! An entry's key is made of what makes it the same message, so a repeat is stored once. What still has to be done
//! stands in the `due` index; what is done leaves it and is kept 30 days, as the memory that tells a repeat. Entries
//! hold codes, which are secrets: they are in the encrypted table and nowhere else.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use base::clock::Timestamp;
use base::ids::{AppId, Digest};
use secrecy::{ExposeSecret as _, SecretString};
use wechat::push::{AccountMessage, AuthorizationEvent};

use super::item::{Attributes, EXPIRES, Item, expires, instant, number, secret, text, write};
use super::{Claim, PagePosition, Vault, VaultError};

/// Sort keys of inbox entries begin with this: the table's stream is filtered by it.
pub const INBOX_SORT_PREFIX: &str = "entry#";

/// How long an entry is kept: WeChat promises no bound on how late a repeat may come.
const KEEP: Duration = Duration::from_hours(24 * 30);

/// Inbox entries of one page of the index.
const DUE_PAGE: i32 = 1_000;

/// A push that WeChat wrote longer ago than this has no effect: whether it had one before would not be known. An hour
/// less than entries are kept, since WeChat's clock may be ahead of ours.
pub const PUSH_MEMORY: Duration = KEEP.saturating_sub(Duration::from_hours(1));

/// The time in the key of an entry that came without one. It must be the same at every repeat, so it is none of ours.
const NO_TIME: Timestamp = Timestamp::from_unix(0);

/// The entries of one account, in the order of WeChat's times; or one entry whose account is not known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(String);

impl Partition {
    /// Whether the account is known.
    #[must_use]
    pub fn is_of_account(&self) -> bool {
        !self.0.starts_with('~')
    }

    fn of(account: Option<&AppId>, digest: &Digest) -> Self {
        // No appid begins with a tilde. Without an account there is no order to keep, so each has its own partition.
        Self(account.map_or_else(|| format!("~{}", digest.as_str()), |account| account.as_str().to_owned()))
    }
}

/// One entry's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryKey {
    /// Whose entry it is.
    pub partition: Partition,
    sort: String,
}

impl EntryKey {
    fn of(account: Option<&AppId>, time: Timestamp, digest: &Digest) -> Self {
        Self {
            partition: Partition::of(account, digest),
            sort: format!("{INBOX_SORT_PREFIX}{:010}#{}", time.unix(), digest.as_str()),
        }
    }
}

/// A code that came back through a merchant's browser.
pub struct Callback {
    /// The authorization code.
    pub code: SecretString,
    /// The claim to exchange it under: the pre-auth code's, where the attempt and its cookie fitted, and with it comes
    /// the link to bind; else the code's own.
    pub claim: Digest,
}

/// Where a code that came through a redirect is kept.
pub struct CallbackEntry {
    /// Its place.
    pub key: EntryKey,
    /// The claim that the code is exchanged under: that of its first coming.
    pub claim: Digest,
    /// How it ended, where the same code had come before and is done with: as [`Vault::finish_entry`] was told.
    pub outcome: Option<String>,
}

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
    /// How it has taken effect, where the business has not been told yet.
    pub outcome: Option<String>,
    /// How often it was tried in vain.
    pub tries: u32,
    /// When it is to be tried next.
    pub due_at: Timestamp,
    /// When it reached us.
    pub received_at: Timestamp,
}

impl Vault {
    /// Keeps a push; a repeat changes nothing. One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: it may not be stored.
    pub async fn put_push(&self, event: &AuthorizationEvent, now: Timestamp) -> Result<EntryKey, VaultError> {
        let key = EntryKey::of(event.event.account(), event.create_time.unwrap_or(NO_TIME), &event.dedup());
        let attributes = Attributes::from([
            ("info_type".to_owned(), text(event.event.info_type())),
            ("push".to_owned(), secret(&event.xml)),
        ]);
        self.put_entry(&key, attributes, now, ReturnValuesOnConditionCheckFailure::None).await?;
        Ok(key)
    }

    /// Keeps a code that came through a redirect; a repeat changes nothing. One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: it may not be stored.
    pub async fn put_callback(&self, callback: &Callback, now: Timestamp) -> Result<CallbackEntry, VaultError> {
        let key = EntryKey::of(None, NO_TIME, &Claim::of_authorization_code(&callback.code));
        let attributes = Attributes::from([
            ("info_type".to_owned(), text("redirect")),
            ("code".to_owned(), secret(&callback.code)),
            ("claim".to_owned(), text(callback.claim.as_str())),
        ]);
        let known = self.put_entry(&key, attributes, now, ReturnValuesOnConditionCheckFailure::AllOld).await?;
        let known = Item::new("inbox entry", known.unwrap_or_default());
        let claim = known.text("claim").map_or_else(|| callback.claim.clone(), Digest::from_stored);
        Ok(CallbackEntry { key, claim, outcome: known.text("outcome").map(str::to_owned) })
    }

    /// Keeps a message of the release check, in order with the account's pushes; a repeat changes nothing. One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: it may not be stored.
    pub async fn put_release_check(
        &self,
        authorizer: &AppId,
        message: &AccountMessage,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        // Behind the pushes of the same second, which bring the grant: no digest begins with a tilde.
        let digest = Digest::from_stored(&format!("~{}", message.dedup(authorizer).as_str()));
        let key = EntryKey::of(Some(authorizer), message.create_time.unwrap_or(NO_TIME), &digest);
        let attributes = Attributes::from([
            ("info_type".to_owned(), text("release-check")),
            ("authorizer".to_owned(), text(authorizer.as_str())),
            ("release_check".to_owned(), secret(&message.xml)),
        ]);
        self.put_entry(&key, attributes, now, ReturnValuesOnConditionCheckFailure::None).await.map(drop)
    }

    /// Whether a code has come with a push of the account: it was exchanged then, or will be. Codes are not kept, but
    /// the key of an entry is made of them. One query per megabyte.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn was_pushed(&self, authorizer: &AppId, code: &SecretString) -> Result<bool, VaultError> {
        let partition = Partition(authorizer.as_str().to_owned());
        let mut after = None;
        loop {
            let output = self.entries_query(&partition).set_exclusive_start_key(after).send().await;
            let output = output.map_err(|error| VaultError::from_sdk("Query", &error))?;
            for attributes in output.items.unwrap_or_default() {
                let item = Item::new("inbox entry", attributes);
                let (Some(info_type), Some(sort)) = (item.text("info_type"), item.text("sk")) else { continue };
                let Some((time, digest)) = sort.strip_prefix(INBOX_SORT_PREFIX).and_then(|rest| rest.split_once('#'))
                else {
                    continue;
                };
                let time = time.trim_start_matches('0');
                if Digest::of(&[info_type, authorizer.as_str(), time, code.expose_secret()]).as_str() == digest {
                    return Ok(true);
                }
            }
            match output.last_evaluated_key {
                Some(key) => after = Some(key),
                None => return Ok(false),
            }
        }
    }

    /// Puts an entry unless it is there; then returns it as it is, if that is asked for: there are codes in it.
    async fn put_entry(
        &self,
        key: &EntryKey,
        attributes: Attributes,
        now: Timestamp,
        known: ReturnValuesOnConditionCheckFailure,
    ) -> Result<Option<Attributes>, VaultError> {
        let mut put = self
            .client()
            .put_item()
            .table_name(self.table())
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(known)
            .item("pk", text(self.inbox_key(&key.partition)))
            .item("sk", text(&key.sort))
            .item("received_at", instant(now))
            .item("due_shard", text(self.inbox_shard()))
            .item("due_at", instant(now))
            .item(EXPIRES, expires(now, KEEP));
        for (name, value) in attributes {
            put = put.item(name, value);
        }
        match put.send().await {
            Ok(_) => Ok(None),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(known)) => Ok(known.item.clone()),
                _ => Err(VaultError::from_sdk("PutItem", &error)),
            },
        }
    }

    /// The table key of a partition, as the table's stream names it.
    #[must_use]
    pub fn inbox_key(&self, partition: &Partition) -> String {
        self.key("inbox", Some(&partition.0))
    }

    fn inbox_shard(&self) -> String {
        self.key("inbox", None)
    }

    /// The partition that a table key stands for; `None` for another kind of item or another platform's.
    #[must_use]
    pub fn inbox_partition(&self, pk: &str) -> Option<Partition> {
        pk.strip_prefix(&self.key("inbox", Some(""))).map(|partition| Partition(partition.to_owned()))
    }

    /// The partitions that have something due, a page at a time, the longest overdue first: `after` is the position that
    /// the page before returned. A partition may be on several pages. One query of the index.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn due_partitions(
        &self,
        until: Timestamp,
        after: Option<PagePosition>,
    ) -> Result<(Vec<Partition>, Option<PagePosition>), VaultError> {
        let partition = |pk: &str| self.inbox_partition(pk);
        let (mut partitions, next) = self.page_of_index(self.inbox_shard(), until, DUE_PAGE, after, partition).await?;
        let mut seen = HashSet::new();
        partitions.retain(|partition| seen.insert(partition.clone()));
        Ok((partitions, next))
    }

    /// How many entries wait that fall due until `until`. Queries of the index.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn inbox_waiting(&self, until: Timestamp) -> Result<u64, VaultError> {
        self.count_index(self.inbox_shard(), until).await
    }

    /// What has not taken effect yet in a partition, in the order of WeChat's times. One query per megabyte.
    ///
    /// # Errors
    /// [`VaultError`] where it cannot be read.
    pub async fn waiting_entries(&self, partition: &Partition) -> Result<Vec<Entry>, VaultError> {
        let mut entries = Vec::new();
        let mut after = None;
        loop {
            let output = self
                .entries_query(partition)
                .filter_expression("attribute_exists(due_at)")
                .set_exclusive_start_key(after)
                .send()
                .await
                .map_err(|error| VaultError::from_sdk("Query", &error))?;
            for attributes in output.items.unwrap_or_default() {
                entries.extend(entry(partition, attributes));
            }
            match output.last_evaluated_key {
                Some(key) => after = Some(key),
                None => return Ok(entries),
            }
        }
    }

    /// All entries of a partition, in the order of WeChat's times.
    fn entries_query(&self, partition: &Partition) -> QueryFluentBuilder {
        self.client()
            .query()
            .table_name(self.table())
            .key_condition_expression("pk = :pk AND begins_with(sk, :entry)")
            .expression_attribute_values(":pk", text(self.inbox_key(partition)))
            .expression_attribute_values(":entry", text(INBOX_SORT_PREFIX))
            .consistent_read(true)
    }

    /// Writes down that an entry has taken effect, and how. One write; again changes nothing.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: it will be looked at once more.
    pub async fn finish_entry(&self, key: &EntryKey, outcome: &str, now: Timestamp) -> Result<(), VaultError> {
        let update = self
            .update(self.inbox_key(&key.partition), &key.sort)
            .update_expression(
                "SET outcome = :outcome, finished_at = :now REMOVE due_shard, due_at, code, push, release_check",
            )
            .condition_expression("attribute_exists(due_at)")
            .expression_attribute_values(":outcome", text(outcome))
            .expression_attribute_values(":now", instant(now));
        write(update).await.map(drop)
    }

    /// Writes down that an entry failed and when to try again. One write; without effect where somebody else tried it
    /// in between.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: it is then tried again at once.
    pub async fn postpone_entry(&self, entry: &Entry, label: &str, due_at: Timestamp) -> Result<(), VaultError> {
        self.put_off(entry, label, due_at, None).await
    }

    /// Writes down that an entry has taken effect, and how, that the business has not been told, and when to try that
    /// again. One write, as [`Vault::postpone_entry`].
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: it then takes effect once more.
    pub async fn postpone_telling(
        &self,
        entry: &Entry,
        outcome: &str,
        label: &str,
        due_at: Timestamp,
    ) -> Result<(), VaultError> {
        self.put_off(entry, label, due_at, Some(outcome)).await
    }

    async fn put_off(
        &self,
        entry: &Entry,
        label: &str,
        due_at: Timestamp,
        outcome: Option<&str>,
    ) -> Result<(), VaultError> {
        // An effect is written down also where somebody has put the entry off in between.
        let (taken, condition) = match outcome {
            Some(_) => (", outcome = :outcome", "attribute_exists(due_at)"),
            None => ("", "due_at = :was"),
        };
        let mut update = self
            .update(self.inbox_key(&entry.key.partition), &entry.key.sort)
            .update_expression(format!("SET due_at = :due, last_error = :label, tries = :tries{taken}"))
            .condition_expression(condition)
            .expression_attribute_values(":due", instant(due_at))
            .expression_attribute_values(":label", text(label))
            .expression_attribute_values(":tries", number(entry.tries.saturating_add(1)));
        update = match outcome {
            Some(outcome) => update.expression_attribute_values(":outcome", text(outcome)),
            None => update.expression_attribute_values(":was", instant(entry.due_at)),
        };
        write(update).await.map(drop)
    }
}

/// An entry; `None` only without a key or a time to try it, which nothing in the index is. One that holds nothing
/// readable must not keep the account's other entries from being read.
fn entry(partition: &Partition, attributes: Attributes) -> Option<Entry> {
    let item = Item::new("inbox entry", attributes);
    let due_at = item.instant("due_at")?;
    Some(Entry {
        key: EntryKey { partition: partition.clone(), sort: item.text("sk")?.to_owned() },
        body: body(&item).unwrap_or(EntryBody::Unreadable),
        outcome: item.text("outcome").map(str::to_owned),
        tries: item.number("tries").unwrap_or(0),
        due_at,
        received_at: item.instant("received_at").unwrap_or(due_at),
    })
}

fn body(item: &Item) -> Option<EntryBody> {
    if let Some(push) = item.secret("push") {
        return Some(EntryBody::Push(push));
    }
    if let Some(code) = item.secret("code") {
        return Some(EntryBody::Callback(Callback { code, claim: Digest::from_stored(item.text("claim")?) }));
    }
    let authorizer = item.parsed("authorizer", AppId::parse)?;
    Some(EntryBody::ReleaseCheck(CheckMessage { authorizer, xml: item.secret("release_check")? }))
}
