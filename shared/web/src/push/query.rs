//! The signed parameters of a push's URL (protocol section 3.1).

use base::clock::Timestamp;
use url::form_urlencoded;
use wechat::crypto::Signed;
use wechat::push::envelope::Envelope;

/// The longest `timestamp`, in digits. Real ones have 10.
const LONGEST_TIMESTAMP: usize = 20;

/// The longest `nonce`, in characters. Real ones have up to 16.
///
/// The signed parts are joined without separators, so a signature stays valid if the borders between them are moved.
/// The shortest piece of `Encrypt` that could be moved into `nonce` and leave whole blocks has 64 characters.
const LONGEST_NONCE: usize = 32;

/// The longest `msg_signature` that is compared, in characters. Real ones have 40.
const LONGEST_SIGNATURE: usize = 128;

/// Why the query is not that of a push.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum QueryError {
    /// A parameter is missing or empty.
    #[error("the query parameter {0} is missing")]
    Missing(&'static str),
    /// A parameter occurs more than once: nothing says which one is signed.
    #[error("the query parameter {0} occurs more than once")]
    Repeated(&'static str),
    /// A parameter is longer than any that WeChat sends.
    #[error("the query parameter {0} is too long")]
    TooLong(&'static str),
    /// `timestamp` is not a number.
    #[error("the query parameter {0} is malformed")]
    Malformed(&'static str),
}

impl QueryError {
    /// A stable word for metrics and logs.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing(_) => "parameter-missing",
            Self::Repeated(_) => "parameter-repeated",
            Self::TooLong(_) => "parameter-too-long",
            Self::Malformed(_) => "parameter-malformed",
        }
    }
}

/// The signed parameters (protocol section 3.1). `signature` does not cover the body and is ignored.
#[derive(Debug)]
pub(super) struct Query {
    timestamp: String,
    nonce: String,
    msg_signature: String,
}

impl Query {
    pub(super) fn parse(query: &str) -> Result<Self, QueryError> {
        const PARAMETERS: [(&str, usize); 3] =
            [("timestamp", LONGEST_TIMESTAMP), ("nonce", LONGEST_NONCE), ("msg_signature", LONGEST_SIGNATURE)];
        let mut values = [None, None, None];
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            for ((known, longest), slot) in PARAMETERS.into_iter().zip(&mut values) {
                if name != known {
                    continue;
                }
                if value.chars().count() > longest {
                    return Err(QueryError::TooLong(known));
                }
                if slot.replace(value.clone().into_owned()).is_some() {
                    return Err(QueryError::Repeated(known));
                }
            }
        }
        let [timestamp, nonce, msg_signature] = values;
        let filled =
            |name, value: Option<String>| value.filter(|value| !value.is_empty()).ok_or(QueryError::Missing(name));
        let timestamp = filled("timestamp", timestamp)?;
        if !timestamp.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(QueryError::Malformed("timestamp"));
        }
        Ok(Self { timestamp, nonce: filled("nonce", nonce)?, msg_signature: filled("msg_signature", msg_signature)? })
    }

    /// `timestamp`; a time far ahead if it is not valid: a moved border has turned it into another number.
    pub(super) fn sent_at(&self) -> Timestamp {
        Timestamp::from_unix(self.timestamp.parse().unwrap_or(i64::MAX))
    }

    pub(super) fn signed<'a>(&'a self, envelope: &'a Envelope<'_>) -> Signed<'a> {
        Signed {
            timestamp: &self.timestamp,
            nonce: &self.nonce,
            msg_signature: &self.msg_signature,
            encrypt: &envelope.encrypt,
        }
    }
}
