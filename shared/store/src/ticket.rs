//! The platform's `component_verify_ticket` (protocol section 0: valid for 12 hours, a new one comes every 10 minutes).

use base::clock::Timestamp;
use secrecy::SecretString;
use wechat::times;

use crate::StoreError;
use crate::attributes::{CREATE_TIME, RECEIVED_AT, TICKET};
use crate::item::Item;
use crate::part::{Key, Part};
use crate::write::{absent, is_after, is_before};

/// The newest ticket that WeChat pushed.
pub struct Ticket {
    /// The ticket.
    pub ticket: SecretString,
    /// WeChat's `CreateTime`, which decides which of two tickets is newer; or our time, if WeChat's was too far ahead.
    pub create_time: Timestamp,
    /// When it arrived, by our clock. Its age is computed from this.
    pub received_at: Timestamp,
}

/// The item with the platform's ticket.
#[derive(Debug, Clone)]
pub struct Tickets(pub(crate) Part);

impl Tickets {
    fn key(&self) -> Key {
        self.0.only("ticket", "ticket")
    }

    /// Stores a ticket, unless an equal or newer one is stored; returns whether this one is now the newest.
    ///
    /// One write, no read. A ticket whose time is too far ahead of `now` is stored with the time `now`. A stored one
    /// with such a time is replaced by any other, since it would block every later one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the ticket may not be stored.
    pub async fn put(&self, ticket: &SecretString, create_time: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        let create_time = times::credible(create_time, now).unwrap_or(now);
        let gives_way = absent(CREATE_TIME)
            .or(is_before(CREATE_TIME, create_time))
            .or(is_after(CREATE_TIME, now.plus(times::MAX_AHEAD)));
        self.0
            .change(self.key())
            .set(TICKET, ticket)
            .set(CREATE_TIME, create_time)
            .set(RECEIVED_AT, now)
            .when(gives_way)
            .apply()
            .await
    }

    /// The newest ticket; `None` before the first push. One read.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn newest(&self) -> Result<Option<Ticket>, StoreError> {
        let Some(attributes) = self.0.get(self.key()).await? else { return Ok(None) };
        let item = Item::new("ticket", attributes);
        Ok(Some(Ticket {
            ticket: item.secret(TICKET).ok_or(item.lacks(TICKET))?,
            create_time: item.instant(CREATE_TIME).ok_or(item.lacks(CREATE_TIME))?,
            received_at: item.instant(RECEIVED_AT).ok_or(item.lacks(RECEIVED_AT))?,
        }))
    }
}
