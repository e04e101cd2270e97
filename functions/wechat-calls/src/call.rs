//! Makes a call: with a valid token, once more with another one if WeChat refuses it, and again if the service asks for
//! retries.

use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use base::ids::AppId;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};
use platform::context::report_wechat;
use platform::tokens::ValidToken;
use runtime::telemetry::{Measure, Metric};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use store::{FailedCall, TokenOwner};
use tokio::time::Instant;
use web::api::{ApiError, upstream_error};
use web::gateway::InBase64;
use web::{Problem, ProblemKind};
use wechat::api::relay::{LARGEST_ANSWER, RelayAnswer, RelayCall, RelayError};
use wechat::api::{ErrCode, Refusal, TransportKind, WechatError};

use crate::failure::{effect, failed_call, kind};
use crate::request::CallRequest;
use crate::{OpenPlatform, keyed};

const ERRCODE: HeaderName = HeaderName::from_static("x-wechat-errcode");
const RID: HeaderName = HeaderName::from_static("x-wechat-rid");
const RENEWED: HeaderName = HeaderName::from_static("x-token-renewed");

/// Before the first retry; doubled for each further one.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// What is known of a call's effect at WeChat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It had none, and the same call may end otherwise next time.
    None,
    /// WeChat has decided about it.
    Done,
    /// It may have had one.
    Unknown,
}

impl Effect {
    /// The word for it in problems.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Done => "done",
            Self::Unknown => "unknown",
        }
    }
}

/// How a call ended, and what is still to be written down about it.
pub(crate) struct Outcome {
    pub(crate) effect: Effect,
    pub(crate) answer: Result<PassedBack, ApiError>,
    followup: Followup,
}

/// What is done about a call that has ended. The answer does not depend on it.
#[derive(Default)]
struct Followup {
    failed: Option<FailedCall>,
    /// The account that WeChat says has not authorized the platform.
    to_check: Option<AppId>,
    /// The authorization code of an account that the call has registered.
    code: Option<SecretString>,
}

/// An answer of WeChat's, to be passed back.
pub(crate) struct PassedBack {
    pub(crate) head: ResponseHead,
    pub(crate) body: Vec<u8>,
}

/// Everything of an answer but its body.
#[derive(Serialize, Deserialize)]
pub(crate) struct ResponseHead {
    status: u16,
    headers: Vec<(String, String)>,
}

impl PassedBack {
    fn of(answer: RelayAnswer, renewed: bool) -> Self {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let mut headers: Vec<(String, String)> =
            answer.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let mut add = |name: HeaderName, value: String| headers.push((name.as_str().to_owned(), value));
        if let Some(refusal) = answer.refusal {
            add(ERRCODE, refusal.code.code().to_string());
            if let Some(rid) = refusal.rid {
                add(RID, rid);
            }
        }
        if renewed {
            add(RENEWED, "true".to_owned());
        }
        Self { head: ResponseHead { status: answer.status.as_u16(), headers }, body: answer.body }
    }

    pub(crate) fn response(self) -> Response {
        let mut response = ([(CACHE_CONTROL, "no-store")], self.body).into_response();
        // A body of bytes is declared as one: WeChat's own type, or none.
        response.headers_mut().remove(CONTENT_TYPE);
        *response.status_mut() = StatusCode::from_u16(self.head.status).unwrap_or(StatusCode::BAD_GATEWAY);
        for (name, value) in self.head.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers_mut().append(name, value);
            }
        }
        response.extensions_mut().insert(InBase64);
        upstream_error(response)
    }
}

/// Makes a call, under its key if it has one.
pub(crate) async fn run(open: &OpenPlatform, request: &CallRequest) -> Result<Response, ApiError> {
    if let Some((key, digest)) = request.identity() {
        return Box::pin(keyed::run(open, request, &key, &digest)).await;
    }
    make(open, request).await.finish(open, async {}).await.map(PassedBack::response)
}

/// Makes a call.
pub(crate) async fn make(open: &OpenPlatform, request: &CallRequest) -> Outcome {
    let context = open.component.context();
    let token = match open.tokens.valid(&request.owner).await {
        Ok(token) => token,
        Err(error) => {
            let answer = Err(ApiError::of_token(error, context.now()));
            return Outcome { effect: Effect::None, answer, followup: Followup::default() };
        }
    };
    let begun = Instant::now();
    let mut attempt = Attempt { open, request, token, renewed: false, may_have_taken_effect: false };
    let answered = attempt.run().await;
    let failed = failed_call(request, &answered, context.now(), begun.elapsed());
    let effect = match effect(&answered) {
        Effect::None if attempt.may_have_taken_effect => Effect::Unknown,
        effect => effect,
    };
    let mut followup = Followup { failed, ..Followup::default() };
    let answer = conclude(open, request, answered, (effect, attempt.renewed), &mut followup);
    Outcome { effect, answer, followup }
}

