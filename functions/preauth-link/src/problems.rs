//! Why a business does not get what it asks for, and what it gets instead.

use axum::response::{IntoResponse, Response};
use platform::services::Services;
use store::LinkStatus;
use web::{Problem, ProblemKind};

use crate::body::BodyError;
use crate::link_request::FieldError;
use crate::{BODY_LIMIT, LinkError};

/// Why a business does not get what it asks for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Field(#[from] FieldError),
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// The problem to answer with; what is not the caller's fault is logged. `what` says what was wanted.
pub(crate) fn problem(services: &Services, what: &str, error: ApiError) -> Problem {
    match error {
        ApiError::Body(error) => of_body(&error),
        ApiError::Field(error) => Problem::new(ProblemKind::InvalidField, error.to_string()),
        ApiError::Link(LinkError::Internal(trouble)) => {
            trouble.problem(trouble.report(what, &services.random, &services.metrics))
        }
        ApiError::Link(error) => of_link(&error),
    }
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        of_body(&self).into_response()
    }
}

fn of_body(error: &BodyError) -> Problem {
    match error {
        BodyError::NotJson => {
            Problem::new(ProblemKind::NotJson, "send the request with content-type: application/json")
        }
        BodyError::TooLarge => Problem::new(ProblemKind::TooLarge, format!("send at most {BODY_LIMIT} bytes")),
        error => Problem::new(
            ProblemKind::Malformed,
            format!("send a JSON object with the documented members only: {error}"),
        ),
    }
}

fn of_link(error: &LinkError) -> Problem {
    match error {
        LinkError::Ended(LinkStatus::Authorized) | LinkError::Withdrawn => Problem::new(
            ProblemKind::LinkUsed,
            "a link takes one account, and this one has taken it: make a new link for another",
        ),
        LinkError::Ended(LinkStatus::Cancelled) => Problem::new(ProblemKind::LinkCancelled, "make a new link"),
        LinkError::Ended(LinkStatus::Expired | LinkStatus::Pending) => {
            Problem::new(ProblemKind::LinkExpired, "make a new link")
        }
        LinkError::TooMany(Some(again)) => {
            let detail = format!("the link makes a code again at {}: wait as long as Retry-After says", again.at);
            Problem::new(ProblemKind::TooManyCodes, detail).with_retry_after(again.wait)
        }
        LinkError::TooMany(None) => {
            Problem::new(ProblemKind::TooManyCodes, "the link has made all its codes: make a new link")
        }
        LinkError::Unknown | LinkError::Internal(_) => {
            Problem::new(ProblemKind::UnknownLink, "check the link_id; a link is forgotten 30 days after its expiry")
        }
    }
}
