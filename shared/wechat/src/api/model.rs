//! WeChat's responses as types.
//!
//! A member is required only if the response is useless without it: a grant is never lost because of a missing profile
//! member, nor a page because of one malformed entry. Empty strings count as absent. Types that own a secret print only
//! their ids.

use std::collections::BTreeMap;
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::Answer;
use super::error::WechatError;

/// The life of a token if its response does not say, and the longest that is accepted: the documented time, which
/// WeChat has never exceeded. A token must not be lost because its lifetime cannot be read, and one whose lifetime
/// comes in milliseconds must be renewed in time.
const TOKEN_LIFETIME: Duration = Duration::from_hours(2);

/// The life of a pre-auth code if its response does not say: the shorter of the two documented times. Treating a code
/// as expired too early costs a press of a button; treating an expired one as valid leads the merchant to an error.
const SHORTEST_PRE_AUTH_CODE: Duration = Duration::from_mins(10);

/// The longest life of a pre-auth code that is accepted: the longer of the documented times.
const LONGEST_PRE_AUTH_CODE: Duration = Duration::from_mins(30);

/// The life of the token in this object.
fn token_lifetime(answer: Answer<'_>) -> Duration {
    answer.expires_in(TOKEN_LIFETIME).unwrap_or(TOKEN_LIFETIME)
}

pub(super) const fn missing(part: &'static str) -> WechatError {
    WechatError::Malformed(part)
}

/// The state of ticket pushes before they were started (section 1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushState {
    /// They were off and are on now.
    Started,
    /// They were already on.
    AlreadyOn,
}

impl PushState {
    pub(super) fn read(answer: Answer<'_>) -> Self {
        match answer.text("errmsg") {
            Some(message) if message.contains("normal state") => Self::AlreadyOn,
            _ => Self::Started,
        }
    }
}

/// A fresh component token (section 1.2).
#[derive(Debug)]
pub struct IssuedToken {
    /// The component's token.
    pub token: SecretString,
    /// Its life, from now.
    pub expires_in: Duration,
}

impl IssuedToken {
    pub(super) fn read(answer: Answer<'_>) -> Result<Self, WechatError> {
        Ok(Self {
            token: answer.secret("component_access_token")?.ok_or(missing("component_access_token"))?,
            expires_in: token_lifetime(answer),
        })
    }
}

/// A ticket for an account's web pages (section 5.9).
#[derive(Debug)]
pub struct PageTicket {
    /// The ticket, with which pages are signed.
    pub ticket: SecretString,
    /// Its life, from now.
    pub expires_in: Duration,
}

impl PageTicket {
    pub(super) fn read(answer: Answer<'_>) -> Result<Self, WechatError> {
        Ok(Self { ticket: answer.secret("ticket")?.ok_or(missing("ticket"))?, expires_in: token_lifetime(answer) })
    }
}

/// A fresh pre-auth code, valid for one authorization (section 1.3).
#[derive(Debug)]
pub struct PreAuthCode {
    /// The code; percent-encode it in links.
    pub code: SecretString,
    /// Its life, from now; both 600 s and 1800 s are documented.
    pub expires_in: Duration,
}

impl PreAuthCode {
    pub(super) fn read(answer: Answer<'_>) -> Result<Self, WechatError> {
        Ok(Self {
            code: answer.secret("pre_auth_code")?.ok_or(missing("pre_auth_code"))?,
            expires_in: answer.expires_in(LONGEST_PRE_AUTH_CODE).unwrap_or(SHORTEST_PRE_AUTH_CODE),
        })
    }
}

/// The grant for which an authorization code was exchanged (section 1.4).
#[derive(Debug)]
pub struct Grant {
    /// The account that authorized the platform.
    pub authorizer: AppId,
    /// Its token; absent if the account has no API permission, or if it was damaged but the refresh token is intact.
    pub access_token: Option<SecretString>,
    /// The token's life, from now.
    pub expires_in: Duration,
    /// The token for renewals; absent if the account has no API permission.
    pub refresh_token: Option<SecretString>,
    /// The permission sets granted (section 9).
    pub func_info: Vec<u32>,
}

