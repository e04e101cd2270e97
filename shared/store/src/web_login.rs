//! Logins of visitors of accounts' web pages, until the business's service redeems them.
//!
//! The browser takes a code to the service, which can redeem it once, within a minute. The table contains only the
//! code's digest. None of WeChat's tokens is stored.

use std::time::Duration;

use base::clock::Timestamp;
use base::digest_id;
use base::ids::{AppId, Digest};
use serde::{Deserialize, Serialize};
use wechat::api::{LoginScope, VisitorProfile};

use crate::StoreError;
use crate::attributes::{CREATED_AT, EXPIRES_AT, LOGIN, PK, USED_AT, USED_BY};
use crate::item::{Attributes, Item};
use crate::part::{Key, Part};
use crate::request::Written;
use crate::write::{absent, exists, is_after};

/// How long a login can be redeemed.
pub const LOGIN_CODE_LIFE: Duration = Duration::from_mins(1);

/// How long the item is kept: as long as WeChat may send the browser back with the same code, so that each load of the
/// page gets the same result.
const KEEP: Duration = Duration::from_mins(10);

/// How long the service that redeemed a login can redeem it again: WeChat sometimes loads pages twice, and responses
/// get lost.
const REDEEMED_AGAIN: Duration = Duration::from_secs(10);

/// The name of the item in errors.
const ITEM: &str = "web login";

digest_id! {
    /// The digest of the code with which a login is redeemed.
    LoginCodeDigest
}

impl LoginCodeDigest {
    /// The digest of a code.
    #[must_use]
    pub fn of(code: &str) -> Self {
        Self(Digest::of(&["login-code", code]))
    }
}

/// The login of a visitor. Stored as JSON.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitorLogin {
    /// The account whose page it is.
    pub account: AppId,
    /// The visitor's id in this account.
    pub open_id: String,
    /// The visitor's id across all accounts bound to the same open-platform account, if WeChat returned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub union_id: Option<String>,
    /// What the visitor has granted.
    pub scope: LoginScope,
    /// Whether WeChat has shown the page as a snapshot.
    #[serde(default)]
    pub is_snapshot: bool,
    /// The visitor's nickname and picture, if the visitor has agreed and WeChat returned them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<VisitorProfile>,
    /// The service's own value by which it recognizes the browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The SHA-256, in URL-safe Base64, of the secret that is required for redeeming.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
}

impl VisitorLogin {
    /// Whether the ids are made up by WeChat: a visitor who sees a snapshot was not asked. (Protocol section 5.4. It is
    /// not certain that the openid of `snsapi_base` is real there: it is passed on with the flag.)
    #[must_use]
    pub fn is_made_up(&self) -> bool {
        self.is_snapshot && self.scope == LoginScope::UserInfo
    }
}

/// A login in the table.
pub struct StoredLogin {
    /// The login itself.
    pub login: VisitorLogin,
    created_at: Timestamp,
    redeemed: Option<(String, Timestamp)>,
}

impl StoredLogin {
    fn read(attributes: Attributes) -> Option<Self> {
        let item = Item::new(ITEM, attributes);
        Some(Self {
            login: item.parsed(LOGIN, |json| serde_json::from_str(json))?,
            created_at: item.instant(CREATED_AT)?,
            redeemed: item.text(USED_BY).map(str::to_owned).zip(item.instant(USED_AT)),
        })
    }

    /// Whether its code can still be redeemed by somebody.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        match &self.redeemed {
            _ if self.login.is_made_up() => false,
            None => now < self.created_at.plus(LOGIN_CODE_LIFE),
            Some((_, at)) => now < at.plus(REDEEMED_AGAIN),
        }
    }

    /// Whether `by` can redeem its code: as the first, or again a moment later.
    #[must_use]
    pub fn is_open_to(&self, by: &str, now: Timestamp) -> bool {
        self.is_open(now) && self.redeemed.as_ref().is_none_or(|(redeemer, _)| redeemer == by)
    }
}

/// The logins of web pages.
#[derive(Debug, Clone)]
pub struct WebLogins(pub(crate) Part);

impl WebLogins {
    fn key(&self, code: &LoginCodeDigest) -> Key {
        self.0.key("web-login", code.as_str(), "web-login")
    }

    /// Stores a login. One that already exists under the same code is the same visitor's, whose page was loaded twice.
    /// One write.
    ///
    /// # Errors
    /// [`StoreError`]: it may nevertheless be stored.
    pub async fn put(&self, code: &LoginCodeDigest, login: &VisitorLogin, now: Timestamp) -> Result<(), StoreError> {
        let json = serde_json::to_string(login);
        let json = json.map_err(|_| StoreError::Corrupt { item: ITEM, attribute: LOGIN })?;
        let item = self.0.new_item(self.key(code)).set(LOGIN, json).set(CREATED_AT, now);
        item.set(EXPIRES_AT, now.plus(KEEP)).put().await.map(drop)
    }

    /// Reads the login of a code; `None` if there is none, or it has expired. One read.
    pub async fn get(&self, code: &LoginCodeDigest) -> Result<Option<StoredLogin>, StoreError> {
        Ok(self.0.get(self.key(code)).await?.and_then(StoredLogin::read))
    }

    /// Redeems a login for `by`; `None` if it has expired, or somebody else has redeemed it. One write, or none if `by`
    /// has redeemed it a moment ago.
    pub async fn redeem(
        &self,
        code: &LoginCodeDigest,
        found: StoredLogin,
        by: &str,
        now: Timestamp,
    ) -> Result<Option<VisitorLogin>, StoreError> {
        if !found.is_open_to(by, now) {
            return Ok(None);
        }
        if found.redeemed.is_some() {
            return Ok(Some(found.login));
        }
        let redeemed = self.0.change(self.key(code)).set(USED_BY, by).set(USED_AT, now);
        let is_unused = exists(PK).and(absent(USED_BY)).and(is_after(CREATED_AT, now.minus(LOGIN_CODE_LIFE)));
        match redeemed.when(is_unused).apply_or_read().await? {
            Written::Done(()) => Ok(Some(found.login)),
            // It was redeemed by another request of the same service, or by the first try of this write.
            Written::Refused(item) => {
                Ok(item.and_then(StoredLogin::read).filter(|kept| kept.is_open_to(by, now)).map(|kept| kept.login))
            }
        }
    }
}
