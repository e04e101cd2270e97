//! Errors that are not the caller's fault: logged once, with a reference that the caller gets instead of the cause.

use std::error::Error;

use base::random::Random;
use platform::context::report_wechat;
use platform::secret::PlatformError;
use platform::tokens::TokenError;
use runtime::telemetry::{Measure, Metric, Metrics};
use store::StoreError;
use wechat::api::WechatError;

use super::{Problem, ProblemKind, Reference};

/// Why a request failed although nothing is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum InternalError {
    /// The platform's secret cannot be used.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// The table did not respond.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no token, or WeChat did not respond or refused the call.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The bucket of files did not respond, or refused the request.
    #[error("the bucket of files cannot be used: {0}")]
    Files(#[source] Box<dyn Error + Send + Sync>),
    /// Another function of the platform did not respond.
    #[error(transparent)]
    Function(Box<dyn Error + Send + Sync>),
    /// The time limit of the response was reached.
    #[error("no response within the time limit")]
    Timeout,
    /// The handler panicked, because of a bug.
    #[error("the handler panicked")]
    Panicked,
    /// A page or a header could not be rendered, because of a bug.
    #[error("the response could not be rendered")]
    Render,
}

impl InternalError {
    /// Logs the error with a new reference and counts it. `what` names what was requested.
    pub fn report(&self, what: &str, random: &Random, metrics: &Metrics) -> Reference {
        let reference = Reference::generate(random);
        metrics.put(&Metric::count(Measure::RequestFailed, 1).with_dimension(self.label()));
        if let Self::Token(error) = self
            && let Some(error) = error.wechat()
        {
            report_wechat(metrics, &format!("{what} failed (reference {reference})"), error);
            return reference;
        }
        match self {
            // The failure itself has already been reported.
            Self::Store(StoreError::Contended { .. })
            | Self::Token(TokenError::Busy(_) | TokenError::Failing { .. })
            | Self::Timeout => {
                tracing::warn!(%reference, "{what} failed (reference {reference}): {self}");
            }
            _ => tracing::error!(%reference, "{what} failed (reference {reference}): {self}"),
        }
        reference
    }

    /// The problem for a program.
    #[must_use]
    pub fn problem(&self, reference: Reference) -> Problem {
        let (kind, advice) = if self.is_not_configured() {
            (ProblemKind::NotConfigured, "an operator has to store the platform's credentials first")
        } else {
            (
                ProblemKind::Unavailable,
                "try again in a minute; if it persists, give the reference to whoever operates this service",
            )
        };
        Problem::new(kind, advice).with_reference(reference)
    }

    /// Whether the platform's secret is still empty, as in a new stack.
    #[must_use]
    pub const fn is_not_configured(&self) -> bool {
        matches!(self, Self::Platform(PlatformError::NotConfigured))
    }

    /// A short label with few values, for the metric.
    fn label(&self) -> String {
        match self {
            Self::Platform(PlatformError::NotConfigured) => "not-configured".to_owned(),
            Self::Platform(_) => "secret".to_owned(),
            Self::Store(_) => "table".to_owned(),
            Self::Token(error) => error.label(),
            Self::Files(_) => "files".to_owned(),
            Self::Function(_) => "function".to_owned(),
            Self::Timeout => "late".to_owned(),
            Self::Panicked | Self::Render => "defect".to_owned(),
        }
    }
}

impl From<WechatError> for InternalError {
    fn from(error: WechatError) -> Self {
        Self::Token(error.into())
    }
}
