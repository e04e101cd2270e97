//! Support for WeChat's unchanged libraries, below `/v1/wechat/`: responses to their token requests, tokens taken from
//! where they put them, and errors in the form that they read.
//!
//! A library requests a token from `cgi-bin/token`, with its appid and secret; the secret is an API key, and the
//! response is a token of ours ([`ServiceToken`]). It sends that in the query of every call. WeChat returns 200 for
//! everything and puts errors into `errcode`; libraries look at nothing else, and drop an expired token only if
//! `errcode` says so.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use base::clock::Timestamp;
use base::ids::KeyId;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use platform::secret::Platform;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use store::{KeyText, TokenOwner};
use url::form_urlencoded;
use web::api::{ApiError, json as json_response};
use web::doors::KEY_DOOR;
use web::keys::{Credential, Presented};
use web::service_token::{SERVICE_TOKEN_LIFE, ServiceToken};
use web::{Problem, ProblemKind};
use wechat::api::ErrCode;

use crate::request::{PLATFORM, target_word};
use crate::response::ERRCODE;

/// The parameters in which libraries send tokens.
const TOKENS: [&str; 2] = ["access_token", "component_access_token"];

/// The parameters in which they send secrets.
const SECRETS: [&str; 2] = ["secret", "component_appsecret"];

/// The parameters in which they send the secret's appid.
const APPIDS: [&str; 2] = ["appid", "component_appid"];

/// The longest body of a token request that is read, in bytes: it contains a secret, an appid and a ticket.
const LONGEST_TOKEN_REQUEST: usize = 8 * 1024;

/// Calls for logins, which take a secret and no token.
const LOGINS: &str = "sns/";

/// A request for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenRequest {
    /// `cgi-bin/token` or `cgi-bin/stable_token`.
    Access,
    /// `cgi-bin/component/api_component_token`, of the platform itself.
    Component,
}

impl TokenRequest {
    /// The kind of token that a call requests; `None` for any other call.
    pub(crate) fn of(target: &str, path: &str) -> Option<Self> {
        match path {
            "cgi-bin/token" | "cgi-bin/stable_token" => Some(Self::Access),
            "cgi-bin/component/api_component_token" if target == PLATFORM => Some(Self::Component),
            _ => None,
        }
    }

    /// Issues the token to the holder of a key.
    ///
    /// # Errors
    /// A [`Problem`] if the request is for another account, or another kind of token.
    pub(crate) fn answer(
        self,
        key: &KeyId,
        owner: &TokenOwner,
        sent: &SentParameters<'_>,
        platform: &Platform,
        now: Timestamp,
    ) -> Result<Response, ApiError> {
        let target = target_word(owner);
        let appid = if *owner == TokenOwner::Component { platform.component.as_str() } else { target };
        if sent.first(&APPIDS).is_some_and(|named| named != appid) {
            let detail = "the appid is not the one in the path: set both to the same account";
            let problem = Problem::new(ProblemKind::InvalidParameter, detail);
            return Err(problem.with("errcode", ErrCode::InvalidAppId.code()).into());
        }
        if sent.first(&["grant_type"]).is_some_and(|kind| kind != "client_credential") {
            let problem = Problem::new(ProblemKind::InvalidParameter, "grant_type must be client_credential");
            return Err(problem.with("errcode", ErrCode::InvalidGrantType.code()).into());
        }
        let name = match self {
            Self::Access => "access_token",
            Self::Component => "component_access_token",
        };
        let token = ServiceToken::issue(&platform.derived, key, target, now);
        let body = json!({ name: token.expose_secret(), "expires_in": SERVICE_TOKEN_LIFE.as_secs() });
        Ok(json_response(StatusCode::OK, &body))
    }
}

/// The parameters in a request's query, and in its body if that is a JSON object.
pub(crate) struct SentParameters<'a> {
    query: &'a str,
    body: Value,
}

impl<'a> SentParameters<'a> {
    pub(crate) fn of(parts: &'a Parts, body: &[u8]) -> Self {
        let body = serde_json::from_slice(body).unwrap_or_default();
        Self { query: parts.uri.query().unwrap_or_default(), body }
    }

    /// All values under these names, in the query or else in the body.
    fn all(&self, names: &[&str]) -> Vec<String> {
        let in_query = form_urlencoded::parse(self.query.as_bytes()).filter(|(name, _)| names.contains(&name.as_ref()));
        let in_query: Vec<String> = in_query.map(|(_, value)| value.into_owned()).collect();
        if in_query.is_empty() {
            return names.iter().filter_map(|name| self.body[name].as_str()).map(str::to_owned).collect();
        }
        in_query
    }

    fn first(&self, names: &[&str]) -> Option<String> {
        self.all(names).into_iter().next()
    }
}

/// The sender of a request below `/v1/wechat/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// A program that sends its key in the header `Authorization`.
    Program,
    /// A client without credentials.
    Nobody,
    /// A library that requests a token.
    TokenRequest,
    /// A library that makes a call.
    Library,
}

/// The layer around all routes.
pub(crate) async fn as_libraries_expect(request: Request, next: Next) -> Response {
    let (mut parts, mut body) = request.into_parts();
    let Some((target, path)) = below_key_door(&parts) else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    let asks_for_token = TokenRequest::of(target, path).is_some();
    let mut bytes = Vec::new();
    if asks_for_token {
        (body, bytes) = read(body).await;
    }
    let may_have_secret = asks_for_token || path.starts_with(LOGINS);
    let presented = presented(&SentParameters::of(&parts, &bytes), may_have_secret, target);
    let sender = match presented {
        _ if parts.headers.contains_key(AUTHORIZATION) => Sender::Program,
        None => Sender::Nobody,
        Some(presented) => {
            parts.extensions.insert(presented);
            if asks_for_token { Sender::TokenRequest } else { Sender::Library }
        }
    };
    in_wechats_words(next.run(Request::from_parts(parts, body)).await, sender)
}

