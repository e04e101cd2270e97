//! The API with which businesses create links, query their outcome, cancel them, and get a pre-auth code for a page of
//! their own. `docs/business-api.md` is the contract.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use base::ids::LinkId;
use http::StatusCode;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use store::{Labels, Link, LinkPlace, LinkStatus};
use tokio::time::Instant;
use web::api::{ApiError, json, respond};
use web::caller::Caller;
use web::{Cursor, Members, PageSize, Parameters, QueryError};

use crate::link_request::Body;
use crate::link_state::LinkState;
use crate::mint::mint;
use crate::{LinkError, LinkService, OpenPlatform, known_link};

/// The link in the path; a malformed id is treated like an unknown one.
type LinkPath = Result<Path<LinkId>, PathRejection>;

/// A new link.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct CreatedLink {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    link_id: LinkId,
    /// The page for the merchant.
    url: String,
    /// When it expires.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    expires_at: String,
}

/// A pre-auth code. Only this response carries one: the business uses it itself.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct MintedCode {
    /// WeChat's code.
    pre_auth_code: String,
    /// When WeChat stops accepting it.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    expires_at: String,
    /// WeChat's page for a browser on a computer.
    pc_url: String,
    /// WeChat's page inside WeChat.
    mobile_url: String,
}

/// `POST /authorization-links`.
pub(crate) async fn create(State(service): State<LinkService>, caller: Caller, body: Members) -> Response {
    respond(service.services(), "making a link", |bound| created(service.clone(), caller, body, bound)).await
}

/// A page of links.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct LinkPage {
    links: Vec<LinkState>,
    /// Present if there may be more: the parameter `cursor` of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    next_cursor: Option<Cursor>,
}

/// `GET /authorization-links`.
pub(crate) async fn list(State(service): State<LinkService>, caller: Caller, RawQuery(query): RawQuery) -> Response {
    respond(service.services(), "listing links", |bound| listed(service.clone(), caller, query, bound)).await
}

/// `GET /authorization-links/{link_id}`.
pub(crate) async fn read(State(service): State<LinkService>, caller: Caller, path: LinkPath) -> Response {
    respond(service.services(), "reading a link", |bound| shown(service.clone(), caller, path, bound)).await
}

/// `DELETE /authorization-links/{link_id}`. A repeat gets the same response.
pub(crate) async fn cancel(State(service): State<LinkService>, caller: Caller, path: LinkPath) -> Response {
    respond(service.services(), "cancelling a link", |bound| cancelled(service.clone(), caller, path, bound)).await
}

/// `POST /authorization-links/{link_id}/codes`. Sets no cookie, since no browser is involved: only WeChat's push, which
/// names the code, binds the link.
pub(crate) async fn mint_code(State(service): State<LinkService>, caller: Caller, path: LinkPath) -> Response {
    respond(service.services(), "minting a pre-auth code", |bound| minted(service.clone(), caller, path, bound)).await
}

async fn created(service: LinkService, caller: Caller, body: Members, bound: Instant) -> Result<Response, ApiError> {
    let (request, life) = Body::read(body)?.parse(&service.config().return_origins, caller.principal())?;
    if let Some(account) = &request.biz_appid {
        caller.needs_account(account)?;
    }
    let open = service.open(bound).await.map_err(LinkError::from)?;
    let id = LinkId::generate(open.random());
    let now = open.now();
    let valid_until = now.plus(life);
    open.items.links.put(&id, &request, valid_until, now).await.map_err(LinkError::from)?;
    tracing::info!(link = %id, caller = %caller, "link {id} was created");
    let url = service.link_url(&id).into();
    Ok(json(StatusCode::CREATED, &CreatedLink { link_id: id, url, expires_at: valid_until.rfc3339() }))
}

