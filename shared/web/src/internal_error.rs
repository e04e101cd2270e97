//! What is not the caller's fault: logged once, with a reference that the caller is given instead of the cause.

use std::error::Error;

use base::random::Random;
use platform::context::report_wechat;
use platform::secret::PlatformError;
use platform::tokens::TokenError;
use runtime::telemetry::{Measure, Metric, Metrics};
use store::StoreError;
use wechat::api::WechatError;

use super::{Problem, ProblemKind, Reference};

/// Why a request cannot be answered although nothing is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum InternalError {
    /// The platform's secret cannot be used.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// The table did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no token, or WeChat did not answer or refused.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The bucket of files did not answer, or refused.
    #[error("the bucket of files cannot be used: {0}")]
    Files(#[source] Box<dyn Error + Send + Sync>),
    /// A function of ours that was called did not answer.
    #[error(transparent)]
    Function(Box<dyn Error + Send + Sync>),
    /// The bound on the answer was reached.
    #[error("no answer within the bound")]
    Timeout,
    /// A defect of ours.
    #[error("the handler panicked")]
    Panicked,
    /// A page or a header could not be put together: a defect of ours.
    #[error("the answer could not be put together")]
    Render,
}

impl InternalError {
    /// Logs the error with a fresh reference and counts it. `what` says what was wanted.
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
            // The failure itself was reported when it happened.
            Self::Store(StoreError::Contended { .. })
            | Self::Token(TokenError::Busy(_) | TokenError::Failing { .. })
            | Self::Timeout => {
                tracing::warn!(%reference, "{what} failed (reference {reference}): {self}");
            }
            _ => tracing::error!(%reference, "{what} failed (reference {reference}): {self}"),
        }
        reference
    }

    /// The same for a program that asked.
    #[must_use]
    pub fn problem(&self, reference: Reference) -> Problem {
        let (kind, advice) = if self.is_not_configured() {
            (ProblemKind::NotConfigured, "an operator has to store the platform's credentials first")
        } else {
            (
                ProblemKind::Unavailable,
                "try again in a minute; if it stays, give the reference to whoever operates this service",
            )
        };
        Problem::new(kind, advice).with_reference(reference)
    }

    /// Whether the platform's secret is as a fresh stack has it.
    #[must_use]
    pub const fn is_not_configured(&self) -> bool {
        matches!(self, Self::Platform(PlatformError::NotConfigured))
    }

    /// A short label with few values, to count by.
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
