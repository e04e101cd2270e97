//! Errors in responses to a business, as `application/problem+json` (RFC 9457).
//!
//! `type` is stable: programs may depend on it, and `docs/business-api.md` lists all of them. `detail` says what to do,
//! and reveals nothing else about the platform.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

use super::Reference;

/// The prefix of every problem's `type`, followed by its name.
pub(crate) const TYPE_PREFIX: &str = "urn:wechat-platform:problem:";

/// Defines the kinds, each with its status, the end of its `type`, and its title.
macro_rules! kinds {
    ($(#[doc = $doc:literal] $kind:ident: $status:ident, $name:literal, $title:literal;)+) => {
        /// A kind of problem. Its `type` and status do not change once published.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ProblemKind {
            $(#[doc = $doc] $kind,)+
        }

        impl ProblemKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// The end of its `type`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// The status of its response.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status,)+ }
            }

            /// The title, which is the same for all problems of the kind.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)+ }
            }

            /// When it is returned.
            #[cfg(feature = "openapi")]
            pub(crate) const fn description(self) -> &'static str {
                match self { $(Self::$kind => $doc,)+ }
            }
        }
    };
}

kinds! {
    /// The body is not a JSON object of the documented members.
    Malformed: BAD_REQUEST, "malformed", "The body cannot be read";
    /// The request is not valid HTTP.
    MalformedRequest: BAD_REQUEST, "malformed-request", "The request is malformed";
    /// A member has a value that is not allowed.
    InvalidField: BAD_REQUEST, "invalid-field", "A field cannot be used";
    /// A parameter of the query is unknown, appears twice, or has a value that is not allowed.
    InvalidParameter: BAD_REQUEST, "invalid-parameter", "A parameter cannot be used";
    /// A header has a value that is not allowed.
    InvalidHeader: BAD_REQUEST, "invalid-header", "A header cannot be used";
    /// The path is not one of WeChat's APIs.
    InvalidPath: BAD_REQUEST, "invalid-path", "The path cannot be relayed";
    /// It is not one of WeChat's check files: its name or its content has the wrong form.
    InvalidCheckFile: BAD_REQUEST, "invalid-check-file", "It is not one of WeChat's check files";
    /// The call would issue a token, spend a code or take a secret: the platform does not relay it.
    PathRefused: FORBIDDEN, "path-refused", "The platform does not relay this call";
    /// There is no key, or not a valid one.
    InvalidKey: UNAUTHORIZED, "invalid-key", "There is no valid API key";
    /// WeChat has blocked the user.
    UserBlocked: FORBIDDEN, "user-blocked", "WeChat has blocked this user";
    /// The API key does not permit this, or operators may not do it.
    NotAllowed: FORBIDDEN, "not-allowed", "This caller may not do this";
    /// The caller was not authenticated.
    NoIdentity: FORBIDDEN, "no-identity", "No IAM identity";
    /// There is no such account.
    UnknownAccount: NOT_FOUND, "unknown-account", "No such account";
    /// There is no such browser of this operator.
    UnknownBrowser: NOT_FOUND, "unknown-browser", "No such browser";
    /// There is no such check file.
    UnknownCheckFile: NOT_FOUND, "unknown-check-file", "No such check file";
    /// There is no such file of this caller.
    UnknownFile: NOT_FOUND, "unknown-file", "No such file";
    /// There is no such key.
    UnknownKey: NOT_FOUND, "unknown-key", "No such key";
    /// There is no such link.
    UnknownLink: NOT_FOUND, "unknown-link", "No such link";
    /// There is no login with this code, or it has expired.
    UnknownLogin: NOT_FOUND, "unknown-login", "No such login";
    /// There is no such operator.
    UnknownOperator: NOT_FOUND, "unknown-operator", "No such operator";
    /// There is no such reconciliation.
    UnknownReconciliation: NOT_FOUND, "unknown-reconciliation", "No such reconciliation";
    /// There is no such route.
    UnknownRoute: NOT_FOUND, "unknown-route", "No such route";
    /// The route has other methods.
    MethodNotAllowed: METHOD_NOT_ALLOWED, "method-not-allowed", "The route does not have this method";
    /// The platform may no longer act for the account.
    AuthorizationEnded: CONFLICT, "authorization-ended", "The account is no longer authorized";
    /// The account has granted no API permission: WeChat issues no token for it.
    NoApiPermission: CONFLICT, "no-api-permission", "The account has granted no API permission";
    /// The account cannot sign web pages.
    PagesNotPermitted: CONFLICT, "pages-not-permitted", "The account cannot sign pages";
    /// A reconciliation is already in progress.
    ReconciliationRunning: CONFLICT, "reconciliation-running", "A reconciliation is in progress";
    /// There is already an operator with this name.
    OperatorExists: CONFLICT, "operator-exists", "The operator already exists";
    /// The greatest number of check files is already stored.
    TooManyCheckFiles: CONFLICT, "too-many-check-files", "Too many check files";
    /// The link is bound to an account.
    LinkUsed: CONFLICT, "link-used", "The link has been used";
    /// The first call with this `Idempotency-Key` is in progress.
    CallUnderWay: CONFLICT, "call-under-way", "The first call with this key is in progress";
    /// A call was already sent under this `Idempotency-Key`, and its response cannot be returned.
    CallNotRepeated: CONFLICT, "call-not-repeated", "The call is not sent again";
    /// The link was cancelled.
    LinkCancelled: GONE, "link-cancelled", "The link was cancelled";
    /// The link has expired.
    LinkExpired: GONE, "link-expired", "The link has expired";
    /// The item does not have the version in `If-Match`.
    VersionMismatch: PRECONDITION_FAILED, "version-mismatch", "Somebody else has changed it";
    /// The body is too large.
    TooLarge: PAYLOAD_TOO_LARGE, "too-large", "The body is too large";
    /// WeChat's response is too large to be passed back.
    AnswerTooLarge: PAYLOAD_TOO_LARGE, "answer-too-large", "WeChat's response is too large";
    /// The body is not declared as JSON.
    NotJson: UNSUPPORTED_MEDIA_TYPE, "not-json", "The body is not JSON";
    /// The `Idempotency-Key` was used for another call.
    KeyReused: UNPROCESSABLE_ENTITY, "key-reused", "The Idempotency-Key belongs to another call";
    /// The page is not on one of the platform's web domains.
    UrlNotOnWebDomain: UNPROCESSABLE_ENTITY, "url-not-on-web-domain", "The page is not on one of the platform's web domains";
    /// The code of a mini program's user is not valid, or was used.
    LoginCodeRefused: UNPROCESSABLE_ENTITY, "login-code-refused", "WeChat refused the code";
    /// The verifier does not match the challenge with which the login began, or there was none.
    VerifierRefused: UNPROCESSABLE_ENTITY, "verifier-refused", "The verifier does not match the challenge";
    /// It was already requested a moment ago.
    TooSoon: TOO_MANY_REQUESTS, "too-soon", "It was already requested a moment ago";
    /// The user of a mini program has logged in too often.
    TooManyLogins: TOO_MANY_REQUESTS, "too-many-logins", "Too many logins by this user";
    /// Too many pre-auth codes were created for the link.
    TooManyCodes: TOO_MANY_REQUESTS, "too-many-codes", "Too many pre-auth codes";
    /// There is a bug in the platform.
    Defect: INTERNAL_SERVER_ERROR, "defect", "Not available";
    /// WeChat refused a call that the response depends on.
    WechatRefused: BAD_GATEWAY, "wechat-refused", "WeChat refused the call";
    /// WeChat did not respond to a call that the response depends on.
    WechatUnreachable: BAD_GATEWAY, "wechat-unreachable", "WeChat did not respond";
    /// WeChat's response may contain secrets that could not be removed.
    AnswerUnusable: BAD_GATEWAY, "answer-unusable", "WeChat's response cannot be passed back";
    /// WeChat did not respond in time, or the connection was lost: the call may have taken effect.
    WechatSlow: GATEWAY_TIMEOUT, "wechat-slow", "WeChat's response did not arrive";
    /// WeChat refuses the IP address from which the platform calls.
    AddressRefused: SERVICE_UNAVAILABLE, "address-refused", "WeChat refuses the platform's address";
    /// WeChat is busy.
    WechatBusy: SERVICE_UNAVAILABLE, "wechat-busy", "WeChat is busy";
    /// Another process is renewing the token, and there is none that could be used meanwhile.
    TokenBeingRenewed: SERVICE_UNAVAILABLE, "token-being-renewed", "The token is being renewed";
    /// The token has expired or was refused, and WeChat issues no other one for now.
    TokenUnavailable: SERVICE_UNAVAILABLE, "token-unavailable", "WeChat issues no token";
    /// The platform's secret is still empty.
    NotConfigured: SERVICE_UNAVAILABLE, "not-configured", "The platform is not configured";
    /// The platform cannot respond at the moment. The cause is in its log.
    Unavailable: SERVICE_UNAVAILABLE, "unavailable", "Not available";
}

