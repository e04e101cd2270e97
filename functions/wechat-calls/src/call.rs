//! Makes a call: with a valid token, once more with another one if WeChat refuses it, and again if the service asks for
//! retries.

use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use base::ids::AppId;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, LOCATION};
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
use wechat::api::relay::{RelayAnswer, RelayCall, RelayError};
use wechat::api::{ErrCode, Refusal, TransportKind, WechatError};

use crate::bucket::File;
use crate::failure::{effect, failed_call, kind};
use crate::files::{self, Sent};
use crate::request::CallRequest;
use crate::{LARGEST_ANSWER, LARGEST_FILE, OpenPlatform, keyed};

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

impl ResponseHead {
    /// Takes a header out.
    fn take(&mut self, name: &HeaderName) -> Option<HeaderValue> {
        let at = self.headers.iter().position(|(found, _)| *name == found.as_str())?;
        HeaderValue::try_from(self.headers.remove(at).1).ok()
    }

    /// Whether the body is somewhere else.
    pub(crate) fn leads_elsewhere(&self) -> bool {
        self.status == StatusCode::SEE_OTHER.as_u16()
    }
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
        Err(error) => return Outcome::not_made(ApiError::of_token(error, context.now())),
    };
    let sent = match Sent::of(open, request).await {
        Ok(sent) => sent,
        Err(error) => return Outcome::not_made(error),
    };
    let (begun, bytes_sent) = (Instant::now(), sent.body.len());
    let mut attempt = Attempt { open, request, sent, token, renewed: false, may_have_taken_effect: false };
    let answered = with_video(open, request, attempt.run().await).await;
    let failed = failed_call(request, bytes_sent, &answered, (context.now(), begun.elapsed()));
    let effect = match effect(&answered) {
        Effect::None if attempt.may_have_taken_effect => Effect::Unknown,
        effect => effect,
    };
    let mut outcome = conclude(open, request, answered, (effect, attempt.renewed));
    if let Ok(answer) = outcome.answer {
        outcome.answer =
            if answer.body.len() > LARGEST_ANSWER { moved(open, request, answer).await } else { Ok(answer) };
    }
    Outcome { failed, ..outcome }
}

/// The video, where WeChat has answered with the address of one and the service wants it. What cannot be fetched is left to
/// the service: it gets the address.
async fn with_video(
    open: &OpenPlatform,
    request: &CallRequest,
    answered: Result<RelayAnswer, RelayError>,
) -> Result<RelayAnswer, RelayError> {
    let wechat = open.component.wechat();
    let address = answered.as_ref().ok().filter(|_| request.follows_video).and_then(|answer| wechat.video_in(answer));
    let Some(address) = address else { return answered };
    match wechat.fetch_video(&address, request.largest_answer()).await {
        Err(RelayError::NoAnswer(error)) => {
            tracing::warn!("a video could not be fetched, and its address was passed back: {error}");
            answered
        }
        fetched => fetched,
    }
}

/// Puts an answer that is too large to be passed back into the bucket; what is passed back leads there.
async fn moved(open: &OpenPlatform, request: &CallRequest, answer: PassedBack) -> Result<PassedBack, ApiError> {
    let PassedBack { mut head, body } = answer;
    let (content_type, disposition) = (head.take(&CONTENT_TYPE), head.take(&CONTENT_DISPOSITION));
    let url = files::keep(open, &request.caller, File { content_type, disposition, bytes: body.into() }).await?;
    head.status = StatusCode::SEE_OTHER.as_u16();
    head.headers.push((LOCATION.as_str().to_owned(), url.into()));
    Ok(PassedBack { head, body: Vec::new() })
}

impl Outcome {
    fn not_made(error: ApiError) -> Self {
        Self { effect: Effect::None, answer: Err(error), failed: None, to_check: None, code: None }
    }

    /// Writes down what is to be written down, `settling` the call's key with it, until the answer must be out. A call that
    /// has failed, or was made, stays so if the table is away.
    pub(crate) async fn finish(
        self,
        open: &OpenPlatform,
        settling: impl Future<Output = ()>,
    ) -> Result<PassedBack, ApiError> {
        let Self { answer, failed, to_check, code, .. } = self;
        let work =
            Box::pin(async { tokio::join!(settling, count(open, failed), check(open, to_check), keep(open, code)) });
        if tokio::time::timeout_at(open.writes_end(), work).await.is_err() {
            tracing::warn!("the table did not take in time what there was to write down about a call on behalf");
        }
        answer
    }
}

/// A call on its way.
struct Attempt<'a> {
    open: &'a OpenPlatform,
    request: &'a CallRequest,
    sent: Sent,
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
            headers: &self.sent.headers,
            body: &self.sent.body,
            largest_answer: request.largest_answer(),
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
) -> Outcome {
    let mut answer = match answered {
        Ok(answer) => answer,
        Err(error) => return Outcome { effect, ..Outcome::not_made(without_answer(&error, request, effect)) },
    };
    let code = answer.code.take();
    let (answer, to_check) = match (&answer.refusal, &request.owner) {
        (Some(refusal), _) if refusal.code == ErrCode::ClientIpNotRegistered => {
            report_wechat(&open.component.context().metrics, "a call on behalf", &refusal.clone().into());
            (Err(ApiError::Upstream(Box::new(address_refused(refusal)))), None)
        }
        // With the platform's token the word is about an account that the call names, not about the one who calls.
        (Some(refusal), TokenOwner::Authorizer(appid)) if refusal.code == ErrCode::NotAuthorized => {
            (Err(not_authorized(refusal).into()), Some(appid.clone()))
        }
        _ => (Ok(PassedBack::of(answer, renewed)), None),
    };
    Outcome { effect, answer, failed: None, to_check, code }
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

fn without_answer(error: &RelayError, request: &CallRequest, effect: Effect) -> ApiError {
    let (kind, detail) = match (error, effect) {
        (RelayError::TooLarge, _) => (
            ProblemKind::AnswerTooLarge,
            if request.redirects_large_answer {
                format!("WeChat's answer has more than {LARGEST_FILE} bytes: ask for less at once. The call was made")
            } else {
                format!(
                    "WeChat's answer has more than {LARGEST_ANSWER} bytes, and the call was made: with X-Large-Answer: redirect \
                     you are sent to where it is, if it has at most {LARGEST_FILE}"
                )
            },
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
