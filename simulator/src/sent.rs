//! A customer-service message that was accepted.

use base::clock::Timestamp;
use base::ids::AppId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A customer-service message that was accepted. No `Debug`: it holds a code.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct SentMessage {
    /// The account in whose name it was sent.
    pub authorizer: AppId,
    /// `touser`.
    pub to: String,
    /// The whole body.
    pub body: Value,
    /// When it was accepted.
    pub at: Timestamp,
    /// The authorization code whose exchange issued the token used; `None` if a renewal issued it.
    pub code: Option<String>,
}
