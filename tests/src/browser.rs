//! A merchant's browser: stores cookies per path, shows redirects instead of following them, sends forms, and sends its
//! origin.

use std::sync::Mutex;

use http::HeaderMap;
use http::header::{ACCEPT_LANGUAGE, CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, REFERER, SET_COOKIE, USER_AGENT};
use url::{Url, form_urlencoded};

use crate::business::Link;
use crate::http_client;
use crate::http_events::HttpEvent;

const COMPUTER: &str = "Mozilla/5.0 (X11; Linux x86_64) Chrome/122 Safari/537.36";
const WECHAT: &str = "Mozilla/5.0 (Linux; Android 14) Mobile Safari/537.36 MicroMessenger/8.0.49";
const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1";

/// A browser with an empty jar, which prefers English.
pub struct Browser {
    client: reqwest::Client,
    agent: &'static str,
    language: &'static str,
    cookies: Mutex<Vec<Cookie>>,
}

#[derive(Clone)]
struct Cookie {
    origin: url::Origin,
    path: String,
    pair: String,
}

/// What a browser shows.
#[derive(Debug)]
pub struct Page {
    /// Its URL.
    pub url: Url,
    /// HTTP status.
    pub status: u16,
    /// The headers of the answer.
    pub headers: HeaderMap,
    /// The HTML.
    pub text: String,
}

/// WeChat's authorization page, to which the button leads.
#[derive(Debug, Clone)]
pub struct AtWechat(pub Url);

impl Browser {
    /// On a computer.
    #[must_use]
    pub fn on_computer() -> Self {
        Self::named(COMPUTER)
    }

    /// WeChat's browser, on a phone.
    #[must_use]
    pub fn in_wechat() -> Self {
        Self::named(WECHAT)
    }

    /// Another browser on a phone.
    #[must_use]
    pub fn on_phone() -> Self {
        Self::named(PHONE)
    }

    /// Another browser, by its `User-Agent`.
    #[must_use]
    pub fn named(agent: &'static str) -> Self {
        Self { client: http_client(), agent, language: "en", cookies: Mutex::default() }
    }

    /// The same browser, set to this language.
    #[must_use]
    pub fn reading(self, language: &'static str) -> Self {
        Self { language, ..self }
    }

    /// Opens a URL that was typed or scanned.
    pub async fn open(&self, url: &Url) -> Page {
        self.send(self.client.get(url.clone()), url).await
    }

