//! Identifiers, checked once where they enter.
//!
//! Past the boundary of the system no id is a bare `String`: each type here holds only what its constructor accepts, so
//! ids can go into table keys, URLs and log lines unchecked.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::random::Random;

/// Why a text is not an identifier.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdError {
    /// An appid is 1 to 64 letters, digits, `-` and `_`.
    #[error("an appid is 1 to 64 letters, digits, '-' or '_', such as wx1234567890abcdef")]
    AppId,
    /// Appids that are issued today are `wx` and 16 hexadecimal digits.
    #[error("an appid is wx and 16 digits of 0 to 9 and a to f, such as wx1234567890abcdef")]
    IssuedAppId,
    /// The name of an operator is short, and fits into a cookie, a key and a log line.
    #[error("an operator's name is 1 to 40 of a to z, 0 to 9, '.', '_' and '-', and begins with a letter or a digit")]
    OperatorName,
    /// Every other id is 22 URL-safe characters.
    #[error("an id is 22 letters, digits, '-' or '_'")]
    Opaque,
}

/// The id of a platform, an official account or a mini program, such as `wx1234567890abcdef`.
///
/// No format is documented; the ids that are issued today are `wx` and 16 hexadecimal digits. Anything that can be in a
/// key and a log line is accepted, so that a new format does not lose an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppId(String);

/// Longer than any id that is issued today, short enough for keys and log lines.
const MAX_APP_ID: usize = 64;

