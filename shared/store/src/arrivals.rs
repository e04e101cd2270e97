//! What has arrived and what waits for delivery, for people to see: pushes and codes in the inbox, messages that wait
//! for the bus, events that wait for their targets.
//!
//! Nothing here reads a push, a code or a message: only the attributes in [`ENTRY_STATUS_ATTRIBUTES`] and
//! [`WAITING_MESSAGE_ATTRIBUTES`] are read of these items.

use std::ops::ControlFlow;

use base::clock::Timestamp;
use base::ids::AppId;
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::accounts::END_OF_TIME;
use crate::attributes::{
    AUTHORIZER, CONFIRMED, DUE_AT, FINISHED_AT, INFO_TYPE, KEPT_AT, LAST_ERROR, LIST_SK, OUTCOME, PK, RECEIVED_AT, SK,
    TRIES,
};
use crate::inbox::{INBOX_SORT_PREFIX, Inbox, arrived};
use crate::item::{Attributes, Item};
use crate::message::Messages;
use crate::outbox::{EVENT_SORT_PREFIX, Outbox, PendingEvent, Subject};
use crate::part::{Key, Part};
use crate::request::{Counted, Order};

/// The attributes of an inbox entry that [`Arrivals`] reads. A role that may read only these cannot read a push or a
/// code.
pub const ENTRY_STATUS_ATTRIBUTES: [&str; 9] =
    [PK, SK, INFO_TYPE, RECEIVED_AT, DUE_AT, TRIES, LAST_ERROR, OUTCOME, FINISHED_AT];

/// The attributes of a message that [`Arrivals`] reads. A role that may read only these cannot read what a follower
/// wrote.
pub const WAITING_MESSAGE_ATTRIBUTES: [&str; 4] = [AUTHORIZER, CONFIRMED, KEPT_AT, DUE_AT];

/// How many entries of an account, and how many messages of all accounts, are searched for waiting ones of an account.
const LOOK: usize = 1_000;

/// How many entries are read at once.
const PAGE: usize = 100;

/// The number of hexadecimal digits of a SHA-256.
const DIGEST_LENGTH: usize = 64;

/// An entry of the inbox, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryStatus {
    /// The account; `None` if the entry names none, as for a code from a redirect.
    pub account: Option<AppId>,
    /// WeChat's `InfoType`; `redirect` for a code, `release-check` for a message of the release check.
    pub info_type: String,
    /// When it arrived, by our clock.
    pub received_at: Option<Timestamp>,
    /// When it is tried next; `None` once it is done.
    pub due_at: Option<Timestamp>,
    /// How many tries have failed.
    pub tries: u32,
    /// Why the last try failed: WeChat's code or a word.
    pub last_error: Option<String>,
    /// How it has taken effect, or why it never will: a word or WeChat's code. If there also is a `due_at`, it only
    /// remains to be published.
    pub outcome: Option<String>,
    /// When it was done, by our clock.
    pub finished_at: Option<Timestamp>,
    /// Its position among the entries of its account.
    pub place: EntryPlace,
}

/// The position of an entry among those of its account, which are ordered from WeChat's latest time to the earliest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryPlace(String);

impl EntryPlace {
    /// The position between the entries before this time of WeChat's and those at this time or later.
    #[must_use]
    pub fn before(time: Timestamp) -> Self {
        Self(format!("{:010}", time.unix().max(0)))
    }

    /// Parses a position; `None` if the text is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (time, digest) = text.split_once('#')?;
        let is_time = time.len() == 10 && time.bytes().all(|digit| digit.is_ascii_digit());
        let digest = digest.strip_prefix('~').unwrap_or(digest);
        let is_digest = digest.len() == DIGEST_LENGTH && digest.bytes().all(|digit| digit.is_ascii_hexdigit());
        (is_time && is_digest).then(|| Self(text.to_owned()))
    }

    /// The position as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The position of an entry among all entries, in the order of their arrival; or a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrivalPlace(String);

impl ArrivalPlace {
    /// The position between the entries that arrived before a time and those that arrived then or later.
    #[must_use]
    pub fn before(time: Timestamp) -> Self {
        Self(format!("{:010}", time.unix().max(0)))
    }

