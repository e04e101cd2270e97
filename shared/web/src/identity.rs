//! Callers without a key: an AWS principal that the gateway has authenticated, or an operator whom the console has
//! authenticated.
//!
//! The identity is an extension of the request. The layer between API Gateway and the handlers adds it from what API
//! Gateway has authenticated, and `local` adds it on a listener that only this machine reaches; nothing that a caller
//! sends can add it. [`crate::doors`] evaluates it.

use std::fmt;

use base::ids::OperatorName;

/// A caller that IAM has authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IamIdentity(String);

impl IamIdentity {
    /// The caller with this ARN; `None` if it is empty.
    #[must_use]
    pub fn new(arn: &str) -> Option<Self> {
        (!arn.is_empty()).then(|| Self(arn.to_owned()))
    }

    /// The principal of the caller. For a role it is the role itself, without the name of the session, which differs
    /// between the processes of one service and changes when credentials are renewed.
    #[must_use]
    pub fn principal(&self) -> &str {
        let session =
            self.0.split_once(":assumed-role/").and_then(|(_, role)| role.split_once('/')).map(|(_, name)| name);
        session.and_then(|session| self.0.strip_suffix(session)?.strip_suffix('/')).unwrap_or(&self.0)
    }

    /// The caller's ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IamIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An operator on whose behalf the console calls. The console invokes the function directly, with an event that names
/// the operator ([`crate::gateway`]): API Gateway creates no such event, and nobody else may invoke the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorIdentity(String);

impl OperatorIdentity {
    /// The operator with this name.
    #[must_use]
    pub fn new(name: &OperatorName) -> Self {
        Self(format!("operator:{name}"))
    }

    /// `operator:` and the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperatorIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sessions_of_a_role_are_one_principal() {
        let principal = |arn: &str| IamIdentity::new(arn).unwrap().principal().to_owned();
        for session in ["a", "i-0123456789abcdef0", "orders"] {
            let arn = format!("arn:aws:sts::123456789012:assumed-role/orders/{session}");
            assert_eq!(principal(&arn), "arn:aws:sts::123456789012:assumed-role/orders");
        }
        for arn in ["arn:aws:iam::123456789012:user/orders", "arn:aws:sts::123456789012:assumed-role/orders"] {
            assert_eq!(principal(arn), arn);
        }
    }
}
