//! Visitors of accounts' web pages who were logged in, until the business's service has asked who they are.
//!
//! The browser carries a code to the service, which can redeem it once, within a minute. The table has the code's digest
//! only. None of WeChat's tokens is kept.

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

/// For how long a login can be redeemed.
pub const LOGIN_CODE_LIFE: Duration = Duration::from_mins(1);

/// For how long the item is kept: as long as WeChat may send the browser back with the same code, so that each load of the
/// page gets the same answer.
const KEEP: Duration = Duration::from_mins(10);

/// For how long whoever has redeemed a login gets it again: WeChat loads pages twice at times, and responses get lost.
const REDEEMED_AGAIN: Duration = Duration::from_secs(10);

/// What errors call such an item.
const ITEM: &str = "web login";

digest_id! {
    /// The digest of the code that a login is redeemed with.
    LoginCodeDigest
}

impl LoginCodeDigest {
    /// The digest of a code.
    #[must_use]
    pub fn of(code: &str) -> Self {
        Self(Digest::of(&["login-code", code]))
    }
}

/// A visitor who was logged in. Kept as JSON.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitorLogin {
    /// The account whose page it is.
    pub account: AppId,
    /// The visitor's id in this account.
    pub open_id: String,
    /// The visitor's id across all accounts bound to the same open account, where WeChat has said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub union_id: Option<String>,
    /// What the visitor has granted.
    pub scope: LoginScope,
    /// Whether WeChat has shown the page as a snapshot.
    #[serde(default)]
    pub is_snapshot: bool,
    /// The visitor's nickname and picture, if the visitor has agreed and WeChat has said them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<VisitorProfile>,
    /// What the service has given the browser, to recognize it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// SHA-256 of the secret that redeeming takes, in URL-safe Base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
}

impl VisitorLogin {
    /// Whether the ids are WeChat's inventions: a visitor who looks at a snapshot was not asked. (Protocol section 5.4; that
    /// the openid of `snsapi_base` is real there is said by nobody for certain: it is passed on with the flag.)
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

    /// Whether `by` can redeem its code: as the first, or once more a moment later.
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

    /// Keeps a login. One that is there under the same code already is the same visitor's, whose page was loaded twice. One
    /// write.
    ///
    /// # Errors
    /// [`StoreError`]: it may be there all the same.
    pub async fn put(&self, code: &LoginCodeDigest, login: &VisitorLogin, now: Timestamp) -> Result<(), StoreError> {
        let json = serde_json::to_string(login);
        let json = json.map_err(|_| StoreError::Corrupt { item: ITEM, attribute: LOGIN })?;
        let item = self.0.new_item(self.key(code)).set(LOGIN, json).set(CREATED_AT, now);
        item.set(EXPIRES_AT, now.plus(KEEP)).put().await.map(drop)
    }

    /// The login of a code; `None` if there is none, or none any more. One read.
    pub async fn get(&self, code: &LoginCodeDigest) -> Result<Option<StoredLogin>, StoreError> {
        Ok(self.0.get(self.key(code)).await?.and_then(StoredLogin::read))
    }

    /// Redeems a login that was found, for `by`; `None` if its time is over, or somebody else has redeemed it. One write,
    /// none if `by` has redeemed it a moment ago.
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
            // By another request of the same service, or by the first try of this write.
            Written::Refused(item) => {
                Ok(item.and_then(StoredLogin::read).filter(|kept| kept.is_open_to(by, now)).map(|kept| kept.login))
            }
        }
    }
}
