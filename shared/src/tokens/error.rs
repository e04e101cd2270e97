//! Why there is no token, and what follows from it.

use crate::clock::Timestamp;
use crate::ids::AppId;
use crate::vault::{AccountState, Slot, VaultError};
use crate::wechat::{Reaction, WechatError};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The table did not answer.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// WeChat did not answer, or refused.
    #[error(transparent)]
    Wechat(#[from] WechatError),
    /// WeChat has not pushed a ticket yet: without one there is no component token.
    #[error("WeChat has not pushed a component_verify_ticket yet: check 授权事件接收URL in WeChat's console")]
    NoTicket,
    /// There is no component token, on which every call depends: no account's fault.
    #[error("there is no component token: {0}")]
    NoComponentToken(#[source] Box<TokenError>),
    /// No such account ever authorized the platform.
    #[error("account {0} has not authorized this platform")]
    UnknownAccount(AppId),
    /// The account's grant is gone.
    #[error("account {0} is {1}: the merchant has to authorize the platform again")]
    NotAuthorized(AppId, AccountState),
    /// The account granted no API permission: WeChat issues no token for it.
    #[error("account {0} granted no API permission")]
    NoPermission(AppId),
    /// Another process is renewing and did not finish in time.
    #[error("the token of {0} is being renewed: try again in a few seconds")]
    Busy(Slot),
    /// The last renewals failed and the old token has lapsed.
    #[error("the token of {slot} could not be renewed ({label}); the next try is at {next_try}")]
    Failing {
        /// Whose token.
        slot: Slot,
        /// The last failure.
        label: String,
        /// When it is tried again.
        next_try: Timestamp,
    },
}

impl TokenError {
    /// A short label with few values, to count failures by.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Vault(_) => "table".to_owned(),
            Self::Wechat(error) => error.code_label(),
            Self::NoTicket => "no-ticket".to_owned(),
            Self::NoComponentToken(cause) => cause.label(),
            Self::UnknownAccount(_) => "unknown-account".to_owned(),
            Self::NotAuthorized(..) => "not-authorized".to_owned(),
            Self::NoPermission(_) => "no-permission".to_owned(),
            Self::Busy(_) => "busy".to_owned(),
            Self::Failing { label, .. } => label.clone(),
        }
    }

    /// Whether the same can succeed later without anybody changing the request.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Wechat(error) => {
                !matches!(error.reaction(), Reaction::Caller | Reaction::Permission | Reaction::Unknown)
            }
            Self::UnknownAccount(_) | Self::NotAuthorized(..) | Self::NoPermission(_) => false,
            Self::Vault(_) | Self::NoTicket | Self::NoComponentToken(_) | Self::Busy(_) | Self::Failing { .. } => true,
        }
    }

    /// What WeChat said or failed to say, be it about the call or about the component token that it needed.
    #[must_use]
    pub fn wechat(&self) -> Option<&WechatError> {
        match self {
            Self::Wechat(error) => Some(error),
            Self::NoComponentToken(cause) => cause.wechat(),
            _ => None,
        }
    }

    /// Whether every other account would fail alike.
    #[must_use]
    pub const fn is_platform_wide(&self) -> bool {
        match self {
            // A token that is refused again right after it was renewed: another server renews too, and every further
            // call would only use up the day's issues.
            // And a call that there was no time left for: the next one would have less.
            Self::Wechat(error) => error.is_platform_wide() || error.token_rejected() || error.was_not_started(),
            Self::NoTicket
            | Self::NoComponentToken(_)
            | Self::Vault(VaultError::Unavailable { .. })
            | Self::Busy(Slot::Component)
            | Self::Failing { slot: Slot::Component, .. } => true,
            _ => false,
        }
    }
}
