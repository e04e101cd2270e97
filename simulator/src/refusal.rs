//! WeChat's refusals: errcodes of the API (protocol section 6) and the texts of the authorization pages (section 2).

use base::clock::Timestamp;
use base::random::Random;
use serde_json::{Value, json};

/// A refusal of an API call. HTTP status is 200 all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{errcode} {errmsg}")]
pub struct Refusal {
    /// WeChat's code.
    pub errcode: i64,
    /// WeChat's text, without the `rid`.
    pub errmsg: String,
}

impl Refusal {
    /// A refusal with any code.
    #[must_use]
    pub fn new(errcode: i64, errmsg: impl Into<String>) -> Self {
        Self { errcode, errmsg: errmsg.into() }
    }

    /// Whether the caller is at fault whatever state WeChat is in: a path, a method, a body or a kind of token that is
    /// never right. A refusal of a token, a code or a grant depends on what happened before.
    pub(crate) fn is_callers_fault(&self) -> bool {
        matches!(
            self.errcode,
            40002 | 40013 | 40066 | 40097 | 40170 | 41001
                ..=41004 | 41008 | 41009 | 41018 | 41021 | 43001 | 43002 | 44002 | 47001 | 47002 | 61014 | 61015
        )
    }

    /// Whether a required token is missing, or there is more than one.
    pub(crate) fn is_about_token_parameter(&self) -> bool {
        matches!(self.errcode, 41001 | 41021)
    }

    pub(crate) fn system_error() -> Self {
        Self::new(-1, "system error")
    }

    pub(crate) fn without_token() -> Self {
        Self::new(41001, "access_token missing")
    }

    pub(crate) fn missing(name: &str) -> Self {
        Self::new(40097, format!("invalid args: {name} is missing"))
    }

    /// A token that nobody holds: 40014 if it cannot be one, otherwise 40001.
    pub(crate) fn wrong_token(token: &str) -> Self {
        if token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
            Self::new(40001, "invalid credential, access_token is invalid or not latest")
        } else {
            Self::new(40014, "invalid access_token")
        }
    }

    pub(crate) fn token_expired() -> Self {
        Self::new(42001, "access_token expired")
    }

    pub(crate) fn api_unauthorized() -> Self {
        Self::new(48001, "api unauthorized")
    }

    pub(crate) fn invalid_openid() -> Self {
        Self::new(40003, "invalid openid")
    }

    pub(crate) fn invalid_medium() -> Self {
        Self::new(40007, "invalid media_id")
    }

    pub(crate) fn invalid_template() -> Self {
        Self::new(40037, "invalid template_id")
    }

    pub(crate) fn nothing_audited() -> Self {
        Self::new(85019, "no version is under auditing")
    }

    pub(crate) fn not_bound() -> Self {
        Self::new(89002, "open not exists")
    }

    pub(crate) fn not_authorized() -> Self {
        Self::new(61003, "component is not authorized by this account")
    }

    pub(crate) fn unparsable(why: &str) -> Self {
        Self::new(47001, format!("data format error: {why}"))
    }

    /// The body of the response: `errcode`, and `errmsg` that ends with a request id, like WeChat's.
    pub(crate) fn body(&self, rid: &Rid) -> Value {
        let Rid(rid) = rid;
        json!({ "errcode": self.errcode, "errmsg": format!("{} rid: {rid}", self.errmsg) })
    }
}

/// The id of a refused request, by which it can be queried.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Rid(pub(crate) String);

impl Rid {
    pub(crate) fn new(now: Timestamp, random: &Random) -> Self {
        let (first, second) = (u32::from_le_bytes(random.bytes()), u32::from_le_bytes(random.bytes()));
        Self(format!("{:x}-{first:08x}-{second:08x}", now.unix()))
    }
}

/// Why an authorization page, or a consent, is refused. The text is what the merchant reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationRefusal {
    /// The page with the link, or the callback, is not on the launch domain. `空` stands for "no `Referer`".
    #[error(
        "请确认授权入口页所在域名，与授权后回调页所在域名相同，并且，此两者都必须与申请第三方平台时填写的授权发起页域名相同。\
         授权入口页所在域名：{}", .entry.as_deref().unwrap_or("空")
    )]
    Domain {
        /// The host of the `Referer`, if one came.
        entry: Option<String>,
    },
    /// A parameter is missing.
    #[error("参数错误：缺少 {0}")]
    Missing(&'static str),
    /// A parameter has a value that does not exist.
    #[error("参数错误：{0}")]
    Parameter(&'static str),
    /// Another platform, or none.
    #[error("component_appid 不合法")]
    ComponentAppId,
    /// WeChat never issued this pre-auth code.
    #[error("预授权码无效")]
    PreAuthCodeUnknown,
    /// The pre-auth code is too old.
    #[error("授权已失效，请返回第三方平台重新发起授权")]
    PreAuthCodeExpired,
    /// The pre-auth code has been used.
    #[error("预授权码已被使用，请返回第三方平台重新发起授权")]
    PreAuthCodeUsed,
    /// `category_id_list` names no permission set that the account could grant.
    #[error("权限集不合法")]
    PermissionSets,
    /// No account, or none of the wanted kind.
    #[error("没有可以授权的账号")]
    Account,
}

impl AuthorizationRefusal {
    /// Whether the link is wrong whatever happened before: then whoever made it is at fault.
    pub(crate) fn is_links_fault(&self) -> bool {
        matches!(self, Self::Missing(_) | Self::Parameter(_) | Self::ComponentAppId | Self::PermissionSets)
    }

    /// The number in the error table of WeChat's page.
    #[must_use]
    pub fn number(&self) -> i64 {
        match self {
            Self::Domain { .. } => -302,
            Self::Missing("component_appid") => -306,
            Self::Missing("pre_auth_code") => -307,
            Self::Missing("redirect_uri") => -308,
            Self::Missing(_) | Self::Parameter(_) => -301,
            Self::ComponentAppId => -305,
            Self::PreAuthCodeUnknown => -100,
            Self::PreAuthCodeExpired => -101,
            Self::PreAuthCodeUsed => -110,
            Self::PermissionSets => -104,
            Self::Account => -111,
        }
    }
}
