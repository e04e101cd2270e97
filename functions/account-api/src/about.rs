//! `GET /platform`: what a client needs to know about the platform, none of it secret.

use axum::extract::State;
use axum::response::Response;
use base::ids::AppId;
use http::StatusCode;
use serde::Serialize;
use tokio::time::Instant;
use web::api::{ApiError, json, respond};

use crate::AccountService;

/// The platform.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Platform {
    /// Its appid at WeChat.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    component_appid: AppId,
    /// The version of this software.
    version: &'static str,
}

/// `GET /platform`.
pub(crate) async fn read(State(service): State<AccountService>) -> Response {
    respond(service.services(), "reading the platform", |bound| shown(service.clone(), bound)).await
}

async fn shown(service: AccountService, bound: Instant) -> Result<Response, ApiError> {
    let component_appid = service.open(bound).await?.component.appid().clone();
    Ok(json(StatusCode::OK, &Platform { component_appid, version: env!("CARGO_PKG_VERSION") }))
}
