//! Web login on behalf of an official account (protocol section 5.4): WeChat's page, which issues a code, and the calls
//! that exchange the code for the visitor's openid, unionid and profile.
//!
//! - [`link`] reads the authorize URL as strictly as WeChat does, [`page`] shows what WeChat shows.
//! - [`calls`] are the APIs. A code works once and for five minutes; the visitor's tokens belong to one login.
//! - [`Visitor`] is a person who opens an account's pages.

pub(crate) mod calls;
mod link;
pub(crate) mod page;

use std::collections::BTreeMap;
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::{AppId, hex};
use base::random::Random;
use serde::{Deserialize, Serialize};

pub(crate) use self::link::Refused;
use crate::refusal::Refusal;
use crate::simulator::{Simulator, lock};
use crate::world::{SecretKind, World, follower_of};

/// How long a code can be exchanged.
const CODE_LIFETIME: Duration = Duration::from_mins(5);
/// How long a visitor's access token is accepted.
const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_hours(2);
/// How long a visitor's access token can be renewed.
const REFRESH_TOKEN_LIFETIME: Duration = Duration::from_hours(30 * 24);
/// The permission set of web login: 网页服务.
const PERMISSION_SET: u32 = 4;

/// What a web login requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// The openid only, without a page.
    #[serde(rename = "snsapi_base")]
    Base,
    /// The unionid and the profile too, for which the visitor is asked.
    #[serde(rename = "snsapi_userinfo")]
    UserInfo,
}

impl Scope {
    /// The value on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Base => "snsapi_base",
            Self::UserInfo => "snsapi_userinfo",
        }
    }
}

/// A person who opens the pages of one account, with the profile that `/sns/userinfo` returns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visitor {
    /// The openid in this account.
    pub open_id: String,
    /// `nickname`.
    pub nickname: String,
    /// `headimgurl`; empty if the person has no picture.
    pub head_img_url: String,
}

impl Visitor {
    /// A visitor whose picture has a URL of WeChat's.
    #[must_use]
    pub fn new(open_id: &str, nickname: &str) -> Self {
        Self {
            open_id: open_id.to_owned(),
            nickname: nickname.to_owned(),
            head_img_url: format!("https://thirdwx.qlogo.cn/mmopen/vi_32/{open_id}/132"),
        }
    }

    /// The follower of the chat page, who opens an account's pages unless a visitor was added.
    fn of_the_chat(account: &AppId) -> Self {
        Self::new(&follower_of(account), "小满🌱")
    }
}

/// The visitors that were added to an account, the latest last.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Visitors(Vec<Visitor>);

/// The login that a code or a token belongs to.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Login {
    account: AppId,
    open_id: String,
    scope: Scope,
    /// Whether it is a snapshot page's, with a made-up openid.
    is_snapshot: bool,
}

#[derive(Serialize, Deserialize)]
struct Code {
    login: Login,
    expires_at: Timestamp,
    is_used: bool,
}

#[derive(Serialize, Deserialize)]
struct Token {
    login: Login,
    expires_at: Timestamp,
}

/// The codes and tokens of all web logins.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct WebLogins {
    codes: BTreeMap<String, Code>,
    access_tokens: BTreeMap<String, Token>,
    refresh_tokens: BTreeMap<String, Token>,
}

impl WebLogins {
    /// Every code and token.
    pub(super) fn secrets(&self) -> impl Iterator<Item = (SecretKind, &str)> {
        let codes = self.codes.keys().map(|value| (SecretKind::WebLoginCode, value.as_str()));
        let tokens = self.access_tokens.keys().map(|value| (SecretKind::VisitorToken, value.as_str()));
        let refresh = self.refresh_tokens.keys().map(|value| (SecretKind::VisitorRefreshToken, value.as_str()));
        codes.chain(tokens).chain(refresh)
    }

    /// The account whose visitor has this access token, expired or not.
    pub(super) fn account_of(&self, access_token: &str) -> Option<&AppId> {
        self.access_tokens.get(access_token).map(|token| &token.login.account)
    }

