//! When messages and events of accounts last arrived, of each account and of the platform: whether they arrive is
//! otherwise written nowhere, since what was delivered leaves the table.
//!
//! Items of their own, which say nothing else: account-push writes them, and may not read what else is known of accounts.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;

use crate::StoreError;
use crate::attributes::{EXPIRES_AT, LAST_MESSAGE_AT};
use crate::item::Item;
use crate::part::{Key, Part};
use crate::request::Written;
use crate::write::{absent, is_until};

/// How long the last arrival is remembered.
pub const MESSAGE_ARRIVAL_KEPT: Duration = Duration::from_hours(24 * 90);

const ITEM: &str = "message arrival";

/// Whose messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessagesOf<'a> {
    /// One account's.
    Account(&'a AppId),
    /// Any account's.
    Platform,
}

impl MessagesOf<'_> {
    /// An arrival is noted no sooner than this long after the one that was noted before. What is noted is at most this much
    /// older than what arrived last: an account's has to be cheap for accounts that are written to all day, and the
    /// platform's shows whether WeChat's console has the right URL.
    #[must_use]
    pub const fn noted_every(self) -> Duration {
        match self {
            Self::Account(_) => Duration::from_hours(6),
            Self::Platform => Duration::from_mins(10),
        }
    }
}

/// The notes of when messages last arrived.
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

    /// Notes that a message has arrived, unless another one was noted [a moment before](MessagesOf::noted_every); returns when
    /// the one that is noted now arrived. One write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may be noted.
    pub async fn note(&self, of: MessagesOf<'_>, at: Timestamp) -> Result<Timestamp, StoreError> {
        let is_later = absent(LAST_MESSAGE_AT).or(is_until(LAST_MESSAGE_AT, at.minus(of.noted_every())));
        let change =
            self.0.change(self.key(of)).set(LAST_MESSAGE_AT, at).set(EXPIRES_AT, at.plus(MESSAGE_ARRIVAL_KEPT));
        Ok(match change.when(is_later).apply_or_read().await? {
            Written::Refused(Some(item)) => Item::new(ITEM, item).instant(LAST_MESSAGE_AT).unwrap_or(at),
            Written::Refused(None) | Written::Done(()) => at,
        })
    }

    /// When a message last arrived, by our clock, as [precisely](MessagesOf::noted_every) as it is noted; `None` if none has
    /// for [`MESSAGE_ARRIVAL_KEPT`]. Half a read.
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
