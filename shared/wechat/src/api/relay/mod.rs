//! Calls that the platform relays for the business's services: any of WeChat's APIs, with an account's token or the
//! platform's own (protocol section 11).
//!
//! A service's request is passed on unchanged, except for tokens: those in its query are dropped, and ours is added.
//! WeChat's response is passed back unchanged, except for what must not leave the platform. A call that would issue a
//! token, spend a code or take the platform's secret has no [`CallPath`].
//!
//! Nothing is sent twice here, and no redirect is followed. Whether a call may be repeated is decided by the caller.

mod answer;
mod path;
pub(super) mod query;
mod redact;
mod video;

use base::ids::AppId;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, Method};
use secrecy::SecretString;

pub use self::answer::{RelayAnswer, RelayError};
pub use self::path::{CallPath, MINI_PROGRAM_LOGIN, PAGE_TICKET, PathError, RefusedCall, SpecialCall, Target};
pub use self::query::without_tokens;
pub use self::video::VideoAddress;

/// A call that a service requests.
#[derive(Clone, Copy)]
pub struct RelayCall<'a> {
    /// `GET` or `POST`.
    pub method: &'a Method,
    /// The API, and whose token it takes.
    pub path: &'a CallPath,
    /// The platform.
    pub component: &'a AppId,
    /// The account that the call is about, unless it is the platform itself.
    pub account: Option<&'a AppId>,
    /// The token.
    pub token: &'a SecretString,
    /// The query as it came, without `?`; empty if there was none.
    pub query: &'a str,
    /// The headers as they came. `Content-Type`, `Accept` and those of signed calls (`Wechatmp-…`) are sent.
    pub headers: &'a HeaderMap,
    /// The body as it came.
    pub body: &'a Bytes,
    /// The largest response that is accepted, in bytes.
    pub largest_answer: usize,
}

/// Whether a header of a service's request is sent to WeChat.
pub(super) fn is_passed_on(name: &HeaderName) -> bool {
    *name == CONTENT_TYPE || *name == ACCEPT || is_of_signed_calls(name)
}

/// Whether a header belongs to WeChat's signed calls (服务端 API 签名加密), in both directions.
#[must_use]
pub fn is_of_signed_calls(name: &HeaderName) -> bool {
    name.as_str().starts_with("wechatmp-")
}
