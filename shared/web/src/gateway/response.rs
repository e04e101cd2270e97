//! Conversion of an HTTP response to the gateway's JSON.

use std::collections::BTreeMap;
use std::string::FromUtf8Error;

use axum::body::to_bytes;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::SET_COOKIE;
use serde::Serialize;

/// Lambda's limit on a response, in bytes; our largest is 4 MiB in Base64.
const RESPONSE_LIMIT: usize = 6 * 1024 * 1024;

/// The extension of a response whose body is sent in Base64 even if it is text: JSON's escapes could make megabytes of
/// text exceed Lambda's limit, while Base64 adds only a third.
#[derive(Debug, Clone, Copy)]
pub struct InBase64;

/// A response in the form of payload 2.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayResponse {
    /// The status.
    pub status_code: u16,
    /// The headers, without `Set-Cookie`. The values of a repeated header are joined with a comma.
    pub headers: BTreeMap<String, String>,
    /// The values of `Set-Cookie`.
    pub cookies: Vec<String>,
    /// The body: unchanged if it is UTF-8 and not marked with [`InBase64`], otherwise in Base64.
    pub body: String,
    /// Whether the body is in Base64.
    pub is_base64_encoded: bool,
}

impl GatewayResponse {
    /// The same with the request's id, which is in every line of the log about it, so that a caller who asks for help
    /// can quote it.
    pub(super) fn with_request_id(mut self, id: String) -> Self {
        self.headers.insert("x-request-id".to_owned(), id);
        self
    }

    pub(super) async fn of(response: Response) -> Self {
        let (head, body) = response.into_parts();
        let mut headers = BTreeMap::<String, String>::new();
        let mut cookies = Vec::new();
        for (name, value) in &head.headers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            if name == SET_COOKIE {
                cookies.push(value);
            } else {
                let joined = headers.entry(name.as_str().to_owned());
                joined.and_modify(|joined| *joined = format!("{joined},{value}")).or_insert(value);
            }
        }
        let (status, body) = match to_bytes(body, RESPONSE_LIMIT).await {
            Ok(body) => (head.status, Vec::from(body)),
            Err(error) => {
                tracing::error!("a response could not be read completely: {error}");
                (StatusCode::INTERNAL_SERVER_ERROR, Vec::new())
            }
        };
        let text = if head.extensions.get::<InBase64>().is_some() { Err(body) } else { text(body) };
        let (body, is_base64_encoded) = match text {
            Ok(text) => (text, false),
            Err(bytes) => (STANDARD.encode(bytes), true),
        };
        Self { status_code: status.as_u16(), headers, cookies, body, is_base64_encoded }
    }
}

fn text(bytes: Vec<u8>) -> Result<String, Vec<u8>> {
    String::from_utf8(bytes).map_err(FromUtf8Error::into_bytes)
}
