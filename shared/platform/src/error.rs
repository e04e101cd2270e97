//! Why there is no token, and the consequences.

use base::clock::Timestamp;
use base::ids::AppId;
use store::{AccountState, StoreError, TokenOwner};
use wechat::api::{Reaction, WechatError};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The table did not respond.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// WeChat did not respond, or refused.
    #[error(transparent)]
    Wechat(#[from] WechatError),
    /// WeChat has not pushed a ticket yet: without one there is no component token.
    #[error("WeChat has not pushed a component_verify_ticket yet: check 授权事件接收URL in WeChat's console")]
    NoTicket,
    /// There is no component token that WeChat accepts. Every call depends on it: no account is at fault.
    #[error("there is no usable component token: {0}")]
    NoComponentToken(#[source] Box<TokenError>),
    /// No such account ever authorized the platform.
    #[error("account {0} has not authorized this platform")]
    UnknownAccount(AppId),
    /// The account's grant is gone.
    #[error("account {authorizer} is {state}: the merchant has to authorize the platform again")]
    NotAuthorized {
        /// The account.
        authorizer: AppId,
        /// How its grant ended.
        state: AccountState,
        /// When it ended, if known.
        since: Option<Timestamp>,
    },
    /// The account granted no API permission: WeChat issues no token for it.
    #[error("account {0} granted no API permission")]
    NoPermission(AppId),
    /// Another process is renewing and did not finish in time.
    #[error("the token of {0} is being renewed: try again in a few seconds")]
    Busy(TokenOwner),
    /// WeChat refused a token that was renewed a moment ago.
    #[error("the token of {owner} was renewed a moment ago: it is not renewed again before {again_at}")]
    RenewedJustNow {
        /// Whose token.
        owner: TokenOwner,
        /// When it may be renewed again.
        again_at: Timestamp,
    },
    /// WeChat refused the platform's token in one call but accepts it in another.
    #[error("WeChat accepts the token of {0} in other calls: it is not renewed")]
    StillAccepted(TokenOwner),
    /// The last renewals failed and the old token has expired.
    #[error("the token of {owner} could not be renewed ({label}); the next attempt is at {next_try}")]
    Failing {
        /// Whose token.
        owner: TokenOwner,
        /// The last failure.
        label: String,
        /// When renewal is tried again.
        next_try: Timestamp,
    },
}

impl TokenError {
    /// A short label with few values, to count failures by.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Store(_) => "table".to_owned(),
            Self::Wechat(error) => error.code_label(),
            Self::NoTicket => "no-ticket".to_owned(),
            Self::NoComponentToken(cause) => cause.label(),
            Self::UnknownAccount(_) => "unknown-account".to_owned(),
            Self::NotAuthorized { .. } => "not-authorized".to_owned(),
            Self::NoPermission(_) => "no-permission".to_owned(),
            Self::Busy(_) => "busy".to_owned(),
            Self::RenewedJustNow { .. } => "renewed-just-now".to_owned(),
            Self::StillAccepted(_) => "still-accepted".to_owned(),
            Self::Failing { label, .. } => label.clone(),
        }
    }

    /// Whether the same request can succeed later. Any response of WeChat counts as temporary: a code that is refused
    /// for an unknown reason is worth another try.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        !matches!(self, Self::UnknownAccount(_) | Self::NotAuthorized { .. } | Self::NoPermission(_))
    }

    /// The failed call of WeChat: the call itself, or the issue of the component token that it needed.
    #[must_use]
    pub fn wechat(&self) -> Option<&WechatError> {
        match self {
            Self::Wechat(error) => Some(error),
            Self::NoComponentToken(cause) => cause.wechat(),
            _ => None,
        }
    }

    /// Whether this is WeChat's statement, in response to a request for an account's details, that the grant is gone.
    #[must_use]
    pub fn says_gone(&self) -> bool {
        matches!(self, Self::Wechat(error) if error.reaction() == Reaction::Reauthorize)
    }

    /// What the failure affects, and so what may continue in spite of it.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        match self {
            Self::Wechat(error) if error.was_not_started() => Scope::OutOfTime,
            Self::Wechat(error) if error.is_quota_used_up() => Scope::Api,
            Self::Wechat(error) if error.is_platform_wide() => Scope::Platform,
            Self::NoTicket
            | Self::NoComponentToken(_)
            | Self::Busy(TokenOwner::Component)
            | Self::RenewedJustNow { owner: TokenOwner::Component, .. }
            | Self::Failing { owner: TokenOwner::Component, .. } => Scope::Platform,
            Self::Store(StoreError::Unavailable { .. }) => Scope::Table,
            _ => Scope::Subject,
        }
    }
}

/// What a failure affects. It follows from the call that failed and its subject, never from WeChat's code alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Only the account, code or entry in question: it is postponed, and everything else continues.
    Subject,
    /// One of WeChat's APIs, whose quota is used up: what needs another API continues.
    Api,
    /// One item of the table, which did not respond. The next items show whether the whole table is unavailable.
    Table,
    /// The platform itself, through its address, secret, ticket or token: everything else would fail in the same way.
    Platform,
    /// The run, which is out of time: the call was not started.
    OutOfTime,
}

#[cfg(test)]
mod tests {
    use wechat::api::{Api, ErrCode, Refusal};

    use super::*;

    fn refused(api: Api, code: i64) -> TokenError {
        let code = ErrCode::from_code(code);
        let refusal = Refusal { api, code, errmsg: String::new(), rid: None, refused_ip: None };
        TokenError::Wechat(refusal.into())
    }

    #[test]
    fn of_all_codes_in_a_call_about_an_account_only_the_refused_address_concerns_more_than_the_account() {
        for api in [Api::AuthorizerToken, Api::AuthorizerInfo, Api::QueryAuth, Api::CustomSend] {
            for code in (-2_000..100_000).filter(|code| *code != 0) {
                let expected = if code == 61_004 { Scope::Platform } else { Scope::Subject };
                assert_eq!(refused(api, code).scope(), expected, "{code} of {api}");
                assert!(refused(api, code).may_pass(), "{code} of {api}");
            }
        }
    }

    #[test]
    fn whatever_prevents_a_component_token_concerns_all() {
        for code in [-1, 40_001, 40_013, 40_125, 45_009, 61_005, 61_006, 61_011, 99_999] {
            let error = TokenError::NoComponentToken(Box::new(refused(Api::ComponentToken, code)));
            assert_eq!(error.scope(), Scope::Platform, "{code}");
        }
        assert_eq!(TokenError::NoTicket.scope(), Scope::Platform);
    }
}
