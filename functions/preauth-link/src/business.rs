//! The API by which businesses make links, ask for their outcome, cancel them, and take a pre-auth code for a page of
//! their own. `docs/business-api.md` is its contract.

use std::pin::Pin;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use base::ids::LinkId;
use http::header::CACHE_CONTROL;
use http::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use store::{Link, LinkStatus};
use tokio::time::Instant;
use web::identity::IamIdentity;
use web::{Problem, ProblemKind, spawn_with_timeout};

use crate::body::{BodyError, Members};
use crate::link_request::Body;
use crate::link_state::LinkState;
use crate::mint::mint;
use crate::problems::{ApiError, problem};
use crate::{LinkError, LinkService, OpenPlatform, known_link};

/// The path's link; its absence is answered like that of an unknown one.
type LinkPath = Result<Path<LinkId>, PathRejection>;

#[derive(Serialize)]
struct Created {
    link_id: LinkId,
    url: String,
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
    body: Result<Members, BodyError>,
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
            let (open, link) = link_of(&service, path, bound).await?;
            state(&open, link).await
        })
    };
    answer(&service, "reading a link", bound, work).await
}

/// `DELETE /authorization-links/{link_id}`. Whoever asks again gets the same answer.
pub(crate) async fn cancel(State(service): State<LinkService>, identity: IamIdentity, path: LinkPath) -> Response {
    let bound = service.answer_by();
    answer(&service, "cancelling a link", bound, Box::pin(cancelled(service.clone(), identity, path, bound))).await
}

/// `POST /authorization-links/{link_id}/codes`. No cookie: the browser is not here, so only WeChat's push, which names
/// the code, binds the link.
pub(crate) async fn mint_code(State(service): State<LinkService>, path: LinkPath) -> Response {
    let bound = service.answer_by();
    let work = {
        let service = service.clone();
        Box::pin(async move {
            let (open, link) = link_of(&service, path, bound).await?;
            let minted = mint(&service, &open, link, None).await?;
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

/// Any other path.
pub(crate) async fn unknown_route() -> Problem {
    Problem::new(ProblemKind::UnknownRoute, "check the path: every route is below /authorization-links")
}

/// Any other method of a path that is there; the router adds `Allow`.
pub(crate) async fn method_not_allowed(method: Method) -> Problem {
    Problem::new(ProblemKind::MethodNotAllowed, format!("use a method that Allow names instead of {method}"))
}

async fn created(
    service: LinkService,
    identity: IamIdentity,
    body: Result<Members, BodyError>,
    bound: Instant,
) -> Result<Response, ApiError> {
    let (request, life) = Body::read(body?)?.parse(&service.config().return_origins)?;
    let open = service.open(bound).await.map_err(LinkError::from)?;
    let id = LinkId::generate(open.random());
    let now = open.now();
    let valid_until = now.plus(life);
    open.items.links.put(&id, &request, valid_until, now).await.map_err(LinkError::from)?;
    tracing::info!(link = %id, caller = %identity, "link {id} was made");
    let url = service.link_url(&id).into();
    Ok(json(StatusCode::CREATED, &Created { link_id: id, url, expires_at: valid_until.rfc3339() }))
}

async fn cancelled(
    service: LinkService,
    identity: IamIdentity,
    path: LinkPath,
    bound: Instant,
) -> Result<Response, ApiError> {
    let Ok(Path(id)) = path else { return Err(LinkError::Unknown.into()) };
    let open = service.open(bound).await.map_err(LinkError::from)?;
    let link = open.items.links.cancel(&id, open.now()).await.map_err(LinkError::from)?;
    let link = link.ok_or(LinkError::Unknown)?;
    let status = link.status(open.now());
    if status != LinkStatus::Cancelled {
        return Err(LinkError::Ended(status).into());
    }
    tracing::info!(link = %id, caller = %identity, "link {id} is cancelled");
    state(&open, link).await
}

async fn link_of(service: &LinkService, path: LinkPath, bound: Instant) -> Result<(OpenPlatform, Link), LinkError> {
    let Ok(Path(id)) = path else { return Err(LinkError::Unknown) };
    let open = service.open(bound).await?;
    let link = known_link(&open, &id).await?;
    Ok((open, link))
}

async fn state(open: &OpenPlatform, link: Link) -> Result<Response, ApiError> {
    Ok(json(StatusCode::OK, &LinkState::of(open, link).await.map_err(LinkError::from)?))
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
    let error = match spawn_with_timeout(bound, work).await {
        Ok(Ok(response)) => return response,
        Ok(Err(error)) => error,
        Err(trouble) => LinkError::from(trouble).into(),
    };
    problem(service.services(), what, error).into_response()
}
