//! Files too large for a request or a response of ours: uploaded to the stack's bucket for a call, and downloaded from it.
//!
//! `POST /files` returns the id of a file and the URL to upload it to. A call names it in `X-Body-File`: it is sent as the
//! body, or with `X-Body-Part` as one part of a form. A response too large to return is stored in the bucket if the call
//! asks for that with `X-Large-Answer: redirect`, and ours redirects to it. A file belongs to the caller that created it:
//! its id is useless to anyone else.

use axum::extract::State;
use axum::response::Response;
use base::ids::{Digest, FileId};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use url::Url;
use web::api::{ApiError, json, respond};
use web::caller::Caller;
use web::{Members, Problem, ProblemKind};

use crate::bucket::{BucketError, File};
use crate::form;
use crate::request::{BodyFile, CallRequest, unknown_file};
use crate::response::not_read;
use crate::{CallService, LARGEST_FILE, OpenPlatform};

/// The longest media type of a file, in bytes.
pub(crate) const LONGEST_TYPE: usize = 127;

/// The characters of a token (RFC 9110, section 5.6.2) that are neither letters nor digits.
pub(crate) const TOKEN_SYMBOLS: &str = "!#$%&'*+.^_`|~-";

/// A file that can be uploaded.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct FileUpload {
    /// Names the file in `X-Body-File`.
    pub(crate) file_id: String,
    /// Where to `PUT` the file, with the `Content-Type` and `Content-Length` that were announced. Anyone who has the
    /// URL can upload: do not log it.
    pub(crate) upload_url: String,
    /// When the URL expires.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub(crate) expires_at: String,
}

/// The type and length of a file to be uploaded.
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
            invalid("content_type must be a media type without parameters, such as image/jpeg".to_owned())
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
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || TOKEN_SYMBOLS.as_bytes().contains(&byte))
    };
    text.len() <= LONGEST_TYPE
        && text.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

/// `POST /files`.
pub(crate) async fn create(State(service): State<CallService>, caller: Caller, body: Members) -> Response {
    respond(service.services(), "creating a file", |_| create_upload(service.clone(), caller, body)).await
}

async fn create_upload(service: CallService, caller: Caller, body: Members) -> Result<Response, ApiError> {
    let FileRequest { content_type, length } = FileRequest::read(body)?;
    let id = FileId::generate(&service.services().random);
    let presigned = service.bucket().upload_url(&object(&caller, &id), &content_type, length).await?;
    let upload = FileUpload {
        file_id: id.to_string(),
        upload_url: presigned.url.into(),
        expires_at: presigned.expires_at.rfc3339(),
    };
    Ok(json(StatusCode::CREATED, &upload))
}

/// The name of a caller's file in the bucket.
fn object(caller: &Caller, id: &FileId) -> String {
    format!("{}/{id}", Digest::of(&["file", caller.principal()]).as_str())
}

/// A body to be sent to WeChat, and the headers that describe it.
pub(crate) struct OutgoingBody {
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl OutgoingBody {
    /// The body that a request asks to send: its own, or one with an uploaded file.
    pub(crate) async fn of(open: &OpenPlatform, request: &CallRequest) -> Result<Self, Problem> {
        let mut headers = request.headers.clone();
        let Some(BodyFile { id, part }) = &request.file else {
            return Ok(Self { headers, bytes: request.body.clone() });
        };
        let file = open.bucket.get(&object(&request.caller, id), LARGEST_FILE, open.file_end()).await;
        let file = file.map_err(|error| match error {
            BucketError::Missing => unknown_file(),
            error => not_read(open, error),
        })?;
        let file = match part {
            None => file,
            Some(part) => form::with_file(part, &file, &open.component.context().random),
        };
        headers.remove(CONTENT_TYPE);
        headers.extend(file.content_type.map(|value| (CONTENT_TYPE, value)));
        Ok(Self { headers, bytes: file.bytes })
    }
}

/// Stores a response of WeChat's in the bucket, and returns the URL from which the caller can download it.
pub(crate) async fn put_response(open: &OpenPlatform, caller: &Caller, file: File) -> Result<Url, BucketError> {
    let name = object(caller, &FileId::generate(&open.component.context().random));
    open.bucket.put(&name, file, open.put_end()).await?;
    open.bucket.download_url(&name).await
}