    /// Parses a position; `None` if the text is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (time, rest) = text.split_once('#').map_or((text, None), |(time, rest)| (time, Some(rest)));
        let is_time = time.len() == 10 && time.bytes().all(|digit| digit.is_ascii_digit());
        let is_entry = |rest: &str| {
            let (partition, sort) = rest.split_once('#')?;
            let is_partition = partition.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"~_-".contains(&byte));
            (is_partition && sort.starts_with(INBOX_SORT_PREFIX) && sort.is_ascii()).then_some(())
        };
        (is_time && rest.is_none_or(|rest| is_entry(rest).is_some())).then(|| Self(text.to_owned()))
    }

    /// The position as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The entry's key; for a time, a key before every entry's.
    fn key(&self, part: &Part) -> Key {
        let rest = self.0.split_once('#').map(|(_, rest)| rest).and_then(|rest| rest.split_once('#'));
        let (partition, sort) = rest.unwrap_or(("!", INBOX_SORT_PREFIX));
        Key { pk: part.partition("inbox", partition), sk: sort.to_owned() }
    }
}

/// A message that waits for the bus, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingMessageStatus {
    /// The account.
    pub account: AppId,
    /// When it began to wait, by our clock; `None` for one that an earlier version has stored.
    pub kept_at: Option<Timestamp>,
    /// When it is next sent to the bus.
    pub due_at: Timestamp,
    /// Whether it is confirmed that the message is addressed to the account; otherwise it also waits for that.
    pub is_confirmed: bool,
}

/// An event that waits for the bus or for the event webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingEvent {
    /// Its subject.
    pub subject: Subject,
    /// The event, and its progress.
    pub event: PendingEvent,
}

/// The numbers of what waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingCounts {
    /// Entries of the inbox that have not taken effect, or have not been published.
    pub inbox: u64,
    /// Messages that wait for the bus.
    pub messages: u64,
    /// Events that wait for the bus or for the event webhook.
    pub events: u64,
}

/// The same, but possibly not counted completely.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FirstCounts {
    /// Entries of the inbox.
    pub inbox: Counted,
    /// Messages.
    pub messages: Counted,
    /// Events.
    pub events: Counted,
}

/// The first part of what waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstOf<T> {
    /// The items that are due first, in this order.
    pub items: Vec<T>,
    /// Whether there are more.
    pub has_more: bool,
}

/// The repository of what has arrived and what waits.
#[derive(Debug, Clone)]
pub struct Arrivals(pub(crate) Part);

impl Arrivals {
    /// Counts what waits. Counting queries of the index.
    pub async fn counts(&self) -> Result<WaitingCounts, StoreError> {
        let part = || self.0.clone();
        let (inbox, messages, events) = (Inbox(part()), Messages(part()), Outbox(part()));
        let (inbox, messages, events) = tokio::try_join!(
            inbox.count_waiting(END_OF_TIME),
            messages.count_waiting(END_OF_TIME),
            events.count_waiting(END_OF_TIME),
        )?;
        Ok(WaitingCounts { inbox, messages, events })
    }

    /// Counts what waits, as far as one query of each shard counts: about 10,000 of each kind and shard for 128 read
    /// units.
    pub async fn count_first(&self) -> Result<FirstCounts, StoreError> {
        let part = &self.0;
        let (inbox, messages, events) = (Inbox(part.clone()), Messages(part.clone()), Outbox(part.clone()));
        let (inbox, messages, events) = tokio::try_join!(
            part.count_first_due([inbox.shard()]),
            part.count_first_due(messages.shards()),
            part.count_first_due(events.shards()),
        )?;
        Ok(FirstCounts { inbox, messages, events })
    }

    /// The waiting entries of the inbox, of all accounts. One query of the index, and half a read unit per 4 KB of each
    /// entry.
    pub async fn waiting(&self, limit: usize) -> Result<FirstOf<EntryStatus>, StoreError> {
        let (items, has_more) =
            self.first_due([Inbox(self.0.clone()).shard()], limit, &ENTRY_STATUS_ATTRIBUTES).await?;
        let waiting = items.into_iter().filter_map(|item| self.arrival(&Item::new("inbox entry", item)));
        Ok(FirstOf { items: waiting.collect(), has_more })
    }

