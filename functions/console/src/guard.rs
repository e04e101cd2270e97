//! The checks before every page: a session, and for forms that they are our own and that the operator may act.

use std::collections::BTreeMap;

use axum::body::to_bytes;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{ORIGIN, SET_COOKIE};
use http::{HeaderMap, Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use store::StoreError;
use subtle::ConstantTimeEq as _;
use tokio::time::{Instant, timeout_at};
use url::form_urlencoded;
use web::headers::SEC_FETCH_SITE;
use web::source::Source;

use crate::Console;
use crate::access::Open;
use crate::session::{self, Cookie, Session};
use crate::trouble::Trouble;
use crate::view::View;

/// The right that an operator needs for a page or a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Being an operator.
    Look,
    /// The right to act.
    Act,
}

/// The longest form, in bytes, with the longest labels of an account.
const FORM_LIMIT: usize = 64 * 1024;

/// The fields of a form, each once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    fn parse(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// A field's text without white space around it; empty if it is missing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).map(|text| text.trim()).unwrap_or_default()
    }
}

/// The operator of a request, and the platform.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) open: Open,
    pub(crate) session: Session,
    pub(crate) source: Source,
    /// When the response is due.
    pub(crate) until: Instant,
}

/// Admits bound browsers only.
pub(crate) async fn bound_browsers_only(State(console): State<Console>, mut request: Request, next: Next) -> Response {
    let until = Instant::now() + console.0.parts.limits.page;
    let mut view = View::of(&console, &request);
    let source = request.extensions().get::<Source>().cloned().unwrap_or_default();
    let found = timeout_at(until, session_of(&console, request.headers(), &source)).await;
    let (open, session) = match found.unwrap_or_else(|_| Err(StoreError::late("GetItem").into())) {
        Ok(Some(found)) => found,
        Ok(None) => return view.not_bound(request.headers(), request.method()),
        Err(trouble) => return view.trouble(&console, "finding the browser of an operator", trouble),
    };
    view.sign_in(&session);
    let cookie = session.new_cookie.as_ref().and_then(|cookie| {
        let life = session.browser.ends_at.since(console.0.parts.clock.now());
        cookie.header(life, console.config().public_base.is_https())
    });
    let mut response = if let Err(refusal) = checked(&console, &view, &session, &mut request).await {
        refusal
    } else {
        request.extensions_mut().insert(view);
        request.extensions_mut().insert(Asked { open, session, source, until });
        next.run(request).await
    };
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

async fn session_of(
    console: &Console,
    headers: &HeaderMap,
    source: &Source,
) -> Result<Option<(Open, Session)>, Trouble> {
    let Some(cookie) = Cookie::of(headers, console.config().public_base.is_https()) else { return Ok(None) };
    let open = console.0.platform.open().await?;
    let session = session::find(&open, &cookie, source, &console.0.parts.random).await?;
    Ok(session.map(|session| (open, session)))
}

/// Refuses a form that is not ours, and any form that the operator may not send. The form's fields become an extension
/// of the request.
async fn checked(console: &Console, view: &View, session: &Session, request: &mut Request) -> Result<(), Response> {
    if needs(request) == Needs::Act && !session.operator.may_act() {
        return Err(view.may_only_look());
    }
    if request.method() != Method::POST {
        return Ok(());
    }
    if !is_from_ourselves(request.headers(), console.config().public_base.as_str()) {
        return Err(view.form_of_elsewhere());
    }
    let body = std::mem::take(request.body_mut());
    let body = to_bytes(body, FORM_LIMIT).await.map_err(|_| view.form_too_large())?;
    let form = Form::parse(&body);
    if !is_token(form.text("form_token"), &session.browser.form_token) {
        return Err(view.form_of_elsewhere());
    }
    request.extensions_mut().insert(form);
    Ok(())
}

/// The right that a request's route needs: to act for a form that is not listed, to look for a page that does not
/// exist.
fn needs(request: &Request) -> Needs {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    // A router handles HEAD like GET.
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let page = crate::PAGES.iter().find(|page| Some(page.path) == path && page.method == method);
    page.map_or(if method == Method::GET { Needs::Look } else { Needs::Act }, |page| page.needs)
}

/// Whether a form was sent by a page of ours, according to the browser. Every browser says so with a form.
pub(crate) fn is_from_ourselves(headers: &HeaderMap, own: &str) -> bool {
    let is_own = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()) == Some(own);
    let site = headers.get(SEC_FETCH_SITE).and_then(|site| site.to_str().ok());
    is_own && site.is_none_or(|site| site == "same-origin")
}

fn is_token(sent: &str, known: &SecretString) -> bool {
    sent.as_bytes().ct_eq(known.expose_secret().as_bytes()).into()
}

impl View {
    fn may_only_look(&self) -> Response {
        self.sentence(
            StatusCode::FORBIDDEN,
            self.t("您只有查看权限", "You can only view"),
            self.t(
                "此操作需要操作权限。请联系管理员先停用、再重新邀请您：ops operators end NAME，然后 ops operators invite NAME --rights act。",
                "This needs the right to act. Ask whoever invited you to end your access and invite you again: ops operators \
                 end NAME, then ops operators invite NAME --rights act.",
            ),
        )
    }

    fn form_of_elsewhere(&self) -> Response {
        self.sentence(
            StatusCode::FORBIDDEN,
            self.t("未执行任何操作", "Nothing was done"),
            self.t(
                "该请求不是从控制台页面提交的。请返回并刷新页面后重试。",
                "This was not sent from a page of the console. Go back, reload the page and try again.",
            ),
        )
    }

    fn form_too_large(&self) -> Response {
        self.sentence(
            StatusCode::PAYLOAD_TOO_LARGE,
            self.t("内容过长", "Too long"),
            self.t(
                "提交的内容超过 64 KB，请缩短后重试。",
                "A form can have 64 KB at most. Go back and shorten what you have entered.",
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_form_is_ours_only_where_the_browser_says_so() {
        let sent = |origin: Option<&'static str>, site: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            if let Some(site) = site {
                headers.insert(SEC_FETCH_SITE, HeaderValue::from_static(site));
            }
            is_from_ourselves(&headers, "https://auth.example.com")
        };
        assert!(sent(Some("https://auth.example.com"), Some("same-origin")));
        assert!(sent(Some("https://auth.example.com"), None));
        for (origin, site) in [
            (None, None),
            (Some("null"), None),
            (Some("https://evil.example"), Some("cross-site")),
            (Some("https://auth.example.com"), Some("same-site")),
            (Some("https://auth.example.com.evil.example"), None),
            (Some("http://auth.example.com"), None),
        ] {
            assert!(!sent(origin, site), "{origin:?} {site:?}");
        }
    }
}
