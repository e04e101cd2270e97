//! The accounts of a platform, for services and operators: the list, their state, and the business's labels of them;
//! the API keys of services outside AWS; the operators of the console; and WeChat's check files. `docs/business-api.md`
//! is the contract.
//!
//! No route returns a token, and no code here reads one: only the attributes in [`store::STATUS_ATTRIBUTES`] are read
//! from an account's row. Only the reading of a profile calls WeChat.

mod about;
mod check_files;
mod document;
mod keys;
mod labels;
mod listing;
#[cfg(feature = "openapi")]
mod openapi;
mod operators;
mod profile;
mod reconciliations;
mod runs;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post, put};
use base::ids::AppId;
use http::header::ETAG;
use http::{HeaderValue, Method, StatusCode};
use platform::bus::Bus;
use platform::services::{self, Services};
use runtime::config::{AccountConfig, KeyConfig};
use store::{Access, KnownAccount, Scope, access_to};
use tokio::time::Instant;
use web::api::{ApiError, PathAccount, json, respond, unknown_account};
use web::doors::{Doors, Right, Route};
use web::{BODY_LIMIT, InternalError};

#[cfg(feature = "openapi")]
pub use self::openapi::description;
use crate::view::AccountView;

/// The routes, from which [`router`] is built.
pub static ROUTES: [Route; 21] = [
    Route::new(Method::GET, "/accounts", &[Scope::AccountsRead]),
    Route::new(Method::GET, "/accounts/{appid}", &[Scope::AccountsRead]),
    Route::new(Method::PATCH, "/accounts/{appid}", &[Scope::AccountsWrite, Scope::AccountsOrigins]).for_operators(),
    Route::new(Method::POST, "/accounts/{appid}/profile-readings", &[Scope::AccountsWrite]).for_operators(),
    Route::new(Method::POST, "/reconciliations", &[Scope::AccountsWrite]),
    Route::new(Method::GET, "/reconciliations/{reconciliation_id}", &[Scope::AccountsRead]),
    Route::with(Method::POST, "/keys", Right::IamOnly),
    Route::with(Method::GET, "/keys", Right::IamOnly),
    Route::with(Method::DELETE, "/keys/{key_id}", Right::IamOnly).for_operators(),
    Route::with(Method::POST, "/operators", Right::IamOnly),
    Route::with(Method::GET, "/operators", Right::IamOnly),
    Route::with(Method::DELETE, "/operators/{name}", Right::IamOnly),
    Route::with(Method::POST, "/operators/{name}/invitations", Right::IamOnly),
    Route::with(Method::DELETE, "/operators/{name}/browsers/{browser_id}", Right::IamOnly),
    Route::with(Method::PUT, "/check-files/{file}", Right::IamOnly),
    Route::with(Method::GET, "/check-files", Right::IamOnly),
    Route::with(Method::DELETE, "/check-files/{file}", Right::IamOnly),
    Route::new(Method::POST, "/accounts/{appid}/renewals", &[Scope::AccountsWrite]).for_operators(),
    Route::new(Method::POST, "/retries", &[Scope::AccountsWrite]).for_operators(),
    Route::with(Method::GET, "/platform", Right::AnyKey).for_operators(),
    Route::with(Method::GET, "/openapi.json", Right::AnyKey),
];

/// What the function is built from, once; clones share it.
#[derive(Clone)]
pub struct AccountService(Arc<Inner>);

struct Inner {
    services: Services,
    table: Access<Repositories>,
    bus: Bus,
    config: AccountConfig,
}

access_to! {
    /// The items of the table that the function uses, besides those for issuing a component token and storing a
    /// profile.
    struct Repositories {
        account_lists: AccountLists,
        accounts: Accounts,
        details: Details,
        tokens: StoredTokens,
        user_names: UserNames,
        reconcile_passes: ReconcilePasses,
        run_requests: RunRequests,
        api_keys: ApiKeys,
        operators: Operators,
        browsers: Browsers,
        check_files: CheckFiles,
    }
}

/// The platform and its items, for the duration of one request.
type OpenPlatform = services::OpenPlatform<Repositories>;

/// An account that exists.
async fn known_account(open: &OpenPlatform, appid: &AppId) -> Result<KnownAccount, ApiError> {
    Ok(open.items.account_lists.get(appid).await?.ok_or_else(unknown_account)?)
}

impl AccountService {
    /// The function's state. Reconciliations and other requested runs are started through `bus`.
    #[must_use]
    pub fn new(services: Services, bus: Bus, config: AccountConfig) -> Self {
        let table = services.table.clone().access();
        Self(Arc::new(Inner { services, table, bus, config }))
    }

    fn services(&self) -> &Services {
        &self.0.services
    }

    fn config(&self) -> &AccountConfig {
        &self.0.config
    }

    /// The platform, for a request whose response is due at `bound`.
    async fn open(&self, bound: Instant) -> Result<OpenPlatform, InternalError> {
        Ok(self.services().open_with(&self.0.table, bound).await?)
    }

    /// The response that shows an account, with the version of its patchable part.
    fn shown(&self, account: KnownAccount) -> Result<Response, ApiError> {
        let version = HeaderValue::try_from(entity_tag(account.details.labels_version));
        let version = version.map_err(|_| InternalError::Render)?;
        let view = AccountView::of(account, &self.config().wanted_permissions);
        Ok(([(ETAG, version)], json(StatusCode::OK, &view)).into_response())
    }
}

/// The `ETag` of a version.
fn entity_tag(version: u64) -> String {
    format!("\"{version}\"")
}

/// `GET /accounts/{appid}`.
async fn read(State(service): State<AccountService>, PathAccount(appid): PathAccount) -> Response {
    respond(service.services(), "reading an account", |bound| shown(service.clone(), appid, bound)).await
}

async fn shown(service: AccountService, appid: AppId, bound: Instant) -> Result<Response, ApiError> {
    let open = service.open(bound).await?;
    service.shown(known_account(&open, &appid).await?)
}

/// The routes, for callers with IAM or an API key.
pub fn router(service: AccountService, config: KeyConfig) -> Router {
    let [list, one, same, readings, reconciliations, reconciliation, keys @ .., renewals, retries, which, document] =
        &ROUTES;
    let [make_key, list_keys, key, operators @ .., put_file, list_files, file] = keys;
    let [make_operator, list_operators, operator, invitations, browser] = operators;
    let routes = Router::new()
        .route(list.path, get(listing::list))
        .route(one.path, get(read))
        .route(same.path, patch(labels::change))
        .route(readings.path, post(profile::read))
        .route(reconciliations.path, post(reconciliations::begin))
        .route(reconciliation.path, get(reconciliations::read))
        .route(make_key.path, post(keys::create))
        .route(list_keys.path, get(keys::list))
        .route(key.path, delete(keys::revoke))
        .route(make_operator.path, post(operators::create))
        .route(list_operators.path, get(operators::list))
        .route(operator.path, delete(operators::end))
        .route(invitations.path, post(operators::invite))
        .route(browser.path, delete(operators::end_browser))
        .route(put_file.path, put(check_files::put))
        .route(list_files.path, get(check_files::list))
        .route(file.path, delete(check_files::remove))
        .route(renewals.path, post(runs::renew))
        .route(retries.path, post(runs::retry))
        .route(which.path, get(about::read))
        .route(document.path, get(document::read));
    let doors = Doors { services: service.services(), routes: &ROUTES, keys: config, longest_body: BODY_LIMIT };
    doors.to(routes).with_state(service)
}

#[cfg(test)]
mod tests;
