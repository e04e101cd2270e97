//! The link's page, for merchants: who asks, a button, and a QR code of the same page for a phone.

use std::pin::Pin;

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use base::ids::{AppId, LinkId};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use store::{AccountState, Link, LinkStatus};
use tokio::time::Instant;
use web::{
    AcceptLanguage, AccountCard, AttemptCookie, Browser, Button, InternalError, Language, Message, Tone, qr, see_other,
    spawn_with_timeout,
};

use crate::launch_texts::LaunchTexts;
use crate::mint::mint;
use crate::texts::{self, OpenTexts};
use crate::{LinkError, LinkService, OpenPlatform, known_link};

/// The link in the path; a malformed id is treated like an unknown one.
type LinkPath = Result<Path<LinkId>, PathRejection>;

#[derive(Template)]
#[template(path = "launch.html")]
struct LaunchBody<'a> {
    texts: &'a LaunchTexts<'a>,
    account: Option<AccountCard>,
    action: &'a str,
    qr: Option<String>,
}

#[derive(Template)]
#[template(path = "open_in_wechat.html")]
struct OpenBody<'a> {
    texts: &'a OpenTexts,
    launch: &'a LaunchTexts<'a>,
    account: Option<AccountCard>,
    url: &'a str,
}

/// `GET /authorize/{link_id}`. Changes nothing, so previews and crawlers are harmless.
pub(crate) async fn show(
    State(service): State<LinkService>,
    path: LinkPath,
    AcceptLanguage(language): AcceptLanguage,
    headers: HeaderMap,
) -> Response {
    let bound = service.services().answer_by();
    let browser = Browser::of(&headers);
    let work = Box::pin(shown(service.clone(), path, language, browser, bound));
    answer(&service, language, "showing a link's page", bound, work).await
}

/// `POST /authorize/{link_id}`. The body is not read. No token guards the form: all that a forged press does is begin
/// an authorization that WeChat asks the merchant about.
pub(crate) async fn press(
    State(service): State<LinkService>,
    path: LinkPath,
    AcceptLanguage(language): AcceptLanguage,
    headers: HeaderMap,
) -> Response {
    let bound = service.services().answer_by();
    let browser = Browser::of(&headers);
    let work = Box::pin(pressed(service.clone(), path, language, browser, bound));
    answer(&service, language, "following a link", bound, work).await
}

async fn shown(
    service: LinkService,
    path: LinkPath,
    language: Language,
    browser: Browser,
    bound: Instant,
) -> Result<Response, LinkError> {
    let Ok(Path(id)) = path else { return Err(LinkError::Unknown) };
    let open = service.open(bound).await?;
    match followed(&open, &id).await? {
        Followed::Pending(link) => Ok(launch_page(&service, &open, &link, language, browser).await?),
        Followed::Used(link, account) => Ok(used(&service, &open, &link, &account, language).await),
    }
}

