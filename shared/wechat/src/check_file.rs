//! WeChat's check files: small texts at the root of a host, which show WeChat that the host is the platform's or an
//! account's (protocol section 13.2).
//!
//! WeChat compares the bytes. A name that is not of its two forms, or a content with anything in it that an editor or a
//! shell has added, is refused where it comes in, and not found out by WeChat's 86103.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the names begin with that WeChat gives in mp.weixin.qq.com for an account's own domains.
const OF_ACCOUNTS_CONSOLE: &str = "MP_verify_";

/// Letters and digits behind [`OF_ACCOUNTS_CONSOLE`].
const CONSOLE_LENGTH: usize = 16;

/// Letters and digits of the names that WeChat gives by API.
const API_LENGTH: usize = 10;

/// Letters and digits of a content: those that are known have 16 or 32.
const CONTENT_LENGTHS: std::ops::RangeInclusive<usize> = 16..=64;

/// The byte order mark, with which some editors begin a text.
const BOM: char = '\u{feff}';

/// Why something is not a check file of WeChat's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckFileError {
    /// The name has another form.
    #[error(
        "the name of a check file is MP_verify_ and 16 letters or digits, or 10 letters or digits, and .txt, such as \
         MP_verify_a1B2c3D4e5F6g7H8.txt or 87PweoaRBw.txt: use the name that WeChat gave it"
    )]
    Name,
    /// The content begins with a byte order mark.
    #[error(
        "the content begins with a byte order mark (BOM), which an editor has added and WeChat does not accept: take the \
         file as it was downloaded"
    )]
    ByteOrderMark,
    /// The content ends with a line break.
    #[error(
        "the content ends with a line break, which an editor or a shell has added and WeChat does not accept: take the \
         file as it was downloaded"
    )]
    LineBreak,
    /// The content has another form.
    #[error("the content of a check file is 16 to 64 letters or digits, and nothing else: take it as WeChat gave it")]
    Content,
}

/// The name of a check file, such as `87PweoaRBw.txt`. It can be in a table's key, a URL and a log line, and is never a
/// path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CheckFileName(String);

impl CheckFileName {
    /// The forms, as a regular expression.
    pub const PATTERN: &str = "^(MP_verify_[A-Za-z0-9]{16}|[A-Za-z0-9]{10})[.]txt$";

    /// Checks the form of a name. Upper and lower case are different.
    ///
    /// # Errors
    /// [`CheckFileError::Name`].
    pub fn parse(text: &str) -> Result<Self, CheckFileError> {
        let stem = text.strip_suffix(".txt").ok_or(CheckFileError::Name)?;
        let (drawn, length) = match stem.strip_prefix(OF_ACCOUNTS_CONSOLE) {
            Some(drawn) => (drawn, CONSOLE_LENGTH),
            None => (stem, API_LENGTH),
        };
        if drawn.len() == length && is_alphanumeric(drawn) {
            Ok(Self(text.to_owned()))
        } else {
            Err(CheckFileError::Name)
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CheckFileName {
    type Error = CheckFileError;

    fn try_from(text: String) -> Result<Self, CheckFileError> {
        Self::parse(&text)
    }
}

impl From<CheckFileName> for String {
    fn from(name: CheckFileName) -> Self {
        name.0
    }
}

impl fmt::Display for CheckFileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The content of a check file, byte for byte. It is public: anybody can read it at the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFileContent(String);

impl CheckFileContent {
    /// The form, as a regular expression.
    pub const PATTERN: &str = "^[A-Za-z0-9]{16,64}$";

    /// Checks the form of a content.
    ///
    /// # Errors
    /// [`CheckFileError`] says what is in it that WeChat has not given.
    pub fn parse(text: &str) -> Result<Self, CheckFileError> {
        if text.starts_with(BOM) {
            return Err(CheckFileError::ByteOrderMark);
        }
        if text.ends_with(['\n', '\r']) {
            return Err(CheckFileError::LineBreak);
        }
        let is_content = CONTENT_LENGTHS.contains(&text.len()) && is_alphanumeric(text);
        if is_content { Ok(Self(text.to_owned())) } else { Err(CheckFileError::Content) }
    }

    /// The content as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_alphanumeric(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_of_wechats_two_forms_and_is_never_a_path() {
        for good in ["87PweoaRBw.txt", "0000000000.txt", "MP_verify_a1B2c3D4e5F6g7H8.txt"] {
            assert_eq!(CheckFileName::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".txt",
            "87PweoaRBw",
            "87PweoaRBw.TXT",
            "87PweoaRBw.txt.txt",
            "87PweoaRBw.txt\n",
            " 87PweoaRBw.txt",
            "87PweoaRB.txt",
            "87PweoaRBw1.txt",
            "87Pweoa_Bw.txt",
            "87Pweoa/Bw.txt",
            "..%2f..%2fw.txt",
            "../../abc.txt",
            "87PweoaRBé.txt",
            "８7PweoaRB.txt",
            "MP_verify_a1B2c3D4e5F6g7H.txt",
            "MP_verify_a1B2c3D4e5F6g7H89.txt",
            "mp_verify_a1B2c3D4e5F6g7H8.txt",
            "MP_verify_a1B2c3D4e5F6g7H_.txt",
            "MP_verify_.txt",
            "index.html",
            "robots.txt",
        ] {
            assert_eq!(CheckFileName::parse(bad), Err(CheckFileError::Name), "{bad:?}");
        }
    }

    #[test]
    fn a_content_is_what_wechat_gave_and_what_editors_add_is_named() {
        for good in ["0123456789abcdef", "0123456789abcdef0123456789ABCDEF", &"a".repeat(64)] {
            assert_eq!(CheckFileContent::parse(good).unwrap().as_str(), good);
        }
        let parse = |text: &str| CheckFileContent::parse(text).map(drop);
        assert_eq!(parse("\u{feff}0123456789abcdef"), Err(CheckFileError::ByteOrderMark));
        assert_eq!(parse("0123456789abcdef\n"), Err(CheckFileError::LineBreak));
        assert_eq!(parse("0123456789abcdef\r\n"), Err(CheckFileError::LineBreak));
        for bad in [
            "",
            "0123456789abcde",
            &"a".repeat(65),
            "0123456789abcdef ",
            "0123456789\nabcdef",
            "<b>0123456789abcdef",
            "信0123456789abcdef",
        ] {
            assert_eq!(parse(bad), Err(CheckFileError::Content), "{bad:?}");
        }
    }
}
