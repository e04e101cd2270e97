//! Sends a call: with a valid token, once more with another one if WeChat refuses it, and again if the service asks for
//! retries.

use std::time::Duration;

use platform::tokens::ValidToken;
use tokio::time::Instant;
use wechat::api::relay::{RelayAnswer, RelayCall, RelayError};
use wechat::api::{Api, ErrCode, Reaction, TransportKind, WechatError};

use crate::OpenPlatform;
use crate::files::OutgoingBody;
use crate::request::CallRequest;

/// The pause before the first retry; doubled for each further one.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// The end of a call: WeChat's response, or the reason why there is none to pass back.
pub(crate) type Answered = Result<RelayAnswer, RelayError>;

/// What is known of a call's effect at WeChat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It had none, and repeating the call may end differently.
    None,
    /// WeChat has processed the call.
    Done,
    /// It may have had one.
    Unknown,
}

impl Effect {
    /// The value of `effect` in problems.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Done => "done",
            Self::Unknown => "unknown",
        }
    }

    /// The effect of a call that was sent once and ended like this.
    fn of(answered: &Answered) -> Self {
        let answer = match answered {
            Ok(answer) => answer,
            Err(RelayError::TooLarge) => return Self::Done,
            Err(RelayError::NoAnswer(error)) if !error.may_have_taken_effect() => return Self::None,
            Err(RelayError::NotRedacted | RelayError::NoAnswer(_)) => return Self::Unknown,
        };
        let Some(refusal) = &answer.refusal else {
            // A proxy that returns an error page with 5xx does not know the outcome of the call behind it.
            return if answer.status.is_server_error() { Self::Unknown } else { Self::Done };
        };
        if WechatError::from(refusal.clone()).may_have_taken_effect() {
            return Self::Unknown;
        }
        match refusal.code.reaction_to(Api::OnBehalf) {
            // The refusal concerns who calls, how often, when or from where, not the request.
            Reaction::Retry
            | Reaction::Refresh
            | Reaction::Reauthorize
            | Reaction::Permission
            | Reaction::Quota
            | Reaction::WaitMinute
            | Reaction::Config
            | Reaction::NewTicket
            | Reaction::RefreshTokenInvalid => Self::None,
            Reaction::CodeSpent | Reaction::Caller | Reaction::Unknown => Self::Done,
        }
    }
}

/// A call in progress.
pub(crate) struct Attempt<'a> {
    open: &'a OpenPlatform,
    request: &'a CallRequest,
    body: OutgoingBody,
    token: ValidToken,
    begun: Instant,
    renewed: bool,
    /// Whether a call before the last one may have taken effect.
    may_have_taken_effect: bool,
}

impl<'a> Attempt<'a> {
    /// A call that begins now.
    pub(crate) fn new(open: &'a OpenPlatform, request: &'a CallRequest, body: OutgoingBody, token: ValidToken) -> Self {
        Self { open, request, body, token, begun: Instant::now(), renewed: false, may_have_taken_effect: false }
    }

    /// The size of the body.
    pub(crate) const fn bytes_sent(&self) -> usize {
        self.body.bytes.len()
    }

    /// How long the call has taken so far.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Whether another token has replaced one that WeChat refused.
    pub(crate) const fn is_with_renewed_token(&self) -> bool {
        self.renewed
    }

    /// The effect of all that was sent, given how the last of it ended.
    pub(crate) fn effect(&self, answered: &Answered) -> Effect {
        match Effect::of(answered) {
            Effect::None if self.may_have_taken_effect => Effect::Unknown,
            effect => effect,
        }
    }

    /// Sends the call: once more with another token if WeChat refuses the first one, and as often as the service wants
    /// if the call was not made, or WeChat was busy. Starts nothing that does not fit into the remaining time.
    pub(crate) async fn run(&mut self) -> Answered {
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
            self.may_have_taken_effect |= Effect::of(&answered) == Effect::Unknown;
            retries -= 1;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn send(&self) -> Answered {
        let (open, request) = (self.open, self.request);
        let call = RelayCall {
            method: &request.method,
            path: &request.path,
            component: open.component.appid(),
            account: request.account(),
            token: &self.token.token,
            query: &request.query,
            headers: &self.body.headers,
            body: &self.body.bytes,
            largest_answer: request.largest_answer(),
        };
        open.component.wechat().relay(call).await
    }

    /// Replaces the token that WeChat has refused. `false` if there is no other one: WeChat's own response then says why.
    async fn replace_token(&mut self, refused: WechatError) -> bool {
        let owner = self.request.token_owner();
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

fn refused_token(answered: &Answered) -> Option<WechatError> {
    let refused = WechatError::from(answered.as_ref().ok()?.refusal.clone()?);
    refused.token_rejected().then_some(refused)
}

/// Whether a call is repeated for a service that asks for retries: WeChat was busy, or there was no connection.
fn may_be_repeated(answered: &Answered) -> bool {
    match answered {
        Ok(answer) => answer.refusal.as_ref().is_some_and(|refusal| refusal.code == ErrCode::SystemBusy),
        Err(RelayError::NoAnswer(WechatError::Transport { kind, .. })) => *kind == TransportKind::Connect,
        Err(_) => false,
    }
}
