//! `/console/export`: the accounts as CSV, part by part. The script joins the parts; without it each is a file.

use std::fmt::Write as _;

use askama::Template;
use axum::response::{IntoResponse as _, Response};
use base::clock::Timestamp;
use base::ids::AppId;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};
use platform::account_search::{AccountFilters, AccountSearch};
use store::KnownAccount;

use super::accounts::{ACCOUNTS, Filter};
use crate::trouble::Trouble;
use crate::view::View;
use crate::visit::{Act, OpenVisit, Visit};
use crate::words;

/// The accounts that are read for one part.
const PART: usize = 2_000;

/// The size in bytes at which a part ends: Lambda returns 6 MiB at most, in JSON, and a hundred accounts with the
/// longest tags take less than a megabyte and a half.
const LARGEST: usize = 2_000_000;

/// The accounts whose details are read at once.
const AT_ONCE: usize = 100;

const NEXT_PART: HeaderName = HeaderName::from_static("x-next-part");
const ACCOUNTS_READ: HeaderName = HeaderName::from_static("x-accounts-read");

#[derive(Template)]
#[template(path = "export.html")]
struct Page<'a> {
    v: &'a View,
    /// The number of this part, from 1.
    number: usize,
    part: String,
    first: String,
    name: String,
    total: u64,
    accounts: String,
    next: Option<String>,
}

/// `GET /console/export`.
pub(crate) async fn show(visit: Visit) -> Response {
    visit.answer("preparing an export", shown).await
}

async fn shown(visit: OpenVisit) -> Result<Response, Trouble> {
    let v = visit.titled("导出账号", "Export accounts");
    let filter = Filter::read(&visit);
    let filters = filter.filters().ok_or(Trouble::Address)?;
    let after = visit.account_in("after")?;
    let number = visit.parameter("part").parse().unwrap_or(1_usize);
    let lists = &visit.open.items.account_lists;
    let (page, has_more) = lists.page(filters.list(), PART, after.as_ref()).await?;
    let total = lists.count(filters.list()).await?;
    let behind = after.as_ref().map(AppId::as_str).unwrap_or_default();
    let last = page.last().filter(|_| has_more);
    let shown = Page {
        number,
        part: filter.at(CSV, &[("after", behind)]),
        first: filter.at(CSV, &[]),
        name: format!("accounts-{}.csv", visit.open.now().rfc3339().get(..10).unwrap_or_default()),
        total,
        accounts: ACCOUNTS.count(total, v.language),
        next: last.map(|last| {
            let number = number.saturating_add(1).to_string();
            filter.at("/console/export", &[("after", last.as_str()), ("part", &number)])
        }),
        v: &v,
    };
    Ok(v.page(StatusCode::OK, &shown)?)
}

const CSV: &str = "/console/export/accounts.csv";

/// `GET /console/export/accounts.csv`.
pub(crate) async fn part(visit: Visit) -> Response {
    visit.answer("exporting accounts", exported).await
}

async fn exported(visit: OpenVisit) -> Result<Response, Trouble> {
    let filter = Filter::read(&visit);
    let filters = filter.filters().ok_or(Trouble::Address)?;
    let after = visit.account_in("after")?;
    // An export takes more data away at once than any page: each part is in the audit.
    let behind = after.as_ref().map(AppId::as_str).unwrap_or_default();
    let detail = Some(filter.at("", &[("after", behind)])).filter(|query| !query.is_empty());
    visit.note(&Act { detail, ..Act::named("accounts.export", None) }).await?;
    let items = &visit.open.items;
    let search = AccountSearch { lists: &items.account_lists, names: &items.user_names };
    let mut csv = header(&visit);
    let (read, last) = if let Some(named) = search.named(&filters).await? {
        named.accounts.iter().for_each(|account| row(&mut csv, account, visit.frame()));
        (named.accounts.len(), None)
    } else {
        listed(&mut csv, &visit, &filters, after.as_ref()).await?
    };
    let mut response = visit.frame().secured(csv.into_response());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"accounts.csv\""));
    headers.insert(ACCOUNTS_READ, HeaderValue::from(read));
    let next = last.map(|last| filter.at(CSV, &[("after", last.as_str())]));
    if let Some(next) = next.and_then(|next| HeaderValue::try_from(next).ok()) {
        headers.insert(NEXT_PART, next);
    }
    Ok(response)
}

