//! Attempts: each press of a link's button, with the pre-auth code that was created for it, and the authorization codes
//! that come back.

use std::time::Duration;

use base::clock::Timestamp;
use base::digest_id;
use base::ids::{AttemptId, Digest, LinkId};
use secrecy::SecretString;

use crate::StoreError;
use crate::attributes::{ATTEMPT, CLAIM, CODES, COOKIE, CREATED_AT, EXPIRES_AT, LINK, PK};
use crate::claim::{CLAIM_KEEP, ClaimKey, CodeDigest};
use crate::item::Item;
use crate::part::{Key, Part};
use crate::request::Transacted;
use crate::write::{absent, contains, exists, has_fewer_than, id_value};

/// How long after an attempt a code can come back: longer than the lives of a pre-auth code and an authorization code
/// together.
pub const ATTEMPT_KEEP: Duration = Duration::from_hours(24);

/// How many different authorization codes one attempt may bring back. WeChat sends one; but the callback's address is
/// public, and every code costs a call of WeChat.
pub const MAX_CODES: u32 = 5;

digest_id! {
    /// The digest of the cookie that ties an attempt to a browser.
    CookieDigest
}

id_value!(CookieDigest);

impl CookieDigest {
    /// The digest of a cookie's value.
    #[must_use]
    pub fn of(value: &str) -> Self {
        Self(Digest::of(&["attempt-cookie", value]))
    }

    /// Compares two digests in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.matches(&other.0)
    }
}

/// An attempt as it is stored.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The claim of the pre-auth code that was created for it.
    pub claim: ClaimKey,
    /// The digest of its browser's cookie; `None` for codes created for the business's own page.
    pub cookie: Option<CookieDigest>,
}

/// The result of counting a code that an attempt brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeCount {
    /// The code is new and within [`MAX_CODES`], or already known.
    Within,
    /// The attempt has already brought [`MAX_CODES`] other codes.
    TooMany,
}

/// The attempts of links.
#[derive(Debug, Clone)]
pub struct Attempts(pub(crate) Part);

impl Attempts {
    fn key(&self, link: &LinkId, attempt: &AttemptId) -> Key {
        self.0.key("link", link.as_str(), &format!("attempt#{attempt}"))
    }

    /// Stores a pre-auth code with its link and attempt: a redirect names the attempt, a push the code. A transaction
    /// of two writes.
    pub async fn put(
        &self,
        link: &LinkId,
        attempt: &AttemptId,
        code: &SecretString,
        cookie: Option<&CookieDigest>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let claim = ClaimKey::of_pre_auth_code(code);
        let by_attempt = self
            .0
            .new_item(self.key(link, attempt))
            .set(CREATED_AT, now)
            .set(EXPIRES_AT, now.plus(ATTEMPT_KEEP))
            .set(CLAIM, &claim)
            .set_some(COOKIE, cookie);
        let by_code = self
            .0
            .new_item(self.0.claim(&claim))
            .set(CREATED_AT, now)
            .set(EXPIRES_AT, now.plus(CLAIM_KEEP))
            .set(LINK, link)
            .set(ATTEMPT, attempt);
        match self.0.transact(vec![by_attempt.in_transaction()?, by_code.in_transaction()?]).await? {
            Transacted::Done => Ok(()),
            failed => Err(failed.failure("attempt")),
        }
    }

    /// Reads an attempt of a link, while a code can come back. One read.
    pub async fn get(&self, link: &LinkId, attempt: &AttemptId, now: Timestamp) -> Result<Option<Attempt>, StoreError> {
        let Some(attributes) = self.0.get(self.key(link, attempt)).await? else { return Ok(None) };
        let item = Item::new("attempt", attributes);
        let created = item.instant(CREATED_AT).ok_or(item.lacks(CREATED_AT))?;
        if created.plus(ATTEMPT_KEEP) <= now {
            return Ok(None);
        }
        Ok(Some(Attempt {
            claim: item.text(CLAIM).map(ClaimKey::from_stored).ok_or(item.lacks(CLAIM))?,
            cookie: item.text(COOKIE).map(CookieDigest::from_stored),
        }))
    }

    /// Counts a code that comes back with an attempt. The same code counts only once. One write.
    pub async fn count_code(
        &self,
        link: &LinkId,
        attempt: &AttemptId,
        code: &CodeDigest,
    ) -> Result<CodeCount, StoreError> {
        let fits = absent(CODES).or(contains(CODES, code)).or(has_fewer_than(CODES, MAX_CODES));
        let counted = self.0.change(self.key(link, attempt)).add_to_set(CODES, code.as_str());
        let counted = counted.when(exists(PK).and(fits)).apply().await?;
        Ok(if counted { CodeCount::Within } else { CodeCount::TooMany })
    }
}
