//! `GET /accounts`: the accounts page after page, in the order of their appids.
//!
//! A state or a reference is a list of its own in the index, an appid or original id a look-up. Everything else is compared
//! with what is read, for a bounded time: a page that is not full by then has a cursor all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use base::ids::AppId;
use http::StatusCode;
use serde::Serialize;
use store::{AccountList, AccountState, KnownAccount, Labels};
use tokio::time::Instant;
use web::api::{ApiError, json, respond, state_word};
use web::caller::Caller;
use web::{Cursor, PageSize, Parameters, QueryError};
use wechat::api::AccountKind;

use crate::view::AccountItem;
use crate::{AccountService, OpenPlatform};

/// How long accounts are read to be compared.
const LOOKING: Duration = Duration::from_secs(2);

/// Accounts that are read at once to be compared.
const AT_ONCE: usize = 100;

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
    /// There if there may be more: the parameter `cursor` of the next page.
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
    let (found, last) = match (wanted.named(&open).await?, caller.appids()) {
        (Some(named), _) => (named.into_iter().filter(|account| caller.may_use(&account.appid)).collect(), None),
        (None, None) => wanted.find(&open).await?,
        (None, Some(appids)) => wanted.find_among(&open, appids).await?,
    };
    let next_cursor = last.map(|last| wanted.filters.cursor(&last));
    Ok(json(StatusCode::OK, &AccountPage { accounts: found.into_iter().map(AccountItem::of).collect(), next_cursor }))
}

fn tags(parameters: &mut Parameters) -> Result<BTreeMap<String, String>, QueryError> {
    let tags = parameters.with_prefix("tag.");
    let is_named = !tags.contains_key("");
    if is_named { Ok(tags) } else { Err(QueryError::Value("tag.KEY", "a tag with a name, such as tag.plan=gold")) }
}

fn reference(text: &str) -> Option<String> {
    Labels::is_reference(text).then(|| text.to_owned())
}

/// What a request asks for.
struct Wanted {
    filters: Filters,
    limit: usize,
    after: Option<AppId>,
}

/// Which accounts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Filters {
    state: Option<AccountState>,
    reference: Option<String>,
    kind: Option<AccountKind>,
    tags: BTreeMap<String, String>,
    /// An appid, an original id, or a part of a name.
    text: Option<String>,
}