impl Grant {
    pub(super) fn read(answer: Answer<'_>) -> Result<Self, WechatError> {
        let info = answer.object("authorization_info").ok_or(missing("authorization_info"))?;
        let refresh_token = info.secret("authorizer_refresh_token")?;
        let access_token = match info.secret("authorizer_access_token") {
            // The refresh token yields another one.
            Err(_) if refresh_token.is_some() => None,
            read => read?,
        };
        Ok(Self {
            authorizer: info.authorizer().ok_or(missing("authorizer_appid"))?,
            access_token,
            expires_in: token_lifetime(info),
            refresh_token,
            func_info: info.func_info(),
        })
    }
}

/// An account's renewed token (section 1.5).
#[derive(Debug)]
pub struct RenewedToken {
    /// The account's token.
    pub access_token: SecretString,
    /// Its life, from now.
    pub expires_in: Duration,
    /// The refresh token, the same or a new one. Do not overwrite the stored one if it is absent. It is also absent if
    /// it was damaged: the new access token is still valid, and the next renewal reads the refresh token from the
    /// details.
    pub refresh_token: Option<SecretString>,
}

impl RenewedToken {
    pub(super) fn read(answer: Answer<'_>) -> Result<Self, WechatError> {
        Ok(Self {
            access_token: answer.secret("authorizer_access_token")?.ok_or(missing("authorizer_access_token"))?,
            expires_in: token_lifetime(answer),
            refresh_token: answer.secret("authorizer_refresh_token").unwrap_or_default(),
        })
    }
}

/// WeChat's details of an account (section 1.6).
#[derive(Debug)]
pub struct AuthorizerDetails {
    /// The account as people see it; `None` if it is missing, which must not lose the refresh token.
    pub profile: Option<Profile>,
    /// Its refresh token; absent if the account has no API permission.
    pub refresh_token: Option<SecretString>,
    /// The permission sets granted (section 9).
    pub func_info: Vec<u32>,
}

impl AuthorizerDetails {
    /// Reads the details that were requested of the account `asked`. Those of another account are refused, since their
    /// refresh token would be stored under the wrong appid.
    pub(super) fn read(answer: Answer<'_>, asked: &AppId) -> Result<Self, WechatError> {
        let authorization = answer.object("authorization_info").ok_or(missing("authorization_info"))?;
        if authorization.authorizer().is_some_and(|answered| answered != *asked) {
            return Err(WechatError::Malformed("authorizer_appid is another account's"));
        }
        Ok(Self {
            profile: answer.object("authorizer_info").map(Profile::read),
            refresh_token: authorization.secret("authorizer_refresh_token")?,
            func_info: authorization.func_info(),
        })
    }
}

/// The kind of the account. The numbers in `service_type` mean different things for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// 公众号 or 服务号.
    OfficialAccount,
    /// 小程序: recognized by its `MiniProgramInfo`.
    MiniProgram,
    /// 视频号, 小店, 带货助手 or 供货商: each recognized by an object of its own.
    Other,
}

/// The members that mark an account as neither an official account nor a mini program.
const OTHER_KINDS: [&str; 4] = ["channels_info", "store_info", "talent_info", "supplier_info"];

/// An account as people see it. Every text may be absent, none is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The kind of the account.
    pub kind: AccountKind,
    /// Its name; may contain emoji.
    pub nick_name: Option<String>,
    /// The URL of its picture.
    pub head_img: Option<String>,
    /// Its original id, `gh_…`: the `ToUserName` of pushes.
    pub user_name: Option<String>,
    /// Its owner; `个人` for individuals.
    pub principal_name: Option<String>,
    /// Its WeChat id.
    pub alias: Option<String>,
    /// The URL of its QR code.
    pub qrcode_url: Option<String>,
    /// A mini program's description of itself.
    pub signature: Option<String>,
    /// `service_type_info.id`; read it together with `kind`.
    pub service_type: Option<i64>,
    /// `verify_type_info.id`: −1 not verified, 0 verified by WeChat.
    pub verify_type: Option<i64>,
    /// 1 normal, 14 closed, 16 banned, 18 warned, 19 frozen.
    pub account_status: Option<i64>,
}

