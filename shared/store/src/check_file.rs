//! The files with which WeChat checks that a domain belongs to the platform or an account (protocol section 13.2).
//!
//! All are in one partition with the file's name as the sort key: serving a file costs one read, and one query lists
//! them. They are public, few and small. A file is deleted at once and not by DynamoDB's TTL: a host must not keep
//! vouching for somebody who has left.

use base::clock::Timestamp;
use base::ids::AppId;
use wechat::check_file::{CheckFileContent, CheckFileName};

use crate::StoreError;
use crate::attributes::{AUTHORIZER, CONTENT, ORIGIN, PK, SK, STORED_AT};
use crate::item::{Attributes, Item};
use crate::part::{Key, Part};
use crate::request::Order;
use crate::write::{Change, exists, id_value};

/// The greatest number of files: two for each of several hundred accounts, which one partition easily holds. Two
/// processes that add the last one at the same moment may exceed it by one.
pub const MAX_CHECK_FILES: usize = 1_000;

id_value!(CheckFileName);

impl From<&CheckFileContent> for crate::write::Value {
    fn from(content: &CheckFileContent) -> Self {
        content.as_str().into()
    }
}

/// The origin of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckFileOrigin {
    /// Somebody has uploaded it.
    Manual,
    /// WeChat's API returned it, for the platform's domains.
    Platform,
    /// WeChat's API returned it, for domains of this account.
    Account(AppId),
}

impl CheckFileOrigin {
    /// The words in the table and in the business API.
    pub const WORDS: [&str; 3] = ["manual", "platform", "account"];

    /// Its word in the table and in the business API.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Manual => Self::WORDS[0],
            Self::Platform => Self::WORDS[1],
            Self::Account(_) => Self::WORDS[2],
        }
    }

    /// The account whose file it is.
    #[must_use]
    pub const fn account(&self) -> Option<&AppId> {
        match self {
            Self::Account(account) => Some(account),
            Self::Manual | Self::Platform => None,
        }
    }

    /// Reads the origin from an item. An unreadable one counts as uploaded.
    fn read(item: &Item) -> Self {
        match (item.text(ORIGIN), item.parsed(AUTHORIZER, AppId::parse)) {
            (Some("account"), Some(account)) => Self::Account(account),
            (Some("platform"), _) => Self::Platform,
            _ => Self::Manual,
        }
    }
}

/// A check file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckFile {
    /// Its name, below the root of a host.
    pub name: CheckFileName,
    /// Its bytes.
    pub content: CheckFileContent,
    /// Its origin.
    pub origin: CheckFileOrigin,
    /// When it was stored.
    pub stored_at: Timestamp,
}

impl CheckFile {
    fn read(attributes: Attributes) -> Result<Self, StoreError> {
        let item = Item::new("check file", attributes);
        Ok(Self {
            name: item.parsed(SK, CheckFileName::parse).ok_or(item.lacks(SK))?,
            content: item.parsed(CONTENT, CheckFileContent::parse).ok_or(item.lacks(CONTENT))?,
            origin: CheckFileOrigin::read(&item),
            stored_at: item.instant(STORED_AT).ok_or(item.lacks(STORED_AT))?,
        })
    }
}

/// A page of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckFilePage {
    /// The files.
    pub files: Vec<CheckFile>,
    /// The last name of the page, if there are more.
    pub next: Option<CheckFileName>,
}

/// The outcome of storing a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewCheckFile {
    /// It is stored, replacing any file with the same name.
    Stored,
    /// It is not stored: there are already [`MAX_CHECK_FILES`] others.
    TooMany,
}

/// The check files.
#[derive(Debug, Clone)]
pub struct CheckFiles(pub(crate) Part);

impl CheckFiles {
    fn key(&self, name: &CheckFileName) -> Key {
        self.0.only(KIND, name.as_str())
    }

    fn change(&self, file: &CheckFile) -> Change {
        self.0
            .change(self.key(&file.name))
            .set(CONTENT, &file.content)
            .set(ORIGIN, file.origin.word())
            .set_or_remove(AUTHORIZER, file.origin.account())
            .set(STORED_AT, file.stored_at)
    }

    /// Stores a file, replacing any with the same name. One write; for a new file two, and a count of all files.
    ///
    /// # Errors
    /// [`StoreError`]: it may be stored. Another try stores the same.
    pub async fn put(&self, file: &CheckFile) -> Result<NewCheckFile, StoreError> {
        if self.change(file).when(exists(PK)).apply().await? {
            return Ok(NewCheckFile::Stored);
        }
        if self.0.count_partition(self.0.kind(KIND)).await? >= MAX_CHECK_FILES {
            return Ok(NewCheckFile::TooMany);
        }
        // If somebody has stored the same name meanwhile, it is replaced.
        self.change(file).apply().await.map(|_| NewCheckFile::Stored)
    }

    /// Reads a file; `None` if there is none. One read.
    pub async fn get(&self, name: &CheckFileName) -> Result<Option<CheckFile>, StoreError> {
        self.0.get(self.key(name)).await?.map(CheckFile::read).transpose()
    }

    /// A page of the files after `after`, ordered by name. One query, eventually consistent. An unreadable file does
    /// not hide the others.
    pub async fn page(&self, limit: usize, after: Option<&CheckFileName>) -> Result<CheckFilePage, StoreError> {
        let after = after.map(|name| self.key(name));
        let (items, has_more) = self.0.page_of_partition(self.0.kind(KIND), Order::Ascending, limit, after).await?;
        let last = items.last().and_then(|item| CheckFileName::parse(item.get(SK)?.as_s().ok()?).ok());
        let files = items.into_iter().filter_map(|item| CheckFile::read(item).ok()).collect();
        Ok(CheckFilePage { files, next: last.filter(|_| has_more) })
    }

    /// Removes a file at once, and returns whether there was one. One write.
    ///
    /// # Errors
    /// [`StoreError`]: it may be gone; then another try returns that there was none.
    pub async fn remove(&self, name: &CheckFileName) -> Result<bool, StoreError> {
        self.0.delete(self.key(name)).await
    }
}

const KIND: &str = "check-file";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::Value;

    #[test]
    fn an_origin_is_read_back_and_a_content_that_wechat_cannot_have_given_is_not() {
        let read = |more: &[(&str, &str)]| {
            let known = [(SK, Value::from("87PweoaRBw.txt")), (STORED_AT, Value::from(1_u64))];
            let known = known.into_iter().chain(more.iter().map(|(name, text)| (*name, Value::from(*text))));
            CheckFile::read(known.map(|(name, value)| (name.to_owned(), value.0)).collect())
        };
        let content = (CONTENT, "0123456789abcdef");
        let account = CheckFileOrigin::Account(AppId::parse("wx1234567890abcdef").unwrap());
        for origin in [CheckFileOrigin::Manual, CheckFileOrigin::Platform, account] {
            let authorizer = origin.account().map(|account| (AUTHORIZER, account.as_str()));
            let attributes: Vec<_> = [content, (ORIGIN, origin.word())].into_iter().chain(authorizer).collect();
            assert_eq!(read(&attributes).unwrap().origin, origin);
        }
        assert_eq!(read(&[content, (ORIGIN, "later")]).unwrap().origin, CheckFileOrigin::Manual);
        assert!(read(&[]).is_err());
        assert!(read(&[(CONTENT, "0123456789abcdef\n")]).is_err());
    }
}
