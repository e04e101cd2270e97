//! Why AWS did not do what was asked, in words that say what to do.
//!
//! The service's own message is not repeated: its code tells enough, and messages can quote what was asked for.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The credentials were good once.
    Expired,
    /// The credentials belong to nobody.
    UnknownCredentials,
    /// They may not do this.
    Denied,
    /// AWS takes the signature for too old or too new.
    Clock,
    /// There is no such thing.
    NotFound,
    /// No answer in time.
    Timeout,
    /// No connection.
    Unreachable,
    /// Another code of the service.
    Other(String),
}

impl Cause {
    /// Takes an SDK error apart.
    pub(crate) fn of<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Self {
        match error {
            SdkError::ServiceError(service) => Self::of_code(service.err()),
            SdkError::TimeoutError(_) => Self::Timeout,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Self::Timeout,
            SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => Self::Unreachable,
            _ => Self::Other("the request could not be made".to_owned()),
        }
    }

    fn of_code(error: &impl ProvideErrorMetadata) -> Self {
        match error.code().unwrap_or_default() {
            "ExpiredToken" | "ExpiredTokenException" => Self::Expired,
            "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "InvalidAccessKeyId"
            | "IncompleteSignature"
            | "AuthFailure" => Self::UnknownCredentials,
            "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => Self::Denied,
            "RequestExpired" | "RequestTimeTooSkewed" => Self::Clock,
            // One code, in each service's spelling, for a wrong key and for a wrong clock.
            "SignatureDoesNotMatch" | "InvalidSignatureException" => {
                let message = error.message().unwrap_or_default();
                let of_time = ["expired", "not yet current", "earlier than", "later than"];
                if of_time.iter().any(|words| message.contains(words)) { Self::Clock } else { Self::UnknownCredentials }
            }
            "ResourceNotFoundException" | "TableNotFoundException" => Self::NotFound,
            // CloudFormation has one code for every wrong argument.
            "ValidationError" if error.message().is_some_and(|message| message.contains("does not exist")) => {
                Self::NotFound
            }
            code => Self::Other(code.to_owned()),
        }
    }

    /// What happened when `action`, such as `dynamodb:DescribeTable`, was asked for.
    pub(crate) fn sentence(&self, action: &str) -> String {
        match self {
            Self::Expired => "the AWS credentials have expired".to_owned(),
            Self::UnknownCredentials => "AWS does not know the credentials".to_owned(),
            Self::Denied => format!("the credentials may not call {action}"),
            Self::Clock => "AWS refuses the signature for its time".to_owned(),
            Self::NotFound => format!("{action} finds nothing"),
            Self::Timeout => format!("{action} got no answer in time"),
            Self::Unreachable => format!("{action} could not be called: no connection"),
            Self::Other(code) => format!("{action} failed: {code}"),
        }
    }

    /// What to do about it.
    pub(crate) fn advice(&self, action: &str) -> String {
        match self {
            Self::Expired => "sign in again (aws sso login, or new keys)".to_owned(),
            Self::UnknownCredentials => {
                "check AWS_ACCESS_KEY_ID and its secret, or name another profile with --profile; \
                                         keys of AWS and of AWS China are different ones"
                    .to_owned()
            }
            Self::Denied => {
                format!("let the user or role of these credentials call {action}, or use other credentials")
            }
            Self::Clock => "set this machine's clock".to_owned(),
            Self::NotFound => "check the name, the region (--region) and the AWS account (--profile)".to_owned(),
            Self::Timeout | Self::Unreachable => "check the network of this machine, and the region's name".to_owned(),
            Self::Other(_) => "look the code up in the service's documentation, or try again".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::error::ErrorMetadata;

    use super::*;

    fn cause(code: &str, message: &str) -> Cause {
        Cause::of_code(&ErrorMetadata::builder().code(code).message(message).build())
    }

    #[test]
    fn codes_of_the_services_become_causes() {
        assert_eq!(cause("ExpiredTokenException", ""), Cause::Expired);
        assert_eq!(cause("UnrecognizedClientException", ""), Cause::UnknownCredentials);
        assert_eq!(cause("AccessDenied", ""), Cause::Denied);
        assert_eq!(cause("ValidationError", "Stack with id wechat does not exist"), Cause::NotFound);
        assert_eq!(cause("ValidationError", "1 validation error"), Cause::Other("ValidationError".to_owned()));
    }

    #[test]
    fn a_wrong_key_and_a_wrong_clock_are_told_apart() {
        let wrong_key = "The request signature we calculated does not match the signature you provided.";
        let wrong_clock = "Signature expired: 20261121T000000Z is now earlier than 20261121T001000Z";
        for code in ["SignatureDoesNotMatch", "InvalidSignatureException"] {
            assert_eq!(cause(code, wrong_key), Cause::UnknownCredentials, "{code}");
            assert_eq!(cause(code, wrong_clock), Cause::Clock, "{code}");
            assert_eq!(cause(code, "Signature not yet current: 20261121T001000Z"), Cause::Clock, "{code}");
        }
    }

    #[test]
    fn a_missing_permission_is_named() {
        let denied = cause("AccessDeniedException", "User: arn:aws:iam::1:user/x is not authorized");
        assert!(denied.sentence("dynamodb:DescribeTable").contains("dynamodb:DescribeTable"));
        assert!(denied.advice("dynamodb:DescribeTable").contains("dynamodb:DescribeTable"));
    }
}
