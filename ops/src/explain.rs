//! The meaning of an AWS failure for the user, and what to do about it.

use runtime::aws::{AwsFailure, FailureKind};

/// Words for a failure of an action, such as `dynamodb:DescribeTable`.
pub(crate) trait Explain {
    /// What happened.
    fn sentence(&self, action: &str) -> String;

    /// What to do about it.
    fn advice(&self, action: &str) -> String;
}

impl Explain for AwsFailure {
    fn sentence(&self, action: &str) -> String {
        match self.kind {
            FailureKind::Expired => "the AWS credentials have expired".to_owned(),
            FailureKind::UnknownCredentials => "AWS does not know the credentials".to_owned(),
            FailureKind::Denied => format!("the credentials may not call {action}"),
            FailureKind::Clock => "AWS refuses the signature because of its time".to_owned(),
            FailureKind::NotFound => format!("{action} found nothing"),
            FailureKind::Timeout => format!("{action} got no response in time"),
            FailureKind::Connection => format!("{action} could not be called: no connection"),
            FailureKind::Other => format!("{action} failed: {self}"),
        }
    }

    fn advice(&self, action: &str) -> String {
        let advice = match self.kind {
            FailureKind::Expired => "sign in again (aws sso login, or new keys)",
            FailureKind::UnknownCredentials => {
                "check AWS_ACCESS_KEY_ID and its secret, or name another profile with --profile; keys of AWS and of AWS \
                 China are different ones"
            }
            FailureKind::Denied => {
                return format!(
                    "allow the user or role of these credentials to call {action}, or use other credentials"
                );
            }
            FailureKind::Clock => "set this machine's clock",
            FailureKind::NotFound => "check the name, the region (--region) and the AWS account (--profile)",
            FailureKind::Timeout | FailureKind::Connection => {
                "check the network of this machine, and the region's name"
            }
            FailureKind::Other => "look the code up in the service's documentation, or try again",
        };
        advice.to_owned()
    }
}
