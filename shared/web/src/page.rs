//! Pages for merchants and visitors: one layout, one style, one policy.
//!
//! They have no script, and nothing from other origins but the provider's logo and, where a function shows them, WeChat's
//! pictures of accounts: the policy forbids everything else. Every page has `Referrer-Policy: origin`: WeChat refuses a
//! merchant who comes without our host in the `Referer` (protocol section 2), and nobody should learn the link's id from
//! it.

mod message;
mod provider;

use std::sync::{Arc, LazyLock};
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
use runtime::config::{Origin, ProviderConfig};
use sha2::{Digest as _, Sha256};
use url::Url;

pub use self::message::{AccountCard, Button, Message, Tone};
use self::provider::{ContactStep, Footer, Header};
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
    header: Option<Header<'a>>,
    tone: Option<Tone>,
    body: &'a str,
    footer: Option<Footer<'a>>,
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessageBody<'a> {
    message: &'a Message<'a>,
    contact: Option<ContactStep<'a>>,
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

/// What is shown in the place of the picture of an account with this name, while it is missing or cannot be loaded.
#[must_use]
pub fn initial(name: &str) -> String {
    name.chars().next().into_iter().collect()
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
    reader: Reader,
    provider: Arc<ProviderConfig>,
    form_targets: String,
    policy: HeaderValue,
    https: bool,
}

impl Pages {
    /// Pages of the provider for a reader, whose forms have these targets.
    #[must_use]
    pub fn new(reader: Reader, provider: &ProviderConfig, targets: FormTargets<'_>) -> Self {
        let form_targets = match targets {
            FormTargets::None => "'none'".to_owned(),
            FormTargets::OursAnd(urls) => {
                urls.iter().fold("'self'".to_owned(), |all, url| all + " " + &url.origin().ascii_serialization())
            }
        };
        let pages = Self {
            reader,
            provider: Arc::new(provider.clone()),
            policy: HeaderValue::from_static(NOTHING),
            form_targets,
            https: false,
        };
        pages.showing(None)
    }

    /// The same pages, which may show WeChat's pictures ([`picture`]).
    #[must_use]
    pub fn with_pictures(self) -> Self {
        self.showing(Some(&picture_sources()))
    }

    /// The same pages with the policy for what they show: the provider's logo, and pictures from these sources.
    fn showing(self, pictures: Option<&str>) -> Self {
        let logo = self.provider.logo.as_ref().filter(|_| self.reader == Reader::Merchant);
        let logo = logo.map(|logo| logo.origin().ascii_serialization());
        let sources: Vec<&str> = logo.as_deref().into_iter().chain(pictures).collect();
        let sources = if sources.is_empty() { "'none'".to_owned() } else { sources.join(" ") };
        Self { policy: policy(&self.form_targets, &sources), ..self }
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
        let footer = Footer::new(&self.provider, self.reader, language, false);
        self.response(status, language, title, None, &body, footer)
    }

