//! `GET /login/{appid}`: the URL to which a page sends its visitor.
//!
//! With `snsapi_base` the visitor goes on to WeChat at once. With `snsapi_userinfo` the visitor presses a button first:
//! if a page asks for that when it opens, WeChat shows it as a snapshot with made-up ids (protocol section 5.4).

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use base::ids::AppId;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use runtime::config::{HostMatch, Origin, ReturnOrigins};
use store::{AccountDetails, AccountState};
use tokio::time::Instant;
use url::Url;
use web::source::Source;
use web::{AcceptLanguage, AccountCard, Browser, InternalError, Language, qr, see_other, spawn_with_timeout};
use wechat::api::{AccountKind, LoginScope};

use crate::LoginService;
use crate::attempt::{Attempt, AttemptState};
use crate::callback::Outcome;
use crate::error::LoginError;
use crate::request::LoginRequest;
use crate::texts::{self, ButtonTexts, OpenTexts};
use crate::wechat_url::Consent;

/// The work's name in the log.
const BEGINNING: &str = "beginning a visitor's login";

#[derive(Template)]
#[template(path = "button.html")]
struct ButtonBody<'a> {
    texts: &'a ButtonTexts,
    account: AccountCard,
    wechat: &'a str,
    cancel: &'a str,
}

#[derive(Template)]
#[template(path = "open_in_wechat.html")]
struct OpenBody<'a> {
    texts: &'a OpenTexts,
    name: Option<&'a str>,
    url: &'a str,
    /// The URL without its parameters, which nobody reads.
    shown: &'a str,
    qr: Option<String>,
}

/// The account in the path; a malformed appid is treated like an unknown one.
pub(crate) type AccountPath = Result<Path<AppId>, PathRejection>;

pub(crate) async fn begin(
    State(service): State<LoginService>,
    path: AccountPath,
    RawQuery(query): RawQuery,
    source: Source,
    AcceptLanguage(language): AcceptLanguage,
    headers: HeaderMap,
) -> Response {
    let bound = service.services().answer_by();
    let visit = Visit { query: query.unwrap_or_default(), host: source.host, language, headers };
    let begun = spawn_with_timeout(bound, begun(service.clone(), path, visit, bound));
    let begun = begun.await.unwrap_or_else(|trouble| Err(trouble.into()));
    begun.unwrap_or_else(|error| error.page(&service, language, BEGINNING))
}

/// A visitor's request.
struct Visit {
    query: String,
    host: Option<String>,
    language: Language,
    headers: HeaderMap,
}

async fn begun(service: LoginService, path: AccountPath, visit: Visit, bound: Instant) -> Result<Response, LoginError> {
    let Ok(Path(account)) = path else { return Err(LoginError::UnknownAccount) };
    let request = LoginRequest::read(&visit.query).map_err(LoginError::Request)?;
    let open = service.open(bound).await?;
    let details = permitted(open.items.details.get_item(&account).await?, &request)?;
    match service.config().host_match(visit.host.as_deref(), &account) {
        HostMatch::Own => {}
        HostMatch::Common => return Ok(see_other(&service.login_url(&account, &request))?),
        HostMatch::OtherAccount => return Err(LoginError::UnknownAccount),
    }
    let browser = Browser::of(&visit.headers);
    if !matches!(browser, Browser::WechatOnPhone | Browser::WechatOnComputer) {
        return open_in_wechat(&service, &account, &request, &details, visit.language);
    }
    let state = AttemptState::generate(&service.services().random);
    let consent = Consent {
        component: open.component.appid(),
        account: &account,
        scope: request.scope,
        redirect_uri: &service.callback_url(&account),
        state: &state,
    };
    let wechat = consent.url(&service.0.wechat_page);
    let mut response = match request.scope {
        LoginScope::Base => see_other(&wechat)?,
        LoginScope::UserInfo => button(&service, &account, &request, &details, &wechat, visit.language)?,
    };
    let is_https = service.is_https(&account);
    let attempt = Attempt::new(account, request, open.now());
    let cookies = attempt.begin(&visit.headers, open.component.derived_keys(), &state, is_https);
    for cookie in cookies.ok_or(InternalError::Render)? {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The account, if it may log in a visitor who then returns to the page of the request.
fn permitted(details: Option<AccountDetails>, request: &LoginRequest) -> Result<AccountDetails, LoginError> {
    let details = details.ok_or(LoginError::UnknownAccount)?;
    if details.profile.as_ref().is_some_and(|profile| profile.kind == AccountKind::MiniProgram) {
        return Err(LoginError::MiniProgram);
    }
    if details.state.is_some_and(|(state, _)| state != AccountState::Active) {
        return Err(LoginError::AuthorizationEnded);
    }
    let origins = details.login_origins.iter().filter_map(|origin| Origin::parse(origin).ok()).collect();
    if !ReturnOrigins::new(origins).allow(&request.return_url) {
        return Err(LoginError::Origin);
    }
    Ok(details)
}

fn button(
    service: &LoginService,
    account: &AppId,
    request: &LoginRequest,
    details: &AccountDetails,
    wechat: &Url,
    language: Language,
) -> Result<Response, InternalError> {
    let texts = texts::button(language);
    let account = AccountCard::of(language, account, details.profile.as_ref(), texts.asks);
    let cancel = request.returning(&Outcome::Denied);
    let body = ButtonBody { texts, account, wechat: wechat.as_str(), cancel: cancel.as_str() };
    service.pages().page(StatusCode::OK, language, texts.title, &body)
}

fn open_in_wechat(
    service: &LoginService,
    account: &AppId,
    request: &LoginRequest,
    details: &AccountDetails,
    language: Language,
) -> Result<Response, LoginError> {
    let url = service.login_url(account, request);
    let texts = texts::open(language);
    let code = qr(url.as_str(), texts.qr_label);
    let shown = format!("{}{}", url.host_str().unwrap_or_default(), url.path());
    let body = OpenBody { texts, name: name(details), url: url.as_str(), shown: &shown, qr: code };
    Ok(service.pages().page(StatusCode::OK, language, texts.title, &body)?)
}

fn name(details: &AccountDetails) -> Option<&str> {
    details.profile.as_ref()?.name()
}
