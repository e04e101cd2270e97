//! The platform from the shop server's point of view: an API that is called with a key.

use std::time::Duration;

use anyhow::Context as _;
use axum::http::Method;
use axum::http::header::{ETAG, IF_MATCH};
use base::http_client::{client_builder, read_bounded};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::steps::Step;

/// Longer than the platform takes to respond, even with an error.
const BOUND: Duration = Duration::from_secs(30);

/// More bytes than any response that the shop requests.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// Why a call of the API failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// There is no response.
    #[error("no response: {0}")]
    Unreachable(String),
    /// A response that is not a success.
    #[error("{status} {problem}: {detail}")]
    Refused {
        status: u16,
        /// The last part of the problem's `type`, such as `unknown-login`.
        problem: String,
        detail: String,
    },
}

impl ApiError {
    /// The problem's name; empty if there was no response.
    pub(super) fn problem(&self) -> &str {
        match self {
            Self::Unreachable(_) => "",
            Self::Refused { problem, .. } => problem,
        }
    }
}

/// A successful response.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) body: Value,
    pub(super) etag: Option<String>,
}

impl Answer {
    /// A member that is a text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        Some(self.body.get(name)?.as_str()?.to_owned())
    }
}

/// The shop's client for an API.
pub(super) struct Api {
    client: reqwest::Client,
    base: String,
    key: Option<SecretString>,
}

impl Api {
    /// The API at `base`, with the key if it requires one.
    pub(super) fn new(base: String, key: Option<SecretString>) -> anyhow::Result<Self> {
        let client = client_builder().timeout(BOUND).build().context("the demo shop has no HTTP client")?;
        Ok(Self { client, base, key })
    }

    /// Gets something without recording a step.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, ApiError> {
        self.ask(&mut Vec::new(), Method::GET, path, None).await
    }

    /// Sends a request, and records it and its response.
    pub(super) async fn ask(
        &self,
        steps: &mut Vec<Step>,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, ApiError> {
        self.send(steps, method, path, body, None).await
    }

    /// Changes something if it still has this `ETag`.
    pub(super) async fn patch(
        &self,
        steps: &mut Vec<Step>,
        path: &str,
        body: &Value,
        etag: Option<&str>,
    ) -> Result<Answer, ApiError> {
        self.send(steps, Method::PATCH, path, Some(body), etag).await
    }

    async fn send(
        &self,
        steps: &mut Vec<Step>,
        method: Method,
        path: &str,
        body: Option<&Value>,
        etag: Option<&str>,
    ) -> Result<Answer, ApiError> {
        let mut step = Step::request(&method, &format!("{}{path}", self.base), body);
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        request = self.key.iter().fold(request, |request, key| request.bearer_auth(key.expose_secret()));
        request = etag.iter().fold(request, |request, etag| request.header(IF_MATCH, *etag));
        request = body.into_iter().fold(request, reqwest::RequestBuilder::json);
        let answered = received(request).await;
        match &answered {
            Ok((status, answer)) => step.answered(*status, &answer.body),
            Err(error) => step.failed(error),
        }
        steps.push(step);
        let (status, answer) = answered?;
        if (200..300).contains(&status) { Ok(answer) } else { Err(refused(status, &answer)) }
    }
}

async fn received(request: reqwest::RequestBuilder) -> Result<(u16, Answer), ApiError> {
    // The error's text without the URL, which has secrets in other APIs.
    let unreachable = |error: reqwest::Error| ApiError::Unreachable(error.without_url().to_string());
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status().as_u16();
    let etag = response.headers().get(ETAG).and_then(|etag| Some(etag.to_str().ok()?.to_owned()));
    let body = read_bounded(&mut response, LARGEST_ANSWER).await;
    let body = body.map_err(|error| ApiError::Unreachable(error.to_string()))?;
    Ok((status, Answer { body: serde_json::from_slice(&body).unwrap_or_default(), etag }))
}

/// An error of the API's is problem details (RFC 9457).
fn refused(status: u16, answer: &Answer) -> ApiError {
    let kind = answer.text("type").unwrap_or_default();
    let problem = kind.rsplit(':').next().unwrap_or_default().to_owned();
    let detail = answer.text("detail").or_else(|| answer.text("title")).unwrap_or_default();
    ApiError::Refused { status, problem, detail }
}
