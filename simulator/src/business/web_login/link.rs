//! The authorize URL, checked as WeChat checks it (protocol section 5.4, step 1): names, order and spelling of the
//! parameters first, then their values, then whether the account may log visitors in at all.

use base::ids::AppId;
use url::{Url, form_urlencoded};

use super::{PERMISSION_SET, Scope};
use crate::simulator::Simulator;
use crate::world::{Account, AccountKind};

/// The parameters in the only order that WeChat accepts.
const PARAMETERS: [&str; 6] = ["appid", "redirect_uri", "response_type", "scope", "state", "component_appid"];

/// The longest `state`, in bytes.
const LONGEST_STATE: usize = 128;

/// `account_status` of accounts at which nobody can log in: closed, banned, frozen (section 1.6).
const BANNED: [i64; 3] = [14, 16, 19];

/// Why WeChat's page shows an error and sends nobody back. The text is what the visitor reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// A parameter is misspelled, repeated or out of order, or has a value that WeChat never accepts.
    #[error("该链接无法访问：{0}")]
    Malformed(&'static str),
    /// A parameter is missing or empty.
    #[error("参数错误：{0} 不能为空")]
    Empty(&'static str),
    /// The host of `redirect_uri` is not one of the platform's.
    #[error("redirect_uri 域名与后台配置不一致")]
    RedirectDomain,
    /// The account is closed, banned or frozen.
    #[error("此公众号已被封禁")]
    Banned,
    /// The scope does not exist.
    #[error("scope 参数错误")]
    UnknownScope,
    /// The account is not a verified service account.
    #[error("此公众号没有这些 scope 的权限")]
    LackedScope,
    /// The account has not authorized this platform, or not with the permission set of web login.
    #[error("公众号未授权第三方平台，请检查授权状态")]
    Unauthorized,
    /// The appid of a platform or of an open account instead of an official account's.
    #[error("不支持微信开放平台的 AppID，请使用公众号 AppID")]
    NotAnOfficialAccount,
}

impl Refused {
    /// The number in the error table of WeChat's page, which has none for a link that cannot be parsed.
    pub(super) fn number(&self) -> Option<i64> {
        match self {
            Self::RedirectDomain => Some(10003),
            Self::Banned => Some(10004),
            Self::UnknownScope | Self::LackedScope => Some(10005),
            Self::Empty("scope") => Some(10010),
            Self::Empty("redirect_uri") => Some(10011),
            Self::Empty("appid") => Some(10012),
            Self::Empty("state") => Some(10013),
            Self::Unauthorized => Some(10015),
            Self::NotAnOfficialAccount => Some(10016),
            Self::Malformed(_) | Self::Empty(_) => None,
        }
    }

    /// Whether the link is wrong whatever happened before: then the platform, which made it, is at fault.
    pub(crate) fn is_links_fault(&self) -> bool {
        matches!(self, Self::Malformed(_) | Self::Empty(_) | Self::UnknownScope | Self::NotAnOfficialAccount)
    }
}

/// A link that passed every check.
pub(super) struct Link {
    pub(super) account: Account,
    pub(super) scope: Scope,
    redirect_uri: Url,
    state: String,
    /// The parameters as they came, for the form.
    pub(super) parameters: Vec<(&'static str, String)>,
}

impl Link {
    /// Reads the query of the authorize URL.
    pub(super) fn of_query(simulator: &Simulator, query: &str) -> Result<Self, Refused> {
        let encoded = query.split('&').find_map(|pair| pair.strip_prefix("redirect_uri="));
        if encoded.is_some_and(|encoded| encoded.contains([':', '/', '?'])) {
            return Err(Refused::Malformed("redirect_uri 未经 URL 编码"));
        }
        Self::of_pairs(simulator, form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// Reads the parameters, decoded.
    pub(super) fn of_pairs(simulator: &Simulator, pairs: Vec<(String, String)>) -> Result<Self, Refused> {
        let parameters = in_order(pairs)?;
        let text = |wanted| parameters.iter().find(|(name, _)| *name == wanted).map_or("", |(_, value)| value.as_str());
        let required = |name| Some(text(name)).filter(|value| !value.is_empty()).ok_or(Refused::Empty(name));
        let (appid, redirect_uri) = (required("appid")?, required("redirect_uri")?);
        if text("response_type") != "code" {
            return Err(Refused::Malformed("response_type"));
        }
        let (scope, state) = (scope_of(required("scope")?)?, required("state")?);
        if state.len() > LONGEST_STATE || !state.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Refused::Malformed("state"));
        }
        let redirect_uri = Url::parse(redirect_uri).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let redirect_uri = redirect_uri.ok_or(Refused::Malformed("redirect_uri"))?;
        let account = account_of(simulator, appid, text("component_appid"))?;
        if !redirect_uri.host_str().is_some_and(|host| simulator.is_web_domain(host, &account.appid)) {
            return Err(Refused::RedirectDomain);
        }
        let state = state.to_owned();
        Ok(Self { account, scope, redirect_uri, state, parameters })
    }

    /// The URL to which WeChat sends the visitor: with `code` after consent, without one after a refusal. WeChat's
    /// parameters follow the platform's own query and precede a fragment.
    /// the platform's own query and precede a fragment.
    pub(super) fn back(&self, code: Option<&str>) -> Url {
        let mut back = self.redirect_uri.clone();
        let mut query = back.query_pairs_mut();
        if let Some(code) = code {
            query.append_pair("code", code);
        }
        query.append_pair("state", &self.state);
        if code.is_some() {
            query.append_pair("appid", self.account.appid.as_str());
        }
        drop(query);
        back
    }
}

/// The parameters under their names; a missing one is empty. Unknown, repeated and misplaced names are refused.
fn in_order(pairs: Vec<(String, String)>) -> Result<Vec<(&'static str, String)>, Refused> {
    let mut pairs = pairs.into_iter().peekable();
    let mut next = |name| pairs.next_if(|(known, _)| known == name).map(|(_, value)| value).unwrap_or_default();
    let parameters = PARAMETERS.map(|name| (name, next(name))).to_vec();
    match pairs.next() {
        None => Ok(parameters),
        Some(_) => Err(Refused::Malformed("参数的名称、大小写或顺序不正确")),
    }
}

/// The widest of the scopes, of which there may be several.
fn scope_of(scopes: &str) -> Result<Scope, Refused> {
    let scopes = scopes.split(',').map(|scope| match scope {
        "snsapi_base" => Ok(Scope::Base),
        "snsapi_userinfo" => Ok(Scope::UserInfo),
        _ => Err(Refused::UnknownScope),
    });
    let scopes: Vec<_> = scopes.collect::<Result<_, _>>()?;
    Ok(if scopes.contains(&Scope::UserInfo) { Scope::UserInfo } else { Scope::Base })
}

/// The account, if it may log visitors in for this platform.
fn account_of(simulator: &Simulator, appid: &str, component: &str) -> Result<Account, Refused> {
    let platform = simulator.platform().component_appid.as_str();
    if appid == platform || simulator.is_open_account(appid) {
        return Err(Refused::NotAnOfficialAccount);
    }
    // An ordinary link, which may only lead back to the account's own domain: the accounts here have none.
    if component.is_empty() {
        return Err(Refused::RedirectDomain);
    }
    let account = AppId::parse(appid).ok().and_then(|appid| simulator.account(&appid));
    let account = account.filter(|_| component == platform).ok_or(Refused::Unauthorized)?;
    // This comes first: without a grant, nothing else about the account concerns this platform.
    if !simulator.is_authorized(&account.appid) {
        return Err(Refused::Unauthorized);
    }
    if BANNED.contains(&account.account_status) {
        return Err(Refused::Banned);
    }
    // Verified accounts of governments and media qualify as well, but nothing marks them here: only 服务号 pass.
    let is_service_account = account.kind == AccountKind::OfficialAccount && account.service_type == 2;
    if !is_service_account || account.verify_type != 0 {
        return Err(Refused::LackedScope);
    }
    let has_set = simulator.read(|world| world.has_granted(&account.appid, &[PERMISSION_SET]));
    if has_set { Ok(account) } else { Err(Refused::Unauthorized) }
}
