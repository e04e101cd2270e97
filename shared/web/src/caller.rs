//! The caller of a route for services: an AWS principal that IAM has admitted, the holder of an API key, or an
//! operator.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use base::ids::{AppId, KeyId};
use http::request::Parts;
use store::{ApiKey, Scope};

use crate::api::not_signed;
use crate::identity::{IamIdentity, OperatorIdentity};
use crate::{Problem, ProblemKind};

/// A caller that may use the route that it calls. The layer in front of the routes ([`crate::doors`]) adds it to the
/// request; a handler that takes it is closed to everybody else.
#[derive(Debug, Clone)]
pub enum Caller {
    /// A principal whose IAM policy allows the route.
    Iam(IamIdentity),
    /// The holder of a key whose scopes allow the route.
    Key(KeyHolder),
    /// An operator in the console, on a route that is for operators.
    Operator(OperatorIdentity),
}

/// The holder of an API key.
#[derive(Debug, Clone)]
pub struct KeyHolder {
    name: String,
    key: Arc<ApiKey>,
}

impl KeyHolder {
    pub(crate) fn new(key: Arc<ApiKey>) -> Self {
        Self { name: format!("key:{}", key.id), key }
    }
}

impl Caller {
    /// An id that is the same for all processes of one service, over time: the ARN of a user or role, `key:` and a
    /// key's id, or `operator:` and an operator's name.
    #[must_use]
    pub fn principal(&self) -> &str {
        match self {
            Self::Iam(identity) => identity.principal(),
            Self::Key(holder) => &holder.name,
            Self::Operator(operator) => operator.as_str(),
        }
    }

    /// The caller's key.
    #[must_use]
    pub fn key(&self) -> Option<&KeyId> {
        match self {
            Self::Iam(_) | Self::Operator(_) => None,
            Self::Key(holder) => Some(&holder.key.id),
        }
    }

    /// The accounts to which the caller is limited; `None` for all. (An AWS principal is limited by its policy, route
    /// by route; an operator is not limited.)
    #[must_use]
    pub fn appids(&self) -> Option<&BTreeSet<AppId>> {
        match self {
            Self::Iam(_) | Self::Operator(_) => None,
            Self::Key(holder) => holder.key.appids.as_ref(),
        }
    }

    /// Whether the caller may see an account and act for it.
    #[must_use]
    pub fn may_use(&self, account: &AppId) -> bool {
        self.appids().is_none_or(|appids| appids.contains(account))
    }

    /// Refuses a key that has none of these scopes. What an AWS principal or an operator may do has already been
    /// decided.
    ///
    /// # Errors
    /// The problem `not-allowed`.
    pub fn needs(&self, scopes: &[Scope]) -> Result<(), Problem> {
        match self {
            Self::Key(holder) if !scopes.iter().any(|scope| holder.key.permits(*scope)) => {
                let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
                Err(not_allowed(format!("the key lacks the scope {}", words.join(" or "))))
            }
            _ => Ok(()),
        }
    }

    /// Refuses an account to which a limited key gives no access.
    ///
    /// # Errors
    /// The problem `not-allowed`.
    pub fn needs_account(&self, account: &AppId) -> Result<(), Problem> {
        if self.may_use(account) {
            return Ok(());
        }
        Err(not_allowed(format!("the key is limited to other accounts than {account}")))
    }

    /// Refuses a limited key for what concerns all accounts.
    ///
    /// # Errors
    /// The problem `not-allowed`.
    pub fn unlimited(&self) -> Result<(), Problem> {
        match self.appids() {
            None => Ok(()),
            Some(_) => Err(not_allowed("the key is limited to some accounts, and this concerns all of them")),
        }
    }
}

/// The problem of a caller that may not do what it requests.
#[must_use]
pub fn not_allowed(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::NotAllowed, detail)
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Iam(identity) => identity.fmt(f),
            Self::Key(holder) => f.write_str(&holder.name),
            Self::Operator(operator) => operator.fmt(f),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(not_signed)
    }
}
