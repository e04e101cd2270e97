//! Calls that the platform passes on for the business's services: any of WeChat's APIs, with an account's token or the
//! platform's own (protocol section 11).
//!
//! What a service sends is passed on as it came, except for tokens: those in its query are dropped, and ours is added.
//! What WeChat answers is passed back as it came, except for what nobody outside of the platform may have
//! ([`CallPath::rule`]). A call that would issue a token, spend a code or take the platform's secret is refused.
//!
//! Nothing is sent twice here, and no redirect is followed. Whether a call may be repeated is decided by the caller.

mod answer;
mod path;
pub(super) mod query;
mod redact;

use base::ids::AppId;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, Method};
use secrecy::SecretString;

use super::endpoint::Api;
use super::errcode::{ErrCode, Reaction};
use super::error::{Refusal, WechatError};

pub use self::answer::{LARGEST_ANSWER, RelayAnswer, RelayError};
pub use self::path::{CallPath, PathError, RefusedPath, Rule};
pub use self::query::without_tokens;

/// Whose token a call takes.
#[derive(Clone, Copy)]
pub enum Caller<'a> {
    /// An account's.
    Account(&'a SecretString),
    /// The platform's own.
    Platform {
        /// The platform.
        component: &'a AppId,
        /// Its token.
        token: &'a SecretString,
    },
}

impl Caller<'_> {
    /// The token.
    #[must_use]
    pub const fn token(&self) -> &SecretString {
        match self {
            Self::Account(token) | Self::Platform { token, .. } => token,
        }
    }
}

/// A call as a service wants it made.
#[derive(Clone, Copy)]
pub struct RelayCall<'a> {
    /// `GET` or `POST`.
    pub method: &'a Method,
    /// Which API.
    pub path: &'a CallPath,
    /// The query as it came, without `?`; empty where there was none.
    pub query: &'a str,
    /// The headers as they came. Those that [`is_passed_on`] names are sent.
    pub headers: &'a HeaderMap,
    /// The body as it came.
    pub body: &'a Bytes,
}

/// Whether a header of a service's request goes to WeChat: `Content-Type`, `Accept`, and those of signed calls
/// (`Wechatmp-…`).
#[must_use]
pub fn is_passed_on(name: &HeaderName) -> bool {
    *name == CONTENT_TYPE || *name == ACCEPT || is_of_signed_calls(name)
}

/// Whether a header belongs to WeChat's signed calls (服务端 API 签名加密), in both directions.
#[must_use]
pub fn is_of_signed_calls(name: &HeaderName) -> bool {
    name.as_str().starts_with("wechatmp-")
}

/// What a code asks for that WeChat has answered a call on behalf with.
#[must_use]
pub fn reaction(code: ErrCode) -> Reaction {
    let refusal = Refusal { api: Api::OnBehalf, code, errmsg: String::new(), rid: None, refused_ip: None };
    WechatError::from(refusal).reaction()
}
