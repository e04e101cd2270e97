//! `GET /login/{appid}/callback?code&state`: WeChat sends the visitor back.
//!
//! WeChat's browsers sometimes load this URL twice, and WeChat accepts a code once. Our code for a login is therefore
//! derived from WeChat's, and a load that is refused looks up whether another one has finished: both lead to the same
//! page. A second code of one attempt is a login of its own: a visitor who goes back to our button can press it again.

use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use base::ids::AppId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use platform::context::Context;
use platform::derived_key::Purpose;
use platform::tokens::TokenError;
use secrecy::{ExposeSecret as _, SecretString};
use store::{LoginCodeDigest, StoreError, VisitorLogin};
use tokio::time::{Instant, sleep};
use web::{AcceptLanguage, InternalError, see_other, spawn_with_timeout};
use wechat::api::{Api, ErrCode, LoginScope, Reaction, VisitorProfile, WebLogin, WechatError, visitor_code};

use crate::attempt::{Attempt, AttemptState};
use crate::begin::AccountPath;
use crate::error::LoginError;
use crate::request::once;
use crate::{LoginService, OpenPlatform};

/// The work's name in the log.
const ENDING: &str = "logging a visitor in";

/// The longest pause between two looks for the result of another load of the page.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How a login ended, as far as the visitor's browser is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The visitor is known, under this code.
    LoggedIn(String),
    /// The visitor has declined.
    Denied,
    /// WeChat does not accept the code, and no login with it can be redeemed any more.
    CodeUsed,
    /// The visitor sees a snapshot, in which ids are made up.
    Snapshot,
    /// WeChat, or a part of the platform, does not respond.
    Unavailable,
}

impl Outcome {
    /// The parameter that is added to the URL to which the visitor returns.
    pub(crate) fn parameter(&self) -> (&'static str, &str) {
        match self {
            Self::LoggedIn(code) => ("login_code", code),
            Self::Denied => ("error", "access_denied"),
            Self::CodeUsed => ("error", "code_used"),
            Self::Snapshot => ("error", "snapshot"),
            Self::Unavailable => ("error", "temporarily_unavailable"),
        }
    }
}

pub(crate) async fn callback(
    State(service): State<LoginService>,
    path: AccountPath,
    RawQuery(query): RawQuery,
    AcceptLanguage(language): AcceptLanguage,
    headers: HeaderMap,
) -> Response {
    let bound = service.services().answer_by();
    let ended = ended(&service, path, &query.unwrap_or_default(), &headers, bound).await;
    ended.unwrap_or_else(|error| error.page(&service, language, ENDING))
}

async fn ended(
    service: &LoginService,
    path: AccountPath,
    query: &str,
    headers: &HeaderMap,
    bound: Instant,
) -> Result<Response, LoginError> {
    let Ok(Path(account)) = path else { return Err(LoginError::UnknownAccount) };
    let parameter = |name| once(query, name).map_err(|_| LoginError::NoAttempt);
    let state = parameter("state")?.and_then(|state| AttemptState::parse(&state)).ok_or(LoginError::NoAttempt)?;
    let (open, attempt) = begun_here(service, headers, &state, &account, bound).await?;
    if parameter("appid")?.is_some_and(|appid| appid != account.as_str()) {
        return Err(LoginError::NoAttempt);
    }
    let outcome = match parameter("code")?.map(|code| visitor_code(&code)) {
        None => Outcome::Denied,
        Some(None) => Outcome::CodeUsed,
        Some(Some(code)) => {
            let context = open.component.context().clone();
            let exchange = CodeExchange { open, attempt: attempt.clone(), state, code };
            let outcome = spawn_with_timeout(bound, async move { exchange.outcome(bound).await }).await;
            // The visitor is sent on, whatever happens.
            outcome.unwrap_or_else(|trouble| Ok(unavailable(&context, trouble)))?
        }
    };
    Ok(see_other(&attempt.request.returning(&outcome))?)
}

/// The platform, and the attempt of this name and account that the browser carries.
async fn begun_here(
    service: &LoginService,
    headers: &HeaderMap,
    state: &AttemptState,
    account: &AppId,
    bound: Instant,
) -> Result<(OpenPlatform, Attempt), LoginError> {
    let is_https = service.is_https(account);
    let carried = |open: &OpenPlatform| {
        let attempt = Attempt::carried(headers, open.component.derived_keys(), state, is_https, open.now());
        attempt.filter(|attempt| attempt.account == *account)
    };
    let open = service.open(bound).await?;
    if let Some(attempt) = carried(&open) {
        return Ok((open, attempt));
    }
    // Another process may have signed it with a newer secret than the cached one.
    let doubted = open.component.platform();
    if !Attempt::is_sent(headers, state, is_https) || service.services().platform.reread(doubted).await.is_none() {
        return Err(LoginError::NoAttempt);
    }
    let open = service.open(bound).await?;
    let attempt = carried(&open).ok_or(LoginError::NoAttempt)?;
    Ok((open, attempt))
}

/// The outcome if something does not respond, which is reported.
fn unavailable(context: &Context, trouble: impl Into<InternalError>) -> Outcome {
    trouble.into().report(ENDING, &context.random, &context.metrics);
    Outcome::Unavailable
}

/// A visitor who has returned with WeChat's code.
struct CodeExchange {
    open: OpenPlatform,
    attempt: Attempt,
    state: AttemptState,
    code: SecretString,
}

