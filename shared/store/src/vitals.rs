//! The status of the platform's ticket and component token, for people and programs that may see neither.

use base::clock::Timestamp;

use crate::StoreError;
use crate::account_list::TokenStatus;
use crate::attributes::{
    CREATE_TIME, DUE_AT, FAILURES, LAST_ERROR, LAST_FAILURE, RECEIVED_AT, STORED_AT, TOKEN_EXPIRES_AT, TOKEN_SEQ,
};
use crate::item::Item;
use crate::part::Part;

/// The attributes of the ticket's item that [`Vitals`] reads.
pub const TICKET_TIME_ATTRIBUTES: [&str; 2] = [CREATE_TIME, RECEIVED_AT];

/// The attributes of the component token's item that [`Vitals`] reads.
pub const COMPONENT_STATUS_ATTRIBUTES: [&str; 7] =
    [TOKEN_SEQ, TOKEN_EXPIRES_AT, STORED_AT, DUE_AT, FAILURES, LAST_ERROR, LAST_FAILURE];

/// The times of the newest ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketTimes {
    /// WeChat's `CreateTime`, or our time if WeChat's was too far ahead.
    pub create_time: Timestamp,
    /// When it arrived, by our clock.
    pub received_at: Timestamp,
}

/// The status of the ticket and the component token, without the secrets themselves.
#[derive(Debug, Clone)]
pub struct Vitals(pub(crate) Part);

impl Vitals {
    /// Reads the times of the newest ticket; `None` before the first push. One read.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn ticket(&self) -> Result<Option<TicketTimes>, StoreError> {
        let key = self.0.only("ticket", "ticket");
        let Some(attributes) = self.0.read(key, &TICKET_TIME_ATTRIBUTES).await? else { return Ok(None) };
        let item = Item::new("ticket", attributes);
        Ok(Some(TicketTimes {
            create_time: item.instant(CREATE_TIME).ok_or(item.lacks(CREATE_TIME))?,
            received_at: item.instant(RECEIVED_AT).ok_or(item.lacks(RECEIVED_AT))?,
        }))
    }

    /// Reads the status of the component token: if `expires_at` is missing, there is none yet. One read.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it cannot be read.
    pub async fn component_token(&self) -> Result<TokenStatus, StoreError> {
        let item = self.0.read(self.0.only("component", "token"), &COMPONENT_STATUS_ATTRIBUTES).await?;
        Ok(TokenStatus::read(&Item::new("token", item.unwrap_or_default())))
    }
}
