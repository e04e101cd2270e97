//! Makes a call, and records its outcome.

use axum::response::Response;
use base::ids::AppId;
use platform::context::report_wechat;
use runtime::telemetry::{Measure, Metric};
use secrecy::SecretString;
use store::{FailedCall, TokenOwner};
use web::api::ApiError;
use web::caller::Caller;
use wechat::api::ErrCode;
use wechat::api::relay::{PAGE_TICKET, RelayAnswer};

use crate::attempt::{Attempt, Effect};
use crate::failure::{Asked, failed_call, kind};
use crate::files::OutgoingBody;
use crate::request::CallRequest;
use crate::response::{PassedBack, address_refused, not_authorized, redirect_to_bucket, without_answer};
use crate::{LARGEST_ANSWER, OpenPlatform, keyed, ticket};

/// How a call ended, and what is still to be recorded.
pub(crate) struct Outcome {
    pub(crate) effect: Effect,
    pub(crate) answer: Result<PassedBack, ApiError>,
    failed: Option<FailedCall>,
    /// The account that WeChat says has not authorized the platform.
    to_check: Option<AppId>,
    /// The authorization code of an account that the call has registered.
    code: Option<SecretString>,
}

/// Makes a call, under its key if it has one, and records its outcome.
pub(crate) async fn run(open: &OpenPlatform, request: &CallRequest) -> Result<Response, ApiError> {
    if let Some((account, kind)) = request.page_ticket() {
        return Box::pin(ticket::answer(open, &Asked::get(&request.caller, account, PAGE_TICKET), kind)).await;
    }
    if let Some(idempotency) = request.idempotency() {
        return Box::pin(keyed::run(open, request, &idempotency)).await;
    }
    make(open, request).await.finish(open, async {}).await.map(PassedBack::response)
}

/// Makes a call; nothing is recorded yet.
pub(crate) async fn make(open: &OpenPlatform, request: &CallRequest) -> Outcome {
    let context = open.component.context();
    let token = match open.tokens.valid(request.token_owner()).await {
        Ok(token) => token,
        Err(error) => return Outcome::not_made(ApiError::of_token(error, context.now())),
    };
    let body = match OutgoingBody::of(open, request).await {
        Ok(body) => body,
        Err(problem) => return Outcome::not_made(problem.into()),
    };
    note(&request.caller, request.target(), request.path.as_str());
    let mut attempt = Attempt::new(open, request, body, token);
    let answered = match attempt.run().await {
        Ok(answer) if request.follows_video => Ok(follow_video(open, request, answer).await),
        answered => answered,
    };
    let effect = attempt.effect(&answered);
    let failed = failed_call(request, attempt.bytes_sent(), &answered, context.now(), attempt.elapsed());
    let mut answer = match answered {
        Ok(answer) => answer,
        Err(error) => {
            let answer = Err(without_answer(&error, request, effect));
            return Outcome { effect, answer, failed, to_check: None, code: None };
        }
    };
    let code = answer.code.take();
    let to_check = account_to_check(request, &answer);
    let renewed = attempt.is_with_renewed_token();
    let answer = match &answer.refusal {
        Some(refusal) if refusal.code == ErrCode::ClientIpNotRegistered => {
            report_wechat(&context.metrics, "a call on behalf", &refusal.clone().into());
            Err(ApiError::Upstream(Box::new(address_refused(refusal))))
        }
        Some(refusal) if to_check.is_some() => Err(not_authorized(refusal).into()),
        _ if answer.body.len() > LARGEST_ANSWER => redirect_to_bucket(open, request, answer, renewed).await,
        _ => Ok(PassedBack::of(answer, renewed)),
    };
    Outcome { effect, answer, failed, to_check, code }
}

/// The account that WeChat says has not authorized the platform. If a call with the platform's own token names it at
/// all, it does so in its body: it is not the caller's.
fn account_to_check(request: &CallRequest, answer: &RelayAnswer) -> Option<AppId> {
    match (&answer.refusal, &request.owner) {
        (Some(refusal), TokenOwner::Authorizer(appid)) if refusal.code == ErrCode::NotAuthorized => Some(appid.clone()),
        _ => None,
    }
}

/// Replaces a response that contains the URL of a video with the video. If that cannot be fetched, or is too large, the
/// service gets the URL.
async fn follow_video(open: &OpenPlatform, request: &CallRequest, answer: RelayAnswer) -> RelayAnswer {
    let wechat = open.component.wechat();
    let Some(address) = wechat.video_in(&answer) else { return answer };
    match wechat.fetch_video(&address, request.largest_answer()).await {
        Ok(video) => video,
        Err(error) => {
            tracing::warn!("a video could not be fetched, and its URL was passed back: {error}");
            answer
        }
    }
}

impl Outcome {
    fn not_made(error: ApiError) -> Self {
        Self { effect: Effect::None, answer: Err(error), failed: None, to_check: None, code: None }
    }

    /// Records the outcome and settles the call's key, until the response is due. The outcome stays the same if the
    /// table cannot be reached.
    pub(crate) async fn finish(
        self,
        open: &OpenPlatform,
        settling: impl Future<Output = ()>,
    ) -> Result<PassedBack, ApiError> {
        let Self { answer, failed, to_check, code, .. } = self;
        let work = Box::pin(async {
            tokio::join!(settling, count(open, failed), check(open, to_check), store_code(open, code))
        });
        if tokio::time::timeout_at(open.writes_end(), work).await.is_err() {
            tracing::warn!("the outcome of a call on behalf was not recorded in time");
        }
        answer
    }
}

/// Logs who makes which call: what a leaked key was used for can be looked up by its id.
pub(crate) fn note(caller: &Caller, account: &str, api: &str) {
    tracing::info!(account, api, caller = caller.principal(), "a call on behalf");
}

/// Counts a failed call.
pub(crate) async fn count(open: &OpenPlatform, failed: Option<FailedCall>) {
    let Some(failed) = failed else { return };
    open.component.context().metrics.put(&Metric::count(Measure::CallFailed, 1).with_dimension(kind(&failed.code)));
    tracing::info!(
        account = failed.account,
        api = failed.path,
        code = failed.code,
        rid = failed.rid,
        caller = failed.caller,
        milliseconds = failed.milliseconds,
        "a call on behalf failed"
    );
    if let Err(error) = open.items.failed_calls.count(&failed).await {
        tracing::warn!("a failed call is missing from the list: {error}");
    }
}

/// Has an account's grant checked: one refusal in a call does not end it.
async fn check(open: &OpenPlatform, account: Option<AppId>) {
    let Some(appid) = account else { return };
    if let Err(error) = open.tokens.check_soon(&appid).await {
        tracing::warn!(authorizer = %appid, "account {appid} is checked when it is due: {error}");
    }
}

/// Stores the authorization code of a new account for the refresher, which exchanges it.
async fn store_code(open: &OpenPlatform, code: Option<SecretString>) {
    let Some(code) = code else { return };
    if let Err(error) = open.items.inbox.put_code(&code, open.component.context().now()).await {
        tracing::warn!(
            "the authorization code of a new mini program could not be stored; reconciliation will find the account: {error}"
        );
    }
}
