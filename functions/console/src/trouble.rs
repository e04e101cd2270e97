//! Why there is no page, or why an act was not done, in words for an operator.

use base::language::Language;
use http::StatusCode;
use store::StoreError;
use web::InternalError;

use crate::functions::Answer;
use crate::words;

/// Why an operator's request was not fulfilled.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// There is no such thing, or it no longer exists.
    Unknown(Thing),
    /// The URL has a part that cannot be one of ours.
    Address,
    /// A function refuses to do it.
    Refused(Refusal),
    /// An act may or may not have been done.
    Unclear {
        /// Why that is not known.
        why: Unclear,
        /// The page that shows whether it was; `None` for the page with the form.
        seen_at: Option<&'static str>,
    },
    /// Not the operator's fault: logged, and shown with a reference.
    Internal(InternalError),
}

/// Why it is not known whether an act was done.
#[derive(Debug)]
pub(crate) enum Unclear {
    /// The function failed, and has logged why.
    Failed(Refusal),
    /// It has not responded.
    Unanswered(InternalError),
}

/// Problems that a function reports before it has any effect, although their status says that the caller is not at
/// fault.
const BEFORE_ANY_EFFECT: [&str; 7] = [
    "address-refused",
    "not-configured",
    "token-being-renewed",
    "token-unavailable",
    "wechat-busy",
    "wechat-refused",
    "wechat-unreachable",
];

/// Something that a URL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Thing {
    Account,
    Browser,
    Key,
    Link,
}

/// A function's problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The status.
    pub(crate) status: StatusCode,
    /// The kind of the problem, such as `version-mismatch`.
    pub(crate) kind: String,
    /// What is wrong, in English.
    pub(crate) detail: String,
    /// WeChat's code, if WeChat refused.
    pub(crate) errcode: Option<i64>,
    /// The reference of the entry in the function's log.
    pub(crate) reference: Option<String>,
}

impl Refusal {
    /// The problem of a response that is not a success.
    pub(crate) fn of(answer: &Answer) -> Self {
        let text = |member: &str| answer.body[member].as_str().map(str::to_owned);
        let kind = text("type").unwrap_or_default();
        Self {
            status: answer.status,
            kind: kind.rsplit(':').next().unwrap_or_default().to_owned(),
            detail: text("detail").unwrap_or_default(),
            errcode: answer.body["errcode"].as_i64(),
            reference: text("reference"),
        }
    }

    /// Whether the act was certainly not done.
    pub(crate) fn is_certain(&self) -> bool {
        self.status.is_client_error() || BEFORE_ANY_EFFECT.contains(&self.kind.as_str())
    }

    /// What is wrong and what to do.
    pub(crate) fn said(&self, language: Language) -> String {
        match self.errcode {
            // What a function refuses itself may name a code that WeChat returned before.
            Some(errcode) if self.kind.starts_with("wechat-") => words::refused_by_wechat(errcode, language),
            _ => words::refusal(&self.kind, &self.detail, language),
        }
    }
}

impl Trouble {
    /// What a function's problem means for an operator's act.
    pub(crate) fn of_act(refusal: Refusal) -> Self {
        if refusal.is_certain() { Self::Refused(refusal) } else { Self::unclear(Unclear::Failed(refusal)) }
    }

    pub(crate) const fn unclear(why: Unclear) -> Self {
        Self::Unclear { why, seen_at: None }
    }

    /// The same; this page shows whether an act was done.
    pub(crate) fn seen_at(self, path: &'static str) -> Self {
        match self {
            Self::Unclear { why, .. } => Self::Unclear { why, seen_at: Some(path) },
            other => other,
        }
    }
}

impl From<InternalError> for Trouble {
    fn from(error: InternalError) -> Self {
        Self::Internal(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.into())
    }
}
