//! Pages for merchants: one layout, one style, one policy.
//!
//! They have no script and nothing from other origins, so the policy forbids both. Every page has `Referrer-Policy:
//! origin`: WeChat refuses a merchant who comes without our host in the `Referer` (protocol section 2), and nobody
//! should learn the link's id from it.

use std::sync::LazyLock;
use std::time::Duration;

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, RETRY_AFTER, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};
use runtime::config::Origin;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::problem::retry_after;
use super::{InternalError, Language, Reference};

const STYLE: &str = include_str!("../templates/style.css");

/// The hash of the style sheet in the policy: only that text may style a page.
static STYLE_HASH: LazyLock<String> = LazyLock::new(|| STANDARD.encode(Sha256::digest(STYLE.as_bytes())));

/// The targets of the forms on a function's pages.
#[derive(Debug, Clone, Copy)]
pub enum FormTargets<'a> {
    /// The pages have no form.
    None,
    /// Our own origin, and these: Chrome also applies the policy to the redirect in the response to a form.
    OursAnd(&'a [&'a Url]),
}

#[derive(Template)]
#[template(path = "layout.html")]
struct Layout<'a> {
    language: &'static str,
    title: &'a str,
    style: &'static str,
    body: &'a str,
}

/// A page of a few sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its title.
    pub title: &'a str,
    /// Its paragraphs.
    pub paragraphs: &'a [&'a str],
}

/// Defines a function that returns a [`Message`] in the given language: title and paragraph in Chinese, then in
/// English.
#[macro_export]
macro_rules! message {
    ($(#[$doc:meta])* $name:ident, $zh_title:literal, $zh:literal, $en_title:literal, $en:literal $(,)?) => {
        $(#[$doc])*
        pub(crate) const fn $name(language: $crate::Language) -> $crate::Message<'static> {
            match language {
                $crate::Language::Chinese => $crate::Message { title: $zh_title, paragraphs: &[$zh] },
                $crate::Language::English => $crate::Message { title: $en_title, paragraphs: &[$en] },
            }
        }
    };
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessageBody<'a> {
    paragraphs: &'a [&'a str],
}

/// For a year after a page was shown, a browser uses only TLS for this host. It does not include subdomains, which are
/// not ours to decide about.
pub const ONE_YEAR_OVER_TLS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// The domains of WeChat's pictures.
const PICTURE_DOMAINS: [&str; 2] = ["qlogo.cn", "qpic.cn"];

/// The address of an account's picture, with TLS. `None` for one that is not on one of WeChat's hosts, since that host
/// would learn who visits.
#[must_use]
pub fn picture(address: &str) -> Option<Url> {
    let mut url = Url::parse(address).ok()?;
    let is_wechats = |host: &str| {
        PICTURE_DOMAINS.iter().any(|domain| host.strip_suffix(domain).is_some_and(|label| label.ends_with('.')))
    };
    if !url.host_str().is_some_and(is_wechats) || url.port().is_some() {
        return None;
    }
    url.set_scheme("https").ok()?;
    Some(url)
}

/// The sources of such pictures for a content security policy.
#[must_use]
pub fn picture_sources() -> String {
    PICTURE_DOMAINS.map(|domain| format!("https://*.{domain}")).join(" ")
}

/// The reader of a page, which decides who can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A merchant who follows an authorization link.
    Merchant,
    /// A visitor of a merchant's page.
    Visitor,
}

/// The renderer of one function's pages.
#[derive(Debug, Clone)]
pub struct Pages {
    form_targets: String,
    policy: HeaderValue,
    https: bool,
}

impl Pages {
    /// Pages whose forms have these targets.
    #[must_use]
    pub fn new(targets: FormTargets<'_>) -> Self {
        let form_targets = match targets {
            FormTargets::None => "'none'".to_owned(),
            FormTargets::OursAnd(urls) => {
                urls.iter().fold("'self'".to_owned(), |all, url| all + " " + &url.origin().ascii_serialization())
            }
        };
        Self { policy: policy(&form_targets, "'none'"), form_targets, https: false }
    }

    /// The same pages, which may show WeChat's pictures ([`picture`]).
    #[must_use]
    pub fn with_pictures(self) -> Self {
        Self { policy: policy(&self.form_targets, &picture_sources()), ..self }
    }

    /// The same pages at `origin`. If that is https, browsers use only TLS from then on.
    #[must_use]
    pub fn served_at(self, origin: &Origin) -> Self {
        Self { https: origin.is_https(), ..self }
    }

