//! `GET /login/{appid}`: a page sends its visitor here.
//!
//! A visitor whose openid is wanted goes on to WeChat at once. Who is to show name and picture presses a button first:
//! if a page asks for that on opening, WeChat shows it as a snapshot with made-up ids (protocol section 12).

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use base::ids::AppId;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use runtime::config::{LoginPlace, Origin};
use store::{AccountDetails, AccountState};
use tokio::time::Instant;
use url::Url;
use web::source::Source;
use web::{Browser, InternalError, Language, PICTURE_HOSTS, Qr, qr, see_other, spawn_with_timeout};
use wechat::api::{AccountKind, LoginScope, Profile};

use crate::LoginService;
use crate::attempt::{Attempt, AttemptState};
use crate::error::LoginError;
use crate::request::LoginRequest;
use crate::texts::{self, ButtonTexts, OpenTexts};
use crate::wechat_url::Consent;

/// What the log calls it.
const BEGINNING: &str = "beginning a visitor's login";

#[derive(Template)]
#[template(path = "button.html")]
struct ButtonBody<'a> {
    texts: &'a ButtonTexts,
    name: Option<&'a str>,
    picture: Option<&'a str>,
    wechat: &'a str,
    cancel: &'a str,
}

#[derive(Template)]
#[template(path = "open_in_wechat.html")]
struct OpenBody<'a> {
    texts: &'a OpenTexts,
    name: Option<&'a str>,
    url: &'a str,
    qr: Option<Qr>,
}

/// The account in the path; one that cannot be an appid is answered like an unknown one.
pub(crate) type AccountPath = Result<Path<AppId>, PathRejection>;

pub(crate) async fn begin(
    State(service): State<LoginService>,
    path: AccountPath,
    RawQuery(query): RawQuery,
    source: Source,
    language: Language,
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
    let request = LoginRequest::read(&visit.query).map_err(LoginError::Mistake)?;
    match service.config().place(visit.host.as_deref(), &account) {
        LoginPlace::Own => {}
        LoginPlace::Common => return Ok(see_other(&service.login_url(&account, &request))?),
        LoginPlace::OfAnother => return Err(LoginError::UnknownAccount),
    }
    let open = service.open(bound).await?;
    let details = open.items.details.get(&account).await?;
    let details = permitted(details, &request)?;
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
        LoginScope::UserInfo => button(&service, &request, &details, &wechat, visit.language)?,
    };
    let attempt = Attempt { account, request, began_at: open.now() };
    let is_https = service.is_https();
    let cookies = attempt.begin(&visit.headers, open.component.derived_keys(), &state, is_https);
    for cookie in cookies.ok_or(InternalError::Render)? {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The account, if it may log a visitor in who then returns to the page of the request.
fn permitted(details: Option<AccountDetails>, request: &LoginRequest) -> Result<AccountDetails, LoginError> {
    let details = details.ok_or(LoginError::UnknownAccount)?;
    if details.profile.as_ref().is_some_and(|profile| profile.kind == AccountKind::MiniProgram) {
        return Err(LoginError::MiniProgram);
    }
    if details.state.is_some_and(|(state, _)| state != AccountState::Active) {
        return Err(LoginError::AuthorizationEnded);
    }
    let mut origins = details.login_origins.iter().filter_map(|origin| Origin::parse(origin).ok());
    if !origins.any(|origin| origin.contains(&request.return_url)) {
        return Err(LoginError::Origin);
    }
    Ok(details)
}

fn button(
    service: &LoginService,
    request: &LoginRequest,
    details: &AccountDetails,
    wechat: &Url,
    language: Language,
) -> Result<Response, InternalError> {
    let texts = texts::button(language);
    let picture = details.profile.as_ref().and_then(picture);
    let cancel = request.returning(("error", "access_denied"));
    let body = ButtonBody {
        texts,
        name: name(details),
        picture: picture.as_ref().map(Url::as_str),
        wechat: wechat.as_str(),
        cancel: cancel.as_str(),
    };
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
    let body = OpenBody { texts, name: name(details), url: url.as_str(), qr: qr(url.as_str()) };
    Ok(service.pages().page(StatusCode::OK, language, texts.title, &body)?)
}

fn name(details: &AccountDetails) -> Option<&str> {
    details.profile.as_ref()?.nick_name.as_deref()
}

/// The account's picture, over TLS. One that is not on a host of WeChat's is not shown: it would tell that host who visits.
fn picture(profile: &Profile) -> Option<Url> {
    let mut url = Url::parse(profile.head_img.as_deref()?).ok()?;
    let is_wechats = |host: &str| {
        PICTURE_HOSTS.iter().any(|known| host.strip_suffix(known).is_some_and(|label| label.ends_with('.')))
    };
    if !url.host_str().is_some_and(is_wechats) || url.port().is_some() {
        return None;
    }
    url.set_scheme("https").ok()?;
    Some(url)
}
