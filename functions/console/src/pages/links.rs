//! `/console/links`: links for merchants, and what has become of them.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use base::clock::Timestamp;
use base::ids::{AppId, LinkId};
use base::language::Language;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use store::{Link, LinkPlace, LinkStatus};

use super::accounts::Choice;
use crate::functions::{Call, Function};
use crate::trouble::{Thing, Trouble};
use crate::view::View;
use crate::visit::{Act, OpenVisit, Visit};
use crate::words::{Badge, Done};

/// Links on a page.
const PAGE: usize = 50;

/// For how long a link can be used, in days.
const LIVES: [(&str, u64, &str, &str); 4] = [
    ("1", 1, "1 天", "1 day"),
    ("7", 7, "7 天", "7 days"),
    ("30", 30, "30 天", "30 days"),
    ("365", 365, "365 天", "365 days"),
];

/// Which accounts can be chosen (protocol section 2).
const KINDS: [(&str, u8, &str, &str); 3] = [
    ("3", 3, "公众号和小程序", "Official accounts and mini programs"),
    ("1", 1, "仅公众号", "Official accounts only"),
    ("2", 2, "仅小程序", "Mini programs only"),
];

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
    /// The account that came through it, and when.
    authorized: Option<(AppId, Timestamp)>,
    /// The one account that it is for.
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
        LinkStatus::Cancelled => Badge { class: "", text: language.pick("已作废", "Cancelled") },
        LinkStatus::Expired => Badge { class: "", text: language.pick("已过期", "Expired") },
    }
}

/// A link that is asked for, as the form has it.
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

    /// The link as the business API takes it; `None` where something was chosen that cannot be.
    fn body(&self) -> Option<Value> {
        let (_, kind, ..) = KINDS.into_iter().find(|(word, ..)| *word == self.kind)?;
        let (_, days, ..) = LIVES.into_iter().find(|(word, ..)| *word == self.life)?;
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Some(json!({
            "auth_type": kind,
            "requester_name": given(&self.requester),
            "reference": given(&self.reference),
            "expires_in_seconds": days * 24 * 60 * 60,
        }))
    }
}

/// `GET /console/links`.
pub(crate) async fn show(visit: Visit) -> Response {
    visit
        .answer("listing links", |visit| async move { shown(&visit, &Draft::default(), None, StatusCode::OK).await })
        .await
}

async fn shown(
    visit: &OpenVisit,
    draft: &Draft,
    problem: Option<String>,
    status: StatusCode,
) -> Result<Response, Trouble> {
    let v = visit.titled("授权链接", "Links");
    let (links, now) = (&visit.open.items.links, visit.open.now());
    let reference = visit.parameter("reference");
    let after = match visit.parameter("after").as_str() {
        "" => None,
        text => Some(LinkPlace::parse(text).map_err(|()| Trouble::Address)?),
    };
    let (found, last) = if reference.is_empty() {
        links.all(PAGE, after.as_ref(), now).await?
    } else {
        links.with_reference(&reference, PAGE, after.as_ref(), now).await?
    };
    let next = last.map(|place| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if !reference.is_empty() {
            query.append_pair("reference", &reference);
        }
        query.append_pair("after", place.as_str()).finish()
    });
    let choice = |word, text, chosen: &str| Choice { word, text, is_chosen: word == chosen };
    let page = Page {
        kinds: KINDS.map(|(word, _, zh, en)| choice(word, v.language.pick(zh, en), &draft.kind)).into(),
        lives: LIVES.map(|(word, _, zh, en)| choice(word, v.language.pick(zh, en), &draft.life)).into(),
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
    let v = visit.titled("授权链接", "Link");
    let url = visit.console.config().public_base.url().join(&format!("authorize/{id}"));
    let url = url.map(String::from).map_err(|_| Trouble::Address)?;
    let qr = web::qr(&url, v.t("授权链接的二维码", "QR code of the link"));
    let page = One { link: Row::of(&link, now, v.language), url, qr, v: &v };
    Ok(v.page(StatusCode::OK, &page)?)
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

/// Makes a link, and leads to it.
pub(super) async fn created(visit: &OpenVisit, act: Act, body: Value) -> Result<Response, Trouble> {
    let call = Call::to(Function::PreauthLink, Method::POST, "/authorization-links", None).with(body);
    let answer = visit.act(&act, call).await?;
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
            "auth_type": 3, "requester_name": "张三的店", "reference": null, "expires_in_seconds": 604_800,
        });
        assert_eq!(draft.body(), Some(expected));
        assert_eq!(Draft { life: "400".to_owned(), ..Draft::default() }.body(), None);
    }
}
