//! `GET /{file}`: WeChat's check files, at the root of every host of the platform (protocol section 13.2).
//!
//! WeChat's checker wants the bytes and nothing else. Requests are not authenticated: a name that cannot be a check
//! file costs nothing, and one that can costs one read. There is no directory and no other kind of file: a name is
//! looked up whole, among those that operators have stored. Responses are not cached, so that a removed file is gone at
//! once.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use store::CheckFile;
use tokio::time::{Instant, timeout_at};
use web::InternalError;
use wechat::check_file::CheckFileName;

use crate::LoginService;

/// The work's name in the log.
const SERVING: &str = "serving a check file";

/// `GET /{file}`.
pub(crate) async fn serve(State(service): State<LoginService>, path: Result<Path<String>, PathRejection>) -> Response {
    let Some(name) = path.ok().and_then(|Path(name)| CheckFileName::parse(&name).ok()) else { return not_found() };
    let bound = service.services().answer_by();
    let file = match timeout_at(bound, found(&service, &name, bound)).await {
        Ok(file) => file,
        Err(_) => Err(InternalError::Timeout),
    };
    match file {
        Ok(Some(file)) => text(StatusCode::OK, file.content.as_str().to_owned()),
        Ok(None) => not_found(),
        Err(trouble) => {
            let services = service.services();
            let reference = trouble.report(SERVING, &services.random, &services.metrics);
            text(StatusCode::SERVICE_UNAVAILABLE, format!("Not available. Reference: {reference}"))
        }
    }
}

async fn found(
    service: &LoginService,
    name: &CheckFileName,
    bound: Instant,
) -> Result<Option<CheckFile>, InternalError> {
    Ok(service.open(bound).await?.items.check_files.get(name).await?)
}

fn not_found() -> Response {
    text(StatusCode::NOT_FOUND, "Not found".to_owned())
}

/// A response that no browser interprets as anything but text.
fn text(status: StatusCode, body: String) -> Response {
    let headers = [(CONTENT_TYPE, "text/plain"), (X_CONTENT_TYPE_OPTIONS, "nosniff"), (CACHE_CONTROL, "no-store")];
    (status, headers, body).into_response()
}
