//! `POST /accounts/{appid}/renewals` and `POST /retries`: what the next run of the refresher would do, now.
//!
//! Neither does the work itself. What is to be done is in the table, and an event on the bus starts a run for it: where that
//! is lost, the next scheduled one renews the account, and what waits is tried again when its time comes.

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

/// An account's token is renewed on request once in this time: each renewal is a call of WeChat's, of which a platform has a
/// daily quota.
const PAUSE: Duration = Duration::from_secs(10);

/// A run that was asked for.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct RequestedRun {
    /// When it was asked for.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    requested_at: String,
}

/// What is to be tried again, as it is sent.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[schema(as = RetryRequest)]
#[expect(dead_code, reason = "describes what is read member by member")]
pub(crate) struct RetryBody {
    /// The account. Missing: all of them.
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
    // Without effect where the token is being renewed, or has been since it was read.
    open.items.tokens.make_due(&TokenOwner::Authorizer(appid.clone()), seq, now).await?;
    tracing::info!(authorizer = %appid, caller = %caller, "a renewal of the token of account {appid} was asked for");
    begin(&service, &open, now).await
}

/// Refuses an account whose token cannot be renewed, or not again already.
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
            let detail = "the token was renewed, or could not be, a moment ago: retry after the time in Retry-After";
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
    tracing::info!(caller = %caller, "what waits of {of} is to be tried again");
    begin(&service, &open, now).await
}

/// The account in a body, if there are both. What waits may be that of an account which is not known yet.
fn read(members: Option<Members>) -> Result<Option<AppId>, ApiError> {
    let Some(mut members) = members else { return Ok(None) };
    let appid = members.text("appid")?;
    members.finish()?;
    Ok(appid.map(|appid| AppId::parse(&appid).map_err(|_| unknown_account())).transpose()?)
}

/// Has the bus start a run, unless one that was asked for is about to begin.
async fn begin(service: &AccountService, open: &OpenPlatform, now: Timestamp) -> Result<Response, ApiError> {
    let request = open.component.context().random.id();
    if open.items.run_requests.ask(&request, now).await? {
        let event = BusEvent::of_requested_run(open.component.appid(), &request);
        if let Err(error) = service.0.bus.put(&event).await {
            tracing::warn!("what was asked for is left to the next scheduled run: {error}");
        }
    }
    Ok(json(StatusCode::ACCEPTED, &RequestedRun { requested_at: now.rfc3339() }))
}