/// The account, or the word for the platform, and the rest of a path below `/v1/wechat/`.
fn below_key_door(parts: &Parts) -> Option<(&str, &str)> {
    parts.uri.path().strip_prefix(KEY_DOOR)?.strip_prefix("/wechat/")?.split_once('/')
}

/// The body, and its text if it is short enough. A larger one is not a token request.
async fn read(body: Body) -> (Body, Vec<u8>) {
    let bytes = to_bytes(body, LONGEST_TOKEN_REQUEST).await.unwrap_or_default();
    (Body::from(bytes.clone()), bytes.into())
}

/// The credential that a client library sent; `None` if it sent none.
fn presented(sent: &SentParameters<'_>, may_have_secret: bool, target: &str) -> Option<Presented> {
    let tokens = sent.all(&TOKENS);
    if let [token, others @ ..] = tokens.as_slice() {
        let credential = match ServiceToken::parse(token) {
            Some(token) => Some(Credential::Token(token, target.to_owned())),
            None => KeyText::parse(token).map(Credential::KeyInUrl),
        };
        return Some(Presented(credential.filter(|_| others.iter().all(|other| other == token))));
    }
    let secret = sent.first(&SECRETS).filter(|_| may_have_secret)?;
    Some(Presented(KeyText::parse(&secret).map(Credential::Key)))
}

/// Adds WeChat's members to a problem; for a library, in a response of the form that WeChat's have.
fn in_wechats_words(mut response: Response, sender: Sender) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return if sender == Sender::Library { without_refused_token(response) } else { response };
    };
    let mut body = problem.document();
    match refused_token(body["errcode"].as_i64()) {
        // The account's, or the platform's own: see `without_refused_token`.
        Some(refused) if sender == Sender::Library && problem.kind() != ProblemKind::InvalidKey => {
            body["wechat_errcode"] = refused.into();
            body["errcode"] = ErrCode::SystemBusy.code().into();
        }
        _ if body["errcode"].is_null() => body["errcode"] = errcode(&problem, sender).into(),
        _ => {}
    }
    if body["errmsg"].is_null() {
        let code = body["errcode"].as_i64().unwrap_or_default();
        let said = [words(code).or(body["title"].as_str()), body["detail"].as_str()];
        body["errmsg"] = said.into_iter().flatten().collect::<Vec<_>>().join(": ").into();
    }
    *response.body_mut() = body.to_string().into();
    if matches!(sender, Sender::TokenRequest | Sender::Library) {
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().remove(WWW_AUTHENTICATE);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

/// WeChat's response, unless it refuses the account's token and the platform could not get another: a library would
/// believe that its own token was refused, get another one, and repeat the call, sometimes endlessly. WeChat has done
/// nothing, so the call may be repeated.
fn without_refused_token(mut response: Response) -> Response {
    let said = response.headers().get(ERRCODE).and_then(|code| code.to_str().ok()?.parse().ok());
    let Some(refused) = refused_token(said) else { return response };
    let busy = ErrCode::SystemBusy.code();
    let words = format!(
        "WeChat refuses the account's token ({refused}), and issues no other one for now: try again in a minute"
    );
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.body_mut() = json!({ "errcode": busy, "errmsg": words, "wechat_errcode": refused }).to_string().into();
    response
}

/// WeChat's code, if it refuses a token.
fn refused_token(code: Option<i64>) -> Option<i64> {
    code.filter(|code| ErrCode::from_code(*code).token_rejected())
}

/// WeChat's words for a code: libraries look for some of them.
pub(crate) const fn words(code: i64) -> Option<&'static str> {
    match ErrCode::from_code(code) {
        ErrCode::InvalidCredential => Some("invalid credential, access_token is invalid or not latest"),
        ErrCode::AccessTokenMissing => Some("access_token missing"),
        ErrCode::AccessTokenExpired => Some("access_token expired"),
        ErrCode::InvalidAppSecret => Some("invalid appsecret"),
        ErrCode::InvalidAppId => Some("invalid appid"),
        ErrCode::ApiUnauthorized => Some("api unauthorized"),
        _ => None,
    }
}

/// WeChat's code for a problem, if there is one with the same meaning, otherwise the HTTP status. Libraries repeat a
/// call at −1, so that code is only for calls that were not sent.
fn errcode(problem: &Problem, sender: Sender) -> i64 {
    let code = match (problem.kind(), sender) {
        (ProblemKind::InvalidKey, Sender::Nobody) => ErrCode::AccessTokenMissing,
        (ProblemKind::InvalidKey, Sender::TokenRequest) => ErrCode::InvalidAppSecret,
        (ProblemKind::InvalidKey, Sender::Library | Sender::Program) => ErrCode::InvalidCredential,
        (ProblemKind::NotAllowed | ProblemKind::NoApiPermission | ProblemKind::PathRefused, _) => {
            ErrCode::ApiUnauthorized
        }
        (ProblemKind::UnknownAccount, _) => ErrCode::InvalidAppId,
        (ProblemKind::InvalidPath, _) => ErrCode::InvalidUrl,
        (ProblemKind::TokenBeingRenewed | ProblemKind::TokenUnavailable | ProblemKind::WechatUnreachable, _) => {
            ErrCode::SystemBusy
        }
        (kind, _) => return kind.status().as_u16().into(),
    };
    code.code()
}
