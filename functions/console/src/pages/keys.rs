//! `/console/keys`: the API keys of services. Principals of AWS create them; here they are listed and revoked.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use base::clock::Timestamp;
use base::ids::KeyId;
use http::{Method, StatusCode};
use store::{ApiKey, KeyPlace};

use crate::functions::{Call, Function};
use crate::trouble::{Thing, Trouble};
use crate::view::{View, with_query};
use crate::visit::{Act, OpenVisit, Visit};
use crate::words::{Done, Section};

/// Keys on a page.
const PAGE: usize = 50;

/// The most accounts of a key that are named.
const SHOWN: usize = 3;

#[derive(Template)]
#[template(path = "keys.html")]
struct Page<'a> {
    v: &'a View,
    keys: Vec<Row>,
    next: Option<String>,
}

struct Row {
    id: KeyId,
    name: String,
    scopes: Vec<&'static str>,
    /// The first of the accounts that it is limited to.
    accounts: Vec<String>,
    /// The number of accounts; `None` for all accounts.
    limited_to: Option<usize>,
    created_at: Timestamp,
    created_by: String,
    ends_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    last_used_on: Option<String>,
    is_valid: bool,
}

impl Row {
    fn of(key: ApiKey, now: Timestamp) -> Self {
        Self {
            is_valid: key.is_valid(now),
            scopes: key.scopes.iter().map(|scope| scope.as_str()).collect(),
            limited_to: key.appids.as_ref().map(BTreeSet::len),
            accounts: key.appids.iter().flatten().take(SHOWN).map(ToString::to_string).collect(),
            id: key.id,
            name: key.name,
            created_at: key.created_at,
            created_by: key.created_by,
            ends_at: key.ends_at,
            revoked_at: key.revoked_at,
            last_used_on: key.last_used_on,
        }
    }
}

/// `GET /console/keys`.
pub(crate) async fn show(visit: Visit) -> Response {
    visit.answer("listing keys", shown).await
}

async fn shown(visit: OpenVisit) -> Result<Response, Trouble> {
    let v = visit.section(Section::Keys);
    let after = visit.read("after", KeyPlace::parse)?;
    let now = visit.open.now();
    let page = visit.open.items.api_keys.page(PAGE, after.as_ref(), now).await?;
    let keys = page.keys.into_iter().map(|key| Row::of(key, now)).collect();
    let next = page.next.map(|place| with_query(Section::Keys.path(), [("after", place.as_str())]));
    Ok(v.page(StatusCode::OK, &Page { v: &v, keys, next })?)
}

/// `POST /console/keys/{key_id}/revocation`.
pub(crate) async fn revoke(visit: Visit, Path(id): Path<String>) -> Response {
    visit.answer("revoking a key", |visit| async move { revoked(&visit, &id).await }).await
}

async fn revoked(visit: &OpenVisit, id: &str) -> Result<Response, Trouble> {
    let id = KeyId::parse(id).map_err(|_| Trouble::Unknown(Thing::Key))?;
    let call = Call::to(Function::AccountApi, Method::DELETE, "/keys/{key_id}", Some(id.as_str()));
    visit.act(&Act::named("key.revoke", Some(id.to_string())), call).await?;
    Ok(visit.frame().see("/console/keys", Some(Done::KeyRevoked)))
}
