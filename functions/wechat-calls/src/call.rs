//! Making a call: with the token that is valid, once more with another one where WeChat refuses that, and again where the
//! service wants it.

use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderName, HeaderValue, StatusCode};
use platform::context::report_wechat;
use platform::tokens::{TokenId, Tokens, ValidToken};
use runtime::telemetry::{Measure, Metric};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use store::{AccountState, Callback, ClaimKey, CodeDigest};
use tokio::time::Instant;
use web::api::{ApiError, authorization_ended};
use web::gateway::InBase64;
use web::{Problem, ProblemKind};
use wechat::api::relay::{Caller, LARGEST_ANSWER, RelayAnswer, RelayCall, RelayError};
use wechat::api::{ErrCode, Refusal, TransportKind, WechatError};

use crate::failure::{Ended, failed_call, kind};
use crate::request::{CallRequest, Owner};
use crate::{OpenPlatform, keyed};

const ERRCODE: HeaderName = HeaderName::from_static("x-wechat-errcode");
const RID: HeaderName = HeaderName::from_static("x-wechat-rid");
const RENEWED: HeaderName = HeaderName::from_static("x-token-renewed");

/// What is known of a call's effect at WeChat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It had none, and the same call may end otherwise next time.
    None,
    /// WeChat has decided about it.
    Decided,
    /// It may have had one.
    Unknown,
}

/// How a call ended.
pub(crate) struct Outcome {
    pub(crate) effect: Effect,
    pub(crate) answer: Result<Answer, ApiError>,
}

impl Outcome {
    fn refused(effect: Effect, error: impl Into<ApiError>) -> Self {
        Self { effect, answer: Err(error.into()) }
    }
}

/// An answer of WeChat's, to be passed back.
pub(crate) struct Answer {
    pub(crate) head: AnswerHead,
    pub(crate) body: Vec<u8>,
}

/// Everything of an answer but its body.
#[derive(Serialize, Deserialize)]
pub(crate) struct AnswerHead {
    status: u16,
    headers: Vec<(String, String)>,
}

impl Answer {
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
        Self { head: AnswerHead { status: answer.status.as_u16(), headers }, body: answer.body }
    }

    pub(crate) fn response(self) -> Response {
        let mut response = ([(CACHE_CONTROL, "no-store")], self.body).into_response();
        // A body of bytes is declared as one: WeChat's own type, or none.
        response.headers_mut().remove(http::header::CONTENT_TYPE);
        *response.status_mut() = StatusCode::from_u16(self.head.status).unwrap_or(StatusCode::BAD_GATEWAY);
        for (name, value) in self.head.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers_mut().append(name, value);
            }
        }
        response.extensions_mut().insert(InBase64);
        response
    }
}

/// Makes a call, under its key if it has one.
pub(crate) async fn run(open: &OpenPlatform, request: &CallRequest) -> Result<Response, ApiError> {
    match request.identity() {
        Some((key, digest)) => keyed::run(open, request, &key, &digest).await,
        None => make(open, request).await.answer.map(Answer::response),
    }
}

/// Makes a call.
pub(crate) async fn make(open: &OpenPlatform, request: &CallRequest) -> Outcome {
    let now = open.component.context().now();
    let token = match open.tokens.valid(&request.owner.token()).await {
        Ok(token) => token,
        Err(error) => return Outcome::refused(Effect::None, ApiError::of_token(error, now)),
    };
    let begun = Instant::now();
    let mut sending = Sending { open, request, token, renewed: false };
    let answered = sending.send().await;
    let renewed = sending.renewed;
    if let Some(failed) = failed_call(request, &answered, open.component.context().now(), begun.elapsed()) {
        note(open, &failed).await;
    }
    conclude(open, request, answered, renewed).await
}

/// Writes a failed call down. It has failed anyway: that the table is away changes nothing about it.
async fn note(open: &OpenPlatform, failed: &store::FailedCall) {
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
    if let Err(error) = open.store.failed_calls.count(failed).await {
        tracing::warn!("a failed call is missing in the list of them: {error}");
    }
}

/// A call on its way.
struct Sending<'a> {
    open: &'a OpenPlatform,
    request: &'a CallRequest,
    token: ValidToken,
    /// Whether another token has taken the place of one that WeChat refused.
    renewed: bool,
}

