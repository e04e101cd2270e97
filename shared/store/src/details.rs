//! The details of an account, apart from its tokens: its profile, its permission sets, and what the business has said
//! about it.
//!
//! The item changes only when one of these does, so renewals do not rewrite the lists that it is in. Its state is that
//! of the account's row: both are changed in one transaction, together with the event that reports the change
//! ([`crate::Outbox`]).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use base::clock::Timestamp;
use base::ids::{AppId, LinkId};
use serde_json::Value as Json;
use wechat::api::Profile;

use crate::StoreError;
use crate::account_list::AccountList;
use crate::account_state::AccountState;
use crate::attributes::{
    ACTIVE_SINCE, ASKING_LINK, DETAILS_STATE, EVENTS, FUNC_INFO, GRANTED_AT, LABELS_VERSION, LINK, LIST_PK, LIST_SK,
    LOGIN_ORIGINS, NEEDS_AUTHORIZATION_SINCE, PK, PROFILE, PROFILE_ASKED_AT, PROFILE_ASKED_BY, PROFILE_READ_AT,
    REFERENCE, STATE, STATE_SINCE, STORED_AT, UNAUTHORIZED_SINCE, VERSION,
};
use crate::item::{Attributes, Item};
use crate::labels::{Labels, Said};
use crate::link::{BoundBy, Links};
use crate::outbox::OutboxEvent;
use crate::part::{Key, Part};
use crate::request::Written;
use crate::state_event::{StateChange, StateEvent};
use crate::write::{Change, Value, absent, counts, exists, is_until};

/// The sort key of an account's details.
pub const DETAILS_SORT: &str = "details";

/// The details of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountDetails {
    /// The account as people see it; `None` until it has been read from WeChat.
    pub profile: Option<Profile>,
    /// The ids of the permission sets granted.
    pub func_info: Vec<u32>,
    /// What the business has said.
    pub labels: Labels,
    /// The origins that web logins of the account may return to.
    pub login_origins: Vec<String>,
    /// Raised only when what the business has said changes.
    pub labels_version: u64,
    /// When the profile was last read from WeChat, by our clock.
    pub profile_read_at: Option<Timestamp>,
    /// The link that the grant came through.
    pub link: Option<LinkId>,
    /// The link that last asked the merchant to authorize again.
    pub(crate) asking_link: Option<LinkId>,
    /// The state, and since when; `None` for an account without details.
    pub state: Option<(AccountState, Timestamp)>,
    /// The number of the account's last event; 0 before the first.
    pub events: u64,
    /// Raised by each write.
    pub(crate) version: u64,
}

impl AccountDetails {
    pub(crate) fn read(attributes: Attributes) -> Self {
        let item = Item::new("details", attributes);
        Self {
            profile: item.parsed(PROFILE, |json| serde_json::from_str(json)),
            func_info: item.numbers(FUNC_INFO).collect(),
            labels: Labels::read(&item),
            login_origins: item.list(LOGIN_ORIGINS).filter_map(|origin| origin.as_s().ok().cloned()).collect(),
            labels_version: item.number(LABELS_VERSION).unwrap_or(0),
            profile_read_at: item.instant(PROFILE_READ_AT),
            link: item.parsed(LINK, LinkId::parse),
            asking_link: item.parsed(ASKING_LINK, LinkId::parse),
            state: item.parsed(STATE, AccountState::parse).zip(item.instant(STATE_SINCE)),
            events: item.number(EVENTS).unwrap_or(0),
            version: item.number(VERSION).unwrap_or(0),
        }
    }
}

