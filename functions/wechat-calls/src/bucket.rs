//! The stack's bucket of files, in S3: what services hand over for a call, and answers that are too large to be passed
//! back. Its lifecycle rule deletes each a day later.
//!
//! Every request of it is a signed URL: those that services are given, and our own.

use std::time::Duration;

use base::clock::Timestamp;
use base::http_client::{client_builder, read_bounded};
use base::limits::Limits;
use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use reqwest::{Client, RequestBuilder, Response};
use runtime::aws::{PresignError, Presigner, SignedRequest};
use runtime::config::FilesConfig;
use tokio::time::Instant;
use url::Url;

/// How long a URL that a service is given can be used.
pub(crate) const OPEN: Duration = Duration::from_mins(15);

/// How long one of our own can be used: it is sent at once.
const AT_ONCE: Duration = Duration::from_mins(1);

/// The longest error of S3's that is read, in bytes.
const LONGEST_ERROR: usize = 16 * 1024;

/// The bucket; clones share its connections.
#[derive(Clone)]
pub struct Bucket {
    http: Client,
    url: Url,
    presigner: Presigner,
}

/// A file, with what is said about it.
#[derive(Debug)]
pub(crate) struct File {
    /// `Content-Type`, if it has one.
    pub(crate) content_type: Option<HeaderValue>,
    /// `Content-Disposition`, if it has one.
    pub(crate) disposition: Option<HeaderValue>,
    /// What is in it.
    pub(crate) bytes: Bytes,
}

/// Why the bucket did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BucketError {
    /// There is no such object, or not any more.
    #[error("there is no such object")]
    Missing,
    /// A request could not be signed.
    #[error(transparent)]
    Presign(#[from] PresignError),
    /// S3 did not answer in time.
    #[error("S3 did not answer: {0}")]
    Away(reqwest::Error),
    /// S3 refused.
    #[error("S3 answered {status}{code}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// A blank and S3's code, where it said one.
        code: String,
    },
    /// An object is larger than it can be.
    #[error("an object is larger than any that was handed over")]
    TooLarge,
}

impl Bucket {
    /// The bucket that `config` names, reached with the function's credentials.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new(config: &FilesConfig, presigner: Presigner, limits: &Limits) -> Result<Self, reqwest::Error> {
        let http = client_builder().connect_timeout(limits.api_connect).build()?;
        Ok(Self { http, url: config.bucket.clone(), presigner })
    }

    /// Where a service may put an object of this type and length, within [`OPEN`].
    pub(crate) async fn upload_url(
        &self,
        name: &str,
        content_type: &str,
        length: usize,
        now: Timestamp,
    ) -> Result<Url, BucketError> {
        let headers = [(CONTENT_TYPE, content_type.to_owned()), (CONTENT_LENGTH, length.to_string())];
        self.signed(&Method::PUT, name, &headers, (now, OPEN)).await
    }

    /// Where a service may get an object, within [`OPEN`].
    pub(crate) async fn download_url(&self, name: &str, now: Timestamp) -> Result<Url, BucketError> {
        self.signed(&Method::GET, name, &[], (now, OPEN)).await
    }

    /// Gets an object of at most `largest` bytes.
    pub(crate) async fn get(
        &self,
        name: &str,
        largest: usize,
        (now, end): (Timestamp, Instant),
    ) -> Result<File, BucketError> {
        let url = self.signed(&Method::GET, name, &[], (now, AT_ONCE)).await?;
        let mut response = sent(self.http.get(url), end).await?;
        let header = |name: HeaderName| response.headers().get(name).cloned();
        let (content_type, disposition) = (header(CONTENT_TYPE), header(CONTENT_DISPOSITION));
        let bytes = read_bounded(&mut response, largest).await.map_err(|error| match error {
            base::http_client::BodyError::TooLarge => BucketError::TooLarge,
            base::http_client::BodyError::Broken(error) => BucketError::Away(error.without_url()),
        })?;
        Ok(File { content_type, disposition, bytes: bytes.into() })
    }

    /// Puts an object.
    pub(crate) async fn put(
        &self,
        name: &str,
        file: File,
        (now, end): (Timestamp, Instant),
    ) -> Result<(), BucketError> {
        let url = self.signed(&Method::PUT, name, &[], (now, AT_ONCE)).await?;
        let mut request = self.http.put(url).body(file.bytes);
        for (name, value) in [(CONTENT_TYPE, file.content_type), (CONTENT_DISPOSITION, file.disposition)] {
            request = value.into_iter().fold(request, |request, value| request.header(&name, value));
        }
        sent(request, end).await.map(drop)
    }

    async fn signed(
        &self,
        method: &Method,
        name: &str,
        headers: &[(HeaderName, String)],
        (from, valid_for): (Timestamp, Duration),
    ) -> Result<Url, BucketError> {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(name.split('/'));
        }
        Ok(self.presigner.sign(SignedRequest { method, url: &url, headers, from, valid_for }).await?)
    }
}

/// Sends a request, whose answer must have arrived by `end`.
async fn sent(request: RequestBuilder, end: Instant) -> Result<Response, BucketError> {
    let request = request.timeout(end.saturating_duration_since(Instant::now()));
    let mut response = request.send().await.map_err(|error| BucketError::Away(error.without_url()))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if status == StatusCode::NOT_FOUND {
        return Err(BucketError::Missing);
    }
    let body = read_bounded(&mut response, LONGEST_ERROR).await.unwrap_or_default();
    let code = code_of(&String::from_utf8_lossy(&body)).map(|code| format!(" {code}")).unwrap_or_default();
    Err(BucketError::Refused { status, code })
}

/// S3's code in its error: `<Error><Code>AccessDenied</Code>…`. What else it says repeats the request.
fn code_of(error: &str) -> Option<&str> {
    let (code, _) = error.split_once("<Code>")?.1.split_once("</Code>")?;
    code.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_error_of_s3_the_code_is_told_alone() {
        let denied = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>";
        assert_eq!(code_of(denied), Some("AccessDenied"));
        for other in ["", "<html>", "<Code>", "<Code>a b</Code>", "</Code><Code>"] {
            assert_eq!(code_of(other), None, "{other}");
        }
    }
}