impl Wanted {
    fn read(query: &str) -> Result<Self, QueryError> {
        let mut parameters = Parameters::parse(query)?;
        let filters = Filters {
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
        let texts = filters.texts();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let after = Cursor::read(&mut parameters, &texts, |place| AppId::parse(place).ok())?;
        parameters.finish()?;
        Ok(Self { filters, limit, after })
    }

    /// The account that is named by its appid or original id, if it is what is asked for; `None` where none is named.
    async fn named(&self, open: &OpenPlatform) -> Result<Option<Vec<KnownAccount>>, ApiError> {
        let Some(text) = &self.filters.text else { return Ok(None) };
        let appid = match AppId::parse_issued(text) {
            Ok(appid) => Some(appid),
            Err(_) if text.starts_with("gh_") => open.items.user_names.account(text).await?,
            Err(_) => return Ok(None),
        };
        let account = match appid {
            Some(appid) => open.items.account_lists.get(&appid).await?,
            None => None,
        };
        Ok(Some(account.into_iter().filter(|account| self.filters.fit_but_for_text(account)).collect()))
    }

    /// The accounts of the page, and behind which one the next page begins.
    async fn find(&self, open: &OpenPlatform) -> Result<(Vec<KnownAccount>, Option<AppId>), ApiError> {
        let (accounts, list, until) = (&open.items.account_lists, self.filters.list(), Instant::now() + LOOKING);
        let mut after = self.after.clone();
        let mut found = Vec::new();
        loop {
            let at_once = if self.filters.are_compared() { AT_ONCE } else { self.limit - found.len() };
            let (page, has_more) = accounts.page(list, at_once, after.as_ref()).await?;
            for account in accounts.known(list, &page).await? {
                if !self.filters.fit(&account) {
                    continue;
                }
                let is_last = !has_more && page.last() == Some(&account.appid);
                found.push(account);
                if found.len() == self.limit {
                    let end = found.last().map(|account| account.appid.clone());
                    return Ok((found, end.filter(|_| !is_last)));
                }
            }
            after = page.into_iter().next_back();
            if !has_more || after.is_none() {
                return Ok((found, None));
            }
            if Instant::now() >= until {
                return Ok((found, after));
            }
        }
    }
}

impl Wanted {
    /// The same among some accounts only, which are looked up: a key that is limited has few.
    async fn find_among(
        &self,
        open: &OpenPlatform,
        appids: &BTreeSet<AppId>,
    ) -> Result<(Vec<KnownAccount>, Option<AppId>), ApiError> {
        let is_behind = |appid: &&AppId| self.after.as_ref().is_none_or(|after| *appid > after);
        let appids: Vec<AppId> = appids.iter().filter(is_behind).cloned().collect();
        let mut found = Vec::new();
        for some in appids.chunks(AT_ONCE) {
            let known = open.items.account_lists.known(AccountList::All, some).await?;
            found.extend(known.into_iter().filter(|account| self.filters.fit(account)));
            if found.len() > self.limit {
                found.truncate(self.limit);
                let end = found.last().map(|account| account.appid.clone());
                return Ok((found, end));
            }
        }
        Ok((found, None))
    }
}

impl Filters {
    /// The list in the index that has what is asked for, and perhaps more.
    fn list(&self) -> AccountList<'_> {
        match (&self.reference, self.state) {
            (Some(reference), _) => AccountList::WithReference(reference),
            (None, Some(state)) => AccountList::InState(state),
            (None, None) => AccountList::All,
        }
    }

    /// Whether the list may have accounts that are not asked for.
    fn are_compared(&self) -> bool {
        let by_list = [self.reference.is_some(), self.state.is_some()].into_iter().filter(|asked| *asked).count();
        by_list > 1 || self.kind.is_some() || !self.tags.is_empty() || self.text.is_some()
    }

    fn fit(&self, account: &KnownAccount) -> bool {
        let Some(profile) = &account.details.profile else {
            return self.text.is_none() && self.fit_but_for_text(account);
        };
        let mut names = [&profile.nick_name, &profile.principal_name, &profile.alias].into_iter().flatten();
        let has_text = |text: String| names.any(|name| name.to_lowercase().contains(&text));
        self.text.as_ref().map(|text| text.to_lowercase()).is_none_or(has_text) && self.fit_but_for_text(account)
    }

    fn fit_but_for_text(&self, account: &KnownAccount) -> bool {
        let details = &account.details;
        let tags = &details.labels.tags;
        self.state.is_none_or(|state| details.state.is_some_and(|(known, _)| known == state))
            && self.reference.as_ref().is_none_or(|reference| details.labels.reference.as_ref() == Some(reference))
            && self.kind.is_none_or(|kind| details.profile.as_ref().is_some_and(|profile| profile.kind == kind))
            && self.tags.iter().all(|(key, value)| tags.get(key) == Some(value))
    }

    fn cursor(&self, last: &AppId) -> Cursor {
        let texts = self.texts();
        Cursor::at(last.as_str(), &texts.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The filters as a cursor is bound to them.
    fn texts(&self) -> Vec<String> {
        let tags = self.tags.iter().flat_map(|(key, value)| [key.clone(), value.clone()]);
        let state = self.state.map(state_word).unwrap_or_default().to_owned();
        let kind = self.kind.map(|kind| format!("{kind:?}")).unwrap_or_default();
        let single = [state, self.reference.clone().unwrap_or_default(), kind, self.text.clone().unwrap_or_default()];
        single.into_iter().chain(tags).collect()
    }
}
