//! When messages and events last arrived, for each account and for the platform. This is stored nowhere else, since
//! delivered messages leave the table.
//!
//! They are separate items without anything else: account-push writes them, and may not read other details of accounts.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;

use crate::StoreError;
use crate::attributes::{EXPIRES_AT, LAST_MESSAGE_AT};
use crate::item::Item;
use crate::part::{Key, Part};
use crate::request::Written;
use crate::write::{absent, is_until};

/// How long the last arrival is kept.
pub const MESSAGE_ARRIVAL_KEPT: Duration = Duration::from_hours(24 * 90);

const ITEM: &str = "message arrival";

/// The recipients of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessagesOf<'a> {
    /// One account.
    Account(&'a AppId),
    /// Any account of the platform.
    Platform,
}

impl MessagesOf<'_> {
    /// The least time between two stored arrivals, and so the precision of the stored time. For an account it is long,
    /// since storing must be cheap for accounts with messages all day; for the platform it is short, since it shows
    /// whether WeChat's console has the right URL.
    #[must_use]
    pub const fn noted_every(self) -> Duration {
        match self {
            Self::Account(_) => Duration::from_hours(6),
            Self::Platform => Duration::from_mins(10),
        }
    }
}

/// The times when messages last arrived.
#[derive(Debug, Clone)]
pub struct MessageArrivals(pub(crate) Part);

impl MessageArrivals {
    fn key(&self, of: MessagesOf<'_>) -> Key {
        let id = match of {
            MessagesOf::Account(appid) => appid.as_str(),
            MessagesOf::Platform => "platform",
        };
        self.0.key("message-arrival", id, "message-arrival")
    }

    /// Stores that a message has arrived, unless an arrival was stored [shortly before](MessagesOf::noted_every);
    /// returns the stored time. One write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may be stored.
    pub async fn note(&self, of: MessagesOf<'_>, at: Timestamp) -> Result<Timestamp, StoreError> {
        let is_later = absent(LAST_MESSAGE_AT).or(is_until(LAST_MESSAGE_AT, at.minus(of.noted_every())));
        let change =
            self.0.change(self.key(of)).set(LAST_MESSAGE_AT, at).set(EXPIRES_AT, at.plus(MESSAGE_ARRIVAL_KEPT));
        Ok(match change.when(is_later).apply_or_read().await? {
            Written::Refused(Some(item)) => Item::new(ITEM, item).instant(LAST_MESSAGE_AT).unwrap_or(at),
            Written::Refused(None) | Written::Done(()) => at,
        })
    }

    /// When a message last arrived, by our clock, with [this precision](MessagesOf::noted_every); `None` if none has
    /// within [`MESSAGE_ARRIVAL_KEPT`]. Half a read.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn last(&self, of: MessagesOf<'_>, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let Some(item) = self.0.read_eventually(self.key(of), &[]).await? else { return Ok(None) };
        let item = Item::new(ITEM, item);
        let at = item.instant(LAST_MESSAGE_AT).ok_or(item.lacks(LAST_MESSAGE_AT))?;
        Ok(Some(at).filter(|at| now.since(*at) < MESSAGE_ARRIVAL_KEPT))
    }
}