impl Outcome {
    /// Writes down what is to be written down, `settling` with it, while there is time for that.
    pub(crate) async fn finish(
        self,
        open: &OpenPlatform,
        settling: impl Future<Output = ()>,
    ) -> Result<PassedBack, ApiError> {
        follow_up(open, self.followup, settling).await;
        self.answer
    }
}

/// A call on its way.
struct Attempt<'a> {
    open: &'a OpenPlatform,
    request: &'a CallRequest,
    token: ValidToken,
    /// Whether another token has taken the place of one that WeChat refused.
    renewed: bool,
    /// Whether a call before the last one may have taken effect.
    may_have_taken_effect: bool,
}

impl Attempt<'_> {
    /// Sends the call: once more with another token if WeChat refuses the first one, and as often as the service wants where
    /// the call was not made, or WeChat was busy. What does not fit into the time that is left is not begun.
    async fn run(&mut self) -> Result<RelayAnswer, RelayError> {
        let context = self.open.component.context();
        if !context.has_time_for_call(Duration::ZERO) {
            return Err(WechatError::not_started().into());
        }
        let (mut may_replace, mut retries, mut pause) = (true, self.request.retries, RETRY_PAUSE);
        loop {
            let answered = self.send().await;
            if may_replace
                && let Some(refused) = refused_token(&answered)
                && context.has_time_for_call(Duration::ZERO)
            {
                may_replace = false;
                if self.replace_token(refused).await && context.has_time_for_call(Duration::ZERO) {
                    continue;
                }
                return answered;
            }
            if retries == 0 || !may_be_repeated(&answered) || !context.has_time_for_call(pause) {
                return answered;
            }
            self.may_have_taken_effect |= effect(&answered) == Effect::Unknown;
            retries -= 1;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn send(&self) -> Result<RelayAnswer, RelayError> {
        let (open, request) = (self.open, self.request);
        let call = RelayCall {
            method: &request.method,
            path: &request.path,
            component: open.component.appid(),
            token: &self.token.token,
            query: &request.query,
            headers: &request.headers,
            body: &request.body,
        };
        open.component.wechat().relay(call).await
    }

    /// Gets another token for the one that WeChat has refused. `false` where there is none: WeChat's own answer then says
    /// why.
    async fn replace_token(&mut self, refused: WechatError) -> bool {
        let owner = &self.request.owner;
        match self.open.tokens.replace(owner, &self.token.token, &refused).await {
            Ok(replacement) => {
                self.token = replacement.token;
                self.renewed = true;
                true
            }
            Err(error) => {
                tracing::warn!(%owner, "there is no other token for a call on behalf: {error}");
                false
            }
        }
    }
}

fn refused_token(answered: &Result<RelayAnswer, RelayError>) -> Option<WechatError> {
    let refused = WechatError::from(answered.as_ref().ok()?.refusal.clone()?);
    refused.token_rejected().then_some(refused)
}

/// Whether a service that asks for it has the call made again: WeChat was busy, or there was no connection.
fn may_be_repeated(answered: &Result<RelayAnswer, RelayError>) -> bool {
    match answered {
        Ok(answer) => answer.refusal.as_ref().is_some_and(|refusal| refusal.code == ErrCode::SystemBusy),
        Err(RelayError::NoAnswer(WechatError::Transport { kind, .. })) => *kind == TransportKind::Connect,
        Err(_) => false,
    }
}

/// What the service gets, and what is to be done about it.
fn conclude(
    open: &OpenPlatform,
    request: &CallRequest,
    answered: Result<RelayAnswer, RelayError>,
    (effect, renewed): (Effect, bool),
    followup: &mut Followup,
) -> Result<PassedBack, ApiError> {
    let mut answer = answered.map_err(|error| without_answer(&error, effect))?;
    followup.code = answer.code.take();
    match (&answer.refusal, &request.owner) {
        (Some(refusal), _) if refusal.code == ErrCode::ClientIpNotRegistered => {
            report_wechat(&open.component.context().metrics, "a call on behalf", &refusal.clone().into());
            Err(ApiError::Upstream(Box::new(address_refused(refusal))))
        }
        // With the platform's token the word is about an account that the call names, not about the one who calls.
        (Some(refusal), TokenOwner::Authorizer(appid)) if refusal.code == ErrCode::NotAuthorized => {
            followup.to_check = Some(appid.clone());
            Err(not_authorized(refusal).into())
        }
        _ => Ok(PassedBack::of(answer, renewed)),
    }
}

/// Does what is left to do, `settling` the call's key with it, until the answer must be out. A call that has failed, or was
/// made, stays so if the table is away.
async fn follow_up(open: &OpenPlatform, followup: Followup, settling: impl Future<Output = ()>) {
    let Followup { failed, to_check, code } = followup;
    let work = Box::pin(async { tokio::join!(settling, count(open, failed), check(open, to_check), keep(open, code)) });
    // A moment is left for the answer itself.
    let end = open.bound.checked_sub(Duration::from_millis(200)).unwrap_or(open.bound);
    if tokio::time::timeout_at(end, work).await.is_err() {
        tracing::warn!("the table did not take in time what there was to write down about a call on behalf");
    }
}

/// Counts a failed call.
async fn count(open: &OpenPlatform, failed: Option<FailedCall>) {
    let Some(failed) = failed else { return };
    open.component.context().metrics.put(&Metric::count(Measure::CallFailed, 1).by(kind(&failed.code)));
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
        tracing::warn!("a failed call is missing in the list of them: {error}");
    }
}