impl AccountDetails {
    /// These details, completed with what an earlier version has written into the account's row, either since or before
    /// they existed.
    pub(crate) fn with_row(mut self, row: &Item) -> Self {
        let state = row.parsed(STATE, AccountState::parse).filter(|_| row.text(DETAILS_STATE) != row.text(STATE));
        if let Some(state) = state {
            // The earliest versions stored no time of the state.
            let since = [state.since(), GRANTED_AT, STORED_AT].into_iter().find_map(|attribute| row.instant(attribute));
            self.state = Some((state, since.unwrap_or(Timestamp::from_unix(0))));
        }
        if let Some(profile) = row.parsed(PROFILE, |json| serde_json::from_str(json)) {
            self.profile = Some(profile);
        }
        if row.has(FUNC_INFO) {
            self.func_info = row.numbers(FUNC_INFO).collect();
        }
        self
    }
}

/// The details of accounts.
#[derive(Debug, Clone)]
pub struct Details(pub(crate) Part);

impl Details {
    /// Reads the details of an account; `None` if there are none. One read, and another one for a row that an earlier
    /// version has written.
    pub async fn get(&self, authorizer: &AppId) -> Result<Option<AccountDetails>, StoreError> {
        if let Some(attributes) = self.0.get(self.0.details(authorizer)).await? {
            return Ok(Some(AccountDetails::read(attributes)));
        }
        let old = self.0.read(self.0.account(authorizer), &OLD_FORM).await?;
        Ok(old.map(|attributes| AccountDetails::default().with_row(&Item::new("account", attributes))))
    }

    /// The same without the row of an earlier version, for a function that may not read rows, since they contain
    /// tokens. One read.
    pub async fn get_item(&self, authorizer: &AppId) -> Result<Option<AccountDetails>, StoreError> {
        Ok(self.0.get(self.0.details(authorizer)).await?.map(AccountDetails::read))
    }

    /// The profile alone, for a function that may read nothing else. One read.
    pub async fn profile(&self, authorizer: &AppId) -> Result<Option<Profile>, StoreError> {
        let details = self.0.read(self.0.details(authorizer), &PROFILE_ATTRIBUTES).await?.map(AccountDetails::read);
        Ok(details.and_then(|details| details.profile))
    }
}

/// The attributes of an account's details that [`Details::profile`] reads.
pub const PROFILE_ATTRIBUTES: [&str; 1] = [PROFILE];

/// Whether an account's profile may be read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileReading {
    /// It may, and the next reading has to wait.
    Begun,
    /// It was read just now: it may be read again after this long.
    TooSoon(Duration),
    /// The account is not known.
    Unknown,
}

impl Details {
    /// Records that reading an account's profile begins, unless the last reading began less than `pause` ago. `by`
    /// names the request. One write.
    pub async fn begin_profile_reading(
        &self,
        authorizer: &AppId,
        by: &str,
        pause: Duration,
        now: Timestamp,
    ) -> Result<ProfileReading, StoreError> {
        let has_paused = absent(PROFILE_ASKED_AT).or(is_until(PROFILE_ASKED_AT, now.minus(pause)));
        let begun = self.0.change(self.0.details(authorizer)).set(PROFILE_ASKED_AT, now).set(PROFILE_ASKED_BY, by);
        Ok(match begun.when(exists(PK).and(has_paused)).apply_or_read().await? {
            Written::Done(()) => ProfileReading::Begun,
            Written::Refused(None) => ProfileReading::Unknown,
            Written::Refused(Some(details)) => {
                let details = Item::new("details", details);
                // Our own first try, whose reply was lost, counts as success.
                if details.text(PROFILE_ASKED_BY) == Some(by) {
                    return Ok(ProfileReading::Begun);
                }
                let asked = details.instant(PROFILE_ASKED_AT).unwrap_or(now);
                ProfileReading::TooSoon(asked.plus(pause).since(now))
            }
        })
    }
}

/// The attributes that an earlier version wrote into the account's row.
const OLD_FORM: [&str; 9] = [
    PROFILE,
    FUNC_INFO,
    STATE,
    DETAILS_STATE,
    ACTIVE_SINCE,
    UNAUTHORIZED_SINCE,
    NEEDS_AUTHORIZATION_SINCE,
    GRANTED_AT,
    STORED_AT,
];

