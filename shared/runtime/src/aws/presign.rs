//! Presigned URLs: anyone who has one can make the request that was signed, with the function's rights, as often as they
//! like until it expires.
//!
//! AWS Signature Version 4 in the query, computed by the SDK's signer. No S3 client is needed: our own HTTP client
//! makes the few requests.

use std::error::Error;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::{Credentials, ProvideCredentials as _, Region, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4::SigningParams;
use base::clock::Timestamp;
use http::{HeaderName, Method};
use url::Url;

/// Presigns URLs of objects in S3; clones share the credentials.
#[derive(Debug, Clone)]
pub struct Presigner {
    region: Region,
    credentials: SharedCredentialsProvider,
}

/// Why a URL could not be presigned.
#[derive(Debug, thiserror::Error)]
pub enum PresignError {
    /// The environment names no region or no source of credentials.
    #[error("the environment names no region or no credentials: set AWS_REGION, and AWS_ACCESS_KEY_ID or a profile")]
    NotConfigured,
    /// The credentials could not be read.
    #[error("the credentials cannot be read: {0}")]
    Credentials(#[source] Box<dyn Error + Send + Sync>),
    /// The request cannot be signed.
    #[error("the request cannot be signed: {0}")]
    Unsignable(#[source] Box<dyn Error + Send + Sync>),
}

/// A request that a presigned URL allows.
#[derive(Debug, Clone, Copy)]
pub struct SignedRequest<'a> {
    /// The method.
    pub method: &'a Method,
    /// The object.
    pub url: &'a Url,
    /// Headers that must be sent exactly like this; others may be sent in addition.
    pub headers: &'a [(HeaderName, String)],
    /// The time from which the URL is valid, in whole seconds.
    pub from: Timestamp,
    /// How long the URL is valid: at most a week, and no longer than the credentials.
    pub valid_for: Duration,
}

impl Presigner {
    /// A signer with the credentials and the region of the function.
    ///
    /// # Errors
    /// [`PresignError::NotConfigured`].
    pub fn new(config: &SdkConfig) -> Result<Self, PresignError> {
        match (config.region(), config.credentials_provider()) {
            (Some(region), Some(credentials)) => Ok(Self { region: region.clone(), credentials }),
            _ => Err(PresignError::NotConfigured),
        }
    }

    /// Presigns a request.
    ///
    /// # Errors
    /// [`PresignError`], without anything secret.
    pub async fn sign(&self, request: SignedRequest<'_>) -> Result<Url, PresignError> {
        let credentials = self.credentials.provide_credentials().await;
        let credentials = credentials.map_err(|error| PresignError::Credentials(error.into()))?;
        self.sign_with(credentials, request)
    }

    fn sign_with(&self, credentials: Credentials, request: SignedRequest<'_>) -> Result<Url, PresignError> {
        // S3 uses the path as it is sent: encoded once, without resolving `.` and `..`.
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(request.valid_for);
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let identity = credentials.into();
        let seconds = u64::try_from(request.from.unix()).unwrap_or(0);
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(self.region.as_ref())
            .name("s3")
            .time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .settings(settings)
            .build()
            .map_err(|error| PresignError::Unsignable(error.into()))?;
        let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let url = request.url.as_str();
        let signable = SignableRequest::new(request.method.as_str(), url, headers, SignableBody::UnsignedPayload);
        let signed = signable.and_then(|signable| sign(signable, &parameters.into()));
        let (instructions, _) = signed.map_err(|error| PresignError::Unsignable(error.into()))?.into_parts();
        let mut url = request.url.clone();
        url.query_pairs_mut().extend_pairs(instructions.params());
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_LENGTH, CONTENT_TYPE};

    use super::*;

    /// Signs as an example in AWS's documentation does, optionally with a session token like a function's.
    fn presigner(session_token: Option<&str>) -> Presigner {
        let (id, secret) = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let credentials = Credentials::new(id, secret, session_token.map(str::to_owned), None, "example");
        Presigner { region: Region::new("us-east-1"), credentials: SharedCredentialsProvider::new(credentials) }
    }

    fn parameter(url: &Url, name: &str) -> String {
        url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    }

    /// The example in AWS's own documentation of presigned URLs.
    #[tokio::test]
    async fn the_signature_is_that_of_awss_example() {
        let url = Url::parse("https://examplebucket.s3.amazonaws.com/test.txt").unwrap();
        let request = SignedRequest {
            method: &Method::GET,
            url: &url,
            headers: &[],
            from: Timestamp::from_unix(1_369_353_600),
            valid_for: Duration::from_hours(24),
        };
        let signed = presigner(None).sign(request).await.unwrap();
        assert_eq!(
            signed.as_str(),
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    /// The expected signature is botocore's for the same request.
    #[tokio::test]
    async fn headers_that_must_be_sent_are_signed() {
        let url = Url::parse("https://examplebucket.s3.us-east-1.amazonaws.com/a/b_-c").unwrap();
        let headers = [(CONTENT_TYPE, "image/jpeg".to_owned()), (CONTENT_LENGTH, "3".to_owned())];
        let request = SignedRequest {
            method: &Method::PUT,
            url: &url,
            headers: &headers,
            from: Timestamp::from_unix(1_369_353_600),
            valid_for: Duration::from_mins(15),
        };
        let signed = presigner(None).sign(request).await.unwrap();
        assert_eq!(parameter(&signed, "X-Amz-SignedHeaders"), "content-length;content-type;host");
        assert_eq!(
            parameter(&signed, "X-Amz-Signature"),
            "7b7c026e26926f356a76be9e5bd14abc5ab8d6fd4c5921c1f4dff15a15bc94f6"
        );
    }

    /// The expected signature is botocore's for the same request.
    #[tokio::test]
    async fn a_functions_session_token_is_signed_too() {
        let url = Url::parse("https://examplebucket.s3.us-east-1.amazonaws.com/a/b_-c").unwrap();
        let request = SignedRequest {
            method: &Method::GET,
            url: &url,
            headers: &[],
            from: Timestamp::from_unix(1_369_353_600),
            valid_for: Duration::from_mins(15),
        };
        let token = "FwoGZXIvYXdzEJr//////////wEa+=def~ghi_-.jkl==";
        let signed = presigner(Some(token)).sign(request).await.unwrap();
        assert_eq!(parameter(&signed, "X-Amz-Security-Token"), token);
        assert_eq!(
            parameter(&signed, "X-Amz-Signature"),
            "612f33b08167a32f6f796689720ba13d5b3b418fe7b319349b4350800e6c9597"
        );
    }
}
