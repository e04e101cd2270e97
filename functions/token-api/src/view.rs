//! A token as a service gets it.

use base::clock::Timestamp;
use base::ids::AppId;
use platform::tokens::{Replacement, TokenId, ValidToken};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use store::TokenOwner;

/// A token that WeChat accepts.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Token))]
pub(crate) struct TokenView {
    /// The account. Missing for the platform's own token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    appid: Option<AppId>,
    /// For `access_token=` in a call of WeChat; the platform's own token for `component_access_token=`, if the call has
    /// that.
    access_token: String,
    /// Identifies the token: the first 16 hexadecimal digits of its SHA-256.
    token_id: String,
    /// Until when it can be kept. From then on it may be renewed at any moment, and WeChat refuses it as soon as it is.
    /// In the past if it is being renewed: request it again before the next call.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    use_until: String,
    /// The seconds for which WeChat accepts it if nobody renews it.
    expires_in: u64,
}

/// The current token after WeChat has refused one.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RenewedToken))]
pub(crate) struct RenewedTokenView {
    #[serde(flatten)]
    token: TokenView,
    /// Whether it was issued for this request. If not, the refused one had been replaced already.
    renewed: bool,
}

// No `Debug`: it would show the token.
impl TokenView {
    pub(crate) fn of(owner: &TokenOwner, token: &ValidToken, now: Timestamp) -> Self {
        Self {
            appid: owner.account().cloned(),
            access_token: token.token.expose_secret().to_owned(),
            token_id: TokenId::of(&token.token).as_str().to_owned(),
            use_until: token.use_until.rfc3339(),
            expires_in: token.expires_at.since(now).as_secs(),
        }
    }
}

impl RenewedTokenView {
    pub(crate) fn of(owner: &TokenOwner, replaced: &Replacement, now: Timestamp) -> Self {
        Self { token: TokenView::of(owner, &replaced.token, now), renewed: replaced.renewed }
    }
}