/// What the merchant's link says about the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantOrigin {
    /// The link.
    pub link: LinkId,
    /// What the business has said on it.
    pub labels: Labels,
    /// The evidence that the account came through it, if the link is bound together with the grant.
    pub binds: Option<BoundBy>,
}

/// The origin of an account's grant.
#[derive(Clone, Copy, Default)]
pub(crate) enum Origin<'a> {
    /// The same as before.
    #[default]
    Unchanged,
    /// Not a link, as far as is known. What the business has said about the account is kept.
    Unknown,
    /// This link.
    Link(&'a GrantOrigin),
}

/// A change of an account's details. Whatever is `None` stays as it is.
#[derive(Default)]
pub(crate) struct DetailsChange<'a> {
    /// The state that the account enters, and the event to report if that is a change.
    pub(crate) state: Option<(AccountState, StateChange)>,
    /// The profile that was just read from WeChat.
    pub(crate) profile: Option<&'a Profile>,
    pub(crate) func_info: Option<&'a [u32]>,
    pub(crate) origin: Origin<'a>,
    /// What the business has just said.
    pub(crate) said: Option<&'a Said>,
    /// If a row of the old form is being moved, when its state began. What is already known is not reported.
    pub(crate) moved_since: Option<Timestamp>,
}

impl DetailsChange<'_> {
    /// The events that report the change, in this order.
    fn changes(&self, known: &AccountDetails) -> Vec<StateChange> {
        if known.state.is_none() && self.moved_since.is_some() {
            return Vec::new();
        }
        let was = known.state.map(|(state, _)| state);
        let entered = self.state.as_ref().filter(|(state, _)| was != Some(*state));
        if let Some((_, change)) = entered {
            return vec![change.clone()];
        }
        let permissions = self.func_info.filter(|_| was == Some(AccountState::Active));
        let permissions = permissions.and_then(|granted| changed_permissions(&known.func_info, granted));
        let profile = self.profile.zip(known.profile.as_ref()).and_then(|(new, old)| changed_members(old, new));
        permissions.into_iter().chain(profile).collect()
    }

    /// Whether a link is to ask the merchant to authorize again.
    pub(crate) const fn asks_again(&self) -> bool {
        matches!(self.state, Some((_, StateChange::NeedsAuthorization { asks_again: Some(_), .. })))
    }

    /// The writes that apply it, on the condition that the details are as they were read.
    pub(crate) fn writes(
        &self,
        part: &Part,
        authorizer: &AppId,
        known: &AccountDetails,
        now: Timestamp,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let (labels, link) = match self.origin {
            Origin::Unchanged => (known.labels.clone(), known.link.as_ref()),
            Origin::Unknown => (known.labels.clone(), None),
            Origin::Link(origin) => (known.labels.with(&origin.labels), Some(&origin.link)),
        };
        let said = self.said.cloned().unwrap_or(Said { labels, login_origins: known.login_origins.clone() });
        let labels = &said.labels;
        let enters = self.state.as_ref().map(|(state, _)| *state).filter(|state| !known.is_in(*state));
        let at = self.moved_since.unwrap_or(now);
        // The first number is a time, so that an account whose details were lost continues above its former numbers.
        let first = if known.events == 0 { now.unix().unsigned_abs() } else { known.events.saturating_add(1) };
        let (mut writes, mut events, mut asking_link) = (Vec::new(), known.events, known.asking_link.clone());
        for (mut change, sequence) in self.changes(known).into_iter().zip(first..) {
            if let StateChange::NeedsAuthorization { asks_again: Some(id), .. } = &mut change {
                // The merchant may still have the earlier link.
                *id = asking_link.unwrap_or_else(|| id.clone());
                asking_link = Some(id.clone());
                writes.extend(Links(part.clone()).asking_again(id, authorizer, known, labels, now)?);
            }
            let event = StateEvent { change, at: at.unix(), labels: labels.clone(), link: link.cloned() };
            let event = OutboxEvent::OfAccount(authorizer.clone(), event);
            writes.push(part.new_event(sequence, &event)?.in_transaction()?);
            events = sequence;
        }
        let mut details = part
            .change(part.details(authorizer))
            .set(VERSION, known.version.saturating_add(1))
            .set(EVENTS, events)
            .set(LIST_PK, part.list_of(AccountList::All))
            .set(LIST_SK, authorizer)
            .set_some(STATE, enters.map(AccountState::as_str))
            .set_some(STATE_SINCE, enters.map(|_| at))
            .set_some(FUNC_INFO, self.func_info.map(|granted| Value::list(granted.iter().copied())))
            .set_or_remove(LINK, link)
            .set_some(ASKING_LINK, asking_link.as_ref())
            .set_some(PROFILE_READ_AT, self.profile.filter(|_| self.moved_since.is_none()).map(|_| now))
            .label(labels);
        if !said.is_known(known) {
            let origins = Some(&said.login_origins).filter(|origins| !origins.is_empty());
            details = details
                .set(LABELS_VERSION, known.labels_version.saturating_add(1))
                .set_or_remove(LOGIN_ORIGINS, origins.map(Value::list));
        }
        if let Some(profile) = self.profile {
            let json = serde_json::to_string(profile);
            let json = json.map_err(|_| StoreError::Corrupt { item: "details", attribute: PROFILE })?;
            details = details.set(PROFILE, json);
        }
        writes.push(details.when(counts(VERSION, known.version)).in_transaction()?);
        if let Some(state) = enters {
            let list = part.list_of(AccountList::InState(state));
            writes.push(part.listed(authorizer, STATE, Some(&list)).in_transaction()?);
        }
        if labels.reference != known.labels.reference {
            let list = labels.reference.as_deref().map(|reference| part.list_of(AccountList::WithReference(reference)));
            writes.push(part.listed(authorizer, REFERENCE, list.as_deref()).in_transaction()?);
        }
        Ok(writes)
    }
}

