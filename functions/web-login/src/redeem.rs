//! `POST /logins`: tells a service who the visitor was that returned to its page.

use axum::extract::State;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use store::{LoginCodeDigest, VisitorLogin};
use tokio::time::Instant;
use web::api::{ApiError, json, respond};
use web::caller::Caller;
use web::{Members, Problem, ProblemKind};
use wechat::api::VisitorProfile;

use crate::LoginService;

/// Characters of a verifier (RFC 7636, section 4.1).
const VERIFIER_LENGTH: std::ops::RangeInclusive<usize> = 43..=128;

/// A visitor who has logged in.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Login))]
pub(crate) struct LoginView {
    /// The account at which the visitor logged in.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    appid: String,
    /// The visitor's id in this account.
    openid: String,
    /// The visitor's id across all accounts bound to the same open account. Missing if the account is not bound to one,
    /// and with `snsapi_base`, since WeChat does not return it then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    unionid: Option<String>,
    /// What the visitor has granted: `snsapi_base` or `snsapi_userinfo`.
    scope: &'static str,
    /// Whether WeChat says that the page was shown as a snapshot. Do not create a user for such a visitor.
    snapshot: bool,
    /// The visitor's nickname and picture. Missing with `snsapi_base`, and if WeChat did not return them in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<VisitorProfileView>))]
    profile: Option<VisitorProfileView>,
    /// The `state` that the login began with. It must be the one that you gave this browser. Missing if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    state: Option<String>,
}

/// A visitor's nickname and picture. Sex and region have been empty in WeChat since 2021, and are left out.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = VisitorProfile))]
pub(crate) struct VisitorProfileView {
    /// The nickname, as the visitor has written it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    nickname: Option<String>,
    /// The URL of the picture. Missing if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    headimgurl: Option<String>,
}

impl From<VisitorLogin> for LoginView {
    fn from(login: VisitorLogin) -> Self {
        let profile =
            |VisitorProfile { nickname, head_img_url, .. }| VisitorProfileView { nickname, headimgurl: head_img_url };
        Self {
            appid: login.account.to_string(),
            openid: login.open_id,
            unionid: login.union_id,
            scope: login.scope.as_str(),
            snapshot: login.is_snapshot,
            profile: login.profile.map(profile),
            state: login.state,
        }
    }
}

/// `POST /logins`.
pub(crate) async fn redeem(State(service): State<LoginService>, caller: Caller, body: Members) -> Response {
    let work = |bound| redeemed(service.clone(), caller, body, bound);
    respond(service.services(), "redeeming a login code", work).await
}

async fn redeemed(service: LoginService, caller: Caller, body: Members, bound: Instant) -> Result<Response, ApiError> {
    let (code, verifier) = read(body)?;
    let open = service.open(bound).await?;
    let logins = &open.items.web_logins;
    let digest = LoginCodeDigest::of(&code);
    let (by, now) = (caller.principal(), open.now());
    // Used and expired codes are refused first: somebody who tries codes learns nothing.
    let found = logins.get(&digest).await?.filter(|found| found.is_open_to(by, now)).ok_or_else(unknown)?;
    // Neither check spends the code: the rightful service may still redeem it.
    caller.needs_account(&found.login.account)?;
    verify(found.login.challenge.as_deref(), verifier.as_deref())?;
    let login = logins.redeem(&digest, found, by, now).await?.ok_or_else(unknown)?;
    let account = &login.account;
    tracing::info!(%account, %caller, "{caller} has redeemed the login of a visitor of {account}");
    Ok(json(StatusCode::OK, &LoginView::from(login)))
}

fn read(mut members: Members) -> Result<(String, Option<String>), Problem> {
    let (code, verifier) = (members.text("login_code")?, members.text("verifier")?);
    members.finish()?;
    let code = code.filter(|code| !code.is_empty()).ok_or_else(|| {
        let detail = "login_code must be the parameter of this name with which the visitor returned to your page";
        Problem::new(ProblemKind::InvalidField, detail)
    })?;
    if verifier.as_deref().is_some_and(|verifier| !is_verifier(verifier)) {
        let detail = "verifier must be 43 to 128 letters, digits, '-', '.', '_' or '~' (RFC 7636)";
        return Err(Problem::new(ProblemKind::InvalidField, detail));
    }
    Ok((code, verifier))
}

fn is_verifier(text: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    VERIFIER_LENGTH.contains(&text.len()) && text.bytes().all(is_unreserved)
}

/// Unknown, used and expired codes are not distinguished.
fn unknown() -> Problem {
    Problem::new(
        ProblemKind::UnknownLogin,
        "a login code can be redeemed once, within a minute of its issue: have the visitor log in again",
    )
}

/// A verifier for a login without a challenge is refused too: somebody has removed the challenge from the URL.
fn verify(challenge: Option<&str>, verifier: Option<&str>) -> Result<(), Problem> {
    let detail = match (challenge, verifier) {
        (None, None) => return Ok(()),
        (Some(challenge), Some(verifier)) if URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == challenge => {
            return Ok(());
        }
        (Some(_), Some(_)) => "the login began with the challenge of another verifier",
        (Some(_), None) => "the login began with a challenge: send the verifier",
        (None, Some(_)) => "the login began without a challenge, so that somebody else may have begun it",
    };
    Err(Problem::new(ProblemKind::VerifierRefused, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn a_verifier_is_wanted_exactly_where_there_was_a_challenge() {
        assert!(verify(None, None).is_ok());
        assert!(verify(Some(CHALLENGE), Some(VERIFIER)).is_ok());
        for (challenge, verifier) in [
            (Some(CHALLENGE), None),
            (None, Some(VERIFIER)),
            (Some(CHALLENGE), Some(CHALLENGE)),
            (Some(VERIFIER), Some(VERIFIER)),
        ] {
            assert!(verify(challenge, verifier).is_err(), "{challenge:?} {verifier:?}");
        }
    }
}
