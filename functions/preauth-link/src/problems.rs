//! The problems that businesses get when a request cannot be fulfilled.

use store::LinkStatus;
use web::api::ApiError;
use web::{Problem, ProblemKind};

use crate::LinkError;
use crate::link_request::FieldError;

impl From<FieldError> for ApiError {
    fn from(error: FieldError) -> Self {
        Self::Problem(Problem::new(ProblemKind::InvalidField, error.to_string()))
    }
}

impl From<LinkError> for ApiError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Internal(error) => Self::Internal(error),
            LinkError::Unknown => Self::Problem(Problem::new(
                ProblemKind::UnknownLink,
                "check the link_id; a link is forgotten 30 days after its expiry",
            )),
            LinkError::Ended(LinkStatus::Authorized) | LinkError::Withdrawn => Self::Problem(Problem::new(
                ProblemKind::LinkUsed,
                "a link takes one account, and this one has taken it: make a new link for another",
            )),
            LinkError::Ended(LinkStatus::Cancelled) => {
                Self::Problem(Problem::new(ProblemKind::LinkCancelled, "make a new link"))
            }
            LinkError::Ended(LinkStatus::Expired | LinkStatus::Pending) => {
                Self::Problem(Problem::new(ProblemKind::LinkExpired, "make a new link"))
            }
            LinkError::TooMany(Some(again)) => {
                let detail =
                    format!("the link makes a code again at {}: retry after the time in Retry-After", again.at);
                Self::Problem(Problem::new(ProblemKind::TooManyCodes, detail).with_retry_after(again.wait))
            }
            LinkError::TooMany(None) => Self::Problem(Problem::new(
                ProblemKind::TooManyCodes,
                "the link has made all its codes: make a new link",
            )),
        }
    }
}