    /// The waiting entries of an account, the oldest by WeChat's times first, among the first thousand of the last 30
    /// days. Queries of a partition.
    pub async fn waiting_of(&self, account: &AppId, limit: usize) -> Result<FirstOf<EntryStatus>, StoreError> {
        let pk = self.0.partition("inbox", account.as_str());
        let (mut found, mut after, mut read) = (FirstOf { items: Vec::new(), has_more: false }, None, 0);
        loop {
            let attributes = &ENTRY_STATUS_ATTRIBUTES;
            let page =
                self.0.page_below(pk.clone(), INBOX_SORT_PREFIX, attributes, Order::Ascending, PAGE, after).await?;
            let (items, has_more) = page;
            read += items.len();
            after = items.last().and_then(|item| Some(Key { pk: pk.clone(), sk: item.get(SK)?.as_s().ok()?.clone() }));
            let waiting = items.into_iter().filter_map(|item| self.arrival(&Item::new("inbox entry", item)));
            found.items.extend(waiting.filter(|entry| entry.due_at.is_some()));
            if found.items.len() >= limit || read >= LOOK || !has_more {
                found.has_more = has_more || found.items.len() > limit;
                found.items.truncate(limit);
                return Ok(found);
            }
        }
    }

    /// The messages to an account that wait for the bus, among the thousand that are due first. One query of each shard
    /// of the index, and half a read unit per 4 KB of each message.
    pub async fn messages_of(
        &self,
        account: &AppId,
        limit: usize,
    ) -> Result<FirstOf<WaitingMessageStatus>, StoreError> {
        let mut found = self.messages(LOOK).await?;
        found.items.retain(|message| message.account == *account);
        found.has_more |= found.items.len() > limit;
        found.items.truncate(limit);
        Ok(found)
    }

