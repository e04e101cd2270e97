//! `/operators…`: who may use the console. Only principals of AWS create and end operators: an operator can neither
//! invite nor end anybody.
//!
//! An invitation's URL is in the response to the request that created it, and nowhere else.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use base::clock::Timestamp;
use base::ids::{BrowserId, OperatorName};
use futures::future::try_join_all;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use store::{Actor, Invitation, InvitationCode, KnownBrowser, Operator, OperatorPage, OperatorRequest};
use tokio::time::Instant;
use web::api::{ApiError, json, respond};
use web::caller::Caller;
use web::source::Requester;
use web::{BodyError, Cursor, Members, PageSize, Parameters, Problem, ProblemKind};

use crate::{AccountService, OpenPlatform};

/// The operator in the path; a malformed name is treated like an unknown one.
type OperatorPath = Result<Path<OperatorName>, PathRejection>;

/// The operator and browser in the path, likewise.
type BrowserPath = Result<Path<(OperatorName, BrowserId)>, PathRejection>;

/// The body of a request for an operator. A member that is `null` counts as missing.
#[derive(Debug)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = OperatorRequest))]
pub(crate) struct OperatorBody {
    /// The operator's name, in the console and in the audit.
    name: String,
    /// Whether the operator may only look, or also act.
    rights: String,
    /// When the operator's access expires. Missing: never.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    until: Option<String>,
}

impl OperatorBody {
    /// Reads the members of a request and refuses unknown ones.
    fn read(mut members: Members) -> Result<Self, BodyError> {
        let body = Self {
            name: members.text("name")?.unwrap_or_default(),
            rights: members.text("rights")?.unwrap_or_default(),
            until: members.text("until")?,
        };
        members.finish()?;
        Ok(body)
    }

    /// The requested operator.
    fn parse(&self, now: Timestamp) -> Result<OperatorRequest, Problem> {
        let request = OperatorRequest::new(&self.name, &self.rights, self.until.as_deref(), now);
        request.map_err(|error| Problem::new(ProblemKind::InvalidField, error.to_string()))
    }
}

/// Who may use the console, and what they may do there.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct OperatorTerms {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    name: OperatorName,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    rights: &'static str,
    /// When the operator's access expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    until: Option<String>,
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    created_at: String,
    /// Who created the operator.
    created_by: String,
}

impl OperatorTerms {
    fn of(operator: &Operator) -> Self {
        Self {
            name: operator.name.clone(),
            rights: operator.rights.as_str(),
            until: operator.until.map(Timestamp::rfc3339),
            created_at: operator.created_at.rfc3339(),
            created_by: operator.created_by.clone(),
        }
    }
}

/// An invitation, which binds one browser, once.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Invitation))]
pub(crate) struct InvitationView {
    /// The URL to open in the browser that is to be bound. No other response contains it.
    url: String,
    /// When it expires.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    ends_at: String,
}

/// A new operator.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct CreatedOperator {
    #[serde(flatten)]
    terms: OperatorTerms,
    invitation: InvitationView,
}

/// A browser of an operator.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = OperatorBrowser))]
pub(crate) struct BrowserView {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    id: BrowserId,
    /// The browser's description of itself.
    label: String,
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    bound_at: String,
    /// When it expires.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    ends_at: String,
    /// The last day (in UTC) on which it was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(format = Date))]
    last_seen_on: Option<String>,
}

impl From<KnownBrowser> for BrowserView {
    fn from(browser: KnownBrowser) -> Self {
        Self {
            id: browser.id,
            label: browser.label,
            bound_at: browser.bound_at.rfc3339(),
            ends_at: browser.ends_at.rfc3339(),
            last_seen_on: browser.last_seen_on,
        }
    }
}

/// An operator in a list.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Operator))]
pub(crate) struct OperatorView {
    #[serde(flatten)]
    terms: OperatorTerms,
    /// When somebody ended the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    ended_at: Option<String>,
    /// Who ended the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<String>,
    /// The browsers that have access.
    browsers: Vec<BrowserView>,
}

/// A page of operators.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct OperatorListPage {
    operators: Vec<OperatorView>,
    /// Present if there may be more: the parameter `cursor` of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    next_cursor: Option<Cursor>,
}

/// `POST /operators`.
pub(crate) async fn create(
    State(service): State<AccountService>,
    caller: Caller,
    Requester(actor): Requester,
    body: Members,
) -> Response {
    let work = |bound| created(service.clone(), caller, actor, body, bound);
    respond(service.services(), "making an operator", work).await
}

/// `GET /operators`.
pub(crate) async fn list(State(service): State<AccountService>, RawQuery(query): RawQuery) -> Response {
    respond(service.services(), "listing operators", |bound| listed(service.clone(), query, bound)).await
}

/// `POST /operators/{name}/invitations`.
pub(crate) async fn invite(
    State(service): State<AccountService>,
    caller: Caller,
    Requester(actor): Requester,
    path: OperatorPath,
) -> Response {
    let work = |bound| invited(service.clone(), caller, actor, path, bound);
    respond(service.services(), "inviting an operator", work).await
}

/// `DELETE /operators/{name}`. A repeat gets the same response.
pub(crate) async fn end(
    State(service): State<AccountService>,
    Requester(actor): Requester,
    path: OperatorPath,
) -> Response {
    respond(service.services(), "ending an operator", |bound| ended(service.clone(), actor, path, bound)).await
}

