//! Failed calls on behalf of accounts, for services and operators to look into when something does not work. There is
//! one item for each account, API, code and minute, with a count, so that a service that fails in a loop does not fill
//! the table.
//!
//! Only the name of the API is stored: no query and no body.

use std::time::Duration;

use base::clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::attributes::{COUNT, EXPIRES_AT, FAILED_CALL, LIST_PK, LIST_SK, SK};
use crate::item::{Attributes, Item};
use crate::part::{Key, Part};
use crate::request::Order;

/// How long failed calls are kept: those of a weekend are still there on Monday.
pub const FAILED_CALLS_KEPT: Duration = Duration::from_hours(24 * 7);

/// The minute of a call, in seconds.
const MINUTE: i64 = 60;

/// A failed call, the last one of those counted in one item. Stored as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedCall {
    /// When it ended, by our clock, in seconds since 1970.
    pub at: i64,
    /// The account, or `platform` for a call with the platform's own token.
    pub account: String,
    /// The caller, as IAM names it.
    pub caller: String,
    /// `GET` or `POST`.
    pub method: String,
    /// The API, such as `cgi-bin/user/info`.
    pub path: String,
    /// WeChat's code, or a word if there was none.
    pub code: String,
    /// WeChat's HTTP status; `None` if there was no response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// WeChat's id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rid: Option<String>,
    /// How long WeChat took, including repeats.
    pub milliseconds: u64,
    /// The size of the request's body.
    pub bytes_sent: u64,
    /// The size of the response's body.
    pub bytes_received: u64,
}

/// A failed call, and how often it failed in this way within its minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedFailure {
    /// How often it failed; at least once.
    pub count: u64,
    /// The last of these calls.
    pub last: FailedCall,
}

/// The position of a failed call in every list, in which later minutes come first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailurePlace(String);

impl FailurePlace {
    fn of(call: &FailedCall) -> Self {
        let minute = call.at - call.at.rem_euclid(MINUTE);
        Self(format!("{minute:010}#{}#{}#{}", call.account, call.code, call.path))
    }

    /// Parses a position; `None` if the text is not one, or belongs to an account other than `account`.
    #[must_use]
    pub fn parse(text: &str, account: Option<&str>) -> Option<Self> {
        let parts: Vec<&str> = text.split('#').collect();
        let [minute, of, _, _] = parts[..] else { return None };
        let is_minute = minute.len() == 10 && minute.bytes().all(|digit| digit.is_ascii_digit());
        let is_of_account = !of.is_empty() && account.is_none_or(|account| account == of);
        (is_minute && is_of_account).then(|| Self(text.to_owned()))
    }

    /// The position as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn account(&self) -> &str {
        self.0.split('#').nth(1).unwrap_or_default()
    }

    fn minute(&self) -> i64 {
        self.0.split('#').next().and_then(|minute| minute.parse().ok()).unwrap_or_default()
    }
}

/// A page of failed calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailurePage {
    /// The failed calls. A page can be empty although there are more.
    pub failures: Vec<CountedFailure>,
    /// The end of the page, if there are more.
    pub next: Option<FailurePlace>,
}

/// The failed calls of the last days.
#[derive(Debug, Clone)]
pub struct FailedCalls(pub(crate) Part);

impl FailedCalls {
    /// Counts a failed call. One write, and for the first in its minute one of the index.
    ///
    /// # Errors
    /// [`StoreError`]: it may have been counted, perhaps twice.
    pub async fn count(&self, call: &FailedCall) -> Result<(), StoreError> {
        let FailurePlace(place) = FailurePlace::of(call);
        let json = serde_json::to_string(call);
        let json = json.map_err(|_| StoreError::Corrupt { item: ITEM, attribute: FAILED_CALL })?;
        self.0
            .change(self.key(&call.account, place.clone()))
            .increment(COUNT, 1)
            .set(FAILED_CALL, json)
            .set(LIST_PK, self.0.kind(KIND))
            .set(LIST_SK, place)
            .set(EXPIRES_AT, Timestamp::from_unix(call.at).plus(FAILED_CALLS_KEPT))
            .apply()
            .await
            .map(drop)
    }

    /// A page of the failed calls since a time, as far as they are kept, of one account or of all, after `after`, the
    /// newest minutes first. One query, and for all accounts also half a read unit per call.
    pub async fn page(
        &self,
        account: Option<&str>,
        since: Timestamp,
        limit: usize,
        after: Option<&FailurePlace>,
    ) -> Result<FailurePage, StoreError> {
        let after = after.map(|place| (self.key(place.account(), place.0.clone()), place.0.clone()));
        let (items, last, has_more) = if let Some(account) = account {
            let partition = self.0.partition(KIND, account);
            let after = after.map(|(key, _)| key);
            let (items, has_more) = self.0.page_of_partition(partition, Order::Descending, limit, after).await?;
            let last = items.last().and_then(place);
            (items, last, has_more)
        } else {
            let list = self.0.kind(KIND);
            let (entries, has_more) = self.0.page_of_list(&list, Order::Descending, limit, after).await?;
            let places: Vec<FailurePlace> = entries.iter().filter_map(place).collect();
            let keys = places.iter().map(|place| self.key(place.account(), place.0.clone())).collect();
            let mut items = self.0.batch_complete(keys, &[]).await?;
            items.sort_by_key(|item| std::cmp::Reverse(place(item).map(|place| place.0)));
            (items, places.last().cloned(), has_more)
        };
        let failures = items.into_iter().filter_map(read).filter(|failure| failure.last.at >= since.unix()).collect();
        // Within a minute the order is not chronological.
        let next = last.filter(|last| has_more && last.minute() + MINUTE > since.unix());
        Ok(FailurePage { failures, next })
    }

    fn key(&self, account: &str, place: String) -> Key {
        Key { pk: self.0.partition(KIND, account), sk: place }
    }
}

const KIND: &str = "calls";
const ITEM: &str = "failed call";

fn place(item: &Attributes) -> Option<FailurePlace> {
    FailurePlace::parse(item.get(SK)?.as_s().ok()?, None)
}

fn read(attributes: Attributes) -> Option<CountedFailure> {
    let item = Item::new(ITEM, attributes);
    Some(CountedFailure {
        count: item.number(COUNT)?,
        last: item.parsed(FAILED_CALL, |json| serde_json::from_str(json))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_of_an_account_or_none() {
        let text = "1769846400#wx1#45009#cgi-bin/user/info";
        let place = FailurePlace::parse(text, Some("wx1")).unwrap();
        assert_eq!((place.as_str(), place.account(), place.minute()), (text, "wx1", 1_769_846_400));
        assert_eq!(FailurePlace::parse(text, None), Some(place));
        for text in ["", "x", "1769846400#wx2#1#p", "176984640#wx1#1#p", "1769846400##1#p", "1769846400#wx1#1#p#q"] {
            assert_eq!(FailurePlace::parse(text, Some("wx1")), None, "{text}");
        }
    }
}
