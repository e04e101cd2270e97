//! Why a call failed, classified by what the caller can do about it.
//!
//! The most important question is whether the call may have taken effect at WeChat although there is no response
//! ([`WechatError::may_have_taken_effect`]): a code may be spent, a token may have been replaced. WeChat's message
//! about a refusal is kept, without anything secret that was sent with the call.

use std::net::IpAddr;
use std::sync::Arc;

use base::http_client::BodyError;
use secrecy::{ExposeSecret as _, SecretString};

use super::endpoint::Api;
use super::errcode::{ErrCode, Reaction};

/// The client could not be built, for example for lack of the system's root certificates.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for WeChat cannot be built")]
pub struct BuildError(#[source] pub(super) reqwest::Error);

/// Why a call of WeChat's API failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WechatError {
    /// There was no response, or only a part of one.
    #[error("no response from WeChat: {kind}")]
    Transport {
        /// How far the call got.
        kind: TransportKind,
        /// The HTTP client's error, without its URL, which contains the token.
        #[source]
        cause: Option<Arc<reqwest::Error>>,
    },
    /// The response is not from WeChat itself: its HTTP status is not 200 and its body has no error code.
    #[error("WeChat returned HTTP status {0}")]
    HttpStatus(u16),
    /// The response cannot be used; says which part of it, without quoting it.
    #[error("WeChat's response cannot be used: {0}")]
    Malformed(&'static str),
    /// WeChat refused the call.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The quota of the API is used up: WeChat refused calls about several accounts or codes in a row for that reason,
    /// and this call was refused as well or not sent ([`super::WechatClient::recording`]).
    #[error("the quota of {api} is used up (code {code})")]
    QuotaUsedUp {
        /// The call.
        api: Api,
        /// WeChat's code for the quota.
        code: ErrCode,
    },
}

/// How far a call without a response got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransportKind {
    /// Not started: the deadline had passed, or the request could not be built. Certainly not sent.
    NotStarted,
    /// No connection, because of the name, the address, TLS or a time-out. Certainly not sent.
    Connect,
    /// No complete response in time. The call may have taken effect.
    Timeout,
    /// The connection was lost after the request was written. The call may have taken effect.
    Lost,
}

impl std::fmt::Display for TransportKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotStarted => "the call was not started",
            Self::Connect => "no connection",
            Self::Timeout => "it did not arrive in time",
            Self::Lost => "the connection was lost",
        })
    }
}

/// WeChat's statement of why it refused a call (protocol section 0, "Error envelope").
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("WeChat refused {api} with code {code}: {errmsg}")]
pub struct Refusal {
    /// The call.
    pub api: Api,
    /// The code.
    pub code: ErrCode,
    /// WeChat's message: at most 300 characters, no control characters, no secret that was sent with the call.
    pub errmsg: String,
    /// WeChat's id of the request, for its support and for `openapi/rid/get`.
    pub rid: Option<String>,
    /// The address that WeChat saw, if that was the reason (61004): it must be added to the platform's list.
    pub refused_ip: Option<IpAddr>,
}

/// Real messages have 60 to 150 characters, `rid` included.
const LONGEST_ERRMSG: usize = 300;

/// A `rid` is three groups of eight hexadecimal digits.
const LONGEST_RID: usize = 64;

impl Refusal {
    /// Sanitizes and parses a refusal; `sent` are the secrets of the call, which WeChat might repeat.
    pub(super) fn new(api: Api, code: i64, errmsg: &str, sent: &[&SecretString]) -> Self {
        let code = ErrCode::from_code(code);
        let errmsg = clean(errmsg, sent);
        let rid = errmsg.split_once("rid:").and_then(|(_, rest)| rid(rest));
        let refused_ip = if code == ErrCode::ClientIpNotRegistered { address(&errmsg) } else { None };
        Self { api, code, errmsg, rid, refused_ip }
    }
}

/// The shortest of WeChat's secrets, the appsecret, has 32 characters; a `rid` has 26.
const SHORTEST_SECRET: usize = 32;

