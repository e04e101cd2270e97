//! `POST /keys`, `GET /keys` and `DELETE /keys/{key_id}`: the keys of services that cannot sign with IAM.
//!
//! A key's text is in the response to the request that created it, and nowhere else.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use base::clock::Timestamp;
use base::ids::{AppId, KeyId};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use store::{Actor, ApiKey, KeyError, KeyPage, KeyPlace, KeyRequest};
use tokio::time::Instant;
use web::api::{ApiError, json, respond};
use web::caller::Caller;
use web::source::Requester;
use web::{BodyError, Cursor, Members, PageSize, Parameters, Problem, ProblemKind};

use crate::AccountService;

/// The key in the path; a malformed id is treated like an unknown one.
type KeyPath = Result<Path<KeyId>, PathRejection>;

/// The body of a request for a key. A member that is `null` counts as missing.
#[derive(Debug)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = KeyRequest))]
pub(crate) struct KeyBody {
    /// The key's name: visible text on one line.
    name: String,
    /// What it permits.
    scopes: Vec<String>,
    /// The accounts that it is limited to. Missing: all accounts. Not together with `platform:calls` and
    /// `platform:tokens`.
    #[cfg_attr(feature = "openapi", schema(nullable))]
    appids: Option<Vec<String>>,
    /// When it expires. Missing: never.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    expires_at: Option<String>,
    /// Whether the key itself may be a call's `access_token`, in a URL that others may log. Libraries do not need it.
    #[cfg_attr(feature = "openapi", schema(default = false))]
    in_url: Option<bool>,
}

/// What a key permits, and until when.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct KeyTerms {
    name: String,
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    scopes: Vec<&'static str>,
    /// The accounts that it is limited to; missing: all accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<String>>))]
    appids: Option<Vec<AppId>>,
    /// When it expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    expires_at: Option<String>,
    /// Whether it may be in a query string.
    in_url: bool,
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    created_at: String,
}

impl KeyTerms {
    fn of(key: &ApiKey) -> Self {
        Self {
            name: key.name.clone(),
            scopes: key.scopes.iter().map(|scope| scope.as_str()).collect(),
            appids: key.appids.as_ref().map(|appids| appids.iter().cloned().collect()),
            expires_at: key.ends_at.map(Timestamp::rfc3339),
            in_url: key.in_url,
            created_at: key.created_at.rfc3339(),
        }
    }
}

/// A new key.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct CreatedKey {
    /// Its id, which is not secret.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    id: KeyId,
    /// The key, for `Authorization: Bearer`. No other response contains it.
    key: String,
    #[serde(flatten)]
    terms: KeyTerms,
}

/// A key in a list.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ApiKey))]
pub(crate) struct KeyView {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    id: KeyId,
    #[serde(flatten)]
    terms: KeyTerms,
    /// Who created it.
    created_by: String,
    /// The last day (in UTC) on which it was used; missing if it never was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(format = Date))]
    last_used_on: Option<String>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    revoked_at: Option<String>,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            terms: KeyTerms::of(&key),
            id: key.id,
            created_by: key.created_by,
            last_used_on: key.last_used_on,
            revoked_at: key.revoked_at.map(Timestamp::rfc3339),
        }
    }
}

/// A page of keys.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = KeyPage))]
pub(crate) struct KeyListPage {
    keys: Vec<KeyView>,
    /// Present if there may be more: the parameter `cursor` of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    next_cursor: Option<Cursor>,
}

impl KeyBody {
    /// Reads the members of a request and refuses unknown ones.
    fn read(mut members: Members) -> Result<Self, BodyError> {
        let body = Self {
            name: members.text("name")?.unwrap_or_default(),
            scopes: members.list("scopes")?.unwrap_or_default(),
            appids: members.list("appids")?,
            expires_at: members.text("expires_at")?,
            in_url: members.flag("in_url")?,
        };
        members.finish()?;
        Ok(body)
    }

