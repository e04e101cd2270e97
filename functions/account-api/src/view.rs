//! An account as its business sees it.

use std::collections::BTreeMap;

use base::clock::Timestamp;
use base::ids::AppId;
use serde::Serialize;
use store::{AccountState, KnownAccount, TokenStatus};
use wechat::api::{AccountKind, ErrCode, Profile, Reaction};
use wechat::permissions::PermissionSet;

/// `verify_type` of an account that nobody has verified.
const NOT_VERIFIED: i64 = -1;

/// An account in a list.
#[derive(Serialize)]
pub(crate) struct AccountItem {
    appid: AppId,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<AccountKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nick_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head_img: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_status: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_since: Option<String>,
    health: Health,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    tags: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    granted_at: Option<String>,
}

/// Whether the platform keeps the account's token alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Health {
    /// It does, or has nothing to keep alive.
    Ok,
    /// The last renewal has failed; it is tried again.
    Failing,
}

/// An account by itself.
#[derive(Serialize)]
pub(crate) struct AccountView {
    #[serde(flatten)]
    item: AccountItem,
    login_origins: Vec<String>,
    permissions: Vec<Permission>,
    missing_permissions: Vec<Permission>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Token>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_read_at: Option<String>,
}

/// A permission set.
#[derive(Serialize)]
struct Permission {
    id: u32,
    /// Missing for one that the protocol does not name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exclusive: Option<bool>,
}

/// The times of the account's token.
#[derive(Serialize)]
struct Token {
    use_until: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    renewed_at: Option<String>,
}

/// The last renewal, which failed.
#[derive(Serialize)]
struct Failure {
    /// Missing for one that an earlier version has written down.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// WeChat's code, or a word where WeChat did not answer.
    cause: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errcode: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errmsg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_try_at: Option<String>,
    what_to_do: &'static str,
}

/// The word for a state in this API.
pub(crate) const fn word(state: AccountState) -> &'static str {
    match state {
        AccountState::Active => "active",
        AccountState::NeedsAuthorization => "needs_authorization",
        AccountState::Unauthorized => "unauthorized",
    }
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
            state: state.map(word),
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
        let errcode = cause.parse().ok();
        Some(Self {
            at: known.as_ref().map(|known| Timestamp::from_unix(known.at).rfc3339()),
            api: known.as_ref().and_then(|known| known.api.clone()),
            errcode,
            errmsg: known.as_ref().and_then(|known| known.errmsg.clone()),
            rid: known.and_then(|known| known.rid),
            next_try_at: token.due_at.filter(|_| is_active).map(Timestamp::rfc3339),
            what_to_do: if is_active { advice(errcode.map(ErrCode::from_code)) } else { ASK_AGAIN },
            cause,
        })
    }
}

const ASK_AGAIN: &str = "The merchant has to authorize the platform again: make a link.";

/// What a person can do about a renewal that fails.
const fn advice(code: Option<ErrCode>) -> &'static str {
    match code {
        None => "Nothing, if it passes: WeChat or the table did not answer, and the renewal is tried again.",
        Some(ErrCode::AccountLimited) => {
            "The merchant has to look at the account in WeChat's console: it is frozen, closed or being moved, see account_status."
        }
        Some(code) => match code.reaction() {
            Reaction::Retry | Reaction::WaitMinute => {
                "Nothing, if it passes: WeChat is busy, and the renewal is tried again."
            }
            Reaction::Quota => {
                "The day's quota is used up. WeChat resets it at midnight in Beijing, and the renewal is tried again."
            }
            Reaction::RefreshTokenInvalid | Reaction::Reauthorize => {
                "Nothing yet: if WeChat goes on refusing, the account becomes needs_authorization, and the merchant is to be asked again."
            }
            Reaction::Permission => {
                "The merchant has to grant the permission set, or WeChat has to lift what it has imposed on the account."
            }
            Reaction::Config | Reaction::NewTicket | Reaction::Refresh => {
                "An operator of the platform has to look at its settings: run the doctor."
            }
            Reaction::CodeSpent | Reaction::Caller | Reaction::Unknown => {
                "If it stays, give errcode, errmsg and rid to WeChat's support; the renewal is tried again."
            }
        },
    }
}
