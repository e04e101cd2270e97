//! `/console/domains`: the domains of web pages, and WeChat's check files. Principals of AWS store the files.

use askama::Template;
use axum::response::Response;
use http::StatusCode;
use store::CheckFile;
use url::Url;
use wechat::check_file::CheckFileName;

use crate::trouble::Trouble;
use crate::view::{View, with_query};
use crate::visit::{OpenVisit, Visit};
use crate::words::Section;

/// Files on a page.
const PAGE: usize = 100;

#[derive(Template)]
#[template(path = "domains.html")]
struct Page<'a> {
    v: &'a View,
    base: &'a Url,
    web_domains: Vec<String>,
    login_host: Option<&'a str>,
    files: Vec<CheckFile>,
    next: Option<String>,
}

/// `GET /console/domains`.
pub(crate) async fn show(visit: Visit) -> Response {
    visit.answer("listing check files", shown).await
}

async fn shown(visit: OpenVisit) -> Result<Response, Trouble> {
    let v = visit.section(Section::Domains);
    let after = visit.read("after", |text| CheckFileName::parse(text).ok())?;
    let config = visit.console.config();
    let page = visit.open.items.check_files.page(PAGE, after.as_ref()).await?;
    let shown = Page {
        base: config.public_base.url(),
        web_domains: config.web_domains.entries(),
        login_host: config.login_host.as_deref(),
        files: page.files,
        next: page.next.map(|name| with_query(Section::Domains.path(), [("after", name.as_str())])),
        v: &v,
    };
    Ok(v.page(StatusCode::OK, &shown)?)
}
