//! `/console/invitations/{code}`: the page that binds a browser.
//!
//! Loading the page changes nothing, since programs that preview links in a chat may load it too. The button binds the
//! browser in which it is pressed, once.

use askama::Template;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use base::ids::{BrowserId, OperatorName};
use http::header::{SET_COOKIE, USER_AGENT};
use http::{HeaderMap, StatusCode};
use store::{BROWSER_LIFE, InvitationCode, NewBrowser};
use web::source::Source;

use crate::Console;
use crate::guard::is_from_ourselves;
use crate::session::Cookie;
use crate::trouble::Trouble;
use crate::view::View;
use crate::words::Done;

#[derive(Template)]
#[template(path = "invitation.html")]
struct Page<'a> {
    v: &'a View,
    name: &'a str,
    action: &'a str,
}

/// `GET`.
pub(crate) async fn show(State(console): State<Console>, Path(code): Path<String>, request: Request) -> Response {
    let view = View::of(&console, &request);
    let action = request.uri().path();
    let shown = match invited(&console, &code).await {
        Ok(Some(name)) => {
            let view = view.titled(view.t("绑定此浏览器", "Sign in this browser"), "");
            view.page(StatusCode::OK, &Page { v: &view, name: name.as_str(), action }).map_err(Trouble::from)
        }
        Ok(None) => Ok(over(&view)),
        Err(trouble) => Err(trouble),
    };
    shown.unwrap_or_else(|trouble| view.trouble(&console, "showing an invitation", trouble))
}

/// The operator of an invitation that can still be used.
async fn invited(console: &Console, code: &str) -> Result<Option<OperatorName>, Trouble> {
    let Some(code) = InvitationCode::parse(code) else { return Ok(None) };
    let open = console.0.platform.open().await?;
    let is_open = open.items.operators.has_invitation(&code, open.now()).await?;
    Ok(is_open.then_some(code.operator))
}

/// `POST`.
pub(crate) async fn accept(State(console): State<Console>, Path(code): Path<String>, request: Request) -> Response {
    let view = View::of(&console, &request);
    if !is_from_ourselves(request.headers(), console.config().public_base.as_str()) {
        return view.sentence(
            StatusCode::FORBIDDEN,
            view.t("未绑定", "Not signed in"),
            view.t("请在邀请页面上点击按钮。", "Press the button on the page of the invitation."),
        );
    }
    let source = request.extensions().get::<Source>().cloned().unwrap_or_default();
    let label = browser_label(request.headers());
    match bind(&console, &code, label, &source).await {
        Ok(Some(cookie)) => {
            let mut response = view.see("/console", Some(Done::Bound));
            if let Some(cookie) = cookie.header(BROWSER_LIFE, console.config().public_base.is_https()) {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            response
        }
        Ok(None) => over(&view),
        Err(trouble) => view.trouble(&console, "binding a browser", trouble),
    }
}

async fn bind(console: &Console, code: &str, label: String, source: &Source) -> Result<Option<Cookie>, Trouble> {
    let Some(code) = InvitationCode::parse(code) else { return Ok(None) };
    let (open, random) = (console.0.platform.open().await?, &console.0.parts.random);
    let id = BrowserId::generate(random);
    let form_token = random.secret().into();
    let cookie = Cookie::generate(&code.operator, &id, &form_token, random);
    let browser = NewBrowser { id, secret: cookie.digest(), form_token, label };
    let actor = source.actor(format!("operator:{}", code.operator));
    let bound = open.items.browsers.bind(&code.operator, &code.digest(), &browser, &actor, open.now()).await?;
    Ok(bound.map(|_| cookie))
}

fn over(view: &View) -> Response {
    view.sentence(
        StatusCode::GONE,
        view.t("邀请已失效", "This invitation is no longer valid"),
        view.t(
            "邀请链接只能使用一次，有效期 30 分钟。请向管理员索取新的邀请链接。",
            "An invitation works once, within 30 minutes. Ask whoever runs the platform for another one.",
        ),
    )
}

/// A browser's name that its owner recognizes, from its `User-Agent`: `Chrome, Windows`. The store shortens the
/// `User-Agent` of other browsers.
fn browser_label(headers: &HeaderMap) -> String {
    // The first that matches: later ones are part of the names of earlier ones.
    const PROGRAMS: [(&str, &str); 7] = [
        ("MicroMessenger", "WeChat"),
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox", "Firefox"),
        ("FxiOS", "Firefox"),
        ("Chrome", "Chrome"),
        ("Safari", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("Windows", "Windows"),
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Macintosh", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let name = headers.get(USER_AGENT).and_then(|name| name.to_str().ok()).unwrap_or_default();
    let find =
        |known: &[(&str, &'static str)]| known.iter().find(|(part, _)| name.contains(part)).map(|(_, word)| *word);
    let words: Vec<&str> = [find(&PROGRAMS), find(&SYSTEMS)].into_iter().flatten().collect();
    if words.is_empty() { name.to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn browsers_have_labels_that_people_recognize() {
        let label =
            |name: &'static str| browser_label(&HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static(name))]));
        let chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
        assert_eq!(label(chrome), "Chrome, Windows");
        let iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile/15E148 Safari/604.1";
        assert_eq!(label(iphone), "Safari, iPhone");
        assert_eq!(label("curl/8.5.0"), "curl/8.5.0");
        assert_eq!(browser_label(&HeaderMap::new()), "");
    }
}