async fn listed(
    service: LinkService,
    caller: Caller,
    query: Option<String>,
    bound: Instant,
) -> Result<Response, ApiError> {
    let mut parameters = Parameters::parse(query.as_deref().unwrap_or_default())?;
    let kind = "a text of 1 to 256 characters, since links are listed by it";
    let reference = parameters.parsed("reference", kind, |text| Labels::is_reference(text).then(|| text.to_owned()))?;
    let reference = reference.ok_or(QueryError::Value("reference", kind))?;
    let PageSize(limit) = PageSize::read(&mut parameters)?;
    let after = Cursor::read(&mut parameters, &[&reference], |place| LinkPlace::parse(place).ok())?;
    parameters.finish()?;
    let open = service.open(bound).await.map_err(LinkError::from)?;
    let (links, last) = match caller.appids() {
        None => open.items.links.with_reference(&reference, limit, after.as_ref(), open.now()).await?,
        Some(_) => seen_by(&caller, &open, &reference, limit, after).await?,
    };
    let links = LinkState::of_all(&open, links).await?;
    let next_cursor = last.map(|place| Cursor::at(place.as_str(), &[&reference]));
    Ok(json(StatusCode::OK, &LinkPage { links, next_cursor }))
}

/// A page of the links that a caller limited to some accounts may see. They are read one by one, so that the page ends
/// with such a link: a cursor contains the id of a link, and must not reveal another caller's.
async fn seen_by(
    caller: &Caller,
    open: &OpenPlatform,
    reference: &str,
    limit: usize,
    mut after: Option<LinkPlace>,
) -> Result<(Vec<Link>, Option<LinkPlace>), ApiError> {
    let mut seen = Vec::new();
    loop {
        let (links, last) = open.items.links.with_reference(reference, 1, after.as_ref(), open.now()).await?;
        seen.extend(links.into_iter().filter(|link| is_seen_by(caller, link)));
        if last.is_none() || seen.len() == limit {
            return Ok((seen, last));
        }
        after = last;
    }
}

async fn shown(service: LinkService, caller: Caller, path: LinkPath, bound: Instant) -> Result<Response, ApiError> {
    let (open, link) = link_of(&service, &caller, path, bound).await?;
    state(&open, link).await
}

async fn cancelled(service: LinkService, caller: Caller, path: LinkPath, bound: Instant) -> Result<Response, ApiError> {
    let Ok(Path(id)) = path else { return Err(LinkError::Unknown.into()) };
    let open = service.open(bound).await.map_err(LinkError::from)?;
    if caller.appids().is_some() && !is_seen_by(&caller, &known_link(&open, &id).await?) {
        return Err(LinkError::Unknown.into());
    }
    let link = open.items.links.cancel(&id, open.now()).await.map_err(LinkError::from)?;
    let link = link.ok_or(LinkError::Unknown)?;
    let status = link.status(open.now());
    if status != LinkStatus::Cancelled {
        return Err(LinkError::Ended(status).into());
    }
    tracing::info!(link = %id, caller = %caller, "link {id} is cancelled");
    state(&open, link).await
}

async fn minted(service: LinkService, caller: Caller, path: LinkPath, bound: Instant) -> Result<Response, ApiError> {
    let (open, link) = link_of(&service, &caller, path, bound).await?;
    let minted = mint(&service, &open, link, None).await?;
    let code = MintedCode {
        pre_auth_code: minted.code.expose_secret().to_owned(),
        expires_at: minted.expires_at.rfc3339(),
        pc_url: minted.on_computer.into(),
        mobile_url: minted.on_phone.into(),
    };
    Ok(json(StatusCode::CREATED, &code))
}

async fn link_of(
    service: &LinkService,
    caller: &Caller,
    path: LinkPath,
    bound: Instant,
) -> Result<(OpenPlatform, Link), LinkError> {
    let Ok(Path(id)) = path else { return Err(LinkError::Unknown) };
    let open = service.open(bound).await?;
    let link = known_link(&open, &id).await?;
    if is_seen_by(caller, &link) { Ok((open, link)) } else { Err(LinkError::Unknown) }
}

/// Whether a caller may see a link. A caller limited to some accounts sees the links for one of them, and those that it
/// has created itself.
fn is_seen_by(caller: &Caller, link: &Link) -> bool {
    let is_for_its_account = || link.request.biz_appid.as_ref().is_some_and(|account| caller.may_use(account));
    caller.appids().is_none() || link.request.made_by.as_deref() == Some(caller.principal()) || is_for_its_account()
}

async fn state(open: &OpenPlatform, link: Link) -> Result<Response, ApiError> {
    Ok(json(StatusCode::OK, &LinkState::of(open, link).await.map_err(LinkError::from)?))
}