/// The message without the secrets that were sent, plain or percent-encoded, without anything else that looks like a
/// secret, without control characters, and truncated. It is truncated last, so that no part of a secret is left at the
/// end.
fn clean(errmsg: &str, sent: &[&SecretString]) -> String {
    let mut text = errmsg.to_owned();
    for secret in sent.iter().map(|secret| secret.expose_secret()).filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "***");
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        text = text.replace(&encoded, "***");
    }
    without_lookalikes(&text).chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_ERRMSG).collect()
}

/// Removes tokens that were not sent with this call, such as an older one or WeChat's newest one: they are secrets too,
/// and are recognized by their length.
pub(super) fn without_lookalikes(text: &str) -> String {
    let in_secret = |c: char| c.is_ascii_alphanumeric() || "@_-+/=%".contains(c);
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(in_secret) {
        let (before, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(|c| !in_secret(c)).unwrap_or(from.len()));
        cleaned.push_str(before);
        cleaned.push_str(if word.len() < SHORTEST_SECRET { word } else { "***" });
        rest = after;
    }
    cleaned + rest
}

fn rid(text: &str) -> Option<String> {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let rid: String = text.trim_start().chars().take_while(allowed).take(LONGEST_RID).collect();
    (!rid.is_empty()).then_some(rid)
}

/// The first IP address in `… requestIP: 203.0.113.9 …`. Whether a space follows the colon is not documented.
fn address(text: &str) -> Option<IpAddr> {
    text.split(|c: char| !c.is_ascii_hexdigit() && c != '.' && c != ':')
        .find_map(|word| word.parse().or_else(|_| word.trim_matches([':', '.']).parse()).ok())
}

impl WechatError {
    /// A transport failure, without its URL, classified by how far the call got.
    pub(super) fn transport(cause: reqwest::Error) -> Self {
        let kind = if cause.is_connect() {
            TransportKind::Connect
        } else if cause.is_timeout() {
            TransportKind::Timeout
        } else if cause.is_builder() {
            TransportKind::NotStarted
        } else {
            TransportKind::Lost
        };
        Self::Transport { kind, cause: Some(Arc::new(cause.without_url())) }
    }

