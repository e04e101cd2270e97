//! `GET /login/{appid}/callback?code&state`: WeChat sends the visitor back.
//!
//! WeChat's browsers load this address twice at times, and WeChat takes a code once. Our code for a login is therefore
//! made from WeChat's, and a load that WeChat refuses looks whether another one was quicker: both lead to the same page.

use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use platform::derived_key::Purpose;
use platform::tokens::TokenError;
use secrecy::{ExposeSecret as _, SecretString};
use store::{LoginCodeDigest, VisitorLogin, VisitorPortrait};
use tokio::time::{Instant, sleep};
use web::{InternalError, Language, see_other, spawn_with_timeout};
use wechat::api::{Api, ErrCode, LoginScope, Reaction, WebLogin, WechatError};

use crate::attempt::{Attempt, AttemptState};
use crate::begin::AccountPath;
use crate::error::LoginError;
use crate::request::once;
use crate::{LoginService, OpenPlatform};

/// What the log calls it.
const ENDING: &str = "logging a visitor in";

/// Bytes of a code; WeChat's have 32.
const LONGEST_CODE: usize = 512;

/// What is left of the bound when another load of the page is no longer waited for.
const RESERVE: Duration = Duration::from_millis(500);

/// How a login ended, as far as the visitor's browser is concerned.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The visitor is known, under this code.
    LoggedIn(String),
    /// The visitor has refused.
    Denied,
    /// WeChat's code was used, and what came of it is over.
    CodeUsed,
    /// The visitor looks at a snapshot, in which ids are made up.
    Snapshot,
    /// WeChat, or something of ours, does not answer.
    Unavailable,
}

impl Outcome {
    /// What is added to the address that the visitor returns to.
    fn says(&self) -> (&'static str, &str) {
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
    language: Language,
    headers: HeaderMap,
) -> Response {
    let bound = service.services().answer_by();
    let ended = ended(service.clone(), path, query.unwrap_or_default(), headers, bound);
    let ended = spawn_with_timeout(bound, ended).await.unwrap_or_else(|trouble| Err(trouble.into()));
    ended.unwrap_or_else(|error| error.page(&service, language, ENDING))
}

async fn ended(
    service: LoginService,
    path: AccountPath,
    query: String,
    headers: HeaderMap,
    bound: Instant,
) -> Result<Response, LoginError> {
    let Ok(Path(account)) = path else { return Err(LoginError::UnknownAccount) };
    let parameter = |name| once(&query, name).map_err(|_| LoginError::NoAttempt);
    let state = parameter("state")?.and_then(|state| AttemptState::parse(&state)).ok_or(LoginError::NoAttempt)?;
    let open = service.open(bound).await?;
    let keys = open.component.derived_keys();
    let attempt = Attempt::carried(&headers, keys, &state, service.is_https(), open.now());
    let attempt = attempt.filter(|attempt| attempt.account == account).ok_or(LoginError::NoAttempt)?;
    if parameter("appid")?.is_some_and(|appid| appid != account.as_str()) {
        return Err(LoginError::NoAttempt);
    }
    let outcome = match parameter("code")? {
        None => Outcome::Denied,
        Some(code) if code.len() > LONGEST_CODE => Outcome::CodeUsed,
        Some(code) => {
            Return { open: &open, attempt: &attempt, state: &state, code: code.into() }.outcome(bound).await?
        }
    };
    Ok(see_other(&attempt.request.returning(outcome.says()))?)
}

/// A visitor who has come back with a code.
struct Return<'a> {
    open: &'a OpenPlatform,
    attempt: &'a Attempt,
    state: &'a AttemptState,
    code: SecretString,
}

