//! Requests of the program itself to the business API, without a network between them.

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower::ServiceExt as _;

/// Larger than any response that is requested here.
const ANSWER_LIMIT: usize = 16 * 1024;

/// Sends a request, and reads the response.
///
/// # Errors
/// If the response is not a success.
pub(crate) async fn post<T: DeserializeOwned>(business: &Router, path: &str, body: &Value) -> anyhow::Result<T> {
    let (status, body) = send(business, path, body).await?;
    anyhow::ensure!(status.is_success(), "status {status}: {}", String::from_utf8_lossy(&body));
    Ok(serde_json::from_slice(&body)?)
}

/// The same; `None` if the request is refused.
///
/// # Errors
/// If there is no response, or one that cannot be read.
pub(crate) async fn try_post<T: DeserializeOwned>(
    business: &Router,
    path: &str,
    body: &Value,
) -> anyhow::Result<Option<T>> {
    let (status, body) = send(business, path, body).await?;
    if status.is_success() { Ok(Some(serde_json::from_slice(&body)?)) } else { Ok(None) }
}

async fn send(business: &Router, path: &str, body: &Value) -> anyhow::Result<(StatusCode, Bytes)> {
    let request = Request::post(path).header(CONTENT_TYPE, "application/json").body(Body::from(body.to_string()))?;
    let response = business.clone().oneshot(request).await?;
    let status = response.status();
    Ok((status, to_bytes(response.into_body(), ANSWER_LIMIT).await?))
}
