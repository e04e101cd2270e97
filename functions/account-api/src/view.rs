//! An account as its business sees it.

use std::collections::BTreeMap;

use base::clock::Timestamp;
use base::ids::AppId;
use base::language::Language;
use diagnosis::codes;
use serde::Serialize;
use store::{AccountState, KnownAccount, TokenStatus};
use web::api::state_word;
use wechat::api::{AccountKind, ErrCode, Profile};
use wechat::permissions::PermissionSet;

/// `verify_type` of an account that nobody has verified.
const NOT_VERIFIED: i64 = -1;

/// An account in a list.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct AccountItem {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    appid: AppId,
    /// Missing until the profile has been read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    kind: Option<AccountKind>,
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    nick_name: Option<String>,
    /// The URL of the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    head_img: Option<String>,
    /// The original id, `gh_…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    /// The owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_name: Option<String>,
    /// Whether the account is verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<bool>,
    /// 1 normal, 14 closed, 16 banned, 18 warned, 19 frozen.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_status: Option<i64>,
    /// `active`: the platform can act for the account. `needs_authorization`: WeChat refuses the grant, and only the
    /// merchant can restore it, through a new link. `unauthorized`: the merchant has withdrawn the authorization.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// Since when the state holds, by the platform's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    state_since: Option<String>,
    health: Health,
    /// The business's own name for the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    /// The business's tags of the account.
    tags: BTreeMap<String, String>,
    /// When the merchant authorized the platform, if WeChat has said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    granted_at: Option<String>,
}

/// Whether the platform keeps the account's token alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
enum Health {
    /// The token is kept alive, or there is none to keep alive.
    Ok,
    /// The last renewal failed; it will be retried.
    Failing,
}

/// A single account.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Account))]
pub(crate) struct AccountView {
    #[serde(flatten)]
    item: AccountItem,
    /// Origins that web logins of the account may return to.
    login_origins: Vec<String>,
    /// The permission sets that were granted.
    permissions: Vec<Permission>,
    /// Permission sets that the platform wants but were not granted.
    missing_permissions: Vec<Permission>,
    /// Missing if the account has no token.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Token>,
    /// Present if the last renewal failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<Failure>,
    /// When the profile was read. Missing if it never was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    profile_read_at: Option<String>,
}

/// A permission set (权限集).
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct Permission {
    /// WeChat's number.
    id: u32,
    /// Missing if the protocol does not name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    /// Whether the account can grant it to only one platform at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    exclusive: Option<bool>,
}

/// The times of the account's token.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = TokenTimes))]
struct Token {
    /// After this time it may be replaced at any moment.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    use_until: String,
    /// When WeChat issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    renewed_at: Option<String>,
}

/// The last renewal, which failed.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = LastFailure))]
struct Failure {
    /// Missing if an earlier version recorded the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    at: Option<String>,
    /// WeChat's code, or a word if WeChat did not respond.
    cause: String,
    /// The call that WeChat refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<String>,
    /// WeChat's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    errcode: Option<i64>,
    /// WeChat's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    errmsg: Option<String>,
    /// The identifier that WeChat's support asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    rid: Option<String>,
    /// Missing for an account that is not in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    next_try_at: Option<String>,
    /// A sentence for people.
    what_to_do: &'static str,
}

impl AccountItem {
    pub(crate) fn of(account: KnownAccount) -> Self {
        let KnownAccount { appid, details, token } = account;
        let state = details.state.map(|(state, _)| state);
        let is_failing = state == Some(AccountState::Active) && token.last_error.is_some();
        let profile = details.profile;
        let text = |read: fn(&Profile) -> &Option<String>| profile.as_ref().and_then(|profile| read(profile).clone());
        Self {
            appid,
            kind: profile.as_ref().map(|profile| profile.kind),
            nick_name: text(|profile| &profile.nick_name),
            head_img: text(|profile| &profile.head_img),
            user_name: text(|profile| &profile.user_name),
            principal_name: text(|profile| &profile.principal_name),
            verified: profile.as_ref().and_then(|profile| profile.verify_type).map(|kind| kind != NOT_VERIFIED),
            account_status: profile.as_ref().and_then(|profile| profile.account_status),
            state: state.map(state_word),
            state_since: details.state.map(|(_, since)| since.rfc3339()),
            health: if is_failing { Health::Failing } else { Health::Ok },
            reference: details.labels.reference,
            tags: details.labels.tags,
            granted_at: token.granted_at.map(Timestamp::rfc3339),
        }
    }
}

impl AccountView {
    /// The account, and which of the permission sets in `wanted` it lacks.
    pub(crate) fn of(account: KnownAccount, wanted: &[u32]) -> Self {
        let details = &account.details;
        let is_active = details.state.is_some_and(|(state, _)| state == AccountState::Active);
        let missing = wanted.iter().filter(|id| !details.func_info.contains(id));
        Self {
            login_origins: details.login_origins.clone(),
            permissions: details.func_info.iter().copied().map(Permission::of).collect(),
            missing_permissions: missing.copied().map(Permission::of).collect(),
            token: Token::of(&account.token),
            last_failure: Failure::of(&account.token, is_active),
            profile_read_at: details.profile_read_at.map(Timestamp::rfc3339),
            item: AccountItem::of(account),
        }
    }
}

impl Permission {
    fn of(id: u32) -> Self {
        let known = PermissionSet::of(id);
        Self { id, name: known.map(|set| set.name), exclusive: known.map(|set| set.is_exclusive) }
    }
}

impl Token {
    fn of(token: &TokenStatus) -> Option<Self> {
        let use_until = token.use_until()?.rfc3339();
        Some(Self { use_until, renewed_at: token.stored_at.map(Timestamp::rfc3339) })
    }
}

impl Failure {
    fn of(token: &TokenStatus, is_active: bool) -> Option<Self> {
        let cause = token.last_error.clone()?;
        let known = token.last_failure.clone();
        let explanation = codes::of_renewal(&cause, is_active, Language::English);
        Some(Self {
            at: known.as_ref().map(|known| Timestamp::from_unix(known.at).rfc3339()),
            api: known.as_ref().and_then(|known| known.api.clone()),
            errcode: codes::errcode(&cause).map(ErrCode::code),
            errmsg: known.as_ref().and_then(|known| known.errmsg.clone()),
            rid: known.and_then(|known| known.rid),
            next_try_at: token.due_at.filter(|_| is_active).map(Timestamp::rfc3339),
            what_to_do: explanation.remedy,
            cause,
        })
    }
}
