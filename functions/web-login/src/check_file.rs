//! `GET /{file}`: WeChat's check files, at the root of every host of the platform (protocol section 13.2).
//!
//! WeChat's checker wants the bytes and nothing else. Anybody may ask: what cannot be a check file costs nothing, and what
//! can be one costs one read. There is no directory and no other kind of file: a name is looked up whole, among those that
//! operators have stored. Nothing is kept by anybody, so that a file that was removed is gone at once.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use tokio::time::Instant;
use web::api::{ApiError, respond};
use wechat::check_file::CheckFileName;

use crate::LoginService;

/// `GET /{file}`.
pub(crate) async fn serve(State(service): State<LoginService>, path: Result<Path<String>, PathRejection>) -> Response {
    let Some(name) = path.ok().and_then(|Path(name)| CheckFileName::parse(&name).ok()) else { return not_found() };
    respond(service.services(), "serving a check file", |bound| found(service.clone(), name, bound)).await
}

async fn found(service: LoginService, name: CheckFileName, bound: Instant) -> Result<Response, ApiError> {
    let file = service.open(bound).await?.items.check_files.get(&name).await?;
    Ok(file.map_or_else(not_found, |file| text(StatusCode::OK, file.content.as_str().to_owned())))
}

fn not_found() -> Response {
    text(StatusCode::NOT_FOUND, "Not found".to_owned())
}

/// A response that no browser takes for anything but text.
fn text(status: StatusCode, body: String) -> Response {
    let headers = [(CONTENT_TYPE, "text/plain"), (X_CONTENT_TYPE_OPTIONS, "nosniff"), (CACHE_CONTROL, "no-store")];
    (status, headers, body).into_response()
}