impl Profile {
    /// The name, if people can read it: it may also be blank.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.nick_name.as_deref().filter(|name| !name.trim().is_empty())
    }

    fn read(info: Answer<'_>) -> Self {
        let text = |name| info.words(name);
        let id = |name| info.object(name).and_then(|object| object.number("id"));
        let kind = if info.has("MiniProgramInfo") {
            AccountKind::MiniProgram
        } else if OTHER_KINDS.iter().any(|name| info.has(name)) {
            AccountKind::Other
        } else {
            AccountKind::OfficialAccount
        };
        Self {
            kind,
            nick_name: text("nick_name"),
            head_img: text("head_img"),
            // Pushes are compared with it: with a damaged one they would all be refused.
            user_name: info.id("user_name"),
            principal_name: text("principal_name"),
            alias: text("alias"),
            qrcode_url: text("qrcode_url"),
            signature: text("signature"),
            service_type: id("service_type_info"),
            verify_type: id("verify_type_info"),
            account_status: info.number("account_status"),
        }
    }
}

/// An account in the list (section 1.7).
#[derive(Debug)]
pub struct ListedAuthorizer {
    /// The account.
    pub authorizer: AppId,
    /// Its refresh token, named `refresh_token` here; WeChat may leave it empty.
    pub refresh_token: Option<SecretString>,
    /// When the merchant authorized the platform.
    pub auth_time: Option<Timestamp>,
}

impl ListedAuthorizer {
    /// `None` if the entry names no account. If the refresh token is damaged, only the token is dropped: the account is
    /// listed.
    fn read(entry: &Value) -> Option<Self> {
        let entry = Answer::of(entry).ok()?;
        Some(Self {
            authorizer: entry.authorizer()?,
            refresh_token: entry.secret("refresh_token").unwrap_or_default(),
            auth_time: entry.number("auth_time").filter(|time| *time > 0).map(Timestamp::from_unix),
        })
    }
}

/// A page of the accounts that have authorized the platform (section 1.7).
#[derive(Debug)]
pub struct AuthorizerPage {
    /// How many accounts there are on all pages.
    pub total_count: u64,
    /// The accounts on this page, each once.
    pub list: Vec<ListedAuthorizer>,
    /// Entries whose appid was missing or malformed.
    pub skipped: usize,
    /// The number of all entries.
    entries: usize,
}

impl AuthorizerPage {
    pub(super) fn read(answer: Answer<'_>) -> Result<Self, WechatError> {
        let total_count = answer.number("total_count").and_then(|count| u64::try_from(count).ok());
        let total_count = total_count.ok_or(missing("total_count"))?;
        // A missing list must not look like the end of the pages, after which accounts that were not listed count as
        // gone.
        let entries = match answer.array("list") {
            Some(entries) => entries,
            None if total_count == 0 => &[],
            None => return Err(missing("list")),
        };
        let listed: Vec<ListedAuthorizer> = entries.iter().filter_map(ListedAuthorizer::read).collect();
        let skipped = entries.len() - listed.len();
        Ok(Self { total_count, skipped, entries: entries.len(), list: merged(listed) })
    }

    /// A page that skips a single entry, which WeChat cannot return in a readable form.
    #[must_use]
    pub const fn without_one_entry(total_count: u64) -> Self {
        Self { total_count, list: Vec::new(), skipped: 1, entries: 1 }
    }

    /// How many entries the page had, including skipped and repeated ones: the difference to the next page's offset.
    #[must_use]
    pub fn entries(&self) -> u64 {
        u64::try_from(self.entries).unwrap_or(u64::MAX)
    }
}

/// Each account once, in the order of the page. Of several entries about one account, the one with the latest grant
/// counts, or the last of equal ones; a missing refresh token is taken from the others.
fn merged(entries: Vec<ListedAuthorizer>) -> Vec<ListedAuthorizer> {
    let mut places = BTreeMap::new();
    let mut list: Vec<ListedAuthorizer> = Vec::with_capacity(entries.len());
    for mut entry in entries {
        let place = *places.entry(entry.authorizer.clone()).or_insert(list.len());
        match list.get_mut(place) {
            None => list.push(entry),
            Some(kept) => {
                if entry.auth_time >= kept.auth_time {
                    std::mem::swap(kept, &mut entry);
                }
                kept.refresh_token = kept.refresh_token.take().or(entry.refresh_token);
            }
        }
    }
    list
}
