//! `/console/accounts`: the list of accounts, and their states.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;
use base::clock::Timestamp;
use base::ids::AppId;
use base::language::Language;
use base::phrase::Noun;
use http::StatusCode;
use platform::account_search::{AccountFilters, AccountSearch, AccountsFound};
use store::{AccountState, KnownAccount, Labels};

use crate::access::Open;
use crate::trouble::Trouble;
use crate::view::{View, with_query};
use crate::visit::{OpenVisit, Visit};
use crate::words::{self, Badge, Section};

/// Accounts on a page.
const PAGE: usize = 100;

/// The search, as the form has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) text: String,
    pub(crate) state: String,
    pub(crate) kind: String,
    /// The reference.
    pub(crate) reference: String,
    /// One tag, `key=value`.
    pub(crate) tag: String,
}

impl Filter {
    pub(crate) fn read(visit: &OpenVisit) -> Self {
        let names = ["q", "state", "kind", "reference", "tag"];
        let [text, state, kind, reference, tag] = names.map(|name| visit.parameter(name));
        Self { text, state, kind, reference, tag }
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The filters; `None` if one of them cannot match any account.
    pub(crate) fn filters(&self) -> Option<AccountFilters> {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let state = match self.state.as_str() {
            "" => None,
            word => Some(AccountState::ALL.into_iter().find(|state| state.as_str() == word)?),
        };
        let kind = match self.kind.as_str() {
            "" => None,
            word => Some(words::KINDS.into_iter().find(|(known, _)| *known == word)?.1),
        };
        let mut tags = BTreeMap::new();
        if !self.tag.is_empty() {
            let (key, value) = self.tag.split_once('=')?;
            tags.insert(key.trim().to_owned(), value.trim().to_owned());
        }
        if !self.reference.is_empty() && !Labels::is_reference(&self.reference) {
            return None;
        }
        Some(AccountFilters { state, kind, tags, reference: given(&self.reference), text: given(&self.text) })
    }

    /// Whether accounts are compared with the search one by one.
    fn is_compared(&self) -> bool {
        self.filters().is_some_and(|filters| filters.are_compared())
    }

    /// The URL of a page with these filters, and more in its query.
    pub(crate) fn at(&self, path: &str, more: &[(&str, &str)]) -> String {
        let fields = [
            ("q", self.text.as_str()),
            ("state", &self.state),
            ("kind", &self.kind),
            ("reference", &self.reference),
            ("tag", &self.tag),
        ];
        with_query(path, fields.into_iter().chain(more.iter().copied()))
    }
}

#[derive(Template)]
#[template(path = "accounts.html")]
struct Page<'a> {
    v: &'a View,
    filter: &'a Filter,
    states: Vec<Choice>,
    kinds: Vec<Choice>,
    rows: Vec<Row>,
    /// Whether nothing is there yet.
    is_new: bool,
    /// How many accounts were compared so far, if they are compared one by one.
    compared: Option<String>,
    next: Option<String>,
    export: String,
}

/// One of several values that a field can have.
pub(crate) struct Choice {
    pub(crate) word: String,
    pub(crate) text: String,
    pub(crate) is_chosen: bool,
}

/// An account in a list.
struct Row {
    appid: AppId,
    name: String,
    picture: Option<String>,
    kind: &'static str,
    reference: String,
    state: Badge,
    since: Option<Timestamp>,
    failure: Option<String>,
}

impl Row {
    fn of(account: &KnownAccount, language: Language) -> Self {
        let details = &account.details;
        let profile = details.profile.as_ref();
        Self {
            appid: account.appid.clone(),
            name: profile.and_then(|profile| profile.nick_name.clone()).unwrap_or_default(),
            picture: profile.and_then(|profile| words::picture(profile.head_img.as_deref())),
            kind: profile.map(|profile| words::kind(profile.kind, language)).unwrap_or_default(),
            reference: details.labels.reference.clone().unwrap_or_default(),
            state: words::standing(account, language),
            since: details.state.map(|(_, since)| since),
            failure: account.token.last_error.as_deref().map(|label| words::failure(label, language)),
        }
    }
}

/// `GET /console/accounts`.
pub(crate) async fn show(visit: Visit) -> Response {
    visit.answer("listing accounts", shown).await
}

async fn shown(visit: OpenVisit) -> Result<Response, Trouble> {
    let v = visit.section(Section::Accounts);
    let filter = Filter::read(&visit);
    let after = visit.account_in("after")?;
    let found = find(&visit.open, &filter, PAGE, after.as_ref()).await?;
    let compared = visit.parameter("compared").parse().unwrap_or(0_usize).saturating_add(found.read);
    let states = AccountState::ALL.map(|state| Choice {
        word: state.as_str().to_owned(),
        text: words::state(state, v.language).text.to_owned(),
        is_chosen: filter.state == state.as_str(),
    });
    let kinds = words::KINDS.map(|(word, kind)| Choice {
        word: word.to_owned(),
        text: words::kind(kind, v.language).to_owned(),
        is_chosen: filter.kind == word,
    });
    let page = Page {
        filter: &filter,
        states: states.into(),
        kinds: kinds.into(),
        rows: found.accounts.iter().map(|account| Row::of(account, v.language)).collect(),
        is_new: found.accounts.is_empty() && filter.is_empty() && after.is_none(),
        compared: (filter.is_compared() && (found.next.is_some() || after.is_some()))
            .then(|| ACCOUNTS.count(compared as u64, v.language)),
        next: found.next.map(|last| {
            let compared = if filter.is_compared() { compared.to_string() } else { String::new() };
            filter.at(Section::Accounts.path(), &[("after", last.as_str()), ("compared", &compared)])
        }),
        export: filter.at("/console/export", &[]),
        v: &v,
    };
    Ok(v.page(StatusCode::OK, &page)?)
}

/// The noun for counted accounts.
pub(super) const ACCOUNTS: Noun = Noun::new("个账号", "account");

async fn find(open: &Open, filter: &Filter, limit: usize, after: Option<&AppId>) -> Result<AccountsFound, Trouble> {
    let Some(filters) = filter.filters() else { return Ok(AccountsFound::default()) };
    let search = AccountSearch { lists: &open.items.account_lists, names: &open.items.user_names };
    Ok(match search.named(&filters).await? {
        Some(named) => named,
        None => search.page(&filters, limit, after).await?,
    })
}
