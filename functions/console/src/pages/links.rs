//! `/console/links`: links for merchants, and their outcomes.

use std::time::Duration;

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use base::clock::Timestamp;
use base::ids::{AppId, LinkId};
use base::language::Language;
use base::phrase;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use store::{Labels, Link, LinkPlace, LinkStatus};

use super::accounts::Choice;
use crate::functions::{Call, Function};
use crate::trouble::{Thing, Trouble};
use crate::view::{View, with_query};
use crate::visit::{Act, OpenVisit, Visit};
use crate::words::{Badge, CHOOSABLE, Done, Section, choosable, is_active};

/// Links on a page.
const PAGE: usize = 50;

/// The lives that a link can have, in days.
const LIVES: [u64; 4] = [1, 7, 30, 365];

#[derive(Template)]
#[template(path = "links.html")]
struct Page<'a> {
    v: &'a View,
    draft: &'a Draft,
    kinds: Vec<Choice>,
    lives: Vec<Choice>,
    problem: Option<String>,
    reference: &'a str,
    links: Vec<Row>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "link.html")]
struct One<'a> {
    v: &'a View,
    link: Row,
    url: String,
    qr: Option<String>,
    /// A message that can be sent to a merchant.
    message: String,
    /// Whether the account that it is for is authorized, so that nobody needs the link.
    is_needless: bool,
}

/// A link in the list.
struct Row {
    id: LinkId,
    status: Badge,
    is_pending: bool,
    valid_until: Timestamp,
    reference: String,
    requester: String,
    made_by: String,
    /// The account that was authorized through it, and when.
    authorized: Option<(AppId, Timestamp)>,
    /// The only account that it is for.
    only: Option<AppId>,
}

impl Row {
    fn of(link: &Link, now: Timestamp, language: Language) -> Self {
        let status = link.status(now);
        let request = &link.request;
        Self {
            id: link.id.clone(),
            status: badge(status, language),
            is_pending: status == LinkStatus::Pending,
            valid_until: link.valid_until,
            reference: request.labels.reference.clone().unwrap_or_default(),
            requester: request.requester_name.clone().unwrap_or_default(),
            made_by: request.made_by.clone().unwrap_or_else(|| language.pick("平台", "the platform").to_owned()),
            authorized: link.authorized.clone(),
            only: request.biz_appid.clone(),
        }
    }
}

const fn badge(status: LinkStatus, language: Language) -> Badge {
    match status {
        LinkStatus::Pending => Badge { class: "warn", text: language.pick("等待商家", "Waiting for the merchant") },
        LinkStatus::Authorized => Badge { class: "good", text: language.pick("已授权", "Authorized") },
        LinkStatus::Cancelled => Badge { class: "", text: language.pick("已取消", "Cancelled") },
        LinkStatus::Expired => Badge { class: "", text: language.pick("已过期", "Expired") },
    }
}

/// A requested link, as the form has it.
#[derive(Debug, Clone)]
struct Draft {
    requester: String,
    reference: String,
    kind: String,
    life: String,
}

impl Default for Draft {
    fn default() -> Self {
        let [requester, reference] = [(); 2].map(|()| String::new());
        Self { requester, reference, kind: "3".to_owned(), life: "7".to_owned() }
    }
}

impl Draft {
    fn read(visit: &OpenVisit) -> Self {
        let [requester, reference, kind, life] =
            ["requester", "reference", "kind", "life"].map(|name| visit.form.text(name).to_owned());
        Self { requester, reference, kind, life }
    }

    /// A form for another link like one that is over.
    fn like(link: &Link) -> Self {
        let request = &link.request;
        Self {
            requester: request.requester_name.clone().unwrap_or_default(),
            reference: request.labels.reference.clone().unwrap_or_default(),
            kind: request.auth_type.to_string(),
            ..Self::default()
        }
    }

    /// The link as the business API takes it; `None` if an impossible value was chosen.
    fn body(&self) -> Option<Value> {
        let kind: u64 = self.kind.parse().ok().filter(|kind| CHOOSABLE.contains(kind))?;
        let days: u64 = self.life.parse().ok().filter(|days| LIVES.contains(days))?;
        let mut body = json!({ "auth_type": kind, "expires_in_seconds": days * 24 * 60 * 60 });
        for (name, text) in [("requester_name", &self.requester), ("reference", &self.reference)] {
            if !text.is_empty() {
                body[name] = text.as_str().into();
            }
        }
        Some(body)
    }
}

/// `GET /console/links`.
pub(crate) async fn show(visit: Visit) -> Response {
    visit.answer("listing links", |visit| async move { listed(&visit).await }).await
}

/// The list, with a form that is filled in as for the link `again`, if that still exists.
async fn listed(visit: &OpenVisit) -> Result<Response, Trouble> {
    let again = match visit.parameter("again").as_str() {
        "" => None,
        id => visit.open.items.links.get(&parse(id)?, visit.open.now()).await?,
    };
    shown(visit, &again.as_ref().map(Draft::like).unwrap_or_default(), None, StatusCode::OK).await
}

