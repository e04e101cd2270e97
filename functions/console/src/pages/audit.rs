//! `/console/audit`: what operators have done, and what was done about operators.

use askama::Template;
use axum::response::Response;
use base::ids::AppId;
use http::StatusCode;
use store::{AuditEntry, AuditPlace};

use crate::trouble::Trouble;
use crate::view::{View, with_query};
use crate::visit::{OpenVisit, Visit};
use crate::words::{self, Section};

/// Entries on a page.
const PAGE: usize = 30;

/// The most entries that are read to find those of one operator.
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

    fn detail(&self, detail: &str) -> String {
        words::audit_detail(detail, self.v.language)
    }

    fn outcome(&self, entry: &AuditEntry) -> String {
        words::audit_outcome(entry.outcome.as_deref(), self.v.language)
    }
}

/// The link that an entry is about, or that was created.
fn link(entry: &AuditEntry) -> Option<&str> {
    let made = entry.outcome.as_deref().and_then(|outcome| outcome.strip_prefix("done: "));
    made.or(entry.subject.as_deref()).filter(|_| entry.act.starts_with("link."))
}

/// `GET /console/audit`.
pub(crate) async fn show(visit: Visit) -> Response {
    visit.answer("showing the audit", shown).await
}

async fn shown(visit: OpenVisit) -> Result<Response, Trouble> {
    let v = visit.section(Section::Audit);
    let (account, by) = (visit.account_in("account")?, visit.parameter("by"));
    let before = visit.read("before", AuditPlace::parse)?;
    let (entries, next) = found(&visit, account.as_ref(), &by, before).await?;
    let account = account.map(|account| account.to_string()).unwrap_or_default();
    let next = next.map(|place| {
        with_query(Section::Audit.path(), [("account", account.as_str()), ("by", &by), ("before", place.as_str())])
    });
    Ok(v.page(StatusCode::OK, &Page { v: &v, account, by, entries, next })?)
}

/// A page of entries, and the position of the last one that was read if there are more. Those of an account have a list
/// of their own. Those of one operator are searched for one by one, among a bounded number.
async fn found(
    visit: &OpenVisit,
    account: Option<&AppId>,
    by: &str,
    mut before: Option<AuditPlace>,
) -> Result<(Vec<AuditEntry>, Option<AuditPlace>), Trouble> {
    let log = &visit.open.items.audit_log;
    let (mut entries, mut read) = (Vec::new(), 0);
    loop {
        let page = match account {
            Some(account) => log.of_account(account, before.as_ref(), PAGE).await?,
            None => log.page(before.as_ref(), PAGE).await?,
        };
        read += PAGE;
        let mut asked_for = page.entries.into_iter().filter(|entry| is_by(entry, by));
        entries.extend(asked_for.by_ref().take(PAGE - entries.len()));
        if asked_for.next().is_some() {
            return Ok(full(entries));
        }
        match page.next {
            Some(_) if entries.len() == PAGE => return Ok(full(entries)),
            Some(place) if read < READ => before = Some(place),
            next => return Ok((entries, next)),
        }
    }
}

fn full(entries: Vec<AuditEntry>) -> (Vec<AuditEntry>, Option<AuditPlace>) {
    let last = entries.last().map(AuditEntry::place);
    (entries, last)
}

/// Whether an entry is by an operator of this name, or by a principal of AWS whose ARN contains it.
fn is_by(entry: &AuditEntry, by: &str) -> bool {
    by.is_empty()
        || match entry.actor.by.strip_prefix("operator:") {
            Some(name) => name == by,
            None => entry.actor.by.contains(by),
        }
}
