//! Who calls without a key: a principal of AWS, as the gateway has authenticated it, or an operator, as the console has.
//!
//! The identity is an extension of the request. The layer between API Gateway and the handlers puts it there from what
//! API Gateway says it has authenticated, `local` on a listener that only this machine reaches; nothing a caller sends
//! can. What becomes of it is for [`crate::doors`].

use std::fmt;

use base::ids::OperatorName;

/// A caller whom IAM has authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IamIdentity(String);

impl IamIdentity {
    /// The caller with this ARN; `None` where it is empty.
    #[must_use]
    pub fn new(arn: &str) -> Option<Self> {
        (!arn.is_empty()).then(|| Self(arn.to_owned()))
    }

    /// Who stands behind the caller: of a role the role itself, without the name of the session, which differs between the
    /// processes of one service and changes when credentials are renewed.
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

/// An operator, for whom the console calls. The console invokes the function itself, with an event that says so
/// ([`crate::gateway`]): API Gateway makes no such event, and nobody else may invoke the function.
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
