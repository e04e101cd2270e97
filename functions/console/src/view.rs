//! The common parts of all pages: language, navigation, the operator, times, and the headers of a response.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use askama::filters::HtmlSafeOutput;
use axum::extract::{MatchedPath, Request};
use axum::response::{Html, IntoResponse as _, Response};
use base::clock::Timestamp;
use base::language::Language;
use base::phrase;
use design::Neighbour;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, REFRESH, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded;
use web::headers::SEC_FETCH_SITE;
use web::{AcceptLanguage, InternalError, ONE_YEAR_OVER_TLS, cookies, picture_sources};

use crate::session::Session;
use crate::trouble::{Thing, Trouble, Unclear};
use crate::words::{Done, Section};
use crate::{Console, PAGES, assets};

/// The cookie with the language that the viewer has chosen.
pub(crate) const LANGUAGE: &str = "console-language";

/// The offset of Beijing's time from UTC, all year.
const BEIJING: Duration = Duration::from_hours(8);

/// The frame of a page, around its own content.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) language: Language,
    pub(crate) title: String,
    /// The path of the style sheet.
    pub(crate) style: String,
    /// The path of the script.
    pub(crate) script: String,
    /// The path of the icon.
    pub(crate) icon: String,
    section: Option<Section>,
    neighbours: Arc<[Neighbour]>,
    /// Path and query, to come back to.
    path: String,
    /// Whether it is the response to a form.
    is_form: bool,
    done: Option<Done>,
    signed_in: Option<SignedIn>,
    component: String,
    now: Timestamp,
    /// Our own origin.
    origin: String,
    https: bool,
}

/// A page in the navigation.
pub(crate) struct Entry {
    pub(crate) path: &'static str,
    pub(crate) title: &'static str,
    pub(crate) is_here: bool,
}

/// The operator.
#[derive(Clone)]
struct SignedIn {
    name: String,
    may_act: bool,
    form_token: SecretString,
}

/// A page with a single message.
#[derive(Template)]
#[template(path = "sentence.html")]
struct Sentence<'a> {
    v: &'a View,
    says: &'a str,
    /// The number of the entry in the log.
    reference: Option<&'a str>,
    /// The page to go to next.
    way: Way<'a>,
}

/// A link to another page.
struct Way<'a> {
    path: &'a str,
    title: &'a str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates hand references on")]
impl View {
    /// The frame of a request's page, before the operator is known.
    pub(crate) fn of(console: &Console, request: &Request) -> Self {
        let is_form = request.method() == Method::POST;
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        let asked: Vec<(Cow<'_, str>, Cow<'_, str>)> = form_urlencoded::parse(query.as_bytes()).collect();
        let (done, others): (Vec<_>, Vec<_>) = asked.into_iter().partition(|(name, _)| name == "done");
        // A URL from a chat must not claim that something was done.
        let done = done.first().filter(|_| is_led_here_by_us(request.headers()));
        let path = if is_form { page_above(request) } else { with_query(path, others) };
        Self {
            language: language(request.headers()),
            title: String::new(),
            style: assets::style(),
            script: assets::script(),
            icon: assets::icon(),
            section: Section::of(request.uri().path()),
            neighbours: Arc::clone(&console.0.parts.neighbours),
            path,
            is_form,
            done: done.and_then(|(_, word)| Done::parse(word)),
            signed_in: None,
            component: String::new(),
            now: console.0.parts.clock.now(),
            origin: console.config().public_base.as_str().to_owned(),
            https: console.config().public_base.is_https(),
        }
    }

    pub(crate) fn sign_in(&mut self, session: &Session) {
        self.signed_in = Some(SignedIn {
            name: session.operator.name.to_string(),
            may_act: session.operator.may_act(),
            form_token: session.browser.form_token.clone(),
        });
    }

    /// The same with a title, and for this platform.
    pub(crate) fn titled(&self, title: impl Into<String>, component: &str) -> Self {
        Self { title: title.into(), component: component.to_owned(), ..self.clone() }
    }

    /// The same for a page that can be opened at this path.
    pub(crate) fn at(self, path: String) -> Self {
        Self { path, ..self }
    }

    /// The one of the two texts that is in the viewer's language.
    pub(crate) fn t<'a>(&self, chinese: &'a str, english: &'a str) -> &'a str {
        self.language.pick(chinese, english)
    }

