//! The people that come to an account, as WeChat describes them (sections 5.4 and 5.5).

use std::borrow::Cow;

use secrecy::SecretString;

use super::answer::Answer;
use super::error::WechatError;
use super::model::missing;

/// Who has opened a mini program (section 5.5).
pub struct MiniProgramSession {
    /// The user's id in this mini program.
    pub open_id: String,
    /// The user's id in all accounts of one open account, if the mini program is bound to one.
    pub union_id: Option<String>,
    /// What the user's data is sealed with: for the service's server alone.
    pub session_key: SecretString,
}

impl MiniProgramSession {
    pub(super) fn read(answer: Answer<'_>) -> Result<Self, WechatError> {
        Ok(Self {
            open_id: answer.text("openid").ok_or(missing("openid"))?.into_owned(),
            union_id: answer.text("unionid").map(Cow::into_owned),
            session_key: answer.secret("session_key")?.ok_or(missing("session_key"))?,
        })
    }
}

/// What a visitor of a web page is asked for (section 5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginScope {
    /// `snsapi_base`: the openid, without asking.
    Base,
    /// `snsapi_userinfo`: the openid, unionid, nickname and picture, after the visitor has agreed.
    UserInfo,
}

impl LoginScope {
    /// The scope of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Base, Self::UserInfo].into_iter().find(|scope| scope.as_str() == name)
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

/// Who has come to a web page of an account (section 5.4).
pub struct WebLogin {
    /// The visitor's own token, which reads the visitor's profile and nothing else.
    pub token: SecretString,
    /// The visitor's id in this account.
    pub open_id: String,
    /// The visitor's id in all accounts of one open account, if the account is bound to one and the visitor has agreed.
    pub union_id: Option<String>,
    /// Whether WeChat has shown the page as a snapshot, in which the ids are made up (section 12).
    pub is_snapshot: bool,
}

impl WebLogin {
    pub(super) fn read(answer: Answer<'_>) -> Result<Self, WechatError> {
        Ok(Self {
            token: answer.secret("access_token")?.ok_or(missing("access_token"))?,
            open_id: answer.text("openid").ok_or(missing("openid"))?.into_owned(),
            union_id: answer.text("unionid").map(Cow::into_owned),
            is_snapshot: answer.number("is_snapshotuser") == Some(1),
        })
    }
}

/// How a visitor looks. Sex and region have been empty since 2021.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitorProfile {
    /// The nickname.
    pub nickname: Option<String>,
    /// The address of the picture.
    pub head_img_url: Option<String>,
    /// As [`WebLogin::union_id`].
    pub union_id: Option<String>,
}

impl VisitorProfile {
    pub(super) fn read(answer: Answer<'_>) -> Self {
        let text = |name| answer.text(name).map(Cow::into_owned);
        Self { nickname: text("nickname"), head_img_url: text("headimgurl"), union_id: text("unionid") }
    }
}