    /// The requested key.
    fn parse(self, now: Timestamp) -> Result<KeyRequest, Problem> {
        let request = KeyRequest::new(&self.name, &self.scopes).and_then(|mut request| {
            if let Some(appids) = &self.appids {
                request = request.limited_to(appids)?;
            }
            if let Some(ends_at) = &self.expires_at {
                request = request.until(ends_at, now)?;
            }
            Ok(request.in_url(self.in_url.unwrap_or(false)))
        });
        request.map_err(|error: KeyError| Problem::new(ProblemKind::InvalidField, error.to_string()))
    }
}

/// `POST /keys`.
pub(crate) async fn create(
    State(service): State<AccountService>,
    caller: Caller,
    Requester(actor): Requester,
    body: Members,
) -> Response {
    let work = |bound| created(service.clone(), caller, actor, body, bound);
    respond(service.services(), "making an API key", work).await
}

/// `GET /keys`.
pub(crate) async fn list(State(service): State<AccountService>, RawQuery(query): RawQuery) -> Response {
    respond(service.services(), "listing API keys", |bound| listed(service.clone(), query, bound)).await
}

/// `DELETE /keys/{key_id}`. A repeat gets the same response.
pub(crate) async fn revoke(
    State(service): State<AccountService>,
    Requester(actor): Requester,
    path: KeyPath,
) -> Response {
    let work = |bound| revoked(service.clone(), actor, path, bound);
    respond(service.services(), "revoking an API key", work).await
}

async fn created(
    service: AccountService,
    caller: Caller,
    actor: Actor,
    body: Members,
    bound: Instant,
) -> Result<Response, ApiError> {
    let context = service.services();
    let request = KeyBody::read(body)?.parse(context.clock.now())?;
    let open = service.open(bound).await?;
    let (key, text) = request.make(caller.principal(), &context.random, open.now());
    open.items.api_keys.create(&key, &actor).await?;
    log(&key, &actor, "an API key was created");
    let key = CreatedKey { id: key.id.clone(), key: text.text().expose_secret().to_owned(), terms: KeyTerms::of(&key) };
    Ok(json(StatusCode::CREATED, &key))
}

async fn listed(service: AccountService, query: Option<String>, bound: Instant) -> Result<Response, ApiError> {
    let mut parameters = Parameters::parse(query.as_deref().unwrap_or_default())?;
    let PageSize(limit) = PageSize::read(&mut parameters)?;
    let after = Cursor::read(&mut parameters, &[], KeyPlace::parse)?;
    parameters.finish()?;
    let open = service.open(bound).await?;
    let KeyPage { keys, next } = open.items.api_keys.page(limit, after.as_ref(), open.now()).await?;
    let next_cursor = next.map(|place| Cursor::at(place.as_str(), &[]));
    Ok(json(StatusCode::OK, &KeyListPage { keys: keys.into_iter().map(KeyView::from).collect(), next_cursor }))
}

async fn revoked(service: AccountService, actor: Actor, path: KeyPath, bound: Instant) -> Result<Response, ApiError> {
    let Ok(Path(id)) = path else { return Err(unknown().into()) };
    let open = service.open(bound).await?;
    let now = open.now();
    let key = open.items.api_keys.revoke(&id, &actor, now).await?.ok_or_else(unknown)?;
    if key.revoked_at == Some(now) {
        log(&key, &actor, "an API key was revoked");
    }
    Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
}

/// Logs what somebody did to a key.
fn log(key: &ApiKey, actor: &Actor, what: &str) {
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    let appids = key.appids.as_ref().map(|appids| appids.iter().map(AppId::as_str).collect::<Vec<_>>().join(" "));
    tracing::info!(
        key = %key.id, name = key.name, scopes = scopes.join(" "), appids, caller = actor.by,
        source_ip = actor.source_ip.map(tracing::field::display), "{what}"
    );
}

fn unknown() -> Problem {
    Problem::new(ProblemKind::UnknownKey, "check the id: GET /keys lists the keys that are known")
}