async fn shown(
    visit: &OpenVisit,
    draft: &Draft,
    problem: Option<String>,
    status: StatusCode,
) -> Result<Response, Trouble> {
    let v = visit.section(Section::Links);
    let (links, now) = (&visit.open.items.links, visit.open.now());
    let reference = visit.parameter("reference");
    let after = visit.read("after", |text| LinkPlace::parse(text).ok())?;
    let (found, last) = match reference.as_str() {
        "" => links.all(PAGE, after.as_ref(), now).await?,
        text if Labels::is_reference(text) => links.with_reference(text, PAGE, after.as_ref(), now).await?,
        _ => (Vec::new(), None),
    };
    let next = last
        .map(|place| with_query(Section::Links.path(), [("reference", reference.as_str()), ("after", place.as_str())]));
    let choices = |numbers: &[u64], chosen: &str, said: &dyn Fn(u64) -> String| -> Vec<Choice> {
        let choice = |number: &u64| {
            let word = number.to_string();
            Choice { is_chosen: word == chosen, text: said(*number), word }
        };
        numbers.iter().map(choice).collect()
    };
    let days = |days: u64| phrase::span(Duration::from_hours(24 * days), v.language);
    let page = Page {
        kinds: choices(&CHOOSABLE, &draft.kind, &|kind| choosable(kind, v.language).unwrap_or_default().to_owned()),
        lives: choices(&LIVES, &draft.life, &|life| days(life)),
        draft,
        problem,
        reference: &reference,
        links: found.iter().map(|link| Row::of(link, now, v.language)).collect(),
        next,
        v: &v,
    };
    Ok(v.page(status, &page)?)
}

/// `GET /console/links/{link_id}`.
pub(crate) async fn show_one(visit: Visit, Path(id): Path<String>) -> Response {
    visit.answer("showing a link", |visit| async move { one(&visit, &id).await }).await
}

async fn one(visit: &OpenVisit, id: &str) -> Result<Response, Trouble> {
    let id = parse(id)?;
    let now = visit.open.now();
    let link = visit.open.items.links.get(&id, now).await?.ok_or(Trouble::Unknown(Thing::Link))?;
    let row = Row::of(&link, now, visit.frame().language);
    let account = match &row.only {
        Some(account) => visit.open.items.account_lists.get(account).await?,
        None => None,
    };
    let name = account.as_ref().and_then(|account| account.details.profile.as_ref()?.nick_name.as_deref());
    let v = match name {
        Some(name) => visit.titled(&format!("授权链接：{name}"), &format!("Link for {name}")),
        None => visit.titled("授权链接", "Link"),
    };
    let url = visit.console.config().public_base.url().join(&format!("authorize/{id}"));
    let url = url.map(String::from).map_err(|_| Trouble::Address)?;
    let qr = web::qr(&url, v.t("授权链接的二维码", "QR code of the link"));
    // Merchants read Chinese, whoever sends the link.
    let message = match name {
        Some(name) => format!("您好，请“{name}”的管理员用微信打开此链接，并确认授权：{url}"),
        None => format!("您好，请公众号或小程序的管理员用微信打开此链接，并确认授权：{url}"),
    };
    let is_needless = row.is_pending && account.as_ref().is_some_and(is_active);
    Ok(v.page(StatusCode::OK, &One { link: row, url, qr, message, is_needless, v: &v })?)
}

fn parse(id: &str) -> Result<LinkId, Trouble> {
    LinkId::parse(id).map_err(|_| Trouble::Unknown(Thing::Link))
}

/// `POST /console/links`.
pub(crate) async fn make(visit: Visit) -> Response {
    visit.answer("making a link", asked_for).await
}

async fn asked_for(visit: OpenVisit) -> Result<Response, Trouble> {
    let draft = Draft::read(&visit);
    let body = draft.body().ok_or(Trouble::Address)?;
    let act = Act { detail: Some(body.to_string()), ..Act::named("link.create", None) };
    match created(&visit, act, body).await {
        Err(Trouble::Refused(refusal)) => {
            let problem = refusal.said(visit.frame().language);
            shown(&visit, &draft, Some(problem), refusal.status).await
        }
        answer => answer,
    }
}

/// Creates a link, and redirects to its page.
pub(super) async fn created(visit: &OpenVisit, act: Act, body: Value) -> Result<Response, Trouble> {
    let call = Call::to(Function::PreauthLink, Method::POST, "/authorization-links", None).with(body);
    // If the outcome is unknown, the list shows whether there is a link.
    let answer = visit.act(&act, call).await.map_err(|trouble| trouble.seen_at(Section::Links.path()))?;
    let id = answer.body["link_id"].as_str().unwrap_or_default();
    Ok(visit.frame().see(&format!("/console/links/{id}"), Some(Done::LinkMade)))
}

/// `POST /console/links/{link_id}/cancellation`.
pub(crate) async fn cancel(visit: Visit, Path(id): Path<String>) -> Response {
    visit.answer("cancelling a link", |visit| async move { cancelled(&visit, &id).await }).await
}

async fn cancelled(visit: &OpenVisit, id: &str) -> Result<Response, Trouble> {
    let id = parse(id)?;
    let call = Call::to(Function::PreauthLink, Method::DELETE, "/authorization-links/{link_id}", Some(id.as_str()));
    visit.act(&Act::named("link.cancel", Some(id.to_string())), call).await?;
    Ok(visit.frame().see(&format!("/console/links/{id}"), Some(Done::LinkCancelled)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_becomes_a_request_of_the_business_api() {
        let draft = Draft { requester: "张三的店".to_owned(), ..Draft::default() };
        let expected = json!({
            "auth_type": 3, "requester_name": "张三的店", "expires_in_seconds": 604_800,
        });
        assert_eq!(draft.body(), Some(expected));
        assert_eq!(Draft { life: "400".to_owned(), ..Draft::default() }.body(), None);
    }
}