    /// The same with these headers, as some browsers send them.
    pub async fn open_with(&self, url: &Url, headers: &[(&'static str, &str)]) -> Page {
        let request = self.client.get(url.clone());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request, url).await
    }

    /// Opens a URL that `page` links or redirects to: only the page's origin is sent, as our pages request.
    pub async fn open_from(&self, page: &Page, url: &Url) -> Page {
        let from = page.url.origin().ascii_serialization();
        self.send(self.client.get(url.clone()).header(REFERER, format!("{from}/")), url).await
    }

    /// The gateway's event if this browser opened a URL that leads to `route`.
    #[must_use]
    pub fn visit(&self, url: &Url, route: &str) -> HttpEvent {
        let event = HttpEvent::new("GET", url.path()).route(route).query(url.query().unwrap_or_default());
        let event = event.header("user-agent", self.agent).header("accept-language", self.language);
        self.cookies_for(url).iter().fold(event, |event, cookie| event.cookie(cookie))
    }

    /// Submits the page's form with its hidden fields and the chosen ones.
    pub async fn submit(&self, page: &Page, chosen: &[(&str, &str)]) -> Page {
        let form = between(&page.text, "<form", "</form>").expect("the page has a form");
        // A form without an action leads to its own page.
        let url = page.url.join(&attribute(form, "action").unwrap_or_default()).unwrap();
        let hidden = form.split("<input type=\"hidden\"").skip(1).map(|input| {
            (attribute(input, "name").expect("a field has a name"), attribute(input, "value").unwrap_or_default())
        });
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(hidden).extend_pairs(chosen).finish();
        self.post(page, &url, body).await
    }

    /// Submits the form on a page that leads to this path, with its hidden fields and the entered ones.
    pub async fn submit_to(&self, page: &Page, path: &str, entered: &[(&str, &str)]) -> Page {
        let leads_there = |form: &&str| attribute(form, "action").as_deref() == Some(path);
        let form = page.text.split("<form").skip(1).find(leads_there);
        let form = form.unwrap_or_else(|| panic!("no form leads to {path}: {}", page.text));
        let form = form.split("</form>").next().unwrap();
        let hidden = form.split("<input type=\"hidden\"").skip(1).map(|input| {
            (attribute(input, "name").expect("a field has a name"), attribute(input, "value").unwrap_or_default())
        });
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(hidden).extend_pairs(entered).finish();
        self.post(page, &page.url.join(path).unwrap(), body).await
    }

    /// Sends a form that is on no page of ours, with or without an origin.
    pub async fn send_form(&self, url: &Url, origin: Option<&str>, fields: &[(&str, &str)]) -> Page {
        let request = self.client.post(url.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = origin.into_iter().fold(request, |request, origin| request.header(ORIGIN, origin));
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(request.body(body), url).await
    }

    /// Sends a form as a browser does, with the page that it was on.
    async fn post(&self, page: &Page, url: &Url, body: String) -> Page {
        let request = self.client.post(url.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = request.header(ORIGIN, page.url.origin().ascii_serialization());
        self.send(request.body(body), url).await
    }

    /// Opens the link's page and presses its button.
    pub async fn press(&self, link: &Link) -> AtWechat {
        let launch = self.open(&link.url).await;
        assert_eq!(launch.status, 200, "{}", launch.text);
        let pressed = self.submit(&launch, &[]).await;
        assert_eq!(pressed.status, 303, "{}", pressed.text);
        AtWechat(pressed.location())
    }

    /// Another browser with copies of this one's cookies.
    #[must_use]
    pub fn copied(&self) -> Self {
        let copy = Self { language: self.language, ..Self::named(self.agent) };
        copy.cookies.lock().unwrap().clone_from(&self.cookies.lock().unwrap());
        copy
    }

    /// Removes the cookies, as if the browser had lost or refused them.
    pub fn forget_cookies(&self) {
        self.cookies.lock().unwrap().clear();
    }

    /// The names of all cookies.
    #[must_use]
    pub fn cookie_names(&self) -> Vec<String> {
        let cookies = self.cookies.lock().unwrap();
        cookies.iter().map(|cookie| cookie.pair.split_once('=').unwrap().0.to_owned()).collect()
    }

    /// The values of all cookies: they are secrets too.
    #[must_use]
    pub fn cookie_values(&self) -> Vec<String> {
        let cookies = self.cookies.lock().unwrap();
        cookies.iter().map(|cookie| cookie.pair.split_once('=').unwrap().1.to_owned()).collect()
    }

    fn cookies_for(&self, url: &Url) -> Vec<String> {
        let cookies = self.cookies.lock().unwrap();
        cookies.iter().filter(|cookie| cookie.is_for(url)).map(|cookie| cookie.pair.clone()).collect()
    }

    /// Applies a `Set-Cookie` header: the last cookie of a name counts, and one without a life ends.
    fn keep(&self, header: &str, from: &Url) {
        let cookie = Cookie::parse(header, from);
        let mut cookies = self.cookies.lock().unwrap();
        cookies.retain(|known| !known.is_replaced_by(&cookie));
        if !header.contains("Max-Age=0;") {
            cookies.push(cookie);
        }
    }

    async fn send(&self, mut request: reqwest::RequestBuilder, url: &Url) -> Page {
        request = request.header(USER_AGENT, self.agent).header(ACCEPT_LANGUAGE, self.language);
        let sent = self.cookies_for(url);
        if !sent.is_empty() {
            request = request.header(COOKIE, sent.join("; "));
        }
        let response = request.send().await.unwrap();
        for header in response.headers().get_all(SET_COOKIE) {
            self.keep(header.to_str().unwrap(), url);
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Page { url: url.clone(), status, headers, text: response.text().await.unwrap() }
    }
}

impl Cookie {
    fn parse(header: &str, from: &Url) -> Self {
        let mut parts = header.split(';').map(str::trim);
        let pair = parts.next().unwrap().to_owned();
        let path = parts.find_map(|part| part.strip_prefix("Path=")).unwrap_or("/").to_owned();
        Self { origin: from.origin(), path, pair }
    }

    fn is_for(&self, url: &Url) -> bool {
        let below = url.path().strip_prefix(self.path.trim_end_matches('/'));
        self.origin == url.origin() && below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    }

    fn is_replaced_by(&self, other: &Self) -> bool {
        let name = |cookie: &Self| cookie.pair.split('=').next().map(str::to_owned);
        (&self.origin, &self.path, name(self)) == (&other.origin, &other.path, name(other))
    }
}

impl Page {
    /// The target of the first link with this text.
    #[must_use]
    pub fn link(&self, text: &str) -> Url {
        let (before, _) =
            self.text.split_once(&format!(">{text}</a>")).unwrap_or_else(|| panic!("{text}: {}", self.text));
        let (_, tag) = before.rsplit_once("<a ").unwrap();
        self.url.join(&attribute(&format!("{tag}>"), "href").unwrap()).unwrap()
    }

    /// The target of the page's redirect.
    #[must_use]
    pub fn location(&self) -> Url {
        let location = self.headers.get(LOCATION).unwrap_or_else(|| panic!("{} {}", self.status, self.text));
        self.url.join(location.to_str().unwrap()).unwrap()
    }

    /// `status` of the redirect to the business's page.
    #[must_use]
    pub fn told_status(&self) -> String {
        parameter(&self.location(), "status")
    }
}

impl AtWechat {
    /// The code that the button created.
    #[must_use]
    pub fn pre_auth_code(&self) -> String {
        parameter(&self.0, "pre_auth_code")
    }

    /// The URL to which WeChat sends the merchant with a code.
    #[must_use]
    pub fn way_back(&self, code: &str) -> Url {
        let mut url = Url::parse(&parameter(&self.0, "redirect_uri")).unwrap();
        url.query_pairs_mut().append_pair("auth_code", code).append_pair("expires_in", "600");
        url
    }
}

/// A query parameter.
#[must_use]
pub fn parameter(url: &Url, name: &str) -> String {
    let value = url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
    value.unwrap_or_else(|| panic!("{url} has no {name}"))
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(inner, _)| inner)
}

/// An attribute of the first tag, its character references resolved.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (tag, _) = tag.split_once('>')?;
    let value = between(tag, &format!("{name}=\""), "\"")?;
    let references = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
    Some(references.into_iter().fold(value.to_owned(), |value, (reference, plain)| value.replace(reference, plain)))
}