async fn pressed(
    service: LinkService,
    path: LinkPath,
    language: Language,
    browser: Browser,
    bound: Instant,
) -> Result<Response, LinkError> {
    let Ok(Path(id)) = path else { return Err(LinkError::Unknown) };
    let open = service.open(bound).await?;
    let link = match followed(&open, &id).await? {
        Followed::Pending(link) => link,
        Followed::Used(link, account) => return Ok(used(&service, &open, &link, &account, language).await),
    };
    if browser == Browser::OtherOnPhone {
        return Ok(launch_page(&service, &open, &link, language, browser).await?);
    }
    let cookie = AttemptCookie::generate(open.random());
    let minted = match mint(&service, &open, *link, Some(&cookie.digest())).await {
        // In the meantime the merchant has finished on another device: the link's page says so.
        Err(LinkError::Ended(LinkStatus::Authorized)) => return Ok(see_other(&service.link_url(&id))?),
        minted => minted?,
    };
    let secure = service.config().public_base.is_https();
    let cookie = cookie.header(&id, &minted.attempt, secure).ok_or(InternalError::Render)?;
    let target = if browser == Browser::WechatOnPhone { &minted.on_phone } else { &minted.on_computer };
    let mut response = see_other(target)?;
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// A link that somebody has opened.
enum Followed {
    /// It can be followed to WeChat.
    Pending(Box<Link>),
    /// This account was authorized through it, and is authorized still.
    Used(Box<Link>, AppId),
}

/// The link, if a merchant can follow it or has. Of one that was used it is also asked whether the account is
/// authorized still: a merchant who withdrew needs a new link, and is not to read that nothing is left to do. One read
/// more in that case.
async fn followed(open: &OpenPlatform, id: &LinkId) -> Result<Followed, LinkError> {
    let link = Box::new(known_link(open, id).await?);
    let status = link.status(open.now());
    match link.authorized.clone() {
        _ if status == LinkStatus::Pending => Ok(Followed::Pending(link)),
        Some((account, _)) => {
            let standing = open.items.standings.get(&account).await?;
            let stands = standing.is_none_or(|standing| standing.state == AccountState::Active);
            if stands { Ok(Followed::Used(link, account)) } else { Err(LinkError::Withdrawn) }
        }
        None => Err(LinkError::Ended(status)),
    }
}

async fn launch_page(
    service: &LinkService,
    open: &OpenPlatform,
    link: &Link,
    language: Language,
    browser: Browser,
) -> Result<Response, InternalError> {
    let url = service.link_url(&link.id);
    let texts = LaunchTexts::new(language, &link.request, service.config().provider.name.as_deref(), browser);
    let account = match &link.request.biz_appid {
        Some(account) => {
            Some(AccountCard::read(&open.items.details, language, account, texts::this_account(language)).await)
        }
        None => None,
    };
    if browser == Browser::OtherOnPhone {
        let open = texts::open(language);
        let body = OpenBody { texts: open, launch: &texts, account, url: url.as_str() };
        return service.pages().page(StatusCode::OK, language, open.title, &body);
    }
    // Inside WeChat the page is where it belongs.
    let qr = if browser == Browser::WechatOnPhone { None } else { qr(url.as_str(), texts.qr_label) };
    let body = LaunchBody { texts: &texts, account, action: url.path(), qr };
    service.pages().page(StatusCode::OK, language, texts.title, &body)
}

async fn used(
    service: &LinkService,
    open: &OpenPlatform,
    link: &Link,
    account: &AppId,
    language: Language,
) -> Response {
    let asker = link.request.requester_name.as_deref().or(service.config().provider.name.as_deref());
    let says = AccountCard::authorized(language, asker);
    let account = AccountCard::read(&open.items.details, language, account, &says).await;
    service.pages().message(StatusCode::OK, language, texts::used(language).about(Some(&account)))
}

/// Runs a page's work within its limit, and turns a failure into the page that explains it.
async fn answer(
    service: &LinkService,
    language: Language,
    what: &str,
    bound: Instant,
    work: Pin<Box<impl Future<Output = Result<Response, LinkError>> + Send + 'static>>,
) -> Response {
    let error = match spawn_with_timeout(bound, work).await {
        Ok(Ok(response)) => return response,
        Ok(Err(error)) => error,
        Err(trouble) => trouble.into(),
    };
    let pages = service.pages();
    let say = |status, message: Message<'_>| pages.message(status, language, message.asking());
    match error {
        LinkError::Unknown => say(StatusCode::NOT_FOUND, texts::unknown(language)),
        LinkError::Withdrawn => say(StatusCode::GONE, texts::withdrawn(language)),
        LinkError::Ended(LinkStatus::Cancelled) => say(StatusCode::GONE, texts::cancelled(language)),
        LinkError::Ended(LinkStatus::Expired | LinkStatus::Pending | LinkStatus::Authorized) => {
            say(StatusCode::GONE, texts::expired(language))
        }
        LinkError::TooMany(Some(again)) => {
            let paragraphs = [&*texts::again(language, again.wait, again.at)];
            let message = Message::new(Tone::Warning, texts::too_many_title(language), &paragraphs);
            pages.too_many(language, message.with(Button::try_again(language)), Some(again.wait))
        }
        LinkError::TooMany(None) => pages.too_many(language, texts::used_up(language).asking(), None),
        LinkError::Internal(trouble) => {
            let services = service.services();
            pages.not_available(language, &trouble.report(what, &services.random, &services.metrics))
        }
    }
}