    fn response(
        &self,
        status: StatusCode,
        language: Language,
        title: &str,
        tone: Option<Tone>,
        body: &str,
        footer: Option<Footer<'_>>,
    ) -> Result<Response, InternalError> {
        let header = Header::new(&self.provider, self.reader);
        let layout = Layout { language: language.tag(), title, style: STYLE, header, tone, body, footer };
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
        let rendered = || {
            let contact = ContactStep::new(&self.provider, self.reader, language, &message);
            let footer = Footer::new(&self.provider, self.reader, language, contact.is_some());
            let body = MessageBody { message: &message, contact }.render().map_err(|_| InternalError::Render)?;
            self.response(status, language, message.title, Some(message.tone), &body, footer)
        };
        rendered().unwrap_or_else(|_| (status, headers()).into_response())
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
    pub fn not_available(&self, language: Language, reference: &Reference) -> Response {
        let number = match language {
            Language::Chinese => format!("编号：{reference}"),
            Language::English => format!("Reference: {reference}"),
        };
        let title = language.pick("暂时无法使用", "Not available");
        let advice = match self.reader {
            Reader::Merchant => language.pick(
                "请稍后重试。如问题仍然存在，请将下面的编号告知服务商。",
                "Please try again in a moment. If the problem persists, give this number to whoever sent you the link.",
            ),
            Reader::Visitor => language.pick(
                "请稍后重试。如问题仍然存在，请将下面的编号告知商家。",
                "Please try again in a moment. If the problem persists, give this number to the shop that you came from.",
            ),
        };
        let paragraphs = [advice, number.as_str()];
        let message = Message::new(Tone::Warning, title, &paragraphs).with(Button::try_again(language)).asking();
        self.message(StatusCode::SERVICE_UNAVAILABLE, language, message)
    }
}

/// The strictest policy.
const NOTHING: &str = "default-src 'none'";

/// The content security policy of pages whose forms lead to `form_targets`, with pictures of these sources.
fn policy(form_targets: &str, pictures: &str) -> HeaderValue {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; img-src {pictures}; form-action {form_targets}; frame-ancestors 'none'; \
         base-uri 'none'",
        *STYLE_HASH
    );
    // Hash and origins are ASCII; if they were not, the strictest policy would be the safe one.
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(NOTHING))
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

    /// Pages of a provider of whom nothing is known.
    fn plain(targets: FormTargets<'_>) -> Pages {
        Pages::new(Reader::Merchant, &ProviderConfig::default(), targets)
    }

    fn provider() -> ProviderConfig {
        ProviderConfig::read(&|name: &str| {
            let value = match name {
                "PROVIDER_NAME" => "示例<科技>",
                "PROVIDER_LOGO_URL" => "https://cdn.example.com/logo.png?v=1",
                "PROVIDER_CONTACT" => "400-800-1234",
                _ => "粤ICP备12345678号-1",
            };
            Some(value.to_owned())
        })
        .unwrap()
    }

    async fn html(response: Response) -> String {
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn the_policy_lets_a_form_lead_to_ourselves_and_wechat_only() {
        let [mp, open] = ["https://mp.weixin.qq.com/", "http://127.0.0.1:9000/"].map(|url| Url::parse(url).unwrap());
        let policy = plain(FormTargets::OursAnd(&[&mp, &open])).policy;
        let policy = policy.to_str().unwrap();
        assert!(policy.contains("form-action 'self' https://mp.weixin.qq.com http://127.0.0.1:9000;"), "{policy}");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        let policy = plain(FormTargets::None).policy;
        assert!(policy.to_str().unwrap().contains("form-action 'none';"));
    }

    fn layout<'a>(title: &'a str, body: &'a str) -> Layout<'a> {
        Layout { language: "en", title, style: STYLE, header: None, tone: None, body, footer: None }
    }

    #[test]
    fn the_style_in_the_page_is_the_one_the_policy_names() {
        let html = layout("T", "").render().unwrap();
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
        let policy = plain(FormTargets::None).with_pictures().policy;
        assert!(policy.to_str().unwrap().contains("; img-src https://*.qlogo.cn https://*.qpic.cn; "), "{policy:?}");
    }

    #[test]
    fn text_from_others_is_not_markup() {
        let message = Message::new(Tone::Failure, "T", &["<script>alert(1)</script>"]);
        let body = MessageBody { message: &message, contact: None }.render().unwrap();
        assert!(!body.contains("<script>"), "{body}");
        let layout = layout("<b>", &body).render().unwrap();
        assert!(!layout.contains("<b>"), "{layout}");
    }

    #[test]
    fn pages_that_come_over_tls_ask_for_tls_from_then_on() {
        let header = |origin: &str| {
            let pages = plain(FormTargets::None).served_at(&Origin::parse(origin).unwrap());
            let page = pages.message(StatusCode::OK, Language::English, Message::new(Tone::Success, "T", &[]));
            page.headers().get(STRICT_TRANSPORT_SECURITY).cloned()
        };
        assert_eq!(header("https://auth.example.com").unwrap(), "max-age=31536000");
        assert_eq!(header("http://localhost:3000"), None);
    }

    #[test]
    fn pages_and_redirects_send_our_origin_only_and_are_not_stored() {
        let page = plain(FormTargets::None)
            .not_available(Language::English, &Reference::generate(&base::random::Random::system()));
        let redirect = see_other(&Url::parse("https://mp.weixin.qq.com/x").unwrap()).unwrap();
        assert_eq!((page.status().as_u16(), redirect.status().as_u16()), (503, 303));
        for response in [page, redirect] {
            assert_eq!(response.headers()[REFERRER_POLICY], "origin");
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
            assert_eq!(response.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
        }
    }

    #[tokio::test]
    async fn merchants_see_whose_pages_these_are_and_whom_they_can_ask() {
        let pages = Pages::new(Reader::Merchant, &provider(), FormTargets::None);
        let policy = pages.policy.to_str().unwrap();
        assert!(policy.contains("; img-src https://cdn.example.com; "), "{policy}");
        let page =
            html(pages.message(StatusCode::GONE, Language::Chinese, Message::new(Tone::Warning, "T", &[]).asking()));
        let page = page.await;
        for shown in [
            "<img src=\"https://cdn.example.com/logo.png?v=1\" alt=\"\" referrerpolicy=\"no-referrer\">",
            "<span>示例&#60;科技&#62;</span></header>",
            "<a class=\"button\" href=\"tel:4008001234\">联系示例&#60;科技&#62;",
            "<a href=\"https://beian.miit.gov.cn/\" rel=\"noreferrer\">粤ICP备12345678号-1</a>",
        ] {
            assert!(page.contains(shown), "{shown}: {page}");
        }
        assert_eq!(page.matches("400-800-1234").count(), 1, "it is not repeated at the bottom");
        let page = html(pages.message(StatusCode::OK, Language::English, Message::new(Tone::Success, "T", &[]))).await;
        assert!(page.contains("Contact: <a href=\"tel:4008001234\">400-800-1234</a>"), "{page}");
        let pictures = pages.with_pictures().policy;
        let pictures = pictures.to_str().unwrap();
        assert!(
            pictures.contains("img-src https://cdn.example.com https://*.qlogo.cn https://*.qpic.cn;"),
            "{pictures}"
        );
    }

    #[tokio::test]
    async fn visitors_are_not_sent_to_the_provider_of_the_shop() {
        let pages = Pages::new(Reader::Visitor, &provider(), FormTargets::None);
        assert!(pages.policy.to_str().unwrap().contains("; img-src 'none'; "));
        let page =
            html(pages.message(StatusCode::GONE, Language::Chinese, Message::new(Tone::Warning, "T", &[]).asking()));
        let page = page.await;
        assert!(page.contains("技术支持：示例") && page.contains("粤ICP备12345678号-1"), "{page}");
        assert!(!page.contains("400-800-1234") && !page.contains("<header>"), "{page}");
    }

    #[tokio::test]
    async fn a_provider_of_whom_nothing_is_known_leaves_no_gap() {
        let page = html(plain(FormTargets::None).message(
            StatusCode::OK,
            Language::English,
            Message::new(Tone::Success, "T", &["P"]).asking(),
        ));
        let page = page.await;
        assert!(page.contains("<body>\n<main class=\"success\">") && page.contains("</main>\n</body>"), "{page}");
    }
}
