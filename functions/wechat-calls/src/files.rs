//! Files that do not fit into a request or a response of ours: to a call by way of the stack's bucket, and back from one.
//!
//! `POST /files` gives a file an id, and says where to put it. A call names it in `X-Body-File`: it is sent as the body, or
//! with `X-Body-Part` as one part of a form. An answer that is too large to be passed back goes into the bucket if the call
//! asks for that with `X-Large-Answer: redirect`, and the response leads there. A file belongs to the caller who has asked
//! for it: to everybody else its id says nothing.

use axum::extract::State;
use axum::response::Response;
use base::ids::{Digest, FileId};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use url::Url;
use web::api::{ApiError, answer, json};
use web::identity::IamIdentity;
use web::{InternalError, Members, Problem, ProblemKind};

use crate::bucket::{BucketError, File, OPEN};
use crate::form;
use crate::request::{BodyFile, CallRequest, unknown_file};
use crate::{CallService, LARGEST_FILE, OpenPlatform};

/// The longest type of a file, in bytes.
const LONGEST_TYPE: usize = 127;

/// A place for a file.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct FilePlace {
    /// Names the file in `X-Body-File`.
    pub(crate) file_id: String,
    /// Where to `PUT` it, with `Content-Type` and `Content-Length` as they were named. Whoever has the URL can do so: it is
    /// not to be logged.
    pub(crate) upload_url: String,
    /// Until when.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub(crate) upload_until: String,
}

/// What a file will be.
struct FileRequest {
    content_type: String,
    length: usize,
}

impl FileRequest {
    fn read(mut members: Members) -> Result<Self, Problem> {
        let invalid = |detail: String| Problem::new(ProblemKind::InvalidField, detail);
        let (content_type, length) = (members.text("content_type")?, members.number("length")?);
        members.finish()?;
        let content_type = content_type.filter(|text| is_media_type(text)).ok_or_else(|| {
            invalid("content_type must be the file's type without parameters, such as image/jpeg".to_owned())
        })?;
        let length = length.and_then(|length| usize::try_from(length).ok());
        let length = length
            .filter(|length| (1..=LARGEST_FILE).contains(length))
            .ok_or_else(|| invalid(format!("length must be the file's length in bytes, from 1 to {LARGEST_FILE}")))?;
        Ok(Self { content_type, length })
    }
}

/// `type/subtype` (RFC 9110, section 8.3.1).
fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    text.len() <= LONGEST_TYPE
        && text.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

/// `POST /files`.
pub(crate) async fn create(
    State(service): State<CallService>,
    identity: IamIdentity,
    body: Result<Members, Problem>,
) -> Response {
    let bound = service.services().answer_by();
    let work = Box::pin(created(service.clone(), identity, body));
    answer(service.services(), "making a place for a file", bound, work).await
}

async fn created(
    service: CallService,
    identity: IamIdentity,
    body: Result<Members, Problem>,
) -> Result<Response, ApiError> {
    let FileRequest { content_type, length } = FileRequest::read(body?)?;
    let services = service.services();
    let (id, now) = (FileId::generate(&services.random), services.clock.now());
    let url = service.bucket().upload_url(&object(&identity, &id), &content_type, length, now).await;
    let place = FilePlace {
        file_id: id.to_string(),
        upload_url: url.map_err(|error| unavailable(&error))?.to_string(),
        upload_until: now.plus(OPEN).rfc3339(),
    };
    Ok(json(StatusCode::CREATED, &place))
}

/// The name of a caller's file in the bucket.
fn object(caller: &IamIdentity, id: &FileId) -> String {
    format!("{}/{id}", Digest::of(&["file", caller.principal()]).as_str())
}

fn unavailable(error: &BucketError) -> ApiError {
    InternalError::Files(error.to_string()).into()
}

/// What is sent to WeChat.
pub(crate) struct Sent {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Sent {
    /// What a request wants sent: its own body, or a file that was handed over.
    pub(crate) async fn of(open: &OpenPlatform, request: &CallRequest) -> Result<Self, ApiError> {
        let mut headers = request.headers.clone();
        let Some(BodyFile { id, part }) = &request.file else {
            return Ok(Self { headers, body: request.body.clone() });
        };
        let context = open.component.context();
        let file = open.bucket.get(&object(&request.caller, id), LARGEST_FILE, (context.now(), open.calls_end())).await;
        let file = file.map_err(|error| match error {
            BucketError::Missing => unknown_file().into(),
            error => unavailable(&error),
        })?;
        let (content_type, body) = match part {
            None => (file.content_type, file.bytes),
            Some(part) => form::with_file(part, &file, &context.random),
        };
        headers.remove(CONTENT_TYPE);
        headers.extend(content_type.map(|value| (CONTENT_TYPE, value)));
        Ok(Self { headers, body })
    }
}

/// Puts an answer into the bucket, and returns where the caller can get it.
pub(crate) async fn keep(open: &OpenPlatform, caller: &IamIdentity, file: File) -> Result<Url, ApiError> {
    let context = open.component.context();
    let name = object(caller, &FileId::generate(&context.random));
    let put = open.bucket.put(&name, file, (context.now(), open.writes_end())).await;
    put.map_err(|error| unavailable(&error))?;
    open.bucket.download_url(&name, context.now()).await.map_err(|error| unavailable(&error))
}