    /// The events of an account that wait for the bus or for the event webhook, oldest first. A query of a partition.
    pub async fn events_of(&self, account: &AppId, limit: usize) -> Result<FirstOf<WaitingEvent>, StoreError> {
        let (outbox, subject) = (Outbox(self.0.clone()), Subject::Account(account.clone()));
        let mut items = Vec::new();
        let take = |attributes: Attributes| {
            let event = PendingEvent::read(&subject, &Item::new("event", attributes));
            items.extend(event.map(|event| WaitingEvent { subject: subject.clone(), event }));
            if items.len() > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        self.0.each_of(outbox.pk(&subject), EVENT_SORT_PREFIX, Some(DUE_AT), take).await?;
        let has_more = items.len() > limit;
        items.truncate(limit);
        Ok(FirstOf { items, has_more })
    }

    /// A page of all entries of the last 30 days, of all accounts, done or not, newest first, after `after`. If there
    /// are more, the position of the last one is returned. One query of the index, and half a read unit per 4 KB of
    /// each entry, eventually consistent. Entries of an earlier version are not among them.
    pub async fn newest(
        &self,
        limit: usize,
        after: Option<&ArrivalPlace>,
    ) -> Result<(Vec<EntryStatus>, Option<ArrivalPlace>), StoreError> {
        let after = after.map(|place| (place.key(&self.0), place.0.clone()));
        let (listed, has_more) = self.0.page_of_list(&arrived(&self.0), Order::Descending, limit, after).await?;
        let place = |entry: &Attributes| ArrivalPlace::parse(entry.get(LIST_SK)?.as_s().ok()?);
        let places: Vec<ArrivalPlace> = listed.iter().filter_map(place).collect();
        let keys = places.iter().map(|place| place.key(&self.0)).collect();
        let items = self.0.batch_in_order(keys, &ENTRY_STATUS_ATTRIBUTES).await?;
        let arrivals = items.into_iter().filter_map(|item| self.arrival(&Item::new("inbox entry", item)));
        Ok((arrivals.collect(), places.into_iter().next_back().filter(|_| has_more)))
    }

    /// A page of all entries of an account of the last 30 days, done or not, the newest by WeChat's times first, and
    /// whether there are more. One query.
    pub async fn of_account(
        &self,
        account: &AppId,
        limit: usize,
        after: Option<&EntryPlace>,
    ) -> Result<(Vec<EntryStatus>, bool), StoreError> {
        let pk = self.0.partition("inbox", account.as_str());
        let after = after.map(|place| Key { pk: pk.clone(), sk: format!("{INBOX_SORT_PREFIX}{}", place.0) });
        let (items, has_more) =
            self.0.page_below(pk, INBOX_SORT_PREFIX, &ENTRY_STATUS_ATTRIBUTES, Order::Descending, limit, after).await?;
        let arrivals = items.into_iter().filter_map(|item| self.arrival(&Item::new("inbox entry", item)));
        Ok((arrivals.collect(), has_more))
    }

    /// The messages that wait for the bus. One query of each shard of the index, and half a read unit per 4 KB of each
    /// message.
    pub async fn messages(&self, limit: usize) -> Result<FirstOf<WaitingMessageStatus>, StoreError> {
        let messages = Messages(self.0.clone());
        let (items, has_more) = self.first_due(messages.shards(), limit, &WAITING_MESSAGE_ATTRIBUTES).await?;
        let waiting = items.into_iter().filter_map(|item| {
            let item = Item::new("message", item);
            Some(WaitingMessageStatus {
                account: item.parsed(AUTHORIZER, AppId::parse)?,
                kept_at: item.instant(KEPT_AT),
                due_at: item.instant(DUE_AT)?,
                is_confirmed: item.flag(CONFIRMED).unwrap_or(true),
            })
        });
        Ok(FirstOf { items: waiting.collect(), has_more })
    }

    /// The events that wait for the bus or for the event webhook. One query of each shard of the index, and half a read
    /// unit per event.
    pub async fn events(&self, limit: usize) -> Result<FirstOf<WaitingEvent>, StoreError> {
        let outbox = Outbox(self.0.clone());
        let (items, has_more) = self.first_due(outbox.shards(), limit, &[]).await?;
        let waiting = items.into_iter().filter_map(|item| {
            let item = Item::new("event", item);
            let subject = outbox.subject_of(item.text(PK)?)?;
            let event = PendingEvent::read(&subject, &item)?;
            Some(WaitingEvent { subject, event })
        });
        Ok(FirstOf { items: waiting.collect(), has_more })
    }

    /// These attributes of the items that are due first in shards of the index, in order, and whether there are more.
    /// Items that have left the index since are left out.
    async fn first_due(
        &self,
        shards: impl IntoIterator<Item = String>,
        limit: usize,
        attributes: &[&str],
    ) -> Result<(Vec<Attributes>, bool), StoreError> {
        let (keys, has_more) = self.0.first_due(shards, limit).await?;
        let due_at = |item: &Attributes| item.get(DUE_AT)?.as_n().ok()?.parse::<i64>().ok();
        let mut items = self.0.batch_complete(keys, attributes).await?;
        items.retain(|item| due_at(item).is_some());
        items.sort_by_key(due_at);
        Ok((items, has_more))
    }

    fn arrival(&self, item: &Item) -> Option<EntryStatus> {
        Some(EntryStatus {
            account: self.0.account_in("inbox", item.text(PK)?),
            info_type: item.text(INFO_TYPE)?.to_owned(),
            received_at: item.instant(RECEIVED_AT),
            due_at: item.instant(DUE_AT),
            tries: item.number(TRIES).unwrap_or(0),
            last_error: item.text(LAST_ERROR).map(str::to_owned),
            outcome: item.text(OUTCOME).map(str::to_owned),
            finished_at: item.instant(FINISHED_AT),
            place: EntryPlace::parse(item.text(SK)?.strip_prefix(INBOX_SORT_PREFIX)?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use base::ids::Digest;

    use super::*;

    #[test]
    fn a_place_is_a_time_and_a_digest() {
        let digest = Digest::of(&["x"]);
        for text in [format!("1769846400#{}", digest.as_str()), format!("0000000000#~{}", digest.as_str())] {
            assert_eq!(EntryPlace::parse(&text).unwrap().as_str(), text);
        }
        let digest = digest.as_str();
        for text in ["", "1769846400", &format!("176984640#{digest}"), &format!("1769846400#{digest}0"), digest] {
            assert_eq!(EntryPlace::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_place_among_all_is_that_of_an_entry_or_a_time() {
        let digest = Digest::of(&["x"]);
        let digest = digest.as_str();
        for text in [
            "1769846400".to_owned(),
            format!("1769846400#wx1234567890abcdef#entry#1769846399#{digest}"),
            format!("1769846400#~{digest}#entry#0000000000#{digest}"),
        ] {
            assert_eq!(ArrivalPlace::parse(&text).unwrap().as_str(), text);
        }
        assert_eq!(ArrivalPlace::before(Timestamp::from_unix(1_769_846_400)).as_str(), "1769846400");
        for text in
            ["", "176984640", "1769846400#", "1769846400#wx1", "1769846400#wx 1#entry#x", "1769846400#wx1#act#x"]
        {
            assert_eq!(ArrivalPlace::parse(text), None, "{text}");
        }
    }
}
