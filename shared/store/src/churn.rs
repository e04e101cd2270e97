//! Accounts that were gained and accounts that were lost, newest first, for people who look after merchants.
//!
//! Each is the event that reports it, in one of two lists in the index.

use base::ids::AppId;

use crate::StoreError;
use crate::attributes::{EVENT, LIST_SK, PK};
use crate::item::{Attributes, Item};
use crate::outbox::{OutboxEvent, Subject};
use crate::part::{Key, Part};
use crate::request::Order;
use crate::state_event::{StateChange, StateEvent};

/// The gain or loss of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Churn {
    /// From then on the platform can act for it.
    Gained,
    /// From then on the platform can no longer act for it.
    Lost,
}

impl Churn {
    const fn of(change: &StateChange) -> Option<Self> {
        match change {
            StateChange::Authorized { .. } | StateChange::Recovered { .. } => Some(Self::Gained),
            StateChange::NeedsAuthorization { .. } | StateChange::Unauthorized => Some(Self::Lost),
            StateChange::PermissionsChanged { .. } | StateChange::ProfileChanged { .. } => None,
        }
    }

    /// The list in the index.
    const fn list(self) -> &'static str {
        match self {
            Self::Gained => "gained",
            Self::Lost => "lost",
        }
    }
}

/// An account that was gained or lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChurnedAccount {
    /// The account.
    pub account: AppId,
    /// The event.
    pub event: StateEvent,
}

/// The position of a gain or loss in its list: when it happened, the account, and the number of the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChurnPlace(String);

impl ChurnPlace {
    fn new(account: &AppId, sequence: u64, at: i64) -> Self {
        Self(format!("{at:010}#{account}#{sequence:010}"))
    }

    /// Parses a position; `None` if the text is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('#').collect();
        let [at, account, sequence] = parts[..] else { return None };
        let is_number = |text: &str| text.len() >= 10 && text.bytes().all(|byte| byte.is_ascii_digit());
        (is_number(at) && is_number(sequence) && AppId::parse(account).is_ok()).then(|| Self(text.to_owned()))
    }

    /// The position as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn event(&self) -> Option<(Subject, u64)> {
        let (_, rest) = self.0.split_once('#')?;
        let (account, sequence) = rest.split_once('#')?;
        Some((Subject::Account(AppId::parse(account).ok()?), sequence.parse().ok()?))
    }
}

/// A page of gains or losses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChurnPage {
    /// The gains or losses, newest first.
    pub accounts: Vec<ChurnedAccount>,
    /// The end of the page, if there are more.
    pub next: Option<ChurnPlace>,
}

/// The gains and losses of accounts within the last 90 days.
#[derive(Debug, Clone)]
pub struct ChurnLog(pub(crate) Part);

impl ChurnLog {
    /// A page of gains or losses after `after`, newest first. One query of the index, and half a read unit for each.
    /// Events of an earlier version are not among them.
    pub async fn page(&self, churn: Churn, limit: usize, after: Option<&ChurnPlace>) -> Result<ChurnPage, StoreError> {
        let list = self.0.kind(churn.list());
        let after = after.and_then(|place| Some((self.key(place)?, place.0.clone())));
        let (entries, has_more) = self.0.page_of_list(&list, Order::Descending, limit, after).await?;
        let place = |entry: &Attributes| ChurnPlace::parse(entry.get(LIST_SK)?.as_s().ok()?);
        let places: Vec<ChurnPlace> = entries.iter().filter_map(place).collect();
        let keys: Vec<Key> = places.iter().filter_map(|place| self.key(place)).collect();
        let items = self.0.batch_in_order(keys, &[]).await?;
        let accounts = items.into_iter().filter_map(|item| self.read(&Item::new("event", item))).collect();
        Ok(ChurnPage { accounts, next: places.into_iter().next_back().filter(|_| has_more) })
    }

    fn key(&self, place: &ChurnPlace) -> Option<Key> {
        let (subject, sequence) = place.event()?;
        Some(self.0.event(&subject, sequence))
    }

    fn read(&self, item: &Item) -> Option<ChurnedAccount> {
        let account = self.0.account_in("details", item.text(PK)?)?;
        Some(ChurnedAccount { account, event: item.parsed(EVENT, |json| serde_json::from_str(json))? })
    }
}

/// The list of an event, and its position there.
pub(crate) fn place(part: &Part, sequence: u64, event: &OutboxEvent) -> Option<(String, String)> {
    let OutboxEvent::OfAccount(account, event) = event else { return None };
    let churn = Churn::of(&event.change)?;
    Some((part.kind(churn.list()), ChurnPlace::new(account, sequence, event.at).0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_names_its_event() {
        let account = AppId::parse("wx1234567890abcdef").unwrap();
        let place = ChurnPlace::new(&account, 7, 1_769_846_400);
        assert_eq!(place.as_str(), "1769846400#wx1234567890abcdef#0000000007");
        assert_eq!(ChurnPlace::parse(place.as_str()), Some(place.clone()));
        assert_eq!(place.event(), Some((Subject::Account(account), 7)));
        for bad in ["", "1769846400", "1769846400#wx1", "x#wx1#0000000007", "1769846400#wx 1#0000000007"] {
            assert_eq!(ChurnPlace::parse(bad), None, "{bad}");
        }
    }
}
