//! `GET /accounts`: the accounts, page by page, in the order of their appids.
//!
//! [`platform::account_search`] finds them. Even a page that is not full has a cursor if there may be more.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use base::ids::AppId;
use http::StatusCode;
use platform::account_search::{AccountFilters, AccountSearch};
use serde::Serialize;
use store::{AccountState, Labels};
use tokio::time::Instant;
use web::api::{ApiError, json, respond, state_word};
use web::caller::Caller;
use web::{Cursor, PageSize, Parameters, QueryError};
use wechat::api::AccountKind;

use crate::AccountService;
use crate::view::AccountItem;

/// The kinds of account, as this API names them.
pub(crate) const KINDS: [(&str, AccountKind); 3] = [
    ("official_account", AccountKind::OfficialAccount),
    ("mini_program", AccountKind::MiniProgram),
    ("other", AccountKind::Other),
];

/// A page of accounts.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct AccountPage {
    accounts: Vec<AccountItem>,
    /// Present if there may be more: the parameter `cursor` of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    next_cursor: Option<Cursor>,
}

/// `GET /accounts`.
pub(crate) async fn list(State(service): State<AccountService>, caller: Caller, RawQuery(query): RawQuery) -> Response {
    respond(service.services(), "listing accounts", |bound| listed(service.clone(), caller, query, bound)).await
}

async fn listed(
    service: AccountService,
    caller: Caller,
    query: Option<String>,
    bound: Instant,
) -> Result<Response, ApiError> {
    let wanted = Wanted::read(query.as_deref().unwrap_or_default())?;
    let open = service.open(bound).await?;
    let search = AccountSearch { lists: &open.items.account_lists, names: &open.items.user_names };
    let Wanted { filters, limit, after } = &wanted;
    let found = match (search.named(filters).await?, caller.appids()) {
        (Some(mut named), _) => {
            named.accounts.retain(|account| caller.may_use(&account.appid));
            named
        }
        (None, None) => search.page(filters, *limit, after.as_ref()).await?,
        (None, Some(appids)) => search.page_among(filters, appids, *limit, after.as_ref()).await?,
    };
    let next_cursor = found.next.map(|last| cursor(filters, &last));
    let accounts = found.accounts.into_iter().map(AccountItem::of).collect();
    Ok(json(StatusCode::OK, &AccountPage { accounts, next_cursor }))
}

fn tags(parameters: &mut Parameters) -> Result<BTreeMap<String, String>, QueryError> {
    let tags = parameters.with_prefix("tag.");
    let is_named = !tags.contains_key("");
    if is_named { Ok(tags) } else { Err(QueryError::Value("tag.KEY", "a tag with a name, such as tag.plan=gold")) }
}

fn reference(text: &str) -> Option<String> {
    Labels::is_reference(text).then(|| text.to_owned())
}

/// The search that a request asks for.
struct Wanted {
    filters: AccountFilters,
    limit: usize,
    after: Option<AppId>,
}

impl Wanted {
    fn read(query: &str) -> Result<Self, QueryError> {
        let mut parameters = Parameters::parse(query)?;
        let filters = AccountFilters {
            state: parameters.parsed("state", "active, needs_authorization or unauthorized", |text| {
                AccountState::ALL.into_iter().find(|state| state_word(*state) == text)
            })?,
            reference: parameters.parsed("reference", "a text of 1 to 256 characters", reference)?,
            kind: parameters.parsed("kind", "official_account, mini_program or other", |text| {
                KINDS.into_iter().find_map(|(word, kind)| (word == text).then_some(kind))
            })?,
            tags: tags(&mut parameters)?,
            text: parameters.parsed("q", "a text with something visible", |text| {
                Some(text.trim().to_owned()).filter(|text| !text.is_empty())
            })?,
        };
        let PageSize(limit) = PageSize::read(&mut parameters)?;
        let texts = texts(&filters);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let after = Cursor::read(&mut parameters, &texts, |place| AppId::parse(place).ok())?;
        parameters.finish()?;
        Ok(Self { filters, limit, after })
    }
}

fn cursor(filters: &AccountFilters, last: &AppId) -> Cursor {
    let texts = texts(filters);
    Cursor::at(last.as_str(), &texts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The filters in the form that a cursor is bound to.
fn texts(filters: &AccountFilters) -> Vec<String> {
    let tags = filters.tags.iter().flat_map(|(key, value)| [key.clone(), value.clone()]);
    let state = filters.state.map(state_word).unwrap_or_default().to_owned();
    let kind = filters.kind.map(|kind| format!("{kind:?}")).unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let single = [state, text(&filters.reference), kind, text(&filters.text)];
    single.into_iter().chain(tags).collect()
}
