//! `/console/operators`: who may use the console. Principals of AWS create and end operators.

use askama::Template;
use axum::response::Response;
use base::ids::OperatorName;
use http::StatusCode;
use store::Operator;

use crate::trouble::Trouble;
use crate::view::{View, with_query};
use crate::visit::{OpenVisit, Visit};
use crate::words::Section;

/// Operators on a page.
const PAGE: usize = 100;

#[derive(Template)]
#[template(path = "operators.html")]
struct Page<'a> {
    v: &'a View,
    operators: Vec<Operator>,
    next: Option<String>,
}

/// `GET /console/operators`.
pub(crate) async fn show(visit: Visit) -> Response {
    visit.answer("listing operators", shown).await
}

async fn shown(visit: OpenVisit) -> Result<Response, Trouble> {
    let v = visit.section(Section::Operators);
    let after = visit.read("after", |text| OperatorName::parse(text).ok())?;
    let page = visit.open.items.operators.page(PAGE, after.as_ref(), visit.open.now()).await?;
    let next = page.next.map(|name| with_query(Section::Operators.path(), [("after", name.as_str())]));
    Ok(v.page(StatusCode::OK, &Page { v: &v, operators: page.operators, next })?)
}