impl Sending<'_> {
    /// Sends the call: once more with another token if WeChat refuses the first one, and as often as the service wants where
    /// the call was not made, or WeChat was busy. What does not fit into the time that is left is not begun.
    async fn send(&mut self) -> Result<RelayAnswer, RelayError> {
        let context = self.open.component.context();
        let (mut may_replace, mut retries) = (true, self.request.retries);
        let mut pause = context.limits.poll;
        loop {
            let answered = self.send_once().await;
            if may_replace && is_token_refused(&answered) && self.has_time_for(Duration::ZERO) {
                may_replace = false;
                if self.replace_token(&answered).await && self.has_time_for(Duration::ZERO) {
                    continue;
                }
                return answered;
            }
            if retries == 0 || !may_be_repeated(&answered) || !self.has_time_for(pause) {
                return answered;
            }
            retries -= 1;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn send_once(&self) -> Result<RelayAnswer, RelayError> {
        let (open, request) = (self.open, self.request);
        let call = RelayCall {
            method: &request.method,
            path: &request.path,
            query: &request.query,
            headers: &request.headers,
            body: &request.body,
        };
        let token = &self.token.token;
        let caller = match request.owner {
            Owner::Account(_) => Caller::Account(token),
            Owner::Platform => Caller::Platform { component: open.component.appid(), token },
        };
        open.component.wechat().relay(call, caller).await
    }

    /// Gets another token for the one that WeChat has refused. `false` where there is none: WeChat's own answer then says
    /// why.
    async fn replace_token(&mut self, answered: &Result<RelayAnswer, RelayError>) -> bool {
        let owner = self.request.owner.token();
        let code = refusal(answered).map(|refusal| refusal.code.code());
        match self.open.tokens.replace_by_id(&owner, &TokenId::of(&self.token.token)).await {
            Ok(replacement) => {
                tracing::warn!(%owner, code, renewed = replacement.renewed, "WeChat refused the token of {owner} in a call on behalf");
                self.token = replacement.token;
                self.renewed = true;
                true
            }
            Err(error) => {
                tracing::warn!(%owner, code, "WeChat refused the token of {owner} in a call on behalf, and there is no other: {error}");
                false
            }
        }
    }

    /// Whether a call that begins after `pause` can still be made and answered.
    fn has_time_for(&self, pause: Duration) -> bool {
        let context = self.open.component.context();
        let end = Instant::now() + pause + context.limits.least_for_call;
        context.deadline.is_none_or(|deadline| end <= deadline)
    }
}

fn refusal(answered: &Result<RelayAnswer, RelayError>) -> Option<&Refusal> {
    answered.as_ref().ok()?.refusal.as_ref()
}

fn is_token_refused(answered: &Result<RelayAnswer, RelayError>) -> bool {
    refusal(answered).is_some_and(|refusal| refusal.code.token_rejected())
}

/// Whether a service that asks for it has the call made again: WeChat was busy, or there was no connection.
fn may_be_repeated(answered: &Result<RelayAnswer, RelayError>) -> bool {
    match answered {
        Ok(answer) => answer.refusal.as_ref().is_some_and(|refusal| refusal.code == ErrCode::SystemBusy),
        Err(RelayError::NoAnswer(WechatError::Transport { kind, .. })) => *kind == TransportKind::Connect,
        Err(_) => false,
    }
}

/// What the service gets.
async fn conclude(
    open: &OpenPlatform,
    request: &CallRequest,
    answered: Result<RelayAnswer, RelayError>,
    renewed: bool,
) -> Outcome {
    let mut answer = match answered {
        Ok(answer) => answer,
        Err(error) => return without_answer(&error),
    };
    if let Some(code) = answer.code.take() {
        keep_code(open, code).await;
    }
    let ended = Ended::of(&answer);
    match (&answer.refusal, &request.owner) {
        (Some(refusal), _) if refusal.code == ErrCode::ClientIpNotRegistered => {
            report_wechat(&open.component.context().metrics, "a call on behalf", &refusal.clone().into());
            Outcome::refused(ended.effect, address_refused(refusal))
        }
        // With the platform's token the word is about an account that the call names, not about the one who calls.
        (Some(refusal), Owner::Account(appid)) if refusal.code == ErrCode::NotAuthorized => {
            look_at(&open.tokens, appid).await;
            let problem = authorization_ended(None::<AccountState>, None);
            Outcome::refused(ended.effect, problem.with_some("rid", refusal.rid.as_deref()))
        }
        _ => Outcome { effect: ended.effect, answer: Ok(Answer::of(answer, renewed)) },
    }
}

/// Has the account's grant looked at: one refusal in a call does not end it.
async fn look_at(tokens: &Tokens, appid: &base::ids::AppId) {
    if let Err(error) = tokens.look_at(appid).await {
        tracing::warn!(authorizer = %appid, "account {appid} is looked at when it is due: {error}");
    }
}

/// Keeps the authorization code of an account that a call has registered, for the refresher to exchange.
async fn keep_code(open: &OpenPlatform, code: SecretString) {
    let claim = ClaimKey::of_code(&CodeDigest::of(&code));
    let kept = open.store.inbox.put_callback(&Callback { code, claim }, open.component.context().now()).await;
    if let Err(error) = kept {
        tracing::error!(
            "the authorization code of a new mini program was not kept, and the next comparison finds it: {error}"
        );
    }
}

fn address_refused(refusal: &Refusal) -> Problem {
    let detail =
        "an operator has to add the address to 白名单IP地址列表 in WeChat's console; it takes effect within minutes";
    Problem::new(ProblemKind::AddressRefused, detail)
        .with("errcode", refusal.code.code())
        .with_some("address", refusal.refused_ip.map(|address| address.to_string()))
        .with_some("rid", refusal.rid.as_deref())
}

fn without_answer(error: &RelayError) -> Outcome {
    let (kind, effect, detail) = match error {
        RelayError::TooLarge => (
            ProblemKind::AnswerTooLarge,
            Effect::Decided,
            format!(
                "WeChat's answer has more than {LARGEST_ANSWER} bytes, which is what can be passed back; the call was made"
            ),
        ),
        RelayError::NotRedacted => (
            ProblemKind::AnswerUnusable,
            Effect::Unknown,
            "what must not leave the platform could not be taken out of WeChat's answer: try again in a minute"
                .to_owned(),
        ),
        RelayError::NoAnswer(error) if error.may_have_taken_effect() => (
            ProblemKind::WechatSlow,
            Effect::Unknown,
            "the call was sent, and whether it took effect is not known: look before you repeat it".to_owned(),
        ),
        RelayError::NoAnswer(_) => (
            ProblemKind::WechatUnreachable,
            Effect::None,
            "WeChat could not be reached, and nothing was sent: try again in a minute".to_owned(),
        ),
    };
    Outcome::refused(effect, Problem::new(kind, detail).with("effect", effect.word()))
}

impl Effect {
    /// The word for it in problems.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Decided => "done",
            Self::Unknown => "unknown",
        }
    }
}
