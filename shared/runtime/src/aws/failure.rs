//! Why a call of AWS failed: the one place that takes SDK errors apart.
//!
//! A service's message is never repeated: its code says enough, and messages can quote the request.

use std::error::Error;
use std::fmt;

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// Why an operation failed. Its `Display` is one word for logs: the service's code, or what happened on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsFailure {
    /// The kind of failure.
    pub kind: FailureKind,
    word: String,
}

/// The kind of a failure, by what can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The credentials have expired.
    Expired,
    /// AWS does not know the credentials.
    UnknownCredentials,
    /// The credentials do not allow the operation.
    Denied,
    /// The signature's time is too far from AWS's.
    Clock,
    /// The requested resource does not exist.
    NotFound,
    /// There was no response in time.
    Timeout,
    /// There was no connection, or it was lost.
    Connection,
    /// Anything else.
    Other,
}

impl AwsFailure {
    /// Takes an SDK error apart.
    pub fn of<E, R>(error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: fmt::Debug,
    {
        let (kind, word) = match error {
            SdkError::ServiceError(service) => (kind(service.err()), service.err().code().unwrap_or("unknown")),
            SdkError::TimeoutError(_) => (FailureKind::Timeout, "timeout"),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => (FailureKind::Timeout, "timeout"),
            SdkError::DispatchFailure(_) => (FailureKind::Connection, "connection"),
            SdkError::ResponseError(_) => (FailureKind::Connection, "unreadable response"),
            other => return Self { kind: FailureKind::Other, word: DisplayErrorContext(other).to_string() },
        };
        Self { kind, word: word.to_owned() }
    }
}

impl fmt::Display for AwsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word)
    }
}

/// The `Display` of [`AwsFailure`], for logs.
pub fn failure<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
    R: fmt::Debug,
{
    AwsFailure::of(error).to_string()
}

fn kind(error: &impl ProvideErrorMetadata) -> FailureKind {
    let message = error.message().unwrap_or_default();
    match error.code().unwrap_or_default() {
        "ExpiredToken" | "ExpiredTokenException" => FailureKind::Expired,
        "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidAccessKeyId"
        | "IncompleteSignature"
        | "AuthFailure" => FailureKind::UnknownCredentials,
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => FailureKind::Denied,
        "RequestExpired" | "RequestTimeTooSkewed" => FailureKind::Clock,
        // Each service has a single code for both a wrong key and a wrong clock.
        "SignatureDoesNotMatch" | "InvalidSignatureException" => {
            let of_time = ["expired", "not yet current", "earlier than", "later than"];
            if of_time.iter().any(|words| message.contains(words)) {
                FailureKind::Clock
            } else {
                FailureKind::UnknownCredentials
            }
        }
        "ResourceNotFoundException" | "TableNotFoundException" => FailureKind::NotFound,
        // CloudFormation has a single code for every wrong argument.
        "ValidationError" if message.contains("does not exist") => FailureKind::NotFound,
        _ => FailureKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::error::ErrorMetadata;

    use super::*;

    fn kind_of(code: &str, message: &str) -> FailureKind {
        kind(&ErrorMetadata::builder().code(code).message(message).build())
    }

    #[test]
    fn codes_of_the_services_become_kinds() {
        assert_eq!(kind_of("ExpiredTokenException", ""), FailureKind::Expired);
        assert_eq!(kind_of("UnrecognizedClientException", ""), FailureKind::UnknownCredentials);
        assert_eq!(kind_of("AccessDenied", ""), FailureKind::Denied);
        assert_eq!(kind_of("ValidationError", "Stack with id wechat does not exist"), FailureKind::NotFound);
        assert_eq!(kind_of("ValidationError", "1 validation error"), FailureKind::Other);
    }

    #[test]
    fn a_wrong_key_is_not_taken_for_a_wrong_clock() {
        let wrong_key = "The request signature we calculated does not match the signature you provided.";
        let wrong_clock = "Signature expired: 20261121T000000Z is now earlier than 20261121T001000Z";
        for code in ["SignatureDoesNotMatch", "InvalidSignatureException"] {
            assert_eq!(kind_of(code, wrong_key), FailureKind::UnknownCredentials, "{code}");
            assert_eq!(kind_of(code, wrong_clock), FailureKind::Clock, "{code}");
            assert_eq!(kind_of(code, "Signature not yet current: 20261121T001000Z"), FailureKind::Clock, "{code}");
        }
    }

    #[test]
    fn the_word_for_logs_is_the_code_and_never_the_message() {
        let error = ErrorMetadata::builder().code("AccessDeniedException").message("User hush may not").build();
        let failure = AwsFailure::of(&SdkError::<_, ()>::service_error(error, ()));
        assert_eq!((failure.to_string().as_str(), failure.kind), ("AccessDeniedException", FailureKind::Denied));
    }
}
