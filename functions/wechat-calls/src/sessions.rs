//! `POST /accounts/{appid}/mini-program-sessions`: logs in a user of an account's mini program (protocol section 5.5).

use axum::extract::State;
use axum::response::Response;
use base::ids::AppId;
use http::StatusCode;
use platform::tokens::TokenError;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use tokio::time::Instant;
use web::api::{ApiError, PathAccount, json, of_wechat, respond, with_wechats_words};
use web::caller::Caller;
use web::{Members, Problem, ProblemKind};
use wechat::api::relay::MINI_PROGRAM_LOGIN;
use wechat::api::{AccountKind, ErrCode, WechatError, visitor_code};

use crate::call::note;
use crate::failure::Asked;
use crate::response::not_authorized;
use crate::{CallService, OpenPlatform};

/// A user of a mini program.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct MiniProgramSession {
    /// The user's id in this mini program.
    pub(crate) openid: String,
    /// The user's id across all accounts bound to the same open account. Missing if the mini program is not bound to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub(crate) unionid: Option<String>,
    /// The key that encrypts the user's data. Keep it on your server.
    pub(crate) session_key: String,
}

/// `POST /accounts/{appid}/mini-program-sessions`.
pub(crate) async fn create(
    State(service): State<CallService>,
    caller: Caller,
    PathAccount(account): PathAccount,
    body: Members,
) -> Response {
    let work = |bound| begun(service.clone(), caller, account, body, bound);
    respond(service.services(), "logging a user of a mini program in", work).await
}

fn code_in(mut members: Members) -> Result<SecretString, Problem> {
    let code = members.text("js_code")?;
    members.finish()?;
    code.as_deref().and_then(visitor_code).ok_or_else(|| {
        Problem::new(ProblemKind::InvalidField, "js_code must be the code that the mini program got from wx.login")
    })
}

async fn begun(
    service: CallService,
    caller: Caller,
    account: AppId,
    body: Members,
    bound: Instant,
) -> Result<Response, ApiError> {
    let code = code_in(body)?;
    let open = service.open(bound).await?;
    let component = &open.component;
    let asked = Asked::get(&caller, &account, MINI_PROGRAM_LOGIN);
    note(&caller, account.as_str(), MINI_PROGRAM_LOGIN);
    let session = component.call(|token| {
        let (account, code) = (&account, &code);
        async move { component.wechat().mini_program_session(component.carries(&token), account, code).await }
    });
    match session.await {
        Ok(session) => Ok(json(
            StatusCode::OK,
            &MiniProgramSession {
                openid: session.open_id,
                unionid: session.union_id,
                session_key: session.session_key.expose_secret().to_owned(),
            },
        )),
        Err(TokenError::Wechat(error)) if !error.was_not_started() => {
            asked.record(&open, &error).await;
            Err(not_a_mini_program(&open, &account, &error).await.unwrap_or_else(|| refused(&error)))
        }
        Err(error) => Err(ApiError::of_token(error, component.context().now())),
    }
}

/// The problem if the code is invalid because the account is not a mini program.
async fn not_a_mini_program(open: &OpenPlatform, account: &AppId, error: &WechatError) -> Option<ApiError> {
    let refusal = error.refusal().filter(|refusal| refusal.code == ErrCode::OauthCodeInvalid)?;
    let profile = open.details(account).await?.profile?;
    if profile.kind == AccountKind::MiniProgram {
        return None;
    }
    let detail = "this account is not a mini program: name the appid of the mini program that called wx.login";
    Some(with_wechats_words(Problem::new(ProblemKind::LoginCodeRefused, detail), refusal).into())
}

/// The problem for a code that WeChat refuses.
fn refused(error: &WechatError) -> ApiError {
    let Some(refusal) = error.refusal() else {
        let detail = "WeChat did not respond, and the code may be used up: let the mini program call wx.login again";
        return ApiError::Upstream(Box::new(Problem::new(ProblemKind::WechatUnreachable, detail)));
    };
    let (kind, detail) = match refusal.code {
        ErrCode::OauthCodeInvalid => (
            ProblemKind::LoginCodeRefused,
            "the code is not valid or has expired: let the mini program call wx.login again. (A code of the button getPhoneNumber is \
             another one: wxa/business/getuserphonenumber takes it)",
        ),
        ErrCode::OauthCodeUsed => {
            (ProblemKind::LoginCodeRefused, "the code has already been used: let the mini program call wx.login again")
        }
        ErrCode::LoginBlocked => (ProblemKind::UserBlocked, "WeChat has blocked this user's logins as risky"),
        ErrCode::MinuteQuota => {
            (ProblemKind::TooManyLogins, "the user has logged in too often: a user can do so 100 times a minute")
        }
        ErrCode::SystemBusy => {
            (ProblemKind::WechatBusy, "WeChat is busy: let the mini program call wx.login again, and send the new code")
        }
        ErrCode::NotAuthorized => return not_authorized(refusal).into(),
        _ => return of_wechat(error),
    };
    let problem = with_wechats_words(Problem::new(kind, detail), refusal);
    if kind == ProblemKind::WechatBusy { ApiError::Upstream(Box::new(problem)) } else { problem.into() }
}
