//! `GET /openapi.json`: the description of all routes for programs, those of preauth-link too.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

/// As it is in the repository.
const TEXT: &str = include_str!("../../../docs/openapi.json");

/// A caller may keep it for a while: it changes with a new version of the platform only.
const KEPT: &str = "private, max-age=300";

/// `GET /openapi.json`.
pub(crate) async fn read() -> Response {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, KEPT)], TEXT).into_response()
}
