//! What is wrong with a business's request, as `application/problem+json` (RFC 9457).
//!
//! `type` is stable: programs may decide by it. `detail` says what to do, and no more about the inside than that.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::Reference;

/// Every problem's `type` is this and its name.
const TYPE_PREFIX: &str = "urn:wechat-platform:problem:";

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    name: &'static str,
    title: &'static str,
    detail: String,
    reference: Option<Reference>,
    retry_after: Option<Duration>,
}

impl Problem {
    /// A problem; its `type` is `urn:wechat-platform:problem:` and `name`, for ever.
    #[must_use]
    pub fn new(status: StatusCode, name: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, name, title, detail: detail.into(), reference: None, retry_after: None }
    }

    /// Adds the number under which the log has the cause.
    #[must_use]
    pub fn with_reference(self, reference: Reference) -> Self {
        Self { reference: Some(reference), ..self }
    }

    /// Adds how long to wait.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": format!("{TYPE_PREFIX}{}", self.name),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(reference) = &self.reference {
            body["reference"] = json!(reference.as_str());
        }
        let headers = [(CONTENT_TYPE, "application/problem+json"), (CACHE_CONTROL, "no-store")];
        let mut response = (self.status, headers, body.to_string()).into_response();
        if let Some(wait) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, retry_after(wait));
        }
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
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-codes", "Too many", "wait");
        let response = problem.with_retry_after(Duration::from_millis(1_500)).into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[RETRY_AFTER], "2");
    }
}
