//! Why the last renewal of a token failed, as it is stored with the token.

use base::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// How many bytes of WeChat's message are stored: with them the row of an account stays below 1 KB.
const LONGEST_WORDS: usize = 160;

/// A failed renewal. Stored as JSON, until a renewal succeeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFailure {
    /// When it failed, by our clock, in seconds since 1970.
    pub at: i64,
    /// The label under which it counts, such as `61004`.
    pub label: String,
    /// The API that refused the call, if WeChat did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// WeChat's message, without secrets and shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errmsg: Option<String>,
    /// WeChat's id of the refused request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rid: Option<String>,
}

impl LastFailure {
    /// A failure without a message from WeChat.
    #[must_use]
    pub fn silent(at: Timestamp, label: &str) -> Self {
        Self { at: at.unix(), label: label.to_owned(), api: None, errmsg: None, rid: None }
    }

    /// A call that WeChat refused; `errmsg` is its message, without secrets.
    #[must_use]
    pub fn refused(at: Timestamp, label: &str, api: &str, errmsg: &str, rid: Option<&str>) -> Self {
        let words = &errmsg[..errmsg.floor_char_boundary(LONGEST_WORDS)];
        Self {
            api: Some(api.to_owned()),
            errmsg: Some(words.to_owned()),
            rid: rid.map(str::to_owned),
            ..Self::silent(at, label)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_between_characters_and_absent_members_are_not_stored() {
        let failure = LastFailure::refused(Timestamp::from_unix(7), "1", "api_x", &"错".repeat(100), None);
        assert_eq!(failure.errmsg.as_deref().unwrap(), "错".repeat(53));
        let json = serde_json::to_string(&LastFailure::silent(Timestamp::from_unix(7), "table")).unwrap();
        assert_eq!(json, r#"{"at":7,"label":"table"}"#);
    }
}