    /// A page with a body of its own. `title` is also its heading.
    ///
    /// # Errors
    /// [`InternalError::Render`] if the template fails.
    pub fn page(
        &self,
        status: StatusCode,
        language: Language,
        title: &str,
        body: &impl Template,
    ) -> Result<Response, InternalError> {
        let body = body.render().map_err(|_| InternalError::Render)?;
        let layout = Layout { language: language.tag(), title, style: STYLE, body: &body };
        let html = layout.render().map_err(|_| InternalError::Render)?;
        let mut response = (status, headers(), Html(html)).into_response();
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        if self.https {
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, ONE_YEAR_OVER_TLS);
        }
        Ok(response)
    }

    /// A page of a few sentences. Falls back to the bare status if it cannot be rendered.
    #[must_use]
    pub fn message(&self, status: StatusCode, language: Language, message: Message<'_>) -> Response {
        let body = MessageBody { paragraphs: message.paragraphs };
        self.page(status, language, message.title, &body).unwrap_or_else(|_| (status, headers()).into_response())
    }

    /// A page that asks the reader to wait.
    #[must_use]
    pub fn too_many(&self, language: Language, message: Message<'_>, wait: Option<Duration>) -> Response {
        let mut response = self.message(StatusCode::TOO_MANY_REQUESTS, language, message);
        if let Some(wait) = wait {
            response.headers_mut().insert(RETRY_AFTER, retry_after(wait));
        }
        response
    }

    /// "Not available, reference N": the only information about an internal failure for the outside.
    #[must_use]
    pub fn not_available(&self, language: Language, reader: Reader, reference: &Reference) -> Response {
        let number = match language {
            Language::Chinese => format!("编号：{reference}"),
            Language::English => format!("Reference: {reference}"),
        };
        let title = language.pick("暂时无法使用", "Not available");
        let advice = match reader {
            Reader::Merchant => language.pick(
                "请稍后再试。如问题仍然存在，请将下面的编号告知邀请您授权的服务商。",
                "Please try again in a moment. If the problem persists, give this number to whoever sent you the link.",
            ),
            Reader::Visitor => language.pick(
                "请稍后再试。如问题仍然存在，请将下面的编号告知商家。",
                "Please try again in a moment. If the problem persists, give this number to the shop that you came from.",
            ),
        };
        let message = Message { title, paragraphs: &[advice, &number] };
        self.message(StatusCode::SERVICE_UNAVAILABLE, language, message)
    }
}

/// The content security policy of pages whose forms lead to `form_targets`, with pictures of these sources.
fn policy(form_targets: &str, pictures: &str) -> HeaderValue {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; img-src {pictures}; form-action {form_targets}; frame-ancestors 'none'; \
         base-uri 'none'",
        *STYLE_HASH
    );
    // Hash and origins are ASCII; if they were not, the strictest policy would be the safe one.
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// A redirect to another page, from which WeChat learns only our origin.
///
/// # Errors
/// [`InternalError::Render`] if the URL is invalid in a header, which a parsed one never is.
pub fn see_other(url: &Url) -> Result<Response, InternalError> {
    let mut location = HeaderValue::from_str(url.as_str()).map_err(|_| InternalError::Render)?;
    location.set_sensitive(true);
    let mut response = (StatusCode::SEE_OTHER, headers()).into_response();
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// The common headers of pages and redirects.
fn headers() -> [(HeaderName, &'static str); 3] {
    [(CACHE_CONTROL, "no-store"), (REFERRER_POLICY, "origin"), (X_CONTENT_TYPE_OPTIONS, "nosniff")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_lets_a_form_lead_to_ourselves_and_wechat_only() {
        let [mp, open] = ["https://mp.weixin.qq.com/", "http://127.0.0.1:9000/"].map(|url| Url::parse(url).unwrap());
        let policy = Pages::new(FormTargets::OursAnd(&[&mp, &open])).policy;
        let policy = policy.to_str().unwrap();
        assert!(policy.contains("form-action 'self' https://mp.weixin.qq.com http://127.0.0.1:9000;"), "{policy}");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        let policy = Pages::new(FormTargets::None).policy;
        assert!(policy.to_str().unwrap().contains("form-action 'none';"));
    }

    #[test]
    fn the_style_in_the_page_is_the_one_the_policy_names() {
        let layout = Layout { language: "en", title: "T", style: STYLE, body: "" };
        let html = layout.render().unwrap();
        let style = html.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        assert_eq!(STANDARD.encode(Sha256::digest(style.as_bytes())), *STYLE_HASH);
    }

    #[test]
    fn pictures_are_wechats_and_come_over_tls() {
        let shown = |address: &str| picture(address).map(String::from);
        assert_eq!(shown("http://wx.qlogo.cn/mmopen/x/0").unwrap(), "https://wx.qlogo.cn/mmopen/x/0");
        for other in ["https://evil.example/qlogo.cn", "https://evilqlogo.cn/", "https://qlogo.cn/", "data:,x", ""] {
            assert_eq!(shown(other), None, "{other}");
        }
        assert_eq!(shown("https://wx.qlogo.cn:8443/"), None);
        let policy = Pages::new(FormTargets::None).with_pictures().policy;
        assert!(policy.to_str().unwrap().contains("; img-src https://*.qlogo.cn https://*.qpic.cn; "), "{policy:?}");
    }

    #[test]
    fn text_from_others_is_not_markup() {
        let body = MessageBody { paragraphs: &["<script>alert(1)</script>"] }.render().unwrap();
        assert!(!body.contains("<script>"), "{body}");
        let layout = Layout { language: "en", title: "<b>", style: STYLE, body: &body }.render().unwrap();
        assert!(!layout.contains("<b>"), "{layout}");
    }

    #[test]
    fn pages_that_come_over_tls_ask_for_tls_from_then_on() {
        let header = |origin: &str| {
            let pages = Pages::new(FormTargets::None).served_at(&Origin::parse(origin).unwrap());
            let page = pages.message(StatusCode::OK, Language::English, Message { title: "T", paragraphs: &[] });
            page.headers().get(STRICT_TRANSPORT_SECURITY).cloned()
        };
        assert_eq!(header("https://auth.example.com").unwrap(), "max-age=31536000");
        assert_eq!(header("http://localhost:3000"), None);
    }

    #[test]
    fn pages_and_redirects_send_our_origin_only_and_are_not_stored() {
        let page = Pages::new(FormTargets::None).not_available(
            Language::English,
            Reader::Merchant,
            &Reference::generate(&base::random::Random::system()),
        );
        let redirect = see_other(&Url::parse("https://mp.weixin.qq.com/x").unwrap()).unwrap();
        assert_eq!((page.status().as_u16(), redirect.status().as_u16()), (503, 303));
        for response in [page, redirect] {
            assert_eq!(response.headers()[REFERRER_POLICY], "origin");
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
            assert_eq!(response.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
        }
    }
}
