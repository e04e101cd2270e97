//! `POST /accounts/{appid}/renewals` and `POST /retries`: what the next run of the refresher would do, done now.
//!
//! Neither does the work itself. The table says what is to be done, and an event on the bus starts a run that does it.
//! If the event is lost, the next scheduled run renews the account, and what waits is retried when its time comes.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use base::clock::Timestamp;
use base::ids::AppId;
use http::StatusCode;
use platform::bus::BusEvent;
use serde::Serialize;
use store::{AccountState, KnownAccount, RetryOf, TokenOwner};
use tokio::time::Instant;
use web::api::{ApiError, PathAccount, authorization_ended, json, respond, unknown_account};
use web::caller::Caller;
use web::{Members, Problem, ProblemKind};

use crate::{AccountService, OpenPlatform, known_account};

/// The least time between two requested renewals of an account: each is a call of WeChat, of which a platform has a
/// daily quota.
const PAUSE: Duration = Duration::from_secs(10);

/// A requested run.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct RequestedRun {
    /// When it was requested.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    requested_at: String,
}

/// What to retry, as it is sent.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[schema(as = RetryRequest)]
#[expect(dead_code, reason = "describes what is read member by member")]
pub(crate) struct RetryBody {
    /// The account. Missing: all accounts.
    appid: Option<String>,
}

/// `POST /accounts/{appid}/renewals`.
pub(crate) async fn renew(
    State(service): State<AccountService>,
    caller: Caller,
    PathAccount(appid): PathAccount,
) -> Response {
    respond(service.services(), "renewing a token", |bound| renewed(service.clone(), caller, appid, bound)).await
}

/// `POST /retries`.
pub(crate) async fn retry(State(service): State<AccountService>, caller: Caller, members: Option<Members>) -> Response {
    respond(service.services(), "trying again", |bound| retried(service.clone(), caller, members, bound)).await
}

async fn renewed(service: AccountService, caller: Caller, appid: AppId, bound: Instant) -> Result<Response, ApiError> {
    let open = service.open(bound).await?;
    let account = known_account(&open, &appid).await?;
    let now = open.now();
    renewable(&account, now)?;
    let seq = account.token.seq;
    // Has no effect if the token is being renewed, or has been renewed since it was read.
    open.items.tokens.make_due(&TokenOwner::Authorizer(appid.clone()), seq, now).await?;
    tracing::info!(authorizer = %appid, caller = %caller, "a renewal of the token of account {appid} was requested");
    begin(&service, &open, now).await
}

/// Refuses an account whose token cannot be renewed, or was renewed a moment ago.
fn renewable(account: &KnownAccount, now: Timestamp) -> Result<(), Problem> {
    let (state, since) = account.details.state.unzip();
    if state != Some(AccountState::Active) {
        return Err(authorization_ended(state, since));
    }
    let token = &account.token;
    if token.due_at.is_none() {
        let detail = "the account has no token to renew: the merchant has to grant a permission set with APIs, through a new link";
        return Err(Problem::new(ProblemKind::NoApiPermission, detail));
    }
    let failed_at = token.last_failure.as_ref().map(|failure| Timestamp::from_unix(failure.at));
    let again_at = token.stored_at.max(failed_at).map(|tried_at| tried_at.plus(PAUSE));
    match again_at {
        Some(again_at) if again_at > now => {
            let detail = "the token was renewed, or failed to renew, a moment ago: retry after the time in Retry-After";
            Err(Problem::new(ProblemKind::TooSoon, detail).with_retry_after(again_at.since(now)))
        }
        _ => Ok(()),
    }
}

async fn retried(
    service: AccountService,
    caller: Caller,
    members: Option<Members>,
    bound: Instant,
) -> Result<Response, ApiError> {
    let of = if let Some(appid) = read(members)? {
        caller.needs_account(&appid)?;
        RetryOf::Account(appid)
    } else {
        caller.unlimited()?;
        RetryOf::All
    };
    let open = service.open(bound).await?;
    let now = open.now();
    open.items.run_requests.ask_to_retry(&of, &open.component.context().random.id(), now).await?;
    tracing::info!(caller = %caller, "a retry of what waits for {of} was requested");
    begin(&service, &open, now).await
}

/// The account in a body, if there is one. Entries may wait for an account that is not known yet.
fn read(members: Option<Members>) -> Result<Option<AppId>, ApiError> {
    let Some(mut members) = members else { return Ok(None) };
    let appid = members.text("appid")?;
    members.finish()?;
    Ok(appid.map(|appid| AppId::parse(&appid).map_err(|_| unknown_account())).transpose()?)
}

/// Starts a run through the bus, unless a requested one is about to begin.
async fn begin(service: &AccountService, open: &OpenPlatform, now: Timestamp) -> Result<Response, ApiError> {
    let request = open.component.context().random.id();
    if open.items.run_requests.ask(&request, now).await? {
        let event = BusEvent::of_requested_run(open.component.appid(), &request);
        if let Err(error) = service.0.bus.put(&event).await {
            tracing::warn!("a requested run is left to the next scheduled one: {error}");
        }
    }
    Ok(json(StatusCode::ACCEPTED, &RequestedRun { requested_at: now.rfc3339() }))
}
