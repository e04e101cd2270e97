//! `POST /reconciliations` and `GET /reconciliations/{reconciliation_id}`: a comparison with WeChat's list of accounts, now
//! instead of at the next full hour.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use base::clock::Timestamp;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use platform::bus::BusEvent;
use serde::Serialize;
use store::{Begun, PassCounts, PassProgress};
use tokio::time::Instant;
use web::api::{ApiError, json, respond};
use web::caller::Caller;
use web::{InternalError, Problem, ProblemKind};

use crate::{AccountService, OpenPlatform};

/// The reconciliation in the path; a malformed id is treated like an unknown one.
type ReconciliationPath = Result<Path<String>, PathRejection>;

/// A comparison of the platform's accounts with WeChat's list.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Reconciliation {
    #[serde(rename = "reconciliation_id")]
    id: String,
    status: Status,
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    started_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    finished_at: Option<String>,
    /// Entries of WeChat's list that have been compared.
    compared: u64,
    /// Entries of WeChat's list. Missing until its first page has been read.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// Accounts that were missing here, or marked as gone.
    added: u64,
    /// Accounts whose refresh token differed from WeChat's.
    repaired: u64,
    /// Accounts whose grant turned out to have ended.
    gone: u64,
    /// Accounts and pages that could not be compared; the next comparison tries again.
    failed: u64,
}

/// Its progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ReconciliationStatus))]
#[serde(rename_all = "snake_case")]
enum Status {
    /// It is in progress, or about to begin.
    Running,
    /// The whole list has been compared.
    Finished,
    /// It could not be finished within two days.
    GivenUp,
}

impl Reconciliation {
    fn new(id: String, progress: &PassProgress) -> Self {
        let status = match progress.finished_at {
            Some(_) => Status::Finished,
            None if progress.is_under_way => Status::Running,
            None => Status::GivenUp,
        };
        let PassCounts { added, repaired, gone, failed } = progress.counts;
        Self {
            id,
            status,
            started_at: progress.started_at.rfc3339(),
            finished_at: progress.finished_at.map(Timestamp::rfc3339),
            compared: progress.listed,
            total: progress.total,
            added,
            repaired,
            gone,
            failed,
        }
    }
}

/// `POST /reconciliations`.
pub(crate) async fn begin(State(service): State<AccountService>, caller: Caller) -> Response {
    respond(service.services(), "beginning a reconciliation", |bound| begun(service.clone(), caller, bound)).await
}

/// `GET /reconciliations/{reconciliation_id}`.
pub(crate) async fn read(State(service): State<AccountService>, path: ReconciliationPath) -> Response {
    respond(service.services(), "reading a reconciliation", |bound| progress(service.clone(), path, bound)).await
}

async fn progress(service: AccountService, path: ReconciliationPath, bound: Instant) -> Result<Response, ApiError> {
    let Ok(Path(id)) = path else { return Err(unknown().into()) };
    let open = service.open(bound).await?;
    let progress = open.items.reconcile_passes.progress(&id, open.now()).await?.ok_or_else(unknown)?;
    Ok(json(StatusCode::OK, &Reconciliation::new(id, &progress)))
}

async fn begun(service: AccountService, caller: Caller, bound: Instant) -> Result<Response, ApiError> {
    caller.unlimited()?;
    let open = service.open(bound).await?;
    let request = open.component.context().random.id();
    let pass = match open.items.reconcile_passes.request(&request, open.now()).await? {
        Begun::New(pass) => pass,
        Begun::UnderWay { pass, is_waiting } => {
            // Its event may have been lost.
            if is_waiting {
                start(&service, &open, &pass.id()).await;
            }
            let detail =
                "wait for the one that is under way: GET /reconciliations/{reconciliation_id} says how far it is";
            let problem = Problem::new(ProblemKind::ReconciliationRunning, detail);
            return Err(problem.with("reconciliation_id", pass.id()).into());
        }
    };
    let id = pass.id();
    tracing::info!(caller = %caller, "reconciliation {id} was requested");
    start(&service, &open, &id).await;
    let location = HeaderValue::try_from(format!("/reconciliations/{id}")).map_err(|_| InternalError::Render)?;
    let progress = PassProgress::begun(pass);
    let body = Reconciliation::new(id, &progress);
    Ok(([(LOCATION, location)], json(StatusCode::ACCEPTED, &body)).into_response())
}

/// Starts a run through the bus. If that fails, the next scheduled run continues the reconciliation.
async fn start(service: &AccountService, open: &OpenPlatform, id: &str) {
    let event = BusEvent::of_requested_reconciliation(open.component.appid(), id);
    if let Err(error) = service.0.bus.put(&event).await {
        tracing::warn!("reconciliation {id} begins with the next scheduled run: {error}");
    }
}

fn unknown() -> Problem {
    Problem::new(
        ProblemKind::UnknownReconciliation,
        "check the reconciliation_id; a reconciliation is forgotten 30 days after it began",
    )
}