/// Writes the rows of a part, and returns how many accounts were read and, if there are more, the last of them.
async fn listed(
    csv: &mut String,
    visit: &OpenVisit,
    filters: &AccountFilters,
    after: Option<&AppId>,
) -> Result<(usize, Option<AppId>), Trouble> {
    let lists = &visit.open.items.account_lists;
    let (page, has_more) = lists.page(filters.list(), PART, after).await?;
    let mut read = 0;
    for some in page.chunks(AT_ONCE) {
        let known = lists.known(filters.list(), some).await?;
        known.iter().filter(|account| filters.matches(account)).for_each(|account| row(csv, account, visit.frame()));
        read += some.len();
        if csv.len() >= LARGEST {
            break;
        }
    }
    let is_whole = read == page.len();
    let last = page.get(..read).and_then(<[AppId]>::last).filter(|_| has_more || !is_whole);
    Ok((read, last.cloned()))
}

/// The names of the columns, after the mark by which spreadsheets recognize UTF-8.
fn header(visit: &OpenVisit) -> String {
    let v = visit.frame();
    let names = v.t(
        "AppID,名称,类型,原始 ID,主体,业务编号,标签,状态,状态开始时间,最近一次失败,权限集",
        "appid,name,kind,original id,owner,reference,tags,state,since,last failure,permission sets",
    );
    format!("\u{feff}{names}\r\n")
}

fn row(csv: &mut String, account: &KnownAccount, v: &View) {
    let details = &account.details;
    let profile = details.profile.as_ref();
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    let tags: Vec<String> = details.labels.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let sets: Vec<String> = details.func_info.iter().map(ToString::to_string).collect();
    let cells = [
        account.appid.to_string(),
        text(profile.and_then(|profile| profile.nick_name.as_ref())),
        profile.map(|profile| words::kind(profile.kind, v.language).to_owned()).unwrap_or_default(),
        text(profile.and_then(|profile| profile.user_name.as_ref())),
        text(profile.and_then(|profile| profile.principal_name.as_ref())),
        text(details.labels.reference.as_ref()),
        tags.join("; "),
        details.state.map(|(state, _)| words::state(state, v.language).text.to_owned()).unwrap_or_default(),
        details.state.map(|(_, since)| Timestamp::rfc3339(since)).unwrap_or_default(),
        account.token.last_error.clone().unwrap_or_default(),
        sets.join(" "),
    ];
    for (place, text) in cells.iter().enumerate() {
        // Writing to a text cannot fail.
        let _ = write!(csv, "{}{}", if place == 0 { "" } else { "," }, cell(text));
    }
    csv.push_str("\r\n");
}

/// Characters with which a spreadsheet begins a formula, including some wide forms.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// A cell (RFC 4180). Anything that a spreadsheet would interpret as a formula becomes text: merchants choose their
/// names.
fn cell(text: &str) -> String {
    let text = if text.starts_with(FORMULA) { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', ';', '"', '\t', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be_and_never_formulas() {
        assert_eq!(cell("张三的店"), "张三的店");
        assert_eq!(cell("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
        assert_eq!(cell("=HYPERLINK(\"http://evil.example\")"), "\"'=HYPERLINK(\"\"http://evil.example\"\")\"");
        assert_eq!(cell("\n=1"), "\"'\n=1\"");
        for formula in ["+1", "-1", "@x", "\t=1", "＝1"] {
            assert!(cell(formula).trim_start_matches('"').starts_with('\''), "{formula}");
        }
    }
}
