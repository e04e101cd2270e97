//! The shop's pages: HTML with forms, and one script, for the page that uses the JS-SDK.

use askama::Template;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse as _, Response};
use design::{Navigation, Neighbour, Page};
use web::Language;

use super::ShopAccount;
use super::login::Wanted;
use super::platform::ApiError;
use super::sessions::Session;
use super::steps::Step;
use super::texts::{self, Notice};
use crate::html::{LIST_STYLE, policy};

/// The style of the shop's pages alone.
const STYLE: &str = include_str!("../../templates/shop/shop.css");

/// The script of the page that uses the JS-SDK.
const SCRIPT: &str = include_str!("../../templates/shop/signed.js");

/// The page of the shop.
#[derive(Template)]
#[template(path = "shop/start.html")]
pub(super) struct StartPage<'a> {
    pub(super) navigation: Navigation<'a>,
    pub(super) language: Language,
    /// Accounts whose visitors can log in.
    pub(super) accounts: &'a [ShopAccount],
    /// The account through which the visitor came.
    pub(super) chosen: Option<&'a str>,
    pub(super) programs: &'a [ShopAccount],
    pub(super) session: &'a Session,
    pub(super) plays_wechat: Option<bool>,
    pub(super) simulator: &'a str,
}

/// A page that uses the JS-SDK.
#[derive(Template)]
#[template(path = "shop/signed.html")]
pub(super) struct SignedPage<'a> {
    pub(super) navigation: Navigation<'a>,
    pub(super) language: Language,
    /// As JSON.
    pub(super) config: &'a str,
    pub(super) url: &'a str,
    pub(super) steps: &'a [Step],
}

#[derive(Template)]
#[template(path = "shop/notice.html")]
struct NoticePage<'a> {
    navigation: Navigation<'a>,
    language: Language,
    notice: &'a Notice<'a>,
    again: Option<&'a Wanted>,
}

/// Renders the pages.
pub(super) struct Pages {
    policy: HeaderValue,
    neighbours: Vec<Neighbour>,
}

impl Pages {
    /// Pages whose forms lead to the shop, and from there to these origins: browsers apply the policy to redirects as
    /// well.
    pub(super) fn new(forms: [&str; 2], neighbours: Vec<Neighbour>) -> Self {
        let policy = policy(&[LIST_STYLE, STYLE], Some(SCRIPT), &format!("'self' {}", forms.join(" ")));
        let policy = format!("{policy}; img-src https://*.qlogo.cn https://*.qpic.cn");
        let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Self { policy, neighbours }
    }

    /// The navigation of each page.
    pub(super) fn navigation(&self) -> Navigation<'_> {
        Navigation { neighbours: &self.neighbours, here: Some(Page::Shop) }
    }

    pub(super) fn show(&self, status: StatusCode, page: &impl Template) -> Response {
        let headers = [
            (CONTENT_SECURITY_POLICY, self.policy.clone()),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            // A login code in a URL must not reach other sites.
            (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        ];
        match page.render() {
            Ok(html) => (status, headers, Html(html)).into_response(),
            Err(error) => {
                tracing::error!("a page of the demo shop cannot be rendered: {error}");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    /// A page of a few sentences, with a button to log in (again) if the visitor wanted to.
    pub(super) fn notice(&self, language: Language, notice: &Notice<'_>, again: Option<&Wanted>) -> Response {
        self.show(StatusCode::OK, &NoticePage { navigation: self.navigation(), language, notice, again })
    }

    /// The platform has refused something.
    pub(super) fn refused(&self, language: Language, error: &ApiError, again: Option<&Wanted>) -> Response {
        let detail = error.to_string();
        let notice = texts::refused(language, &detail);
        self.show(
            StatusCode::BAD_GATEWAY,
            &NoticePage { navigation: self.navigation(), language, notice: &notice, again },
        )
    }
}
