//! WeChat's check files: small text files at the root of a host, which prove to WeChat that the host belongs to the
//! platform or an account (protocol section 13.2).
//!
//! WeChat compares the bytes. A name in neither of its two forms, or content to which an editor or a shell has added
//! anything, is refused on input, instead of being discovered through WeChat's 86103.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The prefix of the names that WeChat's console for accounts (mp.weixin.qq.com) generates for an account's own
/// domains.
const OF_ACCOUNTS_CONSOLE: &str = "MP_verify_";

/// The number of letters and digits after [`OF_ACCOUNTS_CONSOLE`].
const CONSOLE_LENGTH: usize = 16;

/// The number of letters and digits in the names from WeChat's API.
const API_LENGTH: usize = 10;

/// The number of letters and digits in the content: known files have 16 or 32.
const CONTENT_LENGTHS: std::ops::RangeInclusive<usize> = 16..=64;

/// The byte order mark, with which some editors begin a text.
const BOM: char = '\u{feff}';

/// Why something is not one of WeChat's check files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckFileError {
    /// The name has the wrong form.
    #[error(
        "the name of a check file is MP_verify_ and 16 letters or digits, or just 10 letters or digits, followed by .txt, such as \
         MP_verify_a1B2c3D4e5F6g7H8.txt or 87PweoaRBw.txt: use the name that WeChat gave it"
    )]
    Name,
    /// The content begins with a byte order mark.
    #[error(
        "the content begins with a byte order mark (BOM), which an editor has added and WeChat does not accept: use the \
         file as it was downloaded"
    )]
    ByteOrderMark,
    /// The content ends with a line break.
    #[error(
        "the content ends with a line break, which an editor or a shell has added and WeChat does not accept: use the \
         file as it was downloaded"
    )]
    LineBreak,
    /// The content has the wrong form.
    #[error(
        "the content of a check file is 16 to 64 letters or digits and nothing else: use it as it came from WeChat"
    )]
    Content,
}

/// The name of a check file, such as `87PweoaRBw.txt`. It is safe in a table's key, a URL and a log line, and is never
/// a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CheckFileName(String);

impl CheckFileName {
    /// Both forms, as a regular expression.
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

/// The content of a check file, byte for byte. It is public: anybody can read it on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFileContent(String);

impl CheckFileContent {
    /// The form, as a regular expression.
    pub const PATTERN: &str = "^[A-Za-z0-9]{16,64}$";

    /// Checks the form of the content.
    ///
    /// # Errors
    /// [`CheckFileError`] says what in it is not WeChat's.
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
    fn content_is_kept_as_it_came_and_what_editors_add_is_named() {
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
