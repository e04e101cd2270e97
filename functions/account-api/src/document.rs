//! `GET /openapi.json`: the description of all routes for programs, including those of the other functions.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

/// The document in the repository.
const TEXT: &str = include_str!("../../../docs/openapi.json");

/// A caller may cache it for a while: it changes only with a new version of the platform.
const KEPT: &str = "private, max-age=300";

/// `GET /openapi.json`.
pub(crate) async fn read() -> Response {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, KEPT)], TEXT).into_response()
}
