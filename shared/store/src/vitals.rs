//! How the platform's ticket and component token are doing, for people and programs that may know neither.

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

/// When the newest ticket came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketTimes {
    /// WeChat's `CreateTime`. Ours, where WeChat's lay too far ahead.
    pub create_time: Timestamp,
    /// When it reached us, by our clock.
    pub received_at: Timestamp,
}

/// The ticket and the component token, without either.
#[derive(Debug, Clone)]
pub struct Vitals(pub(crate) Part);

impl Vitals {
    /// When the newest ticket came; `None` before the first push. One read.
    ///
    /// # Errors
    /// [`StoreError`] where it cannot be read.
    pub async fn ticket(&self) -> Result<Option<TicketTimes>, StoreError> {
        let key = self.0.only("ticket", "ticket");
        let Some(attributes) = self.0.read(key, &TICKET_TIME_ATTRIBUTES).await? else { return Ok(None) };
        let item = Item::new("ticket", attributes);
        Ok(Some(TicketTimes {
            create_time: item.instant(CREATE_TIME).ok_or(item.lacks(CREATE_TIME))?,
            received_at: item.instant(RECEIVED_AT).ok_or(item.lacks(RECEIVED_AT))?,
        }))
    }

    /// How the component token is doing: without an `expires_at`, there is none yet. One read.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it cannot be read.
    pub async fn component_token(&self) -> Result<TokenStatus, StoreError> {
        let item = self.0.read(self.0.only("component", "token"), &COMPONENT_STATUS_ATTRIBUTES).await?;
        Ok(TokenStatus::read(&Item::new("token", item.unwrap_or_default())))
    }
}
