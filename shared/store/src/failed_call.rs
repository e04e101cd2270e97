//! Calls on behalf that failed: what services and operators ask when something does not work. One item for each account,
//! API, code and minute, with a count, so that a service that fails in a loop does not fill the table.
//!
//! Nothing of what was sent is kept but the name of the API: no query, no body.

use std::time::Duration;

use base::clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::attributes::{COUNT, EXPIRES_AT, FAILED_CALL, LIST_PK, LIST_SK, SK};
use crate::item::{Attributes, Item};
use crate::part::{Key, Part};
use crate::request::Order;

/// For how long failed calls are kept.
const KEEP: Duration = Duration::from_hours(24 * 7);

/// The minute of a call, in seconds.
const MINUTE: i64 = 60;

/// A failed call; of those that are counted in one item, the last one. Kept as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedCall {
    /// When it ended, by our clock, in seconds since 1970.
    pub at: i64,
    /// The account, or `platform` for a call with the platform's own token.
    pub account: String,
    /// Who has called, as IAM names them.
    pub caller: String,
    /// `GET` or `POST`.
    pub method: String,
    /// The API, such as `cgi-bin/user/info`.
    pub path: String,
    /// WeChat's code, or a word where WeChat said none.
    pub code: String,
    /// WeChat's HTTP status; none where it did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// WeChat's id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rid: Option<String>,
    /// From the request to its end.
    pub milliseconds: u64,
    /// The size of the request's body.
    pub bytes_sent: u64,
    /// The size of the answer's.
    pub bytes_received: u64,
}

/// A failed call and how often it failed in this way within its minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedFailure {
    /// Its place in every list.
    pub place: String,
    /// How often; at least once.
    pub count: u64,
    /// The last of them.
    pub last: FailedCall,
}

/// The failed calls of the last days.
#[derive(Debug, Clone)]
pub struct FailedCalls(pub(crate) Part);

impl FailedCalls {
    /// Counts a failed call. One write, and one of the index for the first in its minute.
    ///
    /// # Errors
    /// [`StoreError`]: it may have been counted, perhaps twice.
    pub async fn count(&self, call: &FailedCall) -> Result<(), StoreError> {
        let minute = call.at - call.at.rem_euclid(MINUTE);
        let place = format!("{minute:010}#{}#{}#{}", call.account, call.code, call.path);
        let json = serde_json::to_string(call);
        let json = json.map_err(|_| StoreError::Corrupt { item: ITEM, attribute: FAILED_CALL })?;
        self.0
            .change(self.key(&call.account, place.clone()))
            .increment(COUNT, 1)
            .set(FAILED_CALL, json)
            .set(LIST_PK, self.0.kind(KIND))
            .set(LIST_SK, place)
            .set(EXPIRES_AT, Timestamp::from_unix(call.at).plus(KEEP))
            .apply()
            .await
            .map(drop)
    }

    /// Failed calls since a moment, of one account or of all, the newest first; those behind `after`, and whether there are
    /// more. One query, and for all accounts half a read unit for each in addition.
    pub async fn page(
        &self,
        account: Option<&str>,
        since: Timestamp,
        limit: usize,
        after: Option<&str>,
    ) -> Result<(Vec<CountedFailure>, bool), StoreError> {
        let after = after.and_then(|place| Some((self.key(account_in(place)?, place.to_owned()), place.to_owned())));
        let (items, has_more) = if let Some(account) = account {
            let partition = self.0.partition(KIND, account);
            self.0.page_of_partition(partition, Order::Descending, limit, after.map(|(key, _)| key)).await?
        } else {
            let list = self.0.kind(KIND);
            let (entries, has_more) = self.0.page_of_list(&list, Order::Descending, limit, after).await?;
            let place = |item: &Attributes| item.get(SK)?.as_s().ok().cloned();
            let places: Vec<String> = entries.iter().filter_map(place).collect();
            let keys = places.iter().filter_map(|place| Some(self.key(account_in(place)?, place.clone()))).collect();
            let mut items = self.0.batch_complete(keys, &[]).await?;
            items.sort_by_key(|item| std::cmp::Reverse(place(item)));
            (items, has_more)
        };
        let mut failures: Vec<CountedFailure> = items.into_iter().filter_map(read).collect();
        let found = failures.len();
        failures.retain(|failure| failure.last.at >= since.unix());
        let has_more = has_more && failures.len() == found;
        Ok((failures, has_more))
    }

    fn key(&self, account: &str, place: String) -> Key {
        Key { pk: self.0.partition(KIND, account), sk: place }
    }
}

const KIND: &str = "calls";
const ITEM: &str = "failed call";

/// The account in a place.
fn account_in(place: &str) -> Option<&str> {
    place.split('#').nth(1)
}

fn read(attributes: Attributes) -> Option<CountedFailure> {
    let item = Item::new(ITEM, attributes);
    Some(CountedFailure {
        place: item.text(SK)?.to_owned(),
        count: item.number(COUNT)?,
        last: item.parsed(FAILED_CALL, |json| serde_json::from_str(json))?,
    })
}
