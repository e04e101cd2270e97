//! Attempts: each press of a link's button, with the pre-auth code that was made for it, and the codes that come back.

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

/// An attempt can come back this long: longer than a pre-auth code and an authorization code live together.
pub const ATTEMPT_KEEP: Duration = Duration::from_hours(24);

/// Different authorization codes that one attempt may bring back. WeChat sends one; its address is public, and every
/// code costs a call of WeChat's.
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

/// One press of the button, as it is remembered.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The claim of the pre-auth code that was made for it.
    pub claim: ClaimKey,
    /// The digest of the cookie that its browser carries; `None` for codes made for a page of the business's own.
    pub cookie: Option<CookieDigest>,
}

/// Whether an attempt may bring a code back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeCount {
    /// It may: the code is new and within [`MAX_CODES`], or known already.
    Within,
    /// It brought [`MAX_CODES`] others.
    TooMany,
}

/// The attempts of links.
#[derive(Debug, Clone)]
pub struct Attempts(pub(crate) Part);

impl Attempts {
    fn key(&self, link: &LinkId, attempt: &AttemptId) -> Key {
        self.0.key("link", link.as_str(), &format!("attempt#{attempt}"))
    }

    /// Remembers a pre-auth code with its link and attempt: a redirect brings the attempt back, a push the code. A
    /// transaction of two writes.
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

    /// An attempt of a link, while it can come back. One read.
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

    /// Counts a code that comes back with an attempt. The same code counts once. One write.
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
