//! The visitor of the shop, according to the platform.

use serde::Deserialize;

/// A visitor who is logged in: the response of `POST /logins`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Visitor {
    /// The account through which the visitor came.
    pub(super) appid: String,
    /// The visitor's id in this account.
    pub(super) openid: String,
    /// The visitor's id across all accounts bound to the same open account.
    pub(super) unionid: Option<String>,
    /// The scope of the login: `snsapi_base` or `snsapi_userinfo`.
    pub(super) scope: String,
    /// Whether WeChat showed the page as a snapshot.
    pub(super) snapshot: bool,
    pub(super) profile: Option<Profile>,
    /// The `state` that the login began with.
    pub(super) state: Option<String>,
}

/// A visitor's nickname and picture.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Profile {
    pub(super) nickname: Option<String>,
    pub(super) headimgurl: Option<String>,
}

impl Visitor {
    pub(super) fn nickname(&self) -> Option<&str> {
        self.profile.as_ref()?.nickname.as_deref()
    }

    /// The picture, if it is on one of WeChat's hosts: any other would learn who visits.
    pub(super) fn picture(&self) -> Option<&str> {
        let url = self.profile.as_ref()?.headimgurl.as_deref()?;
        let host = url.strip_prefix("https://")?.split('/').next()?;
        (host.ends_with(".qlogo.cn") || host.ends_with(".qpic.cn")).then_some(url)
    }

    /// The character shown in place of a picture, or behind one.
    pub(super) fn initial(&self) -> char {
        self.nickname().and_then(|name| name.chars().next()).unwrap_or('微')
    }

    pub(super) fn has_shown_the_profile(&self) -> bool {
        self.scope == "snsapi_userinfo"
    }
}

/// A user of a mini program: the response of `POST /accounts/{appid}/mini-program-sessions`, without its `session_key`,
/// which must stay on the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct MiniProgramUser {
    /// The mini program.
    #[serde(default)]
    pub(super) appid: String,
    pub(super) openid: String,
    pub(super) unionid: Option<String>,
}
