//! `/console/browsers`: the operator's own browsers, and the language of this one.

use std::time::Duration;

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use base::clock::Timestamp;
use base::ids::BrowserId;
use base::language::Language;
use http::StatusCode;
use http::header::SET_COOKIE;
use store::KnownBrowser;
use web::{SameSite, set_cookie};

use crate::trouble::{Thing, Trouble};
use crate::view::{LANGUAGE, View};
use crate::visit::{OpenVisit, Visit};
use crate::words::{self, Done};

/// How long a browser remembers a language.
const REMEMBERED: Duration = Duration::from_hours(24 * 365);

#[derive(Template)]
#[template(path = "browsers.html")]
struct Page<'a> {
    v: &'a View,
    name: &'a str,
    until: Option<Timestamp>,
    browsers: Vec<Row>,
}

struct Row {
    browser: KnownBrowser,
    /// When it expires: no later than its operator.
    until: Timestamp,
    is_this: bool,
    is_bound: bool,
    /// When it was ended, and by whom.
    ended: Option<(Timestamp, String)>,
}

/// `GET /console/browsers`.
pub(crate) async fn show(visit: Visit) -> Response {
    visit.answer("listing browsers", shown).await
}

async fn shown(visit: OpenVisit) -> Result<Response, Trouble> {
    let v = visit.titled("我的浏览器", "My browsers");
    let (now, session) = (visit.open.now(), &visit.asked.session);
    let mut browsers = visit.open.items.browsers.of(&session.operator, now).await?;
    browsers.sort_by_key(|browser| (browser.ended_at.is_some(), std::cmp::Reverse(browser.bound_at)));
    let rows = browsers.into_iter().map(|browser| Row {
        is_this: browser.id == session.browser.id,
        until: session.operator.until.map_or(browser.ends_at, |until| until.min(browser.ends_at)),
        is_bound: browser.is_valid(now),
        ended: browser
            .ended_at
            .map(|at| (at, words::ended_by(browser.ended_by.as_deref().unwrap_or_default(), v.language))),
        browser,
    });
    let (name, until) = (session.operator.name.as_str(), session.operator.until);
    Ok(v.page(StatusCode::OK, &Page { v: &v, name, until, browsers: rows.collect() })?)
}

/// `POST /console/browsers/{browser_id}/end`, for the operator's own browsers.
pub(crate) async fn end(visit: Visit, Path(id): Path<String>) -> Response {
    visit.answer("ending a browser", |visit| async move { ended(&visit, &id).await }).await
}

async fn ended(visit: &OpenVisit, id: &str) -> Result<Response, Trouble> {
    let id = BrowserId::parse(id).map_err(|_| Trouble::Unknown(Thing::Browser))?;
    let operator = &visit.asked.session.operator.name;
    // In one transaction with its entry in the audit.
    if !visit.open.items.browsers.end(operator, &id, &visit.actor(), visit.open.now()).await? {
        return Err(Trouble::Unknown(Thing::Browser));
    }
    if id == visit.asked.session.browser.id {
        return Ok(visit.frame().sentence(
            StatusCode::OK,
            visit.frame().t("已退出", "Signed out"),
            visit.frame().t(
                "此浏览器已解除绑定。再次使用需要新的邀请。",
                "This browser is signed out. To use the console in it again takes another invitation.",
            ),
        ));
    }
    Ok(visit.frame().see("/console/browsers", Some(Done::BrowserEnded)))
}

/// `POST /console/language`.
pub(crate) async fn choose_language(visit: Visit) -> Response {
    visit.answer("choosing a language", |visit| async move { Ok(chosen(&visit)) }).await
}

fn chosen(visit: &OpenVisit) -> Response {
    let back = visit.form.text("back");
    // Nowhere else: neither `//evil.example` nor a path of another function, nor a text that cannot be in a header.
    let is_below = |rest: &str| rest.is_empty() || rest.starts_with(['/', '?']);
    let is_ours =
        back.strip_prefix("/console").is_some_and(is_below) && back.bytes().all(|byte| byte.is_ascii_graphic());
    let mut response = visit.frame().see(if is_ours { back } else { "/console" }, None);
    let language = Language::ALL.into_iter().find(|language| language.tag() == visit.form.text("language"));
    let secure = visit.console.config().public_base.is_https();
    let cookie = language.and_then(|it| set_cookie(LANGUAGE, it.tag(), "/console", REMEMBERED, SameSite::Lax, secure));
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
