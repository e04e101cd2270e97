//! Visitors of accounts' web pages who were logged in, until the business's service has asked who they are.
//!
//! The browser carries a code to the service, which redeems it: it is good for a minute, and once. The table has the
//! code's digest only. None of WeChat's tokens is kept.

use std::time::Duration;

use base::clock::Timestamp;
use base::digest_id;
use base::ids::{AppId, Digest};
use serde::{Deserialize, Serialize};
use wechat::api::LoginScope;

use crate::StoreError;
use crate::attributes::{CREATED_AT, EXPIRES_AT, LOGIN, PK, USED_AT, USED_BY};
use crate::item::{Attributes, Item};
use crate::part::{Key, Part};
use crate::request::Written;
use crate::write::{absent, exists, is_after};

/// For how long a login can be redeemed.
pub const LOGIN_CODE_LIFE: Duration = Duration::from_mins(1);

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
    /// The visitor's id in all accounts of one open account, where WeChat has said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub union_id: Option<String>,
    /// What the visitor was asked for, in WeChat's words: `snsapi_base` or `snsapi_userinfo`.
    pub scope: String,
    /// Whether WeChat has shown the page as a snapshot.
    #[serde(default)]
    pub is_snapshot: bool,
    /// How the visitor looks, where the visitor has agreed and WeChat has said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<VisitorPortrait>,
    /// What the service has given the browser, to recognize it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// SHA-256 of the secret that redeeming takes, in URL-safe Base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
}

impl VisitorLogin {
    /// Whether the ids are WeChat's inventions: a visitor who looks at a snapshot was not asked (protocol section 12).
    #[must_use]
    pub fn is_made_up(&self) -> bool {
        self.is_snapshot && self.scope == LoginScope::UserInfo.as_str()
    }
}

/// How a visitor looks.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitorPortrait {
    /// The nickname.
    pub nickname: Option<String>,
    /// The address of the picture.
    pub head_img_url: Option<String>,
}

/// A login in the table.
pub struct KeptLogin {
    /// The login itself.
    pub login: VisitorLogin,
    created_at: Timestamp,
    redeemed: Option<(String, Timestamp)>,
}

impl KeptLogin {
    fn read(attributes: Attributes) -> Option<Self> {
        let item = Item::new(ITEM, attributes);
        Some(Self {
            login: item.parsed(LOGIN, |json| serde_json::from_str(json))?,
            created_at: item.instant(CREATED_AT)?,
            redeemed: item.text(USED_BY).map(str::to_owned).zip(item.instant(USED_AT)),
        })
    }

    /// Whether its code can still be redeemed, as far as its time is concerned.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        now < self.created_at.plus(LOGIN_CODE_LIFE)
    }

    /// Whether `by` gets it now: as the first, or once more a moment later.
    fn is_for(&self, by: &str, now: Timestamp) -> bool {
        self.redeemed
            .as_ref()
            .map_or_else(|| self.is_valid(now), |(redeemer, at)| redeemer == by && now < at.plus(REDEEMED_AGAIN))
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
        item.set(EXPIRES_AT, now.plus(LOGIN_CODE_LIFE)).put().await.map(drop)
    }

    /// The login of a code; `None` if there is none, or none any more. One read.
    pub async fn get(&self, code: &LoginCodeDigest) -> Result<Option<KeptLogin>, StoreError> {
        Ok(self.0.get(self.key(code)).await?.and_then(KeptLogin::read))
    }

    /// Redeems a login that was found, for `by`; `None` if its time is over, or somebody else has redeemed it. One write,
    /// none if `by` has redeemed it a moment ago.
    pub async fn redeem(
        &self,
        code: &LoginCodeDigest,
        found: KeptLogin,
        by: &str,
        now: Timestamp,
    ) -> Result<Option<VisitorLogin>, StoreError> {
        if !found.is_for(by, now) {
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
                Ok(item.and_then(KeptLogin::read).filter(|kept| kept.is_for(by, now)).map(|kept| kept.login))
            }
        }
    }
}