impl CodeExchange {
    async fn outcome(&self, bound: Instant) -> Result<Outcome, LoginError> {
        let code = self.login_code();
        let visitor = match self.exchanged().await {
            Ok(visitor) => visitor,
            Err(error) => return self.not_exchanged(&code, error, bound).await,
        };
        let login = self.login(visitor).await;
        let digest = LoginCodeDigest::of(&code);
        // A snapshot is stored as well: the page may be loaded twice.
        Ok(match self.open.items.web_logins.put(&digest, &login, self.open.now()).await {
            Ok(()) if login.is_made_up() => Outcome::Snapshot,
            Ok(()) => Outcome::LoggedIn(code),
            Err(error) => self.unavailable(error),
        })
    }

    fn account(&self) -> &AppId {
        &self.attempt.account
    }

    /// The code that redeems the login: only the holder of the platform's key can derive it.
    fn login_code(&self) -> String {
        let parts = [self.account().as_str(), self.state.as_str(), self.code.expose_secret()].map(str::as_bytes);
        URL_SAFE_NO_PAD.encode(self.open.component.derived_keys().sign(Purpose::LoginCode, &parts))
    }

    async fn exchanged(&self) -> Result<WebLogin, TokenError> {
        let component = &self.open.component;
        if !component.context().has_time_for_call(Duration::ZERO) {
            // The code stays valid for another load of the page.
            return Err(WechatError::not_started().into());
        }
        component
            .call(|token| async move {
                component.wechat().web_login(component.carries(&token), self.account(), &self.code).await
            })
            .await
    }

    /// Who the visitor is. A missing profile does not fail the login.
    async fn login(&self, visitor: WebLogin) -> VisitorLogin {
        let request = &self.attempt.request;
        let scope = visitor.granted.unwrap_or(request.scope);
        let shows_profile = scope == LoginScope::UserInfo && !visitor.is_snapshot;
        let profile = if shows_profile { self.profile(&visitor).await } else { None };
        VisitorLogin {
            account: self.account().clone(),
            union_id: visitor.union_id.or_else(|| profile.as_ref()?.union_id.clone()),
            open_id: visitor.open_id,
            scope,
            is_snapshot: visitor.is_snapshot,
            profile,
            state: request.state.clone(),
            challenge: request.challenge.clone(),
        }
    }

    async fn profile(&self, visitor: &WebLogin) -> Option<VisitorProfile> {
        let profile = self.open.component.wechat().visitor_profile(visitor).await;
        let what = format!("reading the profile of a visitor of {}", self.account());
        profile.inspect_err(|error| self.open.component.context().report(&what, error)).ok()
    }

    /// The outcome for a visitor whose code was not exchanged by this load of the page.
    async fn not_exchanged(&self, code: &str, error: TokenError, bound: Instant) -> Result<Outcome, LoginError> {
        let refused = if let TokenError::Wechat(refused) = &error { refused.code() } else { None };
        let found = match refused {
            Some(ErrCode::OauthCodeUsed) => self.wait_for_other_load(code, bound).await,
            _ => self.stored(code).await.unwrap_or_else(|error| Some(self.unavailable(error))),
        };
        match (found, refused) {
            (Some(outcome), _) => Ok(outcome),
            (None, Some(ErrCode::OauthCodeUsed | ErrCode::OauthCodeInvalid | ErrCode::OauthCodeExpired)) => {
                Ok(Outcome::CodeUsed)
            }
            (None, Some(said)) if is_about_account(said) => {
                let account = self.account();
                let what = format!("{account} cannot log visitors in");
                if let TokenError::Wechat(refused) = &error {
                    self.open.component.context().report(&what, refused);
                }
                Err(LoginError::Refused(Box::new(self.attempt.request.returning(&Outcome::Unavailable))))
            }
            _ => Ok(self.unavailable(error)),
        }
    }

    /// The outcome of a login whose code was used by another load of the page, which may not have finished yet.
    async fn wait_for_other_load(&self, code: &str, bound: Instant) -> Option<Outcome> {
        let limits = self.open.component.context().limits;
        // The other load makes at most two calls and one write. In production its calls end one write's time before its
        // limit, and the last look here comes after that write.
        let end = (Instant::now() + 2 * limits.api).min(bound.checked_sub(limits.table_try).unwrap_or(bound));
        let mut pause = limits.poll;
        loop {
            let is_last = Instant::now() >= end;
            match self.stored(code).await {
                Ok(None) if is_last => return None,
                Ok(Some(outcome)) => return Some(outcome),
                Err(error) if is_last => return Some(self.unavailable(error)),
                // Not yet, according to the table.
                Ok(None) | Err(_) => {}
            }
            sleep(pause.min(end.saturating_duration_since(Instant::now()))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The outcome of a code's login, according to the table.
    async fn stored(&self, code: &str) -> Result<Option<Outcome>, StoreError> {
        let stored = self.open.items.web_logins.get(&LoginCodeDigest::of(code)).await?;
        Ok(stored.map(|stored| {
            if stored.login.is_made_up() {
                Outcome::Snapshot
            } else if stored.is_open(self.open.now()) {
                Outcome::LoggedIn(code.to_owned())
            } else {
                Outcome::CodeUsed
            }
        }))
    }

    fn unavailable(&self, trouble: impl Into<InternalError>) -> Outcome {
        unavailable(self.open.component.context(), trouble)
    }
}

/// Whether WeChat refuses to log in this account's visitors, and will refuse the next one as well.
fn is_about_account(said: ErrCode) -> bool {
    matches!(said, ErrCode::InvalidAppId | ErrCode::AccountLimited)
        || matches!(said.reaction_to(Api::WebLogin), Reaction::Reauthorize | Reaction::Permission)
}
