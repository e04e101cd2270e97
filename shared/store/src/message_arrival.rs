//! When messages and events last arrived, for each account and for the platform. This is stored nowhere else, since
//! delivered messages leave the table.
//!
//! They are separate items without anything else: account-push writes them, and may not read other details of accounts.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use wechat::times::MAX_AHEAD;

use crate::StoreError;
use crate::attributes::{EXPIRES_AT, LAST_MESSAGE_AT};
use crate::item::Item;
use crate::part::{Key, Part};
use crate::request::Written;
use crate::write::{absent, is_after, is_until};

/// How long the last arrival is kept.
pub const MESSAGE_ARRIVAL_KEPT: Duration = Duration::from_hours(24 * 90);

/// The least time between two stored arrivals of an account, and so the precision of the stored time: storing must be
/// cheap for accounts with messages all day.
pub const ACCOUNT_ARRIVALS_EVERY: Duration = Duration::from_hours(1);

/// The same for the platform. It is short, since it shows whether WeChat's console has the right URL.
pub const PLATFORM_ARRIVALS_EVERY: Duration = Duration::from_mins(10);

const ITEM: &str = "message arrival";

/// The times when messages last arrived: of one account, or of any account where none is named.
#[derive(Debug, Clone)]
pub struct MessageArrivals(pub(crate) Part);

impl MessageArrivals {
    fn key(&self, account: Option<&AppId>) -> Key {
        self.0.key("message-arrival", account.map_or("platform", AppId::as_str), "message-arrival")
    }

    /// Stores that a message has arrived, unless an arrival within [`ACCOUNT_ARRIVALS_EVERY`] or
    /// [`PLATFORM_ARRIVALS_EVERY`] before it is stored; returns when the next one is due. A stored time that is too far
    /// ahead of `now` gives way, since it would block every later one. Half a read unit, and a write if it is due.
    ///
    /// # Errors
    /// [`StoreError`]: it may be stored.
    pub async fn note(&self, account: Option<&AppId>, now: Timestamp) -> Result<Timestamp, StoreError> {
        let every = if account.is_some() { ACCOUNT_ARRIVALS_EVERY } else { PLATFORM_ARRIVALS_EVERY };
        // Processes remember only what they have seen themselves, and a read costs a tenth of a write that is refused.
        let stored = self.stored(account).await?;
        if let Some(at) = stored.filter(|at| now.since(*at) < every && at.since(now) <= MAX_AHEAD) {
            return Ok(at.plus(every));
        }
        let is_due = absent(LAST_MESSAGE_AT)
            .or(is_until(LAST_MESSAGE_AT, now.minus(every)))
            .or(is_after(LAST_MESSAGE_AT, now.plus(MAX_AHEAD)));
        let change = self.0.change(self.key(account)).set(LAST_MESSAGE_AT, now);
        let change = change.set(EXPIRES_AT, now.plus(MESSAGE_ARRIVAL_KEPT)).when(is_due);
        let at = match change.apply_or_read().await? {
            Written::Refused(Some(item)) => {
                let item = Item::new(ITEM, item);
                item.instant(LAST_MESSAGE_AT).ok_or(item.lacks(LAST_MESSAGE_AT))?
            }
            Written::Refused(None) | Written::Done(()) => now,
        };
        Ok(at.plus(every))
    }

    /// When a message last arrived, by our clock; normally too early by at most [`ACCOUNT_ARRIVALS_EVERY`] or
    /// [`PLATFORM_ARRIVALS_EVERY`]. `None` if no arrival within [`MESSAGE_ARRIVAL_KEPT`] is stored. Half a read unit.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn last(&self, account: Option<&AppId>, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.stored(account).await?.filter(|at| now.since(*at) < MESSAGE_ARRIVAL_KEPT))
    }

    async fn stored(&self, account: Option<&AppId>) -> Result<Option<Timestamp>, StoreError> {
        let Some(item) = self.0.read_eventually(self.key(account), &[]).await? else { return Ok(None) };
        let item = Item::new(ITEM, item);
        item.instant(LAST_MESSAGE_AT).ok_or(item.lacks(LAST_MESSAGE_AT)).map(Some)
    }
}
