//! The link's page, for merchants: who asks, a button, and the same page as a QR code for a phone.

use std::pin::Pin;

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use base::ids::LinkId;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use store::{AccountState, Link, LinkStatus};
use tokio::time::Instant;
use web::{
    AcceptLanguage, AttemptCookie, Browser, InternalError, Language, Message, Reader, qr, see_other, spawn_with_timeout,
};

use crate::mint::mint;
use crate::texts::{self, LaunchTexts, OpenTexts};
use crate::{LinkError, LinkService, OpenPlatform, known_link};

/// The path's link; its absence is answered like that of an unknown one.
type LinkPath = Result<Path<LinkId>, PathRejection>;

#[derive(Template)]
#[template(path = "launch.html")]
struct LaunchBody<'a> {
    texts: &'a LaunchTexts,
    requester: Option<&'a str>,
    action: &'a str,
    qr: Option<String>,
}

#[derive(Template)]
#[template(path = "open_in_wechat.html")]
struct OpenBody<'a> {
    texts: &'a OpenTexts,
    asks: &'a str,
    requester: Option<&'a str>,
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

/// `POST /authorize/{link_id}`. The body is not read. No token guards the form: all that a forged press does is begin an
/// authorization that WeChat asks the merchant about.
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
    let link = followable(&open, &id).await?;
    match browser {
        Browser::OtherOnPhone => open_in_wechat(&service, language, &link),
        Browser::Computer | Browser::WechatOnComputer | Browser::WechatOnPhone => {
            let url = service.link_url(&link.id);
            let texts = texts::launch(language);
            // Inside WeChat the page is where it belongs.
            let qr = if browser == Browser::WechatOnPhone { None } else { qr(url.as_str(), texts.qr_label) };
            let body = LaunchBody { texts, requester: link.request.requester_name.as_deref(), action: url.path(), qr };
            Ok(service.pages().page(StatusCode::OK, language, texts.title, &body)?)
        }
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
    let link = followable(&open, &id).await?;
    if browser == Browser::OtherOnPhone {
        return open_in_wechat(&service, language, &link);
    }
    let cookie = AttemptCookie::generate(open.random());
    let minted = mint(&service, &open, link, Some(&cookie.digest())).await?;
    let secure = service.config().public_base.is_https();
    let cookie = cookie.header(&id, &minted.attempt, secure).ok_or(InternalError::Render)?;
    let target = if browser == Browser::WechatOnPhone { &minted.on_phone } else { &minted.on_computer };
    let mut response = see_other(target)?;
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// A link that can be followed. Of one that was used it is also asked whether the account is authorized still: a merchant
/// who withdrew needs a new link, and is not to read that nothing is left to do. One read more in that case.
async fn followable(open: &OpenPlatform, id: &LinkId) -> Result<Link, LinkError> {
    let link = known_link(open, id).await?;
    let status = link.status(open.now());
    match &link.authorized {
        _ if status == LinkStatus::Pending => Ok(link),
        Some((account, _)) => {
            let standing = open.items.standings.get(account).await?;
            let stands = standing.is_none_or(|standing| standing.state == AccountState::Active);
            Err(if stands { LinkError::Ended(status) } else { LinkError::Withdrawn })
        }
        None => Err(LinkError::Ended(status)),
    }
}

fn open_in_wechat(service: &LinkService, language: Language, link: &Link) -> Result<Response, LinkError> {
    let url = service.link_url(&link.id);
    let texts = texts::open(language);
    let requester = link.request.requester_name.as_deref();
    let body = OpenBody { texts, asks: texts::launch(language).asks, requester, url: url.as_str() };
    Ok(service.pages().page(StatusCode::OK, language, texts.title, &body)?)
}

/// Runs a page's work within its bound, and turns what went wrong into the page that says so.
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
    match error {
        LinkError::Unknown => pages.message(StatusCode::NOT_FOUND, language, texts::unknown(language)),
        LinkError::Ended(LinkStatus::Authorized) => pages.message(StatusCode::OK, language, texts::used(language)),
        LinkError::Withdrawn => pages.message(StatusCode::GONE, language, texts::withdrawn(language)),
        LinkError::Ended(LinkStatus::Cancelled) => {
            pages.message(StatusCode::GONE, language, texts::cancelled(language))
        }
        LinkError::Ended(LinkStatus::Expired | LinkStatus::Pending) => {
            pages.message(StatusCode::GONE, language, texts::expired(language))
        }
        LinkError::TooMany(Some(again)) => {
            let when = texts::again(language, again.wait, again.at);
            let message = Message { title: texts::too_many_title(language), paragraphs: &[&when] };
            pages.too_many(language, message, Some(again.wait))
        }
        LinkError::TooMany(None) => pages.too_many(language, texts::used_up(language), None),
        LinkError::Internal(trouble) => {
            let services = service.services();
            pages.not_available(language, Reader::Merchant, &trouble.report(what, &services.random, &services.metrics))
        }
    }
}
