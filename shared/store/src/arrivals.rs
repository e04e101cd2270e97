//! What has come in and what waits to go out, for people who look at it: pushes and codes in the inbox, messages that wait
//! for the bus, events that wait for their targets.
//!
//! Nothing here reads a push, a code or a message: what is taken of these items are the attributes in
//! [`ENTRY_STATUS_ATTRIBUTES`] and [`WAITING_MESSAGE_ATTRIBUTES`].

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

/// The attributes of an inbox entry that [`Arrivals`] reads: no role that is given these can read a push or a code.
pub const ENTRY_STATUS_ATTRIBUTES: [&str; 9] =
    [PK, SK, INFO_TYPE, RECEIVED_AT, DUE_AT, TRIES, LAST_ERROR, OUTCOME, FINISHED_AT];

/// The attributes of a message that [`Arrivals`] reads: no role that is given these can read what a follower wrote.
pub const WAITING_MESSAGE_ATTRIBUTES: [&str; 4] = [AUTHORIZER, CONFIRMED, KEPT_AT, DUE_AT];

/// Entries of an account, and messages of all, that are looked at for those of an account that wait.
const LOOK: usize = 1_000;

/// Entries that are read at once.
const PAGE: usize = 100;

/// The characters of a SHA-256.
const DIGEST_LENGTH: usize = 64;

/// An entry of the inbox, without what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryStatus {
    /// The account; `None` where the entry does not name one, as a code that came through a redirect.
    pub account: Option<AppId>,
    /// WeChat's `InfoType`; `redirect` for a code, `release-check` for a message of the release check.
    pub info_type: String,
    /// When it came, by our clock.
    pub received_at: Option<Timestamp>,
    /// When it is tried next; `None` once it is done.
    pub due_at: Option<Timestamp>,
    /// How often it has been tried in vain.
    pub tries: u32,
    /// Why the last of these failed: WeChat's code or a word.
    pub last_error: Option<String>,
    /// How it has taken effect, or why it never will: a word or WeChat's code. With a `due_at`, what is left is to
    /// publish it.
    pub outcome: Option<String>,
    /// When it was done, by our clock.
    pub finished_at: Option<Timestamp>,
    /// Its place among the entries of its account.
    pub place: EntryPlace,
}

/// Where an entry is among those of its account: behind those of later times of WeChat's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryPlace(String);

impl EntryPlace {
    /// The place between what is of an earlier time of WeChat's and what is of this time or a later one.
    #[must_use]
    pub fn before(time: Timestamp) -> Self {
        Self(format!("{:010}", time.unix().max(0)))
    }

    /// A place as it was given out; `None` for a text that cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (time, digest) = text.split_once('#')?;
        let is_time = time.len() == 10 && time.bytes().all(|digit| digit.is_ascii_digit());
        let digest = digest.strip_prefix('~').unwrap_or(digest);
        let is_digest = digest.len() == DIGEST_LENGTH && digest.bytes().all(|digit| digit.is_ascii_hexdigit());
        (is_time && is_digest).then(|| Self(text.to_owned()))
    }

    /// The place as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where an entry is among all of them, in the order in which they came; or a time, which is behind what came before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrivalPlace(String);

impl ArrivalPlace {
    /// The place between what came before a time and what came then or later.
    #[must_use]
    pub fn before(time: Timestamp) -> Self {
        Self(format!("{:010}", time.unix().max(0)))
    }

    /// A place as it was given out; `None` for a text that cannot be one.
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

    /// The place as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The entry's key; of a time one that is before every entry's.
    fn key(&self, part: &Part) -> Key {
        let rest = self.0.split_once('#').map(|(_, rest)| rest).and_then(|rest| rest.split_once('#'));
        let (partition, sort) = rest.unwrap_or(("!", INBOX_SORT_PREFIX));
        Key { pk: part.partition("inbox", partition), sk: sort.to_owned() }
    }
}

/// A message that waits for the bus, without what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingMessageStatus {
    /// The account.
    pub account: AppId,
    /// When it began to wait, by our clock; `None` for one that an earlier version has kept.
    pub kept_at: Option<Timestamp>,
    /// When it is offered to the bus next.
    pub due_at: Timestamp,
    /// Whether the account is known to be the one that it is addressed to; it waits for that otherwise.
    pub is_confirmed: bool,
}

/// An event that waits for the bus or for the event webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingEvent {
    /// What it is about.
    pub subject: Subject,
    /// What it says, and how far it has come.
    pub event: PendingEvent,
}

/// How much waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingCounts {
    /// Entries of the inbox that have not taken effect, or have not been published.
    pub inbox: u64,
    /// Messages that wait for the bus.
    pub messages: u64,
    /// Events that wait for the bus or for the event webhook.
    pub events: u64,
}

/// The same, where not all of it may be counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FirstCounts {
    /// Entries of the inbox.
    pub inbox: Counted,
    /// Messages.
    pub messages: Counted,
    /// Events.
    pub events: Counted,
}

/// Some of what waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstOf<T> {
    /// Those that are due first, in this order.
    pub items: Vec<T>,
    /// Whether there are more.
    pub has_more: bool,
}

/// What has come in, and what waits.
#[derive(Debug, Clone)]
pub struct Arrivals(pub(crate) Part);

impl Arrivals {
    /// How much waits. Queries of the index that count.
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

    /// How much waits, as far as one query of each shard counts: some 10,000 of each kind and shard for 128 read units.
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

    /// Entries of the inbox that wait, of all accounts. One query of the index, and half a read unit for 4 KB of each entry.
    pub async fn waiting(&self, limit: usize) -> Result<FirstOf<EntryStatus>, StoreError> {
        let (items, has_more) =
            self.first_due([Inbox(self.0.clone()).shard()], limit, &ENTRY_STATUS_ATTRIBUTES).await?;
        let waiting = items.into_iter().filter_map(|item| self.arrival(&Item::new("inbox entry", item)));
        Ok(FirstOf { items: waiting.collect(), has_more })
    }

    /// Entries of an account that wait, the oldest by WeChat's times first, among the first thousand of the last 30 days.
    /// Queries of a partition.
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

    /// Messages to an account that wait for the bus, among the thousand that are due first. One query of each shard of the
    /// index, and half a read unit for 4 KB of each message.
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

    /// Events of an account that wait for the bus or for the event webhook, the oldest first. A query of a partition.
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

    /// A page of everything that has come within the last 30 days, of all accounts and done or not, the newest first: what is
    /// behind `after`. The place of the last one is returned if there is more behind it. One query of the index, and half a
    /// read unit for 4 KB of each entry, all as of a moment ago. What an earlier version has kept is not among them.
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

    /// A page of everything that has come for an account within the last 30 days, done or not, the newest by WeChat's times
    /// first, and whether there is more behind it. One query.
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

    /// Messages that wait for the bus. One query of each shard of the index, and half a read unit for 4 KB of each message.
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

    /// Events that wait for the bus or for the event webhook. One query of each shard of the index, and half a read unit for
    /// each event.
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

    /// These attributes of the items that are due first in shards of the index, in their order, and whether there are more.
    /// What has left the index since is left out.
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
