//! An account's users, as WeChat describes them (sections 5.4 and 5.5).

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::error::WechatError;
use super::model::missing;

/// The identity of a mini program's user (section 5.5).
pub struct MiniProgramSession {
    /// The user's id in this mini program.
    pub open_id: String,
    /// The user's id across all accounts bound to the same open account, if the mini program is bound to one.
    pub union_id: Option<String>,
    /// The key with which the user's data is encrypted: for the service's server only.
    pub session_key: SecretString,
}

impl MiniProgramSession {
    pub(super) fn read(answer: Answer<'_>) -> Result<Self, WechatError> {
        Ok(Self {
            open_id: answer.id("openid").ok_or(missing("openid"))?,
            union_id: answer.id("unionid"),
            session_key: answer.secret("session_key")?.ok_or(missing("session_key"))?,
        })
    }
}

/// What is requested of a visitor of a web page (section 5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoginScope {
    /// The openid, without asking the visitor.
    #[serde(rename = "snsapi_base")]
    Base,
    /// The openid, unionid, nickname and picture, after the visitor has agreed.
    #[serde(rename = "snsapi_userinfo")]
    UserInfo,
}

impl LoginScope {
    /// The scope with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Base, Self::UserInfo].into_iter().find(|scope| scope.as_str() == name)
    }

    /// The widest of several scopes, separated by commas.
    fn widest(names: &str) -> Option<Self> {
        let scopes: Vec<_> = names.split(',').filter_map(Self::parse).collect();
        if scopes.contains(&Self::UserInfo) { Some(Self::UserInfo) } else { scopes.first().copied() }
    }

    /// WeChat's name of it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Base => "snsapi_base",
            Self::UserInfo => "snsapi_userinfo",
        }
    }
}

/// The identity of a visitor of an account's web page (section 5.4).
pub struct WebLogin {
    /// The visitor's own token, which can only read the visitor's profile.
    pub token: SecretString,
    /// The visitor's id in this account.
    pub open_id: String,
    /// The visitor's id across all accounts bound to the same open account, if the account is bound to one and the visitor
    /// has agreed.
    pub union_id: Option<String>,
    /// The scope that was granted, according to WeChat: by changing the address of WeChat's page, a visitor can grant
    /// less than was requested.
    pub granted: Option<LoginScope>,
    /// Whether WeChat has shown the page as a snapshot (section 5.4).
    pub is_snapshot: bool,
}

impl WebLogin {
    pub(super) fn read(answer: Answer<'_>) -> Result<Self, WechatError> {
        Ok(Self {
            token: answer.secret("access_token")?.ok_or(missing("access_token"))?,
            open_id: answer.id("openid").ok_or(missing("openid"))?,
            union_id: answer.id("unionid"),
            granted: answer.text("scope").and_then(|scopes| LoginScope::widest(&scopes)),
            is_snapshot: answer.number("is_snapshotuser") == Some(1),
        })
    }
}

/// A visitor's nickname and picture. Sex and region have been empty since 2021.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitorProfile {
    /// The nickname.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    /// The address of the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_img_url: Option<String>,
    /// As [`WebLogin::union_id`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub union_id: Option<String>,
}

impl VisitorProfile {
    pub(super) fn read(answer: Answer<'_>) -> Self {
        Self {
            nickname: answer.words("nickname"),
            head_img_url: answer.words("headimgurl"),
            union_id: answer.id("unionid"),
        }
    }
}

/// The longest code of a user or visitor, in bytes; WeChat's have 32.
pub const LONGEST_VISITOR_CODE: usize = 128;

/// Parses a code that WeChat has given a user's mini program or a visitor's browser.
#[must_use]
pub fn visitor_code(text: &str) -> Option<SecretString> {
    let is_code = (1..=LONGEST_VISITOR_CODE).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_code.then(|| text.into())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn login(answer: &Value) -> Result<WebLogin, WechatError> {
        WebLogin::read(Answer::of(answer)?)
    }

    #[test]
    fn an_openid_is_read_exactly_or_not_at_all() {
        let answer = |openid: &str| json!({ "access_token": "t", "openid": openid, "unionid": openid });
        let read = login(&answer("oVisitor-0123456789abcdefghi")).unwrap();
        assert_eq!(read.open_id, "oVisitor-0123456789abcdefghi");
        for damaged in ["oVisitor\u{fffd}0123456789", "", "o visitor", "o\n"] {
            assert!(login(&answer(damaged)).is_err(), "{damaged:?}");
        }
        let without = login(&json!({ "access_token": "t", "openid": "o1", "unionid": "o\u{fffd}" })).unwrap();
        assert_eq!((without.union_id, without.granted, without.is_snapshot), (None, None, false));
    }

    #[test]
    fn the_granted_scope_is_the_one_that_wechat_names() {
        let granted =
            |scope: &str| login(&json!({ "access_token": "t", "openid": "o1", "scope": scope })).unwrap().granted;
        assert_eq!(granted("snsapi_base"), Some(LoginScope::Base));
        assert_eq!(granted("snsapi_base,snsapi_userinfo"), Some(LoginScope::UserInfo));
        assert_eq!(granted("snsapi_login"), None);
    }

    #[test]
    fn a_nickname_without_bound_is_left_out() {
        let answer = json!({ "nickname": "长".repeat(500_000), "headimgurl": "https://thirdwx.qlogo.cn/1" });
        let profile = VisitorProfile::read(Answer::of(&answer).unwrap());
        assert_eq!((profile.nickname, profile.head_img_url.is_some()), (None, true));
    }
}