impl Return<'_> {
    async fn outcome(&self, bound: Instant) -> Result<Outcome, LoginError> {
        let code = self.login_code();
        let visitor = match self.exchanged().await {
            Ok(visitor) => visitor,
            Err(TokenError::Wechat(refused)) => return self.refused(&code, refused, bound).await,
            Err(error) => return Ok(self.unavailable(error)),
        };
        let login = self.login(visitor).await;
        let digest = LoginCodeDigest::of(&code);
        // A snapshot is written down as well: the page may be loaded twice.
        Ok(match self.open.items.web_logins.put(&digest, &login, self.open.now()).await {
            Ok(()) if login.is_made_up() => Outcome::Snapshot,
            Ok(()) => Outcome::LoggedIn(code),
            Err(error) => self.unavailable(error),
        })
    }

    /// The code that the login is redeemed with: nobody can make it who does not have the platform's key.
    fn login_code(&self) -> String {
        let parts = [self.attempt.account.as_str(), self.state.as_str(), self.code.expose_secret()].map(str::as_bytes);
        URL_SAFE_NO_PAD.encode(self.open.component.derived_keys().sign(Purpose::LoginCode, &parts))
    }

    async fn exchanged(&self) -> Result<WebLogin, TokenError> {
        let component = &self.open.component;
        component
            .call(|token| async move {
                component.wechat().web_login(component.carries(&token), &self.attempt.account, &self.code).await
            })
            .await
    }

    /// Who the visitor is. Where WeChat does not say how the visitor looks, the login is none the worse for it.
    async fn login(&self, visitor: WebLogin) -> VisitorLogin {
        let request = &self.attempt.request;
        let mut login = VisitorLogin {
            account: self.attempt.account.clone(),
            open_id: visitor.open_id.clone(),
            union_id: visitor.union_id.clone(),
            scope: request.scope.as_str().to_owned(),
            is_snapshot: visitor.is_snapshot,
            profile: None,
            state: request.state.clone(),
            challenge: request.challenge.clone(),
        };
        if request.scope == LoginScope::Base || visitor.is_snapshot {
            return login;
        }
        match self.open.component.wechat().visitor_profile(&visitor).await {
            Ok(profile) => {
                login.union_id = login.union_id.or(profile.union_id);
                login.profile =
                    Some(VisitorPortrait { nickname: profile.nickname, head_img_url: profile.head_img_url });
            }
            Err(error) => tracing::warn!(
                account = %login.account,
                "a visitor of {} is logged in without name and picture: {error}", login.account
            ),
        }
        login
    }

    async fn refused(&self, code: &str, refused: WechatError, bound: Instant) -> Result<Outcome, LoginError> {
        let account = &self.attempt.account;
        match refused.code() {
            Some(ErrCode::OauthCodeUsed) => self.of_another_load(code, bound).await,
            Some(ErrCode::OauthCodeInvalid | ErrCode::OauthCodeExpired) => {
                Ok(self.known(code).await?.unwrap_or(Outcome::CodeUsed))
            }
            Some(said) if matches!(said.reaction_to(Api::WebLogin), Reaction::Reauthorize | Reaction::Permission) => {
                tracing::warn!(%account, errcode = said.code(), "WeChat does not let {account} log visitors in: {}", said.meaning());
                let back = self.attempt.request.returning(Outcome::Unavailable.says());
                Err(LoginError::Refused(Box::new(back)))
            }
            _ => Ok(self.unavailable(refused)),
        }
    }

    /// The end of a login whose code was used by another load of the page, which may not have ended yet.
    async fn of_another_load(&self, code: &str, bound: Instant) -> Result<Outcome, LoginError> {
        let limits = self.open.component.context().limits;
        // Its call takes no longer.
        let end = (Instant::now() + limits.api).min(bound.checked_sub(RESERVE).unwrap_or(bound));
        let mut pause = limits.poll;
        loop {
            if let Some(outcome) = self.known(code).await? {
                return Ok(outcome);
            }
            if Instant::now() + pause >= end {
                return Ok(Outcome::CodeUsed);
            }
            sleep(pause).await;
            pause *= 2;
        }
    }

    /// How the login of a code ended; `None` if it did not, as far as is known.
    async fn known(&self, code: &str) -> Result<Option<Outcome>, LoginError> {
        let kept = self.open.items.web_logins.get(&LoginCodeDigest::of(code)).await?;
        Ok(kept.map(|kept| {
            if kept.login.is_made_up() {
                Outcome::Snapshot
            } else if kept.is_valid(self.open.now()) {
                Outcome::LoggedIn(code.to_owned())
            } else {
                Outcome::CodeUsed
            }
        }))
    }

    fn unavailable(&self, trouble: impl Into<InternalError>) -> Outcome {
        let context = self.open.component.context();
        trouble.into().report(ENDING, &context.random, &context.metrics);
        Outcome::Unavailable
    }
}