    pub(crate) fn is_chinese(&self) -> bool {
        self.language == Language::Chinese
    }

    pub(crate) fn is_form(&self) -> bool {
        self.is_form
    }

    pub(crate) fn operator(&self) -> Option<&str> {
        self.signed_in.as_ref().map(|it| it.name.as_str())
    }

    pub(crate) fn may_act(&self) -> bool {
        self.signed_in.as_ref().is_some_and(|it| it.may_act)
    }

    pub(crate) fn form_token(&self) -> &str {
        self.signed_in.as_ref().map(|it| it.form_token.expose_secret()).unwrap_or_default()
    }

    pub(crate) fn component(&self) -> &str {
        &self.component
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn other_language(&self) -> &'static str {
        self.language.pick(Language::English, Language::Chinese).tag()
    }

    /// The navigation.
    pub(crate) fn sections(&self) -> Vec<Entry> {
        let entry = |section: &Section| Entry {
            path: section.path(),
            title: section.title(self.language),
            is_here: self.section == Some(*section),
        };
        Section::ALL.iter().map(entry).collect()
    }

    /// Pages next to the console to which the navigation leads.
    pub(crate) fn neighbours(&self) -> &[Neighbour] {
        &self.neighbours
    }

    /// What was done, if an act has led here.
    pub(crate) fn done(&self) -> Option<&'static str> {
        self.done.map(|done| done.said(self.language))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// A moment in Beijing's time; the script adds the viewer's own if it differs.
    pub(crate) fn time(&self, at: &Timestamp) -> HtmlSafeOutput<String> {
        let (machine, beijing) = (at.rfc3339(), at.plus(BEIJING).rfc3339());
        let shown = match (beijing.get(0..10), beijing.get(11..16)) {
            (Some(day), Some(time)) => format!("{day} {time}"),
            _ => beijing,
        };
        let (zone, local) = (self.t("北京时间", "Beijing time"), self.t("本地", "here"));
        HtmlSafeOutput(format!(r#"<time datetime="{machine}" title="{zone}" data-local="{local}">{shown}</time>"#))
    }

    /// How long ago a moment was, with the moment itself.
    pub(crate) fn ago(&self, at: &Timestamp) -> HtmlSafeOutput<String> {
        let shown = phrase::ago(*at, self.now, self.language);
        HtmlSafeOutput(format!(r#"{shown} <span class="hint">{}</span>"#, self.time(at)))
    }

    /// How long ago a moment was, or how long it is until then.
    pub(crate) fn span_to(&self, at: &Timestamp) -> String {
        if *at >= self.now {
            let span = phrase::span(at.since(self.now), self.language);
            return self.language.pick(format!("{span}后").as_str(), format!("in {span}").as_str()).to_owned();
        }
        phrase::ago(*at, self.now, self.language)
    }

    /// When something automatic will be done: the time until then, or that it is done at the next run.
    pub(crate) fn due(&self, at: &Timestamp) -> String {
        if *at > self.now { self.span_to(at) } else { self.t("即将进行", "at the next run").to_owned() }
    }

    /// A page as a response.
    pub(crate) fn page(&self, status: StatusCode, page: &impl Template) -> Result<Response, InternalError> {
        let html = page.render().map_err(|_| InternalError::Render)?;
        Ok(self.secured((status, Html(html)).into_response()))
    }

    /// A page with a single message.
    pub(crate) fn sentence(&self, status: StatusCode, title: &str, sentence: &str) -> Response {
        self.sentence_with(status, title, sentence, None)
    }

    fn sentence_with(&self, status: StatusCode, title: &str, sentence: &str, reference: Option<&str>) -> Response {
        self.sentence_to(status, title, sentence, reference, Section::Overview.path())
    }

    /// The same with a link to another page than the overview.
    fn sentence_to(
        &self,
        status: StatusCode,
        title: &str,
        sentence: &str,
        reference: Option<&str>,
        path: &str,
    ) -> Response {
        let v = self.titled(title, &self.component);
        let way = match Section::of(path) {
            Some(section) => Way { path, title: section.title(self.language) },
            None => Way { path, title: self.t("返回", "Back") },
        };
        let page = self.page(status, &Sentence { v: &v, says: sentence, reference, way });
        page.unwrap_or_else(|_| self.secured(status.into_response()))
    }

    /// A redirect to another page of the console, which says what was done.
    pub(crate) fn see(&self, path: &str, done: Option<Done>) -> Response {
        let path = match done {
            Some(done) => with_query(path, [("done", done.word())]),
            None => path.to_owned(),
        };
        let mut response = StatusCode::SEE_OTHER.into_response();
        if let Ok(location) = HeaderValue::try_from(path) {
            response.headers_mut().insert(LOCATION, location);
        }
        self.secured(response)
    }

    /// The response to a browser that is not bound.
    pub(crate) fn not_bound(&self, headers: &HeaderMap, method: &Method) -> Response {
        let site = headers.get(SEC_FETCH_SITE).and_then(|site| site.to_str().ok());
        if method == Method::GET && site == Some("cross-site") {
            // After a link in a chat or a mail the cookie is not sent (SameSite=Strict). After one on a page of ours it
            // is.
            let mut response = self.sentence(
                StatusCode::OK,
                self.t("正在打开控制台", "Opening the console"),
                self.t("如未自动跳转，请刷新页面。", "Reload the page if nothing happens."),
            );
            response.headers_mut().insert(REFRESH, HeaderValue::from_static("0"));
            return response;
        }
        self.sentence(
            StatusCode::UNAUTHORIZED,
            self.t("此浏览器未绑定", "This browser is not signed in"),
            self.t(
                "控制台没有密码：请向管理员索取邀请链接（ops operators invite NAME，NAME 为小写字母和数字），并在此浏览器中打开。如果之前可以使用，\
                 可能是绑定已过期（30 天）、已被停用，或浏览器从备份恢复了旧的 Cookie。",
                "The console has no passwords. Ask whoever runs the platform for an invitation (ops operators invite NAME), \
                 and open it in this browser. If it worked before, its 30 days are over, it was signed out, or the browser came \
                 back with an old cookie, such as from a backup.",
            ),
        )
    }

    /// The response if there is no such page.
    pub(crate) fn nothing_here(&self, status: StatusCode) -> Response {
        self.sentence(
            status,
            self.t("页面不存在", "There is no such page"),
            self.t(
                "地址可能来自旧版本或被截断。请从导航重新进入。",
                "The address may be from another version, or was cut off. Use the navigation.",
            ),
        )
    }

    /// The page that says why something cannot be shown or done.
    pub(crate) fn trouble(&self, console: &Console, what: &str, trouble: Trouble) -> Response {
        match trouble {
            Trouble::Unknown(Thing::Account) => self.sentence_to(
                StatusCode::NOT_FOUND,
                self.t("未找到该账号", "No such account"),
                self.t(
                    "此 AppID 对应的账号从未授权给本平台。请在账号列表中按名称、原始 ID 或业务编号查找。",
                    "No account with this appid has ever authorized the platform. Look for it in the list of accounts by name, \
                     original id or reference.",
            ),
                None,
                Section::Accounts.path(),
            ),
            Trouble::Unknown(Thing::Link) => self.sentence_to(
                StatusCode::NOT_FOUND,
                self.t("未找到该链接", "No such link"),
                self.t(
                    "链接过期 30 天后会被删除。您可以新建一个。",
                    "Links are removed 30 days after they expire. You can create another one.",
            ),
                None,
                Section::Links.path(),
            ),
            Trouble::Unknown(Thing::Key | Thing::Browser) => self.sentence(
                StatusCode::NOT_FOUND,
                self.t("未找到", "Not found"),
                self.t("它可能已被删除。请返回列表查看。", "It may have been removed. Go back to the list."),
            ),
            Trouble::Address => self.sentence(
                StatusCode::BAD_REQUEST,
                self.t("地址有误", "This address cannot be used"),
                self.t(
                    "地址可能来自旧版本、被截断，或其中有无法识别的筛选条件。请从导航重新进入。",
                    "It may be from another version, or was cut off. Use the navigation.",
                ),
            ),
            Trouble::Refused(refusal) => {
                let (title, said) = (self.t("未执行", "Not done"), refusal.said(self.language));
                self.sentence_to(refusal.status, title, &said, refusal.reference.as_deref(), &self.path)
            }
            Trouble::Unclear { why, seen_at } => {
                let reference = match why {
                    Unclear::Failed(refusal) => refusal.reference,
                    Unclear::Unanswered(error) => {
                        let parts = &console.0.parts;
                        Some(error.report(what, &parts.random, &parts.metrics).as_str().to_owned())
                    }
                };
                self.sentence_to(
                    StatusCode::SERVICE_UNAVAILABLE,
                    self.t("结果未知", "The outcome is not known"),
                    self.t(
                        "没有收到结果，操作可能已经生效。请先在下面的页面确认，再决定是否重试。如问题仍然存在，请将编号告知平台的工程师。",
                        "No response came. It may or may not have been done: look at the page below before you try again. If this \
                         happens again, give the number to an engineer of the platform.",
                    ),
                    reference.as_deref(),
                    seen_at.unwrap_or(&self.path),
                )
            }
            Trouble::Internal(error) if error.is_not_configured() => self.sentence(
                StatusCode::SERVICE_UNAVAILABLE,
                self.t("平台尚未配置", "The platform is not set up yet"),
                self.t(
                    "请先将平台的 AppID、密钥等写入 Secrets Manager（见 README 的“部署”一节），然后刷新此页面。",
                    "Store the platform's credentials in Secrets Manager first (README, Deploy). Then reload this page.",
                ),
            ),
            Trouble::Internal(error) => {
                let parts = &console.0.parts;
                let reference = error.report(what, &parts.random, &parts.metrics);
                self.sentence_with(
                    StatusCode::SERVICE_UNAVAILABLE,
                    self.t("暂时无法使用", "Not available at the moment"),
                    self.t(
                        "请稍后再试。如问题仍然存在，请将下面的错误编号告知平台的工程师，日志中有相同的编号。",
                        "Try again in a moment. If this persists, give this number to an engineer of the platform: the log \
                         names the cause next to it.",
                    ),
                    Some(reference.as_str()),
                )
            }
        }
    }

    /// Forbids caching, framing, and a referrer for other sites.
    pub(crate) fn secured(&self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // Not `no-referrer`: with that browsers send forms without their origin.
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
        headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
        headers.insert(CONTENT_SECURITY_POLICY, policy(&self.origin));
        if self.https {
            headers.insert(STRICT_TRANSPORT_SECURITY, ONE_YEAR_OVER_TLS);
        }
        response
    }
}

/// Of our own origin only the console's part is allowed: other functions serve files there that others have supplied.
fn policy(origin: &str) -> HeaderValue {
    let (ours, files) = (format!("{origin}/console/"), format!("{origin}/console/assets/"));
    let policy = format!(
        "default-src 'none'; style-src {files}; script-src {files}; connect-src {ours}; img-src {files} {}; form-action {ours}; \
         frame-ancestors 'none'; base-uri 'none'",
        picture_sources()
    );
    // Domains are ASCII; if they were not, the strictest policy is the safe one.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// The language that the viewer has chosen, otherwise the browser's.
fn language(headers: &HeaderMap) -> Language {
    let chosen = cookies(headers).find(|(name, _)| *name == LANGUAGE).map(|(_, tag)| tag.to_owned());
    let chosen = chosen.and_then(|tag| Language::ALL.into_iter().find(|language| language.tag() == tag));
    chosen.unwrap_or_else(|| AcceptLanguage::of(headers).0)
}

/// Whether the browser says that a page of ours led here, or says nothing.
fn is_led_here_by_us(headers: &HeaderMap) -> bool {
    headers.get(SEC_FETCH_SITE).is_none_or(|site| site == "same-origin")
}

/// The page that contains a request's form: the nearest one above, in the tree of paths.
fn page_above(request: &Request) -> String {
    let mut path = request.uri().path();
    let mut route = request.extensions().get::<MatchedPath>().map_or(path, MatchedPath::as_str);
    let is_page = |route: &str| PAGES.iter().any(|page| page.path == route && page.method == Method::GET);
    while !is_page(route) {
        let (Some((above, _)), Some((route_above, _))) = (path.rsplit_once('/'), route.rsplit_once('/')) else {
            return Section::Overview.path().to_owned();
        };
        (path, route) = (above, route_above);
    }
    path.to_owned()
}

/// A path with those fields in its query that have a value.
pub(crate) fn with_query<N: AsRef<str>, V: AsRef<str>>(path: &str, fields: impl IntoIterator<Item = (N, V)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(fields.into_iter().filter(|(_, value)| !value.as_ref().is_empty()));
    let query = query.finish();
    let separator = if path.contains('?') { '&' } else { '?' };
    if query.is_empty() { path.to_owned() } else { format!("{path}{separator}{query}") }
}
