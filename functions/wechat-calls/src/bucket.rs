//! The stack's S3 bucket: files that services upload for calls, and responses too large to return.
//!
//! A lifecycle rule deletes objects after a day. Every request, ours included, uses a presigned URL, so no S3 client is
//! linked.

use std::time::Duration;

use base::clock::{SharedClock, Timestamp};
use base::http_client::{BodyError, client_builder, read_bounded};
use base::limits::Limits;
use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use reqwest::{Client, RequestBuilder};
use runtime::aws::{PresignError, Presigner, SignedRequest};
use runtime::config::FilesConfig;
use tokio::time::Instant;
use url::Url;
use web::InternalError;
use web::api::ApiError;

/// How long a URL that a service gets is valid.
const URL_LIFETIME: Duration = Duration::from_mins(15);

/// How long a URL of our own is valid: it is used immediately.
const OWN_URL_LIFETIME: Duration = Duration::from_mins(1);

/// The longest error response of S3 that is read, in bytes.
const LONGEST_ERROR: usize = 16 * 1024;

/// The tries of one request, like those of the SDK's clients.
const TRIES: u32 = 3;

/// The pause between the first two tries; doubled for the next one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The bucket; clones share its connections.
#[derive(Clone)]
pub struct Bucket {
    http: Client,
    url: Url,
    presigner: Presigner,
    clock: SharedClock,
}

/// A URL that allows one method on one object.
pub(crate) struct PresignedUrl {
    pub(crate) url: Url,
    pub(crate) expires_at: Timestamp,
}

/// An object's content and the headers kept with it.
#[derive(Debug)]
pub(crate) struct File {
    /// `Content-Type`, if it has one.
    pub(crate) content_type: Option<HeaderValue>,
    /// `Content-Disposition`, if it has one.
    pub(crate) disposition: Option<HeaderValue>,
    /// The content.
    pub(crate) bytes: Bytes,
}

/// Why a request to the bucket failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BucketError {
    /// The object does not exist, or no longer does.
    #[error("there is no such object")]
    Missing,
    /// A request could not be presigned.
    #[error(transparent)]
    Presign(#[from] PresignError),
    /// S3 could not be reached, or its response did not arrive whole and in time.
    #[error("the request to S3 failed: {0}")]
    Transport(#[source] reqwest::Error),
    /// S3 refused the request.
    #[error("S3 returned {status} ({})", .code.as_deref().unwrap_or("no code"))]
    Refused {
        /// The status.
        status: StatusCode,
        /// S3's error code, if the response has one.
        code: Option<String>,
    },
    /// An object is larger than any that may be uploaded.
    #[error("the object is larger than any that may be uploaded")]
    TooLarge,
}

impl BucketError {
    /// Whether the same request may succeed a moment later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Transport(_) => true,
            Self::Refused { status, .. } => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            Self::Missing | Self::Presign(_) | Self::TooLarge => false,
        }
    }
}

impl From<BucketError> for InternalError {
    fn from(error: BucketError) -> Self {
        Self::Files(error.into())
    }
}

impl From<BucketError> for ApiError {
    fn from(error: BucketError) -> Self {
        InternalError::from(error).into()
    }
}

