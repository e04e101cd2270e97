//! The API by which businesses make links, ask what became of them, and take a pre-auth code for a page of their own.

use std::pin::Pin;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use shared::identity::IamIdentity;
use shared::ids::{AppId, LinkId};
use shared::session::Session;
use shared::vault::Link;
use shared::web::{Problem, run_to_end};
use tokio::time::Instant;

use crate::link_request::{FieldError, Object};
use crate::mint::mint;
use crate::{BODY_LIMIT, LinkError, LinkService, known_link, wait_of};

/// The path's link; its absence is answered like that of an unknown one.
type LinkPath = Result<Path<LinkId>, PathRejection>;

/// Why a business does not get what it asks for.
#[derive(Debug, thiserror::Error)]
enum ApiError {
    #[error(transparent)]
    Body(#[from] JsonRejection),
    #[error(transparent)]
    Field(#[from] FieldError),
    #[error(transparent)]
    Link(#[from] LinkError),
}

#[derive(Serialize)]
struct Created {
    link_id: LinkId,
    url: String,
    expires_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Pending,
    Authorized,
    Expired,
}

#[derive(Serialize)]
struct LinkState {
    link_id: LinkId,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer_appid: Option<AppId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorized_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    expires_at: String,
}

/// The only answer that carries a code: it is the business's own to use.
#[derive(Serialize)]
struct MintedCode {
    pre_auth_code: String,
    expires_at: String,
    pc_url: String,
    mobile_url: String,
}

/// `POST /authorization-links`.
pub(crate) async fn create(
    State(service): State<LinkService>,
    identity: IamIdentity,
    body: Result<Json<Object>, JsonRejection>,
) -> Response {
    let bound = service.answer_by();
    answer(&service, "making a link", bound, Box::pin(created(service.clone(), identity, body, bound))).await
}

/// `GET /authorization-links/{link_id}`.
pub(crate) async fn read(State(service): State<LinkService>, path: LinkPath) -> Response {
    let bound = service.answer_by();
    let work = {
        let service = service.clone();
        Box::pin(async move {
            let (session, link) = link_of(&service, path, bound).await?;
            Ok(json(StatusCode::OK, &state_of(&session, link)))
        })
    };
    answer(&service, "reading a link", bound, work).await
}

/// `POST /authorization-links/{link_id}/codes`. No cookie: the browser is not here, so only WeChat's push, which names
/// the code, binds the link.
pub(crate) async fn mint_code(State(service): State<LinkService>, path: LinkPath) -> Response {
    let bound = service.answer_by();
    let work = {
        let service = service.clone();
        Box::pin(async move {
            let (session, link) = link_of(&service, path, bound).await?;
            let minted = mint(&service, &session, link, None).await?;
            let code = MintedCode {
                pre_auth_code: minted.code.expose_secret().to_owned(),
                expires_at: minted.expires_at.rfc3339(),
                pc_url: minted.on_computer.into(),
                mobile_url: minted.on_phone.into(),
            };
            Ok(json(StatusCode::CREATED, &code))
        })
    };
    answer(&service, "minting a pre-auth code", bound, work).await
}

async fn created(
    service: LinkService,
    identity: IamIdentity,
    body: Result<Json<Object>, JsonRejection>,
    bound: Instant,
) -> Result<Response, ApiError> {
    let Json(Object(body)) = body?;
    let (request, life) = body.parse(&service.config().return_origins)?;
    let session = service.session(bound).await.map_err(LinkError::from)?;
    let id = LinkId::generate(session.random());
    let now = session.now();
    let valid_until = now.plus(life);
    session.vault().put_link(&id, &request, valid_until, now).await.map_err(LinkError::from)?;
    tracing::info!(link = %id, caller = %identity, "link {id} was made");
    let url = service.link_url(&id).into();
    Ok(json(StatusCode::CREATED, &Created { link_id: id, url, expires_at: valid_until.rfc3339() }))
}

async fn link_of(service: &LinkService, path: LinkPath, bound: Instant) -> Result<(Session, Link), LinkError> {
    let Ok(Path(id)) = path else { return Err(LinkError::Unknown) };
    let session = service.session(bound).await?;
    let link = known_link(&session, &id).await?;
    Ok((session, link))
}

fn state_of(session: &Session, link: Link) -> LinkState {
    let status = match &link.authorized {
        Some(_) => Status::Authorized,
        None if link.is_expired(session.now()) => Status::Expired,
        None => Status::Pending,
    };
    let (authorizer_appid, authorized_at) = link.authorized.map(|(account, at)| (account, at.rfc3339())).unzip();
    LinkState {
        link_id: link.id,
        status,
        authorizer_appid,
        authorized_at,
        reference: link.request.reference,
        expires_at: link.valid_until.rfc3339(),
    }
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// Runs a request's work within its bound, and turns what went wrong into a problem.
async fn answer(
    service: &LinkService,
    what: &str,
    bound: Instant,
    work: Pin<Box<impl Future<Output = Result<Response, ApiError>> + Send + 'static>>,
) -> Response {
    let error = match run_to_end(bound, work).await {
        Ok(Ok(response)) => return response,
        Ok(Err(error)) => error,
        Err(trouble) => LinkError::from(trouble).into(),
    };
    let problem = match error {
        ApiError::Body(rejection) => body_problem(&rejection),
        ApiError::Field(error) => {
            Problem::new(StatusCode::BAD_REQUEST, "invalid-field", "A field cannot be used", error.to_string())
        }
        ApiError::Link(error) => link_problem(service, what, error),
    };
    problem.into_response()
}

/// What is wrong with a body. The JSON reader's words quote the business's own field names only.
fn body_problem(rejection: &JsonRejection) -> Problem {
    match rejection {
        JsonRejection::MissingJsonContentType(_) => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not-json",
            "The body is not JSON",
            "send the request with content-type: application/json",
        ),
        JsonRejection::BytesRejection(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The body is too large",
            format!("send at most {BODY_LIMIT} bytes"),
        ),
        error => Problem::new(
            StatusCode::BAD_REQUEST,
            "malformed",
            "The body cannot be read",
            format!("send a JSON object with the documented fields only: {}", error.body_text()),
        ),
    }
}

fn link_problem(service: &LinkService, what: &str, error: LinkError) -> Problem {
    match error {
        LinkError::Unknown => Problem::new(
            StatusCode::NOT_FOUND,
            "unknown-link",
            "No such link",
            "check the link_id; a link is forgotten 30 days after its expiry",
        ),
        LinkError::Expired => Problem::new(StatusCode::GONE, "link-expired", "The link has expired", "make a new link"),
        LinkError::Used => Problem::new(
            StatusCode::CONFLICT,
            "link-used",
            "The link has been used",
            "a link takes one account: make a new link for another",
        ),
        LinkError::TooMany(refused) => {
            let (detail, wait) = match wait_of(refused) {
                Some(wait) => ("wait as long as Retry-After says", Some(wait)),
                None => ("the link has made all its codes: make a new link", None),
            };
            let problem =
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-codes", "Too many pre-auth codes", detail);
            match wait {
                Some(wait) => problem.with_retry_after(wait),
                None => problem,
            }
        }
        LinkError::Trouble(trouble) => {
            let services = service.services();
            trouble.problem(trouble.report(what, &services.random, &services.metrics))
        }
    }
}
