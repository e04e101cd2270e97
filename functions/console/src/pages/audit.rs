//! `/console/audit`: what operators have done, and what was done about operators.

use askama::Template;
use axum::response::Response;
use http::StatusCode;
use store::{AuditEntry, AuditPlace};

use crate::trouble::Trouble;
use crate::view::View;
use crate::visit::{OpenVisit, Visit};
use crate::words;

/// Entries on a page.
const PAGE: usize = 50;

/// Entries that are read to find those of an account or operator.
const READ: usize = 1_000;

#[derive(Template)]
#[template(path = "audit.html")]
struct Page<'a> {
    v: &'a View,
    account: String,
    by: String,
    entries: Vec<AuditEntry>,
    next: Option<String>,
}

impl Page<'_> {
    fn act(&self, entry: &AuditEntry) -> String {
        words::act(&entry.act, self.v.language)
    }

    fn outcome(&self, entry: &AuditEntry) -> String {
        words::audit_outcome(entry.outcome.as_deref(), self.v.language)
    }
}

/// `GET /console/audit`.
pub(crate) async fn show(visit: Visit) -> Response {
    visit.answer("showing the audit", shown).await
}

async fn shown(visit: OpenVisit) -> Result<Response, Trouble> {
    let v = visit.titled("操作记录", "Audit");
    let (account, by) = (visit.parameter("account"), visit.parameter("by"));
    let mut before = match visit.parameter("before").as_str() {
        "" => None,
        text => Some(AuditPlace::parse(text).ok_or(Trouble::Address)?),
    };
    let is_asked_for = |entry: &AuditEntry| {
        (account.is_empty() || entry.account.as_ref().is_some_and(|known| known.as_str() == account))
            && (by.is_empty() || entry.actor.by == format!("operator:{by}"))
    };
    let mut entries = Vec::new();
    let mut read = 0;
    // Entries of one account or operator are looked for among all, for a bounded number of pages.
    loop {
        let page = visit.open.items.audit_log.page(before.as_ref(), PAGE).await?;
        read += PAGE;
        entries.extend(page.entries.into_iter().filter(is_asked_for));
        before = page.next;
        if before.is_none() || entries.len() >= PAGE || read >= READ {
            break;
        }
    }
    let next = before.map(|place| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs([("account", &account), ("by", &by)].into_iter().filter(|(_, value)| !value.is_empty()));
        query.append_pair("before", place.as_str()).finish()
    });
    Ok(v.page(StatusCode::OK, &Page { v: &v, account, by, entries, next })?)
}
