//! Signatures with the user's credentials, for the routes of the business API that IAM protects (AWS Signature Version
//! 4).
//!
//! They are computed by the SDK's own signer. The functions only presign URLs of a bucket, in the query and with
//! another encoding (`runtime::aws::presign`); no function calls the business API.

use std::error::Error;
use std::time::{Duration, SystemTime};

use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::config::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use base::clock::Timestamp;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

/// The media type of every body that is signed.
const JSON: &str = "application/json";

/// Signs requests with somebody's credentials.
#[derive(Debug, Clone)]
pub struct ApiSigner {
    region: Region,
    credentials: SharedCredentialsProvider,
}

/// Why a request cannot be signed. It contains nothing of the credentials.
#[derive(Debug, thiserror::Error)]
#[error("the request cannot be signed: {0}")]
pub struct SigningError(#[source] Box<dyn Error + Send + Sync>);

impl ApiSigner {
    /// A signer; `None` if region or credentials are missing.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Option<Self> {
        Some(Self { region: config.region()?.clone(), credentials: config.credentials_provider()? })
    }

    /// The signed headers for a request with a JSON body.
    pub(crate) async fn headers(
        &self,
        method: &Method,
        url: &Url,
        body: &str,
        at: Timestamp,
    ) -> Result<HeaderMap, SigningError> {
        let failed = |error: Box<dyn Error + Send + Sync>| SigningError(error);
        let identity = self.credentials.provide_credentials().await.map_err(|error| failed(error.into()))?.into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(self.region.as_ref())
            .name("execute-api")
            .time(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(at.unix()).unwrap_or(0)))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| failed(error.into()))?;
        let sent = [(CONTENT_TYPE.as_str(), JSON)].into_iter();
        let signable = SignableRequest::new(method.as_str(), url.as_str(), sent, SignableBody::Bytes(body.as_bytes()));
        let signed = signable.and_then(|signable| sign(signable, &parameters.into()));
        let (instructions, _) = signed.map_err(|error| failed(error.into()))?.into_parts();
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(JSON))]);
        for (name, value) in instructions.headers() {
            let mut value = HeaderValue::from_str(value).map_err(|error| failed(error.into()))?;
            value.set_sensitive(true);
            headers.insert(HeaderName::try_from(name).map_err(|error| failed(error.into()))?, value);
        }
        Ok(headers)
    }
}
