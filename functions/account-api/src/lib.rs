//! The accounts of a platform, for services and operators: which there are, how they are doing, and what the business has
//! said about them; and the keys of services outside AWS. `docs/business-api.md` is its contract.
//!
//! No route yields a token, and nothing here reads one: what is taken of an account's row are the attributes in
//! [`store::STATUS_ATTRIBUTES`]. Only a reading of a profile calls WeChat.

mod document;
mod keys;
mod labels;
mod listing;
#[cfg(feature = "openapi")]
mod openapi;
mod profile;
mod reconciliations;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use base::clock::Timestamp;
use base::ids::AppId;
use http::header::ETAG;
use http::{HeaderValue, Method, StatusCode};
use platform::bus::Bus;
use platform::component::Component;
use platform::services::Services;
use runtime::config::AccountConfig;
use store::{Access, KnownAccount, access_to};
use tokio::time::Instant;
use web::api::{self, ApiError, answer, json, unknown_account};
use web::identity::IamIdentity;
use web::{BODY_LIMIT, InternalError};

#[cfg(feature = "openapi")]
pub use self::openapi::description;
use crate::view::AccountView;

/// The routes, from which [`router`] is built.
pub const ROUTES: [(Method, &str); 10] = [
    (Method::GET, "/accounts"),
    (Method::GET, "/accounts/{appid}"),
    (Method::PATCH, "/accounts/{appid}"),
    (Method::POST, "/accounts/{appid}/profile-readings"),
    (Method::POST, "/reconciliations"),
    (Method::GET, "/reconciliations/{reconciliation_id}"),
    (Method::POST, "/keys"),
    (Method::GET, "/keys"),
    (Method::DELETE, "/keys/{key_id}"),
    (Method::GET, "/openapi.json"),
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
    /// What the function may use of the table, in addition to what issuing a component token and keeping a profile take.
    struct Repositories {
        account_lists: AccountLists,
        accounts: Accounts,
        details: Details,
        tokens: StoredTokens,
        user_names: UserNames,
        reconcile_passes: ReconcilePasses,
        api_keys: ApiKeys,
    }
}

/// The platform and its items, for the length of one request.
struct OpenPlatform {
    component: Component,
    items: Repositories,
}

impl OpenPlatform {
    fn now(&self) -> Timestamp {
        self.component.context().now()
    }

    /// An account that is there.
    async fn account(&self, appid: &AppId) -> Result<KnownAccount, ApiError> {
        Ok(self.items.account_lists.get(appid).await?.ok_or_else(unknown_account)?)
    }
}

/// The path's account; its absence is answered like that of an unknown one.
type AccountPath = Result<Path<AppId>, PathRejection>;

impl AccountService {
    /// The function's state. A reconciliation that is asked for is started through `bus`.
    #[must_use]
    pub fn new(services: Services, bus: Bus, config: AccountConfig) -> Self {
        let table = services.table.clone().access();
        Self(Arc::new(Inner { services, table, bus, config }))
    }

    fn services(&self) -> &Services {
        &self.0.services
    }

    /// The platform, for a request that must be answered by `bound`.
    async fn open(&self, bound: Instant) -> Result<OpenPlatform, InternalError> {
        let component = self.services().open_by(bound).await?;
        let items = self.0.table.of(component.appid());
        Ok(OpenPlatform { component, items })
    }

    /// An account as an answer, with the version of what can be patched of it.
    fn shown(&self, account: KnownAccount) -> Result<Response, ApiError> {
        let version = HeaderValue::try_from(entity_tag(account.details.labels_version));
        let version = version.map_err(|_| InternalError::Render)?;
        let view = AccountView::of(account, &self.0.config.wanted_permissions);
        Ok(([(ETAG, version)], json(StatusCode::OK, &view)).into_response())
    }
}

/// The `ETag` of a version.
fn entity_tag(version: u64) -> String {
    format!("\"{version}\"")
}

/// `GET /accounts/{appid}`.
async fn read(State(service): State<AccountService>, path: AccountPath) -> Response {
    let bound = service.services().answer_by();
    let work = {
        let service = service.clone();
        Box::pin(async move {
            let Ok(Path(appid)) = path else { return Err(unknown_account().into()) };
            let open = service.open(bound).await?;
            service.shown(open.account(&appid).await?)
        })
    };
    answer(service.services(), "reading an account", bound, work).await
}

/// The routes; refused to a caller without an [`IamIdentity`].
pub fn router(service: AccountService) -> Router {
    let [
        (_, list),
        (_, one),
        (_, same),
        (_, readings),
        (_, reconciliations),
        (_, reconciliation),
        (_, keys),
        (_, same_keys),
        (_, key),
        (_, document),
    ] = ROUTES;
    Router::new()
        .route(list, get(listing::list))
        .route(one, get(read))
        .route(same, patch(labels::change))
        .route(readings, post(profile::read))
        .route(reconciliations, post(reconciliations::begin))
        .route(reconciliation, get(reconciliations::read))
        .route(keys, post(keys::create))
        .route(same_keys, get(keys::list))
        .route(key, delete(keys::revoke))
        .route(document, get(document::read))
        .route_layer(middleware::from_extractor::<IamIdentity>())
        .route_layer(DefaultBodyLimit::max(BODY_LIMIT))
        .method_not_allowed_fallback(api::method_not_allowed)
        .with_state(service)
}

#[cfg(test)]
mod tests;
