//! Why a push is refused, and the response: the one place that turns reasons into statuses.
//!
//! The response says what is wrong in a few words, without any content of the push or the secret; the reason goes into
//! the log and the metric `push_refused` as one word. The metric counts each refusal; the log has at most one line a
//! minute for each reason, since strangers can send as many forged pushes as they like.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use platform::secret::PlatformError;
use runtime::telemetry::{LogThrottle, Measure, Metric, Metrics};
use tokio::time::Instant;
use wechat::crypto::OpenError;
use wechat::push::PushError;

use super::QueryError;

static REFUSED: LogThrottle = LogThrottle::new();

/// Why a push is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
pub enum PushRejection {
    /// The body is larger than [`super::BODY_LIMIT`].
    #[error("the body is too large")]
    TooLarge,
    /// The connection was lost before the body was complete.
    #[error("the body is incomplete")]
    Incomplete,
    /// The query is not that of a push.
    #[error("{0}")]
    Query(#[from] QueryError),
    /// The outer XML is malformed.
    #[error("the envelope is malformed: {0}")]
    Envelope(PushError),
    /// It is not signed with our token, or not sealed with our key for our platform.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// `AppId` of the envelope or of the message names another platform.
    #[error("the push is for another platform")]
    Foreign,
    /// The message is for an account other than the one in the path.
    #[error("the message is for another account")]
    ForeignAccount,
    /// The account in the path does not belong to the platform.
    #[error("the account has not authorized the platform")]
    UnknownAccount,
    /// There is no secret with which to check it.
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

impl PushRejection {
    /// The status of the response.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Incomplete
            | Self::Query(_)
            | Self::Envelope(_)
            | Self::Open(OpenError::Base64 | OpenError::CipherLength) => StatusCode::BAD_REQUEST,
            Self::Foreign
            | Self::ForeignAccount
            | Self::UnknownAccount
            | Self::Open(OpenError::Signature | OpenError::Padding | OpenError::MessageLength | OpenError::AppId) => {
                StatusCode::UNAUTHORIZED
            }
            Self::Platform(PlatformError::NotConfigured) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Platform(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A stable word for metrics and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::Incomplete => "incomplete",
            Self::Query(error) => error.reason(),
            Self::Envelope(error) => error.reason(),
            Self::Open(error) => error.reason(),
            Self::Foreign => "foreign",
            Self::ForeignAccount => "foreign-account",
            Self::UnknownAccount => "unknown-account",
            Self::Platform(PlatformError::NotConfigured) => "not-configured",
            Self::Platform(_) => "no-secret",
        }
    }

    /// Counts the refusal and logs it, unless its reason was logged within the last minute. The extractors already do
    /// this themselves.
    pub fn report(&self, metrics: &Metrics) {
        metrics.put(&Metric::count(Measure::PushRefused, 1).with_dimension(self.reason()));
        let Some(left_out) = REFUSED.admit(self.reason(), Instant::now()) else { return };
        if let Self::Platform(error) = self {
            // Somebody must act, and the error says how; for all other refusals the reason is enough.
            tracing::error!(%error, left_out, "no push can be accepted");
        } else {
            tracing::warn!(reason = self.reason(), left_out, "push refused");
        }
    }
}

impl IntoResponse for PushRejection {
    fn into_response(self) -> Response {
        let text = match &self {
            Self::Platform(PlatformError::NotConfigured) => "not-configured".to_owned(),
            // Only the operator needs to know which field is wrong, or why the secret cannot be read.
            Self::Platform(_) => "the platform's secret cannot be used".to_owned(),
            told => told.to_string(),
        };
        (self.status(), [(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
    }
}