impl AppId {
    /// Checks the form of an appid.
    ///
    /// # Errors
    /// [`IdError::AppId`] unless it is 1 to 64 of `[A-Za-z0-9_-]`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() || text.len() > MAX_APP_ID || !text.bytes().all(is_url_safe) {
            return Err(IdError::AppId);
        }
        Ok(Self(text.to_owned()))
    }

    /// Checks that a text has the format of the appids that are issued today. Anything else that a person or one of our
    /// programs enters is a mistake, such as an original id (`gh_…`) or an appid in capitals.
    ///
    /// # Errors
    /// [`IdError::IssuedAppId`] unless it is `wx` and 16 lower-case hexadecimal digits.
    pub fn parse_issued(text: &str) -> Result<Self, IdError> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let issued = text.strip_prefix("wx").is_some_and(|digits| digits.len() == 16 && digits.bytes().all(is_digit));
        if issued { Ok(Self(text.to_owned())) } else { Err(IdError::IssuedAppId) }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AppId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<AppId> for String {
    fn from(id: AppId) -> Self {
        id.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of an operator of the platform, such as `li`: unique among the current operators.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OperatorName(String);

/// Enough for an e-mail address's first part.
const MAX_OPERATOR_NAME: usize = 40;

impl OperatorName {
    /// Checks the form of a name.
    ///
    /// # Errors
    /// [`IdError::OperatorName`] unless it is 1 to 40 of `[a-z0-9._-]` and begins with a letter or a digit.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_inner = |byte: u8| is_plain(byte) || matches!(byte, b'.' | b'_' | b'-');
        let is_name = text.bytes().next().is_some_and(is_plain) && text.bytes().all(is_inner);
        if is_name && text.len() <= MAX_OPERATOR_NAME { Ok(Self(text.to_owned())) } else { Err(IdError::OperatorName) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for OperatorName {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<OperatorName> for String {
    fn from(name: OperatorName) -> Self {
        name.0
    }
}

impl fmt::Display for OperatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of characters of 128 bits in URL-safe Base64.
const OPAQUE_LENGTH: usize = 22;

macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The number of characters of an id.
            pub const LENGTH: usize = OPAQUE_LENGTH;

            /// A fresh id of 128 random bits.
            #[must_use]
            pub fn generate(random: &Random) -> Self {
                Self(random.id())
            }

            /// Checks the form of an id.
            ///
            /// # Errors
            /// [`IdError::Opaque`] unless it is 22 of `[A-Za-z0-9_-]`.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                if text.len() != OPAQUE_LENGTH || !text.bytes().all(is_url_safe) {
                    return Err(IdError::Opaque);
                }
                Ok(Self(text.to_owned()))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

opaque_id! {
    /// An authorization link: whoever has it may open its page.
    LinkId
}

opaque_id! {
    /// One press of the link's button: one pre-auth code and one callback.
    AttemptId
}

opaque_id! {
    /// A file that a service uploads for a call.
    FileId
}

opaque_id! {
    /// An API key. The id only names the key; it grants no access.
    KeyId
}

opaque_id! {
    /// An operator. Whoever is added later under the same name has another id.
    OperatorId
}

opaque_id! {
    /// A browser of an operator. The id only names the browser; it grants no access.
    BrowserId
}

opaque_id! {
    /// An entry of the audit log.
    AuditId
}

fn is_url_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// Bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

/// The SHA-256 in hexadecimal of something that has to be recognized later without being stored, such as a code.
///
/// Each kind of thing has its own type of digest, defined by [`digest_id`].
///
/// [`digest_id`]: crate::digest_id
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Digest(String);

impl Digest {
    /// The digest of the given parts. Each is preceded by its length, so that no two lists of parts have the same
    /// digest.
    #[must_use]
    pub fn of(parts: &[impl AsRef<[u8]>]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            let part = part.as_ref();
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        Self(hex(&hash.finalize()))
    }

    /// A digest read back from the table.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Compares two digests in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }

    /// The number, from 0, of the part that this digest is in if all digests are divided into `parts` equal parts;
    /// `parts` is at least 1.
    #[must_use]
    pub fn part(&self, parts: u64) -> u64 {
        let number = self.0.get(..8).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        number.unwrap_or(0) % parts
    }

    /// The digest as 64 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Defines an id that is the digest of one kind of thing, so that one kind cannot be passed for another. The module
/// that defines it also defines its constructors.
#[macro_export]
macro_rules! digest_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name($crate::ids::Digest);

        impl $name {
            /// The id as it was stored.
            #[must_use]
            pub fn from_stored(text: &str) -> Self {
                Self($crate::ids::Digest::from_stored(text))
            }

            /// The digest as 64 hexadecimal digits.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl From<$name> for $crate::ids::Digest {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl AsRef<$crate::ids::Digest> for $name {
            fn as_ref(&self) -> &$crate::ids::Digest {
                &self.0
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appids_with_key_separators_or_line_breaks_are_refused() {
        for bad in ["", "wx#1", "wx 1", "wx\n1", "微信", &"a".repeat(65)] {
            assert_eq!(AppId::parse(bad), Err(IdError::AppId), "{bad:?}");
        }
        assert!(AppId::parse("wx1234567890abcdef").is_ok());
    }

    #[test]
    fn an_appid_that_somebody_writes_down_has_the_form_that_is_issued() {
        assert!(AppId::parse_issued("wx1234567890abcdef").is_ok());
        for bad in [
            "",
            "wx",
            "wxshop",
            "gh_3c884a361561",
            "wx1234567890abcde",
            "wx1234567890abcdef0",
            "WX1234567890abcdef",
            "wx1234567890ABCDEF",
            "wx1234567890abcdeg",
            " wx1234567890abcdef",
            "wx1234567890abcdef\n",
            "ww1234567890abcdef",
            "wx１２３４567890abcdef",
        ] {
            assert_eq!(AppId::parse_issued(bad), Err(IdError::IssuedAppId), "{bad:?}");
        }
    }

    #[test]
    fn an_operators_name_fits_into_a_cookie_a_key_and_a_log_line() {
        for good in ["li", "7", "zhang.san-2_b", &"a".repeat(40)] {
            assert_eq!(OperatorName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "Li", "-li", ".li", "_li", "li#1", "li wei", "li\n", "李", &"a".repeat(41)] {
            assert_eq!(OperatorName::parse(bad), Err(IdError::OperatorName), "{bad:?}");
        }
    }

    #[test]
    fn opaque_ids_round_trip() {
        let id = LinkId::generate(&Random::system());
        assert_eq!(LinkId::parse(id.as_str()), Ok(id));
        assert_eq!(LinkId::parse("short"), Err(IdError::Opaque));
        assert_eq!(LinkId::parse("0123456789012345678901#"), Err(IdError::Opaque));
    }

    #[test]
    fn digests_do_not_confuse_where_parts_end() {
        assert_ne!(Digest::of(&["ab", "c"]), Digest::of(&["a", "bc"]));
        assert_eq!(Digest::of(&["x"]).as_str().len(), 64);
    }
}