impl AccountDetails {
    fn is_in(&self, state: AccountState) -> bool {
        self.state.is_some_and(|(known, _)| known == state)
    }
}

impl Part {
    pub(crate) fn details(&self, authorizer: &AppId) -> Key {
        self.key("details", authorizer.as_str(), DETAILS_SORT)
    }

    /// An entry that puts an account into another list, or removes it: an item can be in one list only.
    fn listed(&self, authorizer: &AppId, sk: &str, list: Option<&str>) -> Change {
        let entry = self.change(self.key("details", authorizer.as_str(), sk));
        entry.set_or_remove(LIST_PK, list).set_or_remove(LIST_SK, list.map(|_| authorizer))
    }
}

fn changed_permissions(old: &[u32], new: &[u32]) -> Option<StateChange> {
    let (old, new): (BTreeSet<u32>, BTreeSet<u32>) = (old.iter().copied().collect(), new.iter().copied().collect());
    let added: Vec<u32> = new.difference(&old).copied().collect();
    let removed: Vec<u32> = old.difference(&new).copied().collect();
    (!added.is_empty() || !removed.is_empty()).then_some(StateChange::PermissionsChanged { added, removed })
}

fn changed_members(old: &Profile, new: &Profile) -> Option<StateChange> {
    let members = |profile: &Profile| match serde_json::to_value(profile) {
        Ok(Json::Object(members)) => members.into_iter().collect::<BTreeMap<_, _>>(),
        _ => BTreeMap::new(),
    };
    let (old, new) = (members(old), members(new));
    let members: Vec<String> =
        new.iter().filter(|(name, value)| old.get(*name) != Some(value)).map(|(name, _)| name.clone()).collect();
    (!members.is_empty()).then_some(StateChange::ProfileChanged { members })
}
