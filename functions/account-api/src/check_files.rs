//! `PUT /check-files/{file}`, `GET /check-files` and `DELETE /check-files/{file}`: the files with which WeChat checks that a
//! domain is the platform's or an account's. web-login serves them at the root of every host.
//!
//! IAM only: WeChat trusts the host on behalf of whoever can store a file here.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use base::clock::Timestamp;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use store::{CheckFile, CheckFileOrigin, CheckFilePage, MAX_CHECK_FILES, NewCheckFile};
use tokio::time::Instant;
use web::api::{ApiError, json, respond};
use web::caller::Caller;
use web::{Cursor, Members, PageSize, Parameters, Problem, ProblemKind};
use wechat::check_file::{CheckFileContent, CheckFileError, CheckFileName};

use crate::AccountService;

/// The file in the path.
type FilePath = Result<Path<String>, PathRejection>;

/// The body of a request that stores a file.
#[derive(Debug)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CheckFileRequest))]
pub(crate) struct CheckFileBody {
    /// The file's text, exactly as WeChat gave it: no byte order mark, no line break at the end.
    content: String,
}

/// A check file.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CheckFile))]
pub(crate) struct CheckFileView {
    /// Its name: every host of the platform serves it at `/` followed by this name.
    file: String,
    /// Its text.
    content: String,
    /// Its origin: `manual` if somebody stored it, otherwise from WeChat, as the `platform`'s or an `account`'s.
    origin: &'static str,
    /// The account, if the origin is `account`.
    #[serde(skip_serializing_if = "Option::is_none")]
    appid: Option<String>,
    /// When it was stored.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    stored_at: String,
}

impl From<CheckFile> for CheckFileView {
    fn from(file: CheckFile) -> Self {
        Self {
            origin: file.origin.word(),
            appid: file.origin.account().map(ToString::to_string),
            file: file.name.into(),
            content: file.content.as_str().to_owned(),
            stored_at: Timestamp::rfc3339(file.stored_at),
        }
    }
}

/// A page of check files.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CheckFilePage))]
pub(crate) struct CheckFileListPage {
    files: Vec<CheckFileView>,
    /// Present if there may be more: the parameter `cursor` of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    next_cursor: Option<Cursor>,
}

impl CheckFileBody {
    /// Reads the members of a request and refuses unknown ones.
    fn read(mut members: Members) -> Result<Self, Problem> {
        let content = members.text("content")?;
        members.finish()?;
        let missing =
            || Problem::new(ProblemKind::InvalidCheckFile, "content is missing: send the content of WeChat's file");
        Ok(Self { content: content.ok_or_else(missing)? })
    }
}

/// `PUT /check-files/{file}`. Idempotent.
pub(crate) async fn put(
    State(service): State<AccountService>,
    caller: Caller,
    path: FilePath,
    body: Members,
) -> Response {
    let work = |bound| stored(service.clone(), caller, path, body, bound);
    respond(service.services(), "storing a check file", work).await
}

/// `GET /check-files`.
pub(crate) async fn list(State(service): State<AccountService>, RawQuery(query): RawQuery) -> Response {
    respond(service.services(), "listing check files", |bound| listed(service.clone(), query, bound)).await
}

/// `DELETE /check-files/{file}`.
pub(crate) async fn remove(State(service): State<AccountService>, caller: Caller, path: FilePath) -> Response {
    let work = |bound| removed(service.clone(), caller, path, bound);
    respond(service.services(), "removing a check file", work).await
}

async fn stored(
    service: AccountService,
    caller: Caller,
    path: FilePath,
    body: Members,
    bound: Instant,
) -> Result<Response, ApiError> {
    let name = name(path).map_err(refused)?;
    let content = CheckFileContent::parse(&CheckFileBody::read(body)?.content).map_err(refused)?;
    let open = service.open(bound).await?;
    let file = CheckFile { name, content, origin: CheckFileOrigin::Manual, stored_at: open.now() };
    match open.items.check_files.put(&file).await? {
        NewCheckFile::Stored => {
            tracing::info!(file = %file.name, caller = caller.principal(), "a check file was stored");
            Ok(json(StatusCode::OK, &CheckFileView::from(file)))
        }
        NewCheckFile::TooMany => Err(too_many().into()),
    }
}

async fn listed(service: AccountService, query: Option<String>, bound: Instant) -> Result<Response, ApiError> {
    let mut parameters = Parameters::parse(query.as_deref().unwrap_or_default())?;
    let PageSize(limit) = PageSize::read(&mut parameters)?;
    let after = Cursor::read(&mut parameters, &[], |name| CheckFileName::parse(name).ok())?;
    parameters.finish()?;
    let open = service.open(bound).await?;
    let CheckFilePage { files, next } = open.items.check_files.page(limit, after.as_ref()).await?;
    let next_cursor = next.map(|name| Cursor::at(name.as_str(), &[]));
    let files = files.into_iter().map(CheckFileView::from).collect();
    Ok(json(StatusCode::OK, &CheckFileListPage { files, next_cursor }))
}

async fn removed(
    service: AccountService,
    caller: Caller,
    path: FilePath,
    bound: Instant,
) -> Result<Response, ApiError> {
    let name = name(path).map_err(|_| unknown())?;
    let open = service.open(bound).await?;
    if !open.items.check_files.remove(&name).await? {
        return Err(unknown().into());
    }
    tracing::info!(file = %name, caller = caller.principal(), "a check file was removed");
    Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
}

/// The file that a path names.
fn name(path: FilePath) -> Result<CheckFileName, CheckFileError> {
    path.map_err(|_| CheckFileError::Name).and_then(|Path(name)| CheckFileName::parse(&name))
}

fn refused(error: CheckFileError) -> Problem {
    Problem::new(ProblemKind::InvalidCheckFile, error.to_string())
}

fn unknown() -> Problem {
    Problem::new(ProblemKind::UnknownCheckFile, "check the name: GET /check-files lists the files that are served")
}

fn too_many() -> Problem {
    let detail = format!(
        "{MAX_CHECK_FILES} check files are stored, which is the most: remove those of domains that WeChat has checked, by \
         DELETE /check-files/{{file}}"
    );
    Problem::new(ProblemKind::TooManyCheckFiles, detail)
}