/// `DELETE /operators/{name}/browsers/{browser_id}`. A repeat gets the same response.
pub(crate) async fn end_browser(
    State(service): State<AccountService>,
    Requester(actor): Requester,
    path: BrowserPath,
) -> Response {
    let work = |bound| ended_browser(service.clone(), actor, path, bound);
    respond(service.services(), "ending an operator's browser", work).await
}

async fn created(
    service: AccountService,
    caller: Caller,
    actor: Actor,
    body: Members,
    bound: Instant,
) -> Result<Response, ApiError> {
    let context = service.services();
    let request = OperatorBody::read(body)?.parse(context.clock.now())?;
    let open = service.open(bound).await?;
    let operator = request.make(caller.principal(), &context.random, open.now());
    let (invitation, code) = operator.invitation(caller.principal(), &context.random, open.now());
    if !open.items.operators.create(&operator, &invitation, &actor).await? {
        return Err(exists(&operator.name).into());
    }
    log(&operator.name, &actor, "an operator was created and invited");
    let invitation = service.invitation(&invitation, &code);
    Ok(json(StatusCode::CREATED, &CreatedOperator { terms: OperatorTerms::of(&operator), invitation }))
}

async fn invited(
    service: AccountService,
    caller: Caller,
    actor: Actor,
    path: OperatorPath,
    bound: Instant,
) -> Result<Response, ApiError> {
    let Ok(Path(name)) = path else { return Err(unknown().into()) };
    let open = service.open(bound).await?;
    let known = open.items.operators.get(&name).await?;
    let operator = known.filter(|operator| operator.is_valid(open.now())).ok_or_else(unknown)?;
    let (invitation, code) = operator.invitation(caller.principal(), &service.services().random, open.now());
    if !open.items.operators.invite(&operator, &invitation, &actor).await? {
        return Err(unknown().into());
    }
    log(&name, &actor, "an operator was invited");
    Ok(json(StatusCode::CREATED, &service.invitation(&invitation, &code)))
}

async fn listed(service: AccountService, query: Option<String>, bound: Instant) -> Result<Response, ApiError> {
    let mut parameters = Parameters::parse(query.as_deref().unwrap_or_default())?;
    let PageSize(limit) = PageSize::read(&mut parameters)?;
    let after = Cursor::read(&mut parameters, &[], |name| OperatorName::parse(name).ok())?;
    parameters.finish()?;
    let open = service.open(bound).await?;
    let OperatorPage { operators, next } = open.items.operators.page(limit, after.as_ref(), open.now()).await?;
    let operators = try_join_all(operators.into_iter().map(|operator| view(&open, operator))).await?;
    let next_cursor = next.map(|name| Cursor::at(name.as_str(), &[]));
    Ok(json(StatusCode::OK, &OperatorListPage { operators, next_cursor }))
}

/// An operator with the browsers that have access.
async fn view(open: &OpenPlatform, operator: Operator) -> Result<OperatorView, ApiError> {
    let mut browsers =
        if operator.is_valid(open.now()) { open.items.browsers.of(&operator, open.now()).await? } else { Vec::new() };
    browsers.retain(|browser| browser.is_valid(open.now()));
    browsers.sort_by_key(|browser| browser.bound_at);
    Ok(OperatorView {
        terms: OperatorTerms::of(&operator),
        ended_at: operator.ended_at.map(Timestamp::rfc3339),
        ended_by: operator.ended_by,
        browsers: browsers.into_iter().map(BrowserView::from).collect(),
    })
}

async fn ended(
    service: AccountService,
    actor: Actor,
    path: OperatorPath,
    bound: Instant,
) -> Result<Response, ApiError> {
    let Ok(Path(name)) = path else { return Err(unknown().into()) };
    let open = service.open(bound).await?;
    let now = open.now();
    let operator = open.items.operators.end(&name, &actor, now).await?.ok_or_else(unknown)?;
    if operator.ended_at == Some(now) {
        log(&name, &actor, "an operator was ended");
    }
    Ok(nothing())
}

async fn ended_browser(
    service: AccountService,
    actor: Actor,
    path: BrowserPath,
    bound: Instant,
) -> Result<Response, ApiError> {
    let Ok(Path((name, id))) = path else { return Err(unknown_browser().into()) };
    let open = service.open(bound).await?;
    if !open.items.browsers.end(&name, &id, &actor, open.now()).await? {
        return Err(unknown_browser().into());
    }
    log(&name, &actor, "a browser of an operator was ended");
    Ok(nothing())
}

impl AccountService {
    fn invitation(&self, invitation: &Invitation, code: &InvitationCode) -> InvitationView {
        InvitationView {
            url: code.url(self.config().public_base.as_str()).expose_secret().to_owned(),
            ends_at: invitation.ends_at.rfc3339(),
        }
    }
}

/// Logs what somebody did to an operator.
fn log(operator: &OperatorName, actor: &Actor, what: &str) {
    let source_ip = actor.source_ip.map(tracing::field::display);
    tracing::info!(%operator, caller = actor.by, source_ip, "{what}");
}

fn nothing() -> Response {
    (StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response()
}

fn exists(name: &OperatorName) -> Problem {
    Problem::new(
        ProblemKind::OperatorExists,
        format!(
            "POST /operators/{name}/invitations invites another browser; to change rights or end, DELETE /operators/{name} first"
        ),
    )
}

fn unknown() -> Problem {
    Problem::new(
        ProblemKind::UnknownOperator,
        "check the name: GET /operators lists those that are known; an operator who was ended is created again with POST /operators",
    )
}

fn unknown_browser() -> Problem {
    Problem::new(
        ProblemKind::UnknownBrowser,
        "check the name and the id: GET /operators lists the browsers of each operator",
    )
}
