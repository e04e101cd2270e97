//! Who calls a route for services: a principal of AWS that IAM has let in, the holder of an API key, or an operator.

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

/// A caller that may use the route that it calls. The layer in front of the routes ([`crate::doors`]) puts it there; a
/// handler that takes it is closed to everybody else.
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
    /// The same for all processes of one service, and for as long as it is the same service: the ARN of a user or role,
    /// `key:` and a key's id, or `operator:` and an operator's name.
    #[must_use]
    pub fn principal(&self) -> &str {
        match self {
            Self::Iam(identity) => identity.principal(),
            Self::Key(holder) => &holder.name,
            Self::Operator(operator) => operator.as_str(),
        }
    }

    /// The key that the caller holds.
    #[must_use]
    pub fn key(&self) -> Option<&KeyId> {
        match self {
            Self::Iam(_) | Self::Operator(_) => None,
            Self::Key(holder) => Some(&holder.key.id),
        }
    }

    /// The accounts that the caller is limited to; `None` for all. (Of a principal of AWS its policy says that, route by
    /// route; an operator sees all.)
    #[must_use]
    pub fn appids(&self) -> Option<&BTreeSet<AppId>> {
        match self {
            Self::Iam(_) | Self::Operator(_) => None,
            Self::Key(holder) => holder.key.appids.as_ref(),
        }
    }

    /// Whether the caller may know about an account, and act for it.
    #[must_use]
    pub fn may_use(&self, account: &AppId) -> bool {
        self.appids().is_none_or(|appids| appids.contains(account))
    }

    /// Refuses what takes one of these scopes, of which a key has none. What a principal of AWS or an operator may
    /// do has been decided by then.
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

    /// Refuses what concerns an account other than those that a key is limited to.
    ///
    /// # Errors
    /// The problem `not-allowed`.
    pub fn needs_account(&self, account: &AppId) -> Result<(), Problem> {
        if self.may_use(account) {
            return Ok(());
        }
        Err(not_allowed(format!("the key is limited to other accounts than {account}")))
    }

    /// Refuses what concerns more than the accounts that a key is limited to.
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

/// The problem of a key that does not permit what it is used for.
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
