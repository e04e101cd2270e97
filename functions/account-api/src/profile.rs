//! `POST /accounts/{appid}/profile-readings`: reads an account's profile and permissions from WeChat now.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use base::ids::AppId;
use platform::profiles::Profiles;
use platform::tokens::TokenError;
use store::{AccountState, ProfileReading, TokenOwner};
use tokio::time::Instant;
use web::api::{ApiError, PathAccount, authorization_ended, of_wechat, respond, unknown_account};
use web::caller::Caller;
use web::{Problem, ProblemKind};

use crate::{AccountService, OpenPlatform, known_account};

/// The least time between two readings of a profile: each is a call of WeChat, of which a platform has a daily quota.
const PAUSE: Duration = Duration::from_secs(10);

/// `POST /accounts/{appid}/profile-readings`.
pub(crate) async fn read(
    State(service): State<AccountService>,
    caller: Caller,
    PathAccount(appid): PathAccount,
) -> Response {
    respond(service.services(), "reading a profile", |bound| was_read(service.clone(), caller, appid, bound)).await
}

async fn was_read(service: AccountService, caller: Caller, appid: AppId, bound: Instant) -> Result<Response, ApiError> {
    let open = service.open(bound).await?;
    let account = known_account(&open, &appid).await?;
    let (state, since) = account.details.state.unzip();
    if state != Some(AccountState::Active) {
        return Err(authorization_ended(state, since).into());
    }
    begin(&open, &appid).await?;
    tracing::info!(authorizer = %appid, caller = %caller, "the profile of account {appid} is read");
    match Profiles::of(&open.component).read(&appid, account.token.seq).await {
        Ok(()) => service.shown(known_account(&open, &appid).await?),
        Err(error) if error.says_gone() => {
            // The refresher finds out whether the grant has ended: a single refusal does not prove it.
            open.items.tokens.mark_due(&TokenOwner::Authorizer(appid.clone()), open.now()).await?;
            Err(refused(&appid, error))
        }
        Err(error) => Err(refused(&appid, error)),
    }
}

async fn begin(open: &OpenPlatform, appid: &AppId) -> Result<(), ApiError> {
    let details = &open.items.details;
    let by = open.component.context().random.id();
    let mut begun = details.begin_profile_reading(appid, &by, PAUSE, open.now()).await?;
    if begun == ProfileReading::Unknown {
        // The row was written by an earlier version.
        open.items.accounts.move_details(appid, open.now()).await?;
        begun = details.begin_profile_reading(appid, &by, PAUSE, open.now()).await?;
    }
    match begun {
        ProfileReading::Begun => Ok(()),
        ProfileReading::TooSoon(wait) => {
            let detail = "the profile was read a moment ago: retry after the time in Retry-After";
            Err(Problem::new(ProblemKind::TooSoon, detail).with_retry_after(wait).into())
        }
        ProfileReading::Unknown => Err(unknown_account().into()),
    }
}

/// A refusal that concerns this account is reported to the caller; one that concerns the platform, to an operator.
fn refused(appid: &AppId, error: TokenError) -> ApiError {
    match error {
        TokenError::Wechat(said) if !said.is_platform_wide() && !said.is_quota_used_up() => {
            tracing::warn!(authorizer = %appid, "the profile of account {appid} was not read: {said}");
            of_wechat(&said)
        }
        error => ApiError::Internal(error.into()),
    }
}