    /// A response that did not arrive, or is too large to be WeChat's.
    pub(super) fn body(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::Malformed("it is too large"),
            BodyError::Broken(cause) => Self::transport(cause),
        }
    }

    /// The error of a call that was not started because there was no time left for it.
    #[must_use]
    pub const fn not_started() -> Self {
        Self::Transport { kind: TransportKind::NotStarted, cause: None }
    }

    /// Whether the call was never started, which says nothing about WeChat.
    #[must_use]
    pub const fn was_not_started(&self) -> bool {
        matches!(self, Self::Transport { kind: TransportKind::NotStarted, .. })
    }

    /// WeChat's statement, if it refused the call.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// WeChat's code, if it refused the call.
    #[must_use]
    pub fn code(&self) -> Option<ErrCode> {
        self.refusal().map(|refusal| refusal.code)
    }

    /// WeChat's id of the request, if it refused the call and returned one.
    #[must_use]
    pub fn rid(&self) -> Option<&str> {
        self.refusal()?.rid.as_deref()
    }

    /// Whether WeChat refused the call because of a quota, either the API's or the account's own.
    #[must_use]
    pub const fn is_for_quota(&self) -> bool {
        matches!(self.reaction(), Reaction::Quota | Reaction::WaitMinute)
    }

    /// Whether the quota of the API is used up for all accounts: that says nothing about the account or code in
    /// question.
    #[must_use]
    pub const fn is_quota_used_up(&self) -> bool {
        matches!(self, Self::QuotaUsedUp { .. })
    }

    /// Whether the failure persists until an operator acts: wrong settings, or a used-up quota.
    #[must_use]
    pub const fn needs_operator(&self) -> bool {
        matches!(self.reaction(), Reaction::Config | Reaction::Quota)
    }

    /// The reaction that the failure requires (protocol section 6; its last sentences are about failures without a
    /// code). [`Reaction::Retry`] does not mean that trying again is harmless: see [`Self::may_have_taken_effect`].
    #[must_use]
    pub const fn reaction(&self) -> Reaction {
        match self {
            // A response without an errcode is from a server in between, not from WeChat.
            Self::Transport { .. } | Self::Malformed(_) | Self::HttpStatus(_) => Reaction::Retry,
            Self::Refused(Refusal { api, code, .. }) => code.reaction_to(*api),
            Self::QuotaUsedUp { code, .. } => code.reaction(),
        }
    }

    /// Whether the token that was sent is void or expired. Never true for a call that takes the secret.
    #[must_use]
    pub const fn token_rejected(&self) -> bool {
        match self {
            Self::Refused(refusal) => !refusal.api.takes_secret() && refusal.code.token_rejected(),
            _ => false,
        }
    }

    /// Whether the refusal concerns the whole platform, whatever the call was about.
    ///
    /// The code alone does not decide that: 40013, 45009 or 50002 in response to a call about an account or a code
    /// concern only that account or code (protocol section 6). Only the address that calls come from is the same for
    /// all of them. A wrong secret or ticket of the platform shows when the component token is issued, and that call is
    /// about nothing else.
    #[must_use]
    pub const fn is_platform_wide(&self) -> bool {
        matches!(self, Self::Refused(Refusal { code: ErrCode::ClientIpNotRegistered, .. }))
    }

    /// Whether WeChat may have executed the call although it failed: the code may be spent, a new token may have been
    /// issued.
    #[must_use]
    pub const fn may_have_taken_effect(&self) -> bool {
        match self {
            Self::Transport { kind, .. } => matches!(kind, TransportKind::Timeout | TransportKind::Lost),
            // A gateway in between gave up; the server behind it may have continued.
            Self::HttpStatus(status) => *status >= 500 || *status < 300,
            Self::Malformed(_) => true,
            Self::Refused(refusal) => {
                matches!(refusal.code, ErrCode::SystemBusy | ErrCode::SystemError | ErrCode::MessageServiceError)
            }
            Self::QuotaUsedUp { .. } => false,
        }
    }

    /// A short label with few values, to count failures by: WeChat's code, `http-502`, or the transport's kind.
    #[must_use]
    pub fn code_label(&self) -> String {
        match self {
            Self::Transport { kind, .. } => match kind {
                TransportKind::NotStarted => "not-started".to_owned(),
                TransportKind::Connect => "connect".to_owned(),
                TransportKind::Timeout => "timeout".to_owned(),
                TransportKind::Lost => "connection-lost".to_owned(),
            },
            Self::HttpStatus(status) => format!("http-{status}"),
            Self::Malformed(_) => "malformed".to_owned(),
            Self::Refused(Refusal { code, .. }) | Self::QuotaUsedUp { code, .. } => code.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: i64, errmsg: &str) -> Refusal {
        Refusal::new(Api::QueryAuth, code, errmsg, &[&SecretString::from("queryauthcode@@@a+b/c=")])
    }

    #[test]
    fn secrets_that_were_sent_are_removed_from_the_message_plain_and_encoded() {
        let message = "invalid queryauthcode@@@a+b/c= at ?code=queryauthcode%40%40%40a%2Bb%2Fc%3D\u{7}\r\nend";
        assert_eq!(refusal(61_009, message).errmsg, "invalid *** at ?code=***   end");
    }

    #[test]
    fn a_secret_at_the_bound_leaves_no_part_behind() {
        let message = format!("{}queryauthcode@@@a+b/c=", "x".repeat(LONGEST_ERRMSG - 5));
        let cleaned = refusal(61_009, &message).errmsg;
        assert!(cleaned.chars().count() <= LONGEST_ERRMSG);
        assert!(!cleaned.contains("query"));
    }

    #[test]
    fn what_looks_like_a_secret_is_removed_even_if_it_was_not_sent() {
        let token = "61_5_oOgbWZQBwMuH0a9i7xjgTxcq0qv53UvTXONp8KKllw";
        for written in [token, "refreshtoken%40%40%40QIguVZ21urYOvHF4oM9", "0123456789abcdef0123456789abcdef"] {
            let message = format!("access_token [{written}] is not the latest, 请重试 rid: 62bc0b4a-0b2d5f9a-1c2d3e4f");
            let cleaned = "access_token [***] is not the latest, 请重试 rid: 62bc0b4a-0b2d5f9a-1c2d3e4f";
            assert_eq!(refusal(40_001, &message).errmsg, cleaned);
        }
        let harmless =
            "could get access_token by getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r";
        assert_eq!(refusal(40_001, harmless).errmsg, harmless);
    }

    #[test]
    fn an_empty_secret_removes_nothing() {
        let refusal = Refusal::new(Api::QueryAuth, 40_097, "invalid args", &[&SecretString::from("")]);
        assert_eq!(refusal.errmsg, "invalid args");
    }

    #[test]
    fn the_request_id_is_found_and_bounded() {
        let found = refusal(40_001, "invalid credential rid: 62bc0b4a-0b2d5f9a-1c2d3e4f");
        assert_eq!(found.rid.as_deref(), Some("62bc0b4a-0b2d5f9a-1c2d3e4f"));
        assert_eq!(refusal(40_001, "invalid credential").rid, None);
        assert_eq!(refusal(40_001, "rid: ").rid, None);
    }

    #[test]
    fn the_refused_address_is_found_in_either_spelling_and_only_with_its_code() {
        let ip = |code, message| refusal(code, message).refused_ip.map(|ip| ip.to_string());
        let v4 = Some("203.0.113.9".to_owned());
        assert_eq!(ip(61_004, "access clientip is not registered requestIP: 203.0.113.9 rid: 62bc0b4a-1"), v4);
        assert_eq!(ip(61_004, "access clientip is not registered requestIP:203.0.113.9."), v4);
        assert_eq!(ip(61_004, "requestIP: 2001:db8::9 rid: 62bc0b4a-1").as_deref(), Some("2001:db8::9"));
        assert_eq!(ip(61_004, "access clientip is not registered"), None);
        assert_eq!(ip(40_001, "requestIP: 203.0.113.9"), None);
    }

    #[test]
    fn a_wrong_credential_is_the_secret_only_where_the_secret_was_sent() {
        let error = |api| WechatError::from(Refusal::new(api, 40_001, "invalid credential", &[]));
        assert_eq!(error(Api::ComponentToken).reaction(), Reaction::Config);
        assert!(!error(Api::ComponentToken).token_rejected());
        assert_eq!(error(Api::AuthorizerToken).reaction(), Reaction::Refresh);
        assert!(error(Api::AuthorizerToken).token_rejected());
    }

    #[test]
    fn only_what_was_certainly_not_done_counts_as_not_done() {
        let lost = |kind| WechatError::Transport { kind, cause: None }.may_have_taken_effect();
        assert!(lost(TransportKind::Timeout) && lost(TransportKind::Lost));
        assert!(!lost(TransportKind::Connect) && !lost(TransportKind::NotStarted));
        assert!(WechatError::HttpStatus(504).may_have_taken_effect());
        assert!(!WechatError::HttpStatus(403).may_have_taken_effect());
        assert!(WechatError::Malformed("x").may_have_taken_effect());
        assert!(WechatError::from(refusal(-1, "system error")).may_have_taken_effect());
        assert!(!WechatError::from(refusal(61_009, "code is invalid")).may_have_taken_effect());
    }

    #[test]
    fn failures_are_counted_under_short_labels() {
        assert_eq!(WechatError::from(refusal(61_023, "x")).code_label(), "61023");
        assert_eq!(WechatError::HttpStatus(502).code_label(), "http-502");
        let timeout = WechatError::Transport { kind: TransportKind::Timeout, cause: None };
        assert_eq!(timeout.code_label(), "timeout");
    }
}