impl ProblemKind {
    /// Its `type`.
    pub(crate) fn urn(self) -> String {
        format!("{TYPE_PREFIX}{}", self.name())
    }
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: ProblemKind,
    detail: String,
    reference: Option<Reference>,
    retry_after: Option<Duration>,
    members: Map<String, Value>,
}

impl Problem {
    /// A problem; `detail` says what the caller can do.
    #[must_use]
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), reference: None, retry_after: None, members: Map::new() }
    }

    /// Adds the number under which the cause is in the log.
    #[must_use]
    pub fn with_reference(self, reference: Reference) -> Self {
        Self { reference: Some(reference), ..self }
    }

    /// Adds a member that is specific to this kind.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    /// Adds a member if there is a value for it.
    #[must_use]
    pub fn with_some(self, member: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(member, value),
            None => self,
        }
    }

    /// Adds how long to wait.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// The body of its response.
    #[must_use]
    pub fn document(&self) -> Value {
        let mut body = json!({
            "type": self.kind.urn(),
            "title": self.kind.title(),
            "status": self.kind.status().as_u16(),
            "detail": self.detail,
        });
        if let Some(reference) = &self.reference {
            body["reference"] = json!(reference.as_str());
        }
        for (member, value) in &self.members {
            body[member] = value.clone();
        }
        body
    }
}

/// The response has the problem as an extension, for layers that present it in another form.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let headers = [(CONTENT_TYPE, "application/problem+json"), (CACHE_CONTROL, "no-store")];
        let mut response = (self.kind.status(), headers, self.document().to_string()).into_response();
        if self.kind == ProblemKind::InvalidKey {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, retry_after(wait));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Whole seconds, rounded up.
pub(super) fn retry_after(wait: Duration) -> HeaderValue {
    HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_problem_json_with_its_status() {
        let problem = Problem::new(ProblemKind::TooManyCodes, "wait");
        let response = problem.with_retry_after(Duration::from_millis(1_500)).into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[RETRY_AFTER], "2");
    }

    #[test]
    fn every_kind_of_problem_has_a_type_of_its_own_and_an_error_status() {
        let mut names: Vec<&str> = ProblemKind::ALL.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ProblemKind::ALL.len());
        for kind in ProblemKind::ALL {
            let status = kind.status();
            assert!(status.is_client_error() || status.is_server_error(), "{kind:?}");
        }
    }
}
