//! The search for accounts: by what the business has said about them, or by their own properties.
//!
//! A state or a reference is a list of its own in the index, and an appid or original id is looked up. For everything
//! else a list is read and filtered for a bounded time: a page that is not full by then ends early.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base::ids::AppId;
use store::{AccountList, AccountLists, AccountState, KnownAccount, StoreError, UserNames};
use tokio::time::Instant;
use wechat::api::AccountKind;

/// How long accounts are read and filtered.
const LOOKING: Duration = Duration::from_secs(2);

/// How many accounts are read at once to be filtered.
const AT_ONCE: usize = 100;

/// Which accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountFilters {
    /// Those in this state.
    pub state: Option<AccountState>,
    /// Those with this reference.
    pub reference: Option<String>,
    /// Those of this kind.
    pub kind: Option<AccountKind>,
    /// Those with all of these tags.
    pub tags: BTreeMap<String, String>,
    /// An appid, an original id, or a part of a name.
    pub text: Option<String>,
}

/// A page of the accounts that were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountsFound {
    /// The accounts, ordered by appid.
    pub accounts: Vec<KnownAccount>,
    /// The account after which the next page begins, if there may be more.
    pub next: Option<AppId>,
    /// How many accounts of a list were read to find them.
    pub read: usize,
}

/// The search for accounts.
#[derive(Debug, Clone, Copy)]
pub struct AccountSearch<'a> {
    /// The lists.
    pub lists: &'a AccountLists,
    /// The original ids.
    pub names: &'a UserNames,
}

impl AccountSearch<'_> {
    /// The account with the appid or original id in the filters, if it matches them; `None` if they contain neither.
    pub async fn named(&self, filters: &AccountFilters) -> Result<Option<AccountsFound>, StoreError> {
        let Some(text) = &filters.text else { return Ok(None) };
        let appid = match AppId::parse_issued(text) {
            Ok(appid) => Some(appid),
            Err(_) if text.starts_with("gh_") => self.names.account(text).await?,
            Err(_) => return Ok(None),
        };
        let account = match appid {
            Some(appid) => self.lists.get(&appid).await?,
            None => None,
        };
        let accounts = account.into_iter().filter(|account| filters.matches_apart_from_text(account)).collect();
        Ok(Some(AccountsFound { accounts, ..AccountsFound::default() }))
    }

    /// A page of at most `limit` accounts after `after`.
    pub async fn page(
        &self,
        filters: &AccountFilters,
        limit: usize,
        after: Option<&AppId>,
    ) -> Result<AccountsFound, StoreError> {
        let (list, until) = (filters.list(), Instant::now() + LOOKING);
        let mut after = after.cloned();
        let (mut found, mut read) = (Vec::new(), 0);
        loop {
            let at_once = if filters.are_compared() { AT_ONCE } else { limit - found.len() };
            let (page, has_more) = self.lists.page(list, at_once, after.as_ref()).await?;
            read += page.len();
            for account in self.lists.known(list, &page).await? {
                if !filters.matches(&account) {
                    continue;
                }
                let is_last = !has_more && page.last() == Some(&account.appid);
                found.push(account);
                if found.len() == limit {
                    let end = found.last().map(|account| account.appid.clone());
                    return Ok(AccountsFound { accounts: found, next: end.filter(|_| !is_last), read });
                }
            }
            after = page.into_iter().next_back();
            if !has_more || after.is_none() {
                return Ok(AccountsFound { accounts: found, next: None, read });
            }
            if Instant::now() >= until {
                return Ok(AccountsFound { accounts: found, next: after, read });
            }
        }
    }

    /// The same among some accounts only, which are looked up: a limited key has few.
    pub async fn page_among(
        &self,
        filters: &AccountFilters,
        appids: &BTreeSet<AppId>,
        limit: usize,
        after: Option<&AppId>,
    ) -> Result<AccountsFound, StoreError> {
        let is_behind = |appid: &&AppId| after.is_none_or(|after| *appid > after);
        let appids: Vec<AppId> = appids.iter().filter(is_behind).cloned().collect();
        let (mut found, mut read) = (Vec::new(), 0);
        for some in appids.chunks(AT_ONCE) {
            read += some.len();
            let known = self.lists.known(AccountList::All, some).await?;
            found.extend(known.into_iter().filter(|account| filters.matches(account)));
            if found.len() > limit {
                found.truncate(limit);
                let next = found.last().map(|account| account.appid.clone());
                return Ok(AccountsFound { accounts: found, next, read });
            }
        }
        Ok(AccountsFound { accounts: found, next: None, read })
    }
}

impl AccountFilters {
    /// The list in the index that contains all matching accounts, and perhaps others.
    #[must_use]
    pub fn list(&self) -> AccountList<'_> {
        match (&self.reference, self.state) {
            (Some(reference), _) => AccountList::WithReference(reference),
            (None, Some(state)) => AccountList::InState(state),
            (None, None) => AccountList::All,
        }
    }

    /// Whether the list may contain accounts that do not match.
    #[must_use]
    pub fn are_compared(&self) -> bool {
        let by_list = [self.reference.is_some(), self.state.is_some()].into_iter().filter(|asked| *asked).count();
        by_list > 1 || self.kind.is_some() || !self.tags.is_empty() || self.text.is_some()
    }

    /// Whether an account matches.
    #[must_use]
    pub fn matches(&self, account: &KnownAccount) -> bool {
        let Some(profile) = &account.details.profile else {
            return self.text.is_none() && self.matches_apart_from_text(account);
        };
        let mut names = [&profile.nick_name, &profile.principal_name, &profile.alias].into_iter().flatten();
        let has_text = |text: String| names.any(|name| name.to_lowercase().contains(&text));
        self.text.as_ref().map(|text| text.to_lowercase()).is_none_or(has_text) && self.matches_apart_from_text(account)
    }

    fn matches_apart_from_text(&self, account: &KnownAccount) -> bool {
        let details = &account.details;
        let tags = &details.labels.tags;
        self.state.is_none_or(|state| details.state.is_some_and(|(known, _)| known == state))
            && self.reference.as_ref().is_none_or(|reference| details.labels.reference.as_ref() == Some(reference))
            && self.kind.is_none_or(|kind| details.profile.as_ref().is_some_and(|profile| profile.kind == kind))
            && self.tags.iter().all(|(key, value)| tags.get(key) == Some(value))
    }
}