    /// Spends a code.
    fn spend(&mut self, value: &str, account: &AppId, now: Timestamp) -> Result<Login, Refusal> {
        let code = self.codes.get_mut(value).filter(|code| code.login.account == *account);
        let code = code.ok_or_else(|| Refusal::new(40029, "invalid code"))?;
        if code.is_used {
            return Err(Refusal::new(40163, "code been used"));
        }
        if now >= code.expires_at {
            return Err(Refusal::new(42003, "code expired"));
        }
        code.is_used = true;
        Ok(code.login.clone())
    }

    /// The login that a refresh token renews.
    fn renewable(&self, refresh_token: &str, account: &AppId, now: Timestamp) -> Result<Login, Refusal> {
        let token = self.refresh_tokens.get(refresh_token).filter(|token| token.login.account == *account);
        let token = token.ok_or_else(|| Refusal::new(40030, "invalid refresh_token"))?;
        if now >= token.expires_at {
            return Err(Refusal::new(42002, "refresh_token expired"));
        }
        Ok(token.login.clone())
    }
}

/// The actions of visitors, and the platform owner's settings in WeChat's console.
impl Simulator {
    /// Adds a person, who opens the account's pages until another one is added. Earlier visitors can still be chosen on
    /// WeChat's page; one with the same openid is replaced. Without any visitors, the follower of the chat page opens
    /// them.
    pub fn put_visitor(&self, account: &AppId, visitor: Visitor) {
        self.change_account(account, |of, _| {
            of.visitors.0.retain(|known| known.open_id != visitor.open_id);
            of.visitors.0.push(visitor);
        });
    }

    /// Has a visitor pass WeChat's page; returns the code, for any openid. In a snapshot
    /// ([`crate::WebLoginBehaviour::snapshot`]) the code of [`Scope::UserInfo`] is for a made-up openid instead.
    /// Nothing is checked, neither link nor account.
    #[must_use]
    pub fn web_login_code(&self, account: &AppId, open_id: &str, scope: Scope) -> String {
        let is_snapshot = scope == Scope::UserInfo && self.behaviour().web_login.snapshot;
        self.change(|world, at| {
            let value = world.issue(SecretKind::WebLoginCode, "0", at);
            let open_id = if is_snapshot { snapshot_open_id(at.random) } else { open_id.to_owned() };
            let login = Login { account: account.clone(), open_id, scope, is_snapshot };
            let code = Code { login, expires_at: at.now.plus(CODE_LIFETIME), is_used: false };
            logins(world).codes.insert(value.clone(), code);
            value
        })
    }

    /// 公众号开发域名: the bare hosts that visitors may be sent back to; a child `APPID.host` is for that account only.
    pub fn set_web_domains(&self, hosts: Vec<String>) {
        *lock(&self.0.web_domains) = hosts;
    }

    /// Whether visitors of this account may be sent back to this host, and its pages may use the JS-SDK there.
    pub(super) fn is_web_domain(&self, host: &str, account: &AppId) -> bool {
        let of_account = host.split_once('.').filter(|(label, _)| label.eq_ignore_ascii_case(account.as_str()));
        lock(&self.0.web_domains)
            .iter()
            .any(|domain| domain == host || of_account.is_some_and(|(_, parent)| domain == parent))
    }

    /// The visitors who may be chosen on WeChat's page. The first is the one who opens it.
    pub(crate) fn visitors(&self, account: &AppId) -> Vec<Visitor> {
        let mut visitors: Vec<_> = self.of_account(account, |of| of.visitors.0.iter().rev().cloned().collect());
        let follower = Visitor::of_the_chat(account);
        if visitors.iter().all(|visitor| visitor.open_id != follower.open_id) {
            visitors.push(follower);
        }
        visitors
    }

    /// The profile behind an openid.
    fn visitor(&self, account: &AppId, open_id: &str) -> Visitor {
        let known = self.visitors(account).into_iter().find(|visitor| visitor.open_id == open_id);
        known.unwrap_or_else(|| Visitor::new(open_id, "微信用户"))
    }
}

/// A made-up openid, as long as a real one.
fn snapshot_open_id(random: &Random) -> String {
    let digits = hex(&random.bytes::<14>());
    format!("o{}", digits.get(..27).unwrap_or_default())
}

fn logins(world: &mut World) -> &mut WebLogins {
    &mut world.business.platform.web_logins
}