/// Has an account's grant looked at: one refusal in a call does not end it.
async fn check(open: &OpenPlatform, account: Option<AppId>) {
    let Some(appid) = account else { return };
    if let Err(error) = open.tokens.check_soon(&appid).await {
        tracing::warn!(authorizer = %appid, "account {appid} is checked when it is due: {error}");
    }
}

/// Keeps the authorization code of a new account for the refresher, which exchanges it.
async fn keep(open: &OpenPlatform, code: Option<SecretString>) {
    let Some(code) = code else { return };
    if let Err(error) = open.items.inbox.put_code(&code, open.component.context().now()).await {
        tracing::warn!(
            "the authorization code of a new mini program could not be stored; reconciliation will find the account: {error}"
        );
    }
}

fn not_authorized(refusal: &Refusal) -> Problem {
    let detail = "WeChat says that the account has not authorized the platform. This is being checked: if GET /accounts/{appid} shows \
                  another state than active, the merchant has to authorize again";
    Problem::new(ProblemKind::AuthorizationEnded, detail)
        .with("errcode", refusal.code.code())
        .with_some("rid", refusal.rid.as_deref())
}

fn address_refused(refusal: &Refusal) -> Problem {
    let detail =
        "an operator has to add the address to 白名单IP地址列表 in WeChat's console; it takes effect within minutes";
    Problem::new(ProblemKind::AddressRefused, detail)
        .with("errcode", refusal.code.code())
        .with_some("address", refusal.refused_ip.map(|address| address.to_string()))
        .with_some("rid", refusal.rid.as_deref())
}

fn without_answer(error: &RelayError, effect: Effect) -> ApiError {
    let (kind, detail) = match (error, effect) {
        (RelayError::TooLarge, _) => (
            ProblemKind::AnswerTooLarge,
            format!(
                "WeChat's answer has more than {LARGEST_ANSWER} bytes, which is what can be passed back: ask for less at once. The \
                 call was made"
            ),
        ),
        (RelayError::NotRedacted, _) => (
            ProblemKind::AnswerUnusable,
            "what must not leave the platform could not be taken out of WeChat's answer: try again in a minute"
                .to_owned(),
        ),
        (RelayError::NoAnswer(_), Effect::None) => (
            ProblemKind::WechatUnreachable,
            "WeChat could not be reached, and nothing was sent: try again in a minute".to_owned(),
        ),
        (RelayError::NoAnswer(_), _) => (
            ProblemKind::WechatSlow,
            "the call was sent, and whether it took effect is not known: check that before you repeat it".to_owned(),
        ),
    };
    let problem = Problem::new(kind, detail).with("effect", effect.word());
    if kind == ProblemKind::AnswerTooLarge { problem.into() } else { ApiError::Upstream(Box::new(problem)) }
}
