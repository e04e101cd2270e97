//! The platform's `component_verify_ticket` (protocol section 0: lives 12 hours, a new one comes every 10 minutes).

use base::clock::Timestamp;
use secrecy::SecretString;
use wechat::times;

use super::item::{Item, instant, secret, write};
use super::{Vault, VaultError};

const SORT: &str = "ticket";

/// The newest ticket that WeChat pushed.
pub struct Ticket {
    /// The ticket.
    pub ticket: SecretString,
    /// WeChat's `CreateTime`: decides which of two tickets is the newer. Ours, where WeChat's lay too far ahead.
    pub create_time: Timestamp,
    /// When it reached us, by our clock: how old it is follows from this.
    pub received_at: Timestamp,
}

impl Vault {
    /// Keeps a ticket, unless an equal or newer one is there; tells whether this one is now the newest.
    ///
    /// One write, no read. A ticket whose time lies too far ahead of `now` counts as made now, and one that is stored with
    /// such a time gives way to any other: it would hide every later one.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: the ticket may not be stored.
    pub async fn put_ticket(
        &self,
        ticket: &SecretString,
        create_time: Timestamp,
        now: Timestamp,
    ) -> Result<bool, VaultError> {
        let create_time = times::credible(create_time, now).unwrap_or(now);
        let update = self
            .update(self.key("ticket", None), SORT)
            .update_expression("SET ticket = :ticket, create_time = :created, received_at = :now")
            .condition_expression("attribute_not_exists(create_time) OR create_time < :created OR create_time > :ahead")
            .expression_attribute_values(":ticket", secret(ticket))
            .expression_attribute_values(":created", instant(create_time))
            .expression_attribute_values(":ahead", instant(now.plus(times::MOST_AHEAD)))
            .expression_attribute_values(":now", instant(now));
        write(update).await
    }

    /// The newest ticket; nothing before the first push.
    ///
    /// # Errors
    /// [`VaultError`] where it cannot be read.
    pub async fn ticket(&self) -> Result<Option<Ticket>, VaultError> {
        let Some(attributes) = self.get(self.key("ticket", None), SORT).await? else { return Ok(None) };
        let item = Item::new("ticket", attributes);
        Ok(Some(Ticket {
            ticket: item.secret("ticket").ok_or(item.lacks("ticket"))?,
            create_time: item.instant("create_time").ok_or(item.lacks("create_time"))?,
            received_at: item.instant("received_at").ok_or(item.lacks("received_at"))?,
        }))
    }
}