impl Bucket {
    /// The bucket that `config` names, reached with the function's credentials.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(
        config: &FilesConfig,
        presigner: Presigner,
        clock: SharedClock,
        limits: &Limits,
    ) -> Result<Self, reqwest::Error> {
        let http = client_builder().connect_timeout(limits.api_connect).build()?;
        Ok(Self { http, url: config.bucket.clone(), presigner, clock })
    }

    /// A URL to which a service may upload an object of this type and length.
    pub(crate) async fn upload_url(
        &self,
        name: &str,
        content_type: &str,
        length: usize,
    ) -> Result<PresignedUrl, BucketError> {
        let headers = [(CONTENT_TYPE, content_type.to_owned()), (CONTENT_LENGTH, length.to_string())];
        self.presign(&Method::PUT, name, &headers, URL_LIFETIME).await
    }

    /// A URL from which a service may download an object.
    pub(crate) async fn download_url(&self, name: &str) -> Result<Url, BucketError> {
        Ok(self.presign(&Method::GET, name, &[], URL_LIFETIME).await?.url)
    }

    /// Gets an object of at most `largest` bytes by `deadline`.
    pub(crate) async fn get(&self, name: &str, largest: usize, deadline: Instant) -> Result<File, BucketError> {
        let presigned = self.presign(&Method::GET, name, &[], OWN_URL_LIFETIME).await?;
        send(self.http.get(presigned.url), largest, deadline).await
    }

    /// Puts an object by `deadline`, under a name that nothing else uses: it may be put again.
    pub(crate) async fn put(&self, name: &str, file: File, deadline: Instant) -> Result<(), BucketError> {
        let presigned = self.presign(&Method::PUT, name, &[], OWN_URL_LIFETIME).await?;
        let mut request = self.http.put(presigned.url).body(file.bytes);
        for (name, value) in [(CONTENT_TYPE, file.content_type), (CONTENT_DISPOSITION, file.disposition)] {
            request = value.into_iter().fold(request, |request, value| request.header(&name, value));
        }
        send(request, LONGEST_ERROR, deadline).await.map(drop)
    }

    async fn presign(
        &self,
        method: &Method,
        name: &str,
        headers: &[(HeaderName, String)],
        valid_for: Duration,
    ) -> Result<PresignedUrl, BucketError> {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(name.split('/'));
        }
        let from = self.clock.now();
        let url = self.presigner.sign(SignedRequest { method, url: &url, headers, from, valid_for }).await?;
        Ok(PresignedUrl { url, expires_at: from.plus(valid_for) })
    }
}

/// Sends a request that may be repeated, and reads a response of at most `largest` bytes, all by `deadline`.
async fn send(request: RequestBuilder, largest: usize, deadline: Instant) -> Result<File, BucketError> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES {
        let Some(copy) = request.try_clone() else { break };
        match send_once(copy, largest, deadline).await {
            Err(error) if error.may_pass() && Instant::now() + pause < deadline => {}
            ended => return ended,
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    send_once(request, largest, deadline).await
}

async fn send_once(request: RequestBuilder, largest: usize, deadline: Instant) -> Result<File, BucketError> {
    let request = request.timeout(deadline.saturating_duration_since(Instant::now()));
    let mut response = request.send().await.map_err(|error| BucketError::Transport(error.without_url()))?;
    let status = response.status();
    if !status.is_success() {
        let body = read_bounded(&mut response, LONGEST_ERROR).await.unwrap_or_default();
        let code = code_of(&String::from_utf8_lossy(&body)).map(str::to_owned);
        let is_missing = status == StatusCode::NOT_FOUND && code.as_deref() == Some("NoSuchKey");
        return Err(if is_missing { BucketError::Missing } else { BucketError::Refused { status, code } });
    }
    let header = |name: HeaderName| response.headers().get(name).cloned();
    let (content_type, disposition) = (header(CONTENT_TYPE), header(CONTENT_DISPOSITION));
    let bytes = read_bounded(&mut response, largest).await.map_err(|error| match error {
        BodyError::TooLarge => BucketError::TooLarge,
        BodyError::Broken(error) => BucketError::Transport(error.without_url()),
    })?;
    Ok(File { content_type, disposition, bytes: bytes.into() })
}

/// The code in an error response of S3: `<Error><Code>AccessDenied</Code>…`. The rest of it repeats the request.
fn code_of(error: &str) -> Option<&str> {
    let (code, _) = error.split_once("<Code>")?.1.split_once("</Code>")?;
    code.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_code_of_an_s3_error_is_kept() {
        let denied = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>";
        assert_eq!(code_of(denied), Some("AccessDenied"));
        for other in ["", "<html>", "<Code>", "<Code>a b</Code>", "</Code><Code>"] {
            assert_eq!(code_of(other), None, "{other}");
        }
    }
}
