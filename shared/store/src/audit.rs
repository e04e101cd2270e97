//! The audit log: what operators have done, and changes to operators.
//!
//! An act in the console is recorded before it is done, and its outcome afterwards: an entry without an outcome means
//! that the act may have taken effect. Changes to operators and their browsers ([`Operators`](crate::Operators),
//! [`Browsers`](crate::Browsers)) are written in one transaction with their entry. No entry contains a secret.

use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use base::clock::Timestamp;
use base::ids::{AppId, AuditId, Digest};
use base::random::Random;

use crate::StoreError;
use crate::attributes::{
    ACT, AT, AUTHORIZER, BY, DETAIL, EXPIRES_AT, LIST_PK, LIST_SK, OUTCOME, PK, REQUEST_ID, SK, SOURCE_IP, SUBJECT,
};
use crate::item::{Attributes, Item};
use crate::key_event::Actor;
use crate::part::{Key, Part};
use crate::request::Order;
use crate::write::{Change, exists};

/// How long entries are kept.
pub const AUDIT_KEPT: Duration = Duration::from_hours(24 * 365);

/// The greatest number of characters of an entry's subject and outcome.
const LONGEST_TEXT: usize = 100;

/// The greatest number of characters of its detail: an item stays below 4 KB.
const LONGEST_DETAIL: usize = 400;

/// The outcome of an act that is written in one transaction with its entry.
const DONE: &str = "done";

/// One act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it began.
    pub at: Timestamp,
    /// Its id.
    pub id: AuditId,
    /// Who did it, and from where.
    pub actor: Actor,
    /// What was done, such as `account.patch`.
    pub act: String,
    /// The account that it was about.
    pub account: Option<AppId>,
    /// What else it was about: the id or name of a link, key or operator.
    pub subject: Option<String>,
    /// Details for people.
    pub detail: Option<String>,
    /// Its outcome; `None` if that is not known.
    pub outcome: Option<String>,
}

impl AuditEntry {
    /// An act that begins now.
    #[must_use]
    pub fn new(act: &str, actor: &Actor, random: &Random, now: Timestamp) -> Self {
        Self::with_id(AuditId::generate(random), act, actor, now)
    }

    /// An act that happens only once to the subject named by `parts`, and that took effect. The same act has the same
    /// id, so that a repeated transaction writes the same entry.
    pub(crate) fn once(act: &str, parts: &[&str], actor: &Actor, now: Timestamp) -> Result<Self, StoreError> {
        let digest = Digest::of(&[&[act], parts].concat());
        let id = digest.as_str().get(..AuditId::LENGTH).and_then(|id| AuditId::parse(id).ok());
        let id = id.ok_or(StoreError::Unbuildable)?;
        Ok(Self { outcome: Some(DONE.to_owned()), ..Self::with_id(id, act, actor, now) })
    }

    fn with_id(id: AuditId, act: &str, actor: &Actor, at: Timestamp) -> Self {
        let (act, actor) = (act.to_owned(), actor.clone());
        Self { at, id, actor, act, account: None, subject: None, detail: None, outcome: None }
    }

    /// The same about an account.
    #[must_use]
    pub fn for_account(self, account: &AppId) -> Self {
        Self { account: Some(account.clone()), ..self }
    }

    /// The same about something else.
    #[must_use]
    pub fn about(self, subject: &str) -> Self {
        Self { subject: Some(bounded(subject, LONGEST_TEXT)), ..self }
    }

    /// The same with details for people, which must not be secret.
    #[must_use]
    pub fn with_detail(self, detail: &str) -> Self {
        Self { detail: Some(bounded(detail, LONGEST_DETAIL)), ..self }
    }

    /// Its position in the log.
    #[must_use]
    pub fn place(&self) -> AuditPlace {
        AuditPlace(format!("{:010}#{}", self.at.unix(), self.id))
    }

    fn read(attributes: Attributes) -> Option<Self> {
        let item = Item::new("audit", attributes);
        let text = |name| item.text(name).map(str::to_owned);
        let id = item.text(SK).and_then(|sk| sk.strip_prefix(PREFIX)).and_then(AuditPlace::parse)?.id()?;
        let actor =
            Actor { by: text(BY)?, source_ip: item.parsed(SOURCE_IP, str::parse), request_id: text(REQUEST_ID) };
        Some(Self {
            at: item.instant(AT)?,
            id,
            actor,
            act: text(ACT)?,
            account: item.parsed(AUTHORIZER, AppId::parse),
            subject: text(SUBJECT),
            detail: text(DETAIL),
            outcome: text(OUTCOME),
        })
    }
}

/// Shortens a text and puts it on one line.
fn bounded(text: &str, longest: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(longest).collect()
}

/// The position of an entry in the log: when it began, and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPlace(String);

impl AuditPlace {
    /// Parses a position; `None` if the text is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (at, id) = text.split_once('#')?;
        let is_time = at.len() == 10 && at.bytes().all(|byte| byte.is_ascii_digit());
        (is_time && AuditId::parse(id).is_ok()).then(|| Self(text.to_owned()))
    }

    /// The position as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn id(&self) -> Option<AuditId> {
        AuditId::parse(self.0.split_once('#')?.1).ok()
    }
}

/// A page of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// The end of the page, if there are more.
    pub next: Option<AuditPlace>,
}

/// The audit log.
#[derive(Debug, Clone)]
pub struct AuditLog(pub(crate) Part);

impl AuditLog {
    /// Records an act that is about to be done. One write.
    ///
    /// # Errors
    /// [`StoreError`]: the act must not be done. There may be an entry without an outcome.
    pub async fn begin(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        self.0.new_entry(entry).apply().await.map(drop)
    }

    /// Records the outcome of an act. One write.
    ///
    /// # Errors
    /// [`StoreError`]: the act was done nevertheless.
    pub async fn finish(&self, place: &AuditPlace, outcome: &str) -> Result<(), StoreError> {
        let finished = self.0.change(self.0.audit(place)).set(OUTCOME, bounded(outcome, LONGEST_TEXT));
        finished.when(exists(PK)).apply().await.map(drop)
    }

    /// A page of the entries before `before`, newest first. One query, eventually consistent.
    pub async fn page(&self, before: Option<&AuditPlace>, limit: usize) -> Result<AuditPage, StoreError> {
        let before = before.map(|place| self.0.audit(place));
        let (items, has_more) = self.0.page_of_partition(self.0.kind(KIND), Order::Descending, limit, before).await?;
        let last = items.last().and_then(|item| AuditPlace::parse(item.get(SK)?.as_s().ok()?.strip_prefix(PREFIX)?));
        let entries = items.into_iter().filter_map(AuditEntry::read).collect();
        Ok(AuditPage { entries, next: last.filter(|_| has_more) })
    }

    /// The same of the entries about an account. One query of the index, and half a read unit per entry, eventually
    /// consistent.
    pub async fn of_account(
        &self,
        account: &AppId,
        before: Option<&AuditPlace>,
        limit: usize,
    ) -> Result<AuditPage, StoreError> {
        let list = self.0.audit_of(account);
        let before = before.map(|place| (self.0.audit(place), place.0.clone()));
        let (listed, has_more) = self.0.page_of_list(&list, Order::Descending, limit, before).await?;
        let place = |entry: &Attributes| AuditPlace::parse(entry.get(LIST_SK)?.as_s().ok()?);
        let places: Vec<AuditPlace> = listed.iter().filter_map(place).collect();
        let items = self.0.batch_in_order(places.iter().map(|place| self.0.audit(place)).collect(), &[]).await?;
        let entries = items.into_iter().filter_map(AuditEntry::read).collect();
        Ok(AuditPage { entries, next: places.into_iter().next_back().filter(|_| has_more) })
    }
}

impl Part {
    fn audit(&self, place: &AuditPlace) -> Key {
        self.only(KIND, &format!("{PREFIX}{}", place.as_str()))
    }

    /// An entry of the audit log as a part of the transaction that performs the act.
    pub(crate) fn audited(&self, entry: &AuditEntry) -> Result<TransactWriteItem, StoreError> {
        self.new_entry(entry).in_transaction()
    }

    /// The list in the index with the entries about an account.
    fn audit_of(&self, account: &AppId) -> String {
        self.partition(KIND, account.as_str())
    }

    fn new_entry(&self, entry: &AuditEntry) -> Change {
        let listed = entry.account.as_ref();
        // Without a condition: an id is used only once, and a second try after a lost reply writes the same item again.
        self.change(self.audit(&entry.place()))
            .set(AT, entry.at)
            .set(BY, &entry.actor.by)
            .set_some(SOURCE_IP, entry.actor.source_ip.map(|ip| ip.to_string()))
            .set_some(REQUEST_ID, entry.actor.request_id.as_ref())
            .set(ACT, &entry.act)
            .set_some(AUTHORIZER, entry.account.as_ref())
            .set_some(SUBJECT, entry.subject.as_ref())
            .set_some(DETAIL, entry.detail.as_ref())
            .set_some(OUTCOME, entry.outcome.as_ref())
            .set_some(LIST_PK, listed.map(|account| self.audit_of(account)))
            .set_some(LIST_SK, listed.map(|_| entry.place().0))
            .set(EXPIRES_AT, entry.at.plus(AUDIT_KEPT))
    }
}

const KIND: &str = "audit";
/// Not `entry#`: through the stream the refresher processes items with that prefix.
const PREFIX: &str = "act#";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_time_and_an_id() {
        let text = format!("1769846400#{}", "a".repeat(22));
        assert_eq!(AuditPlace::parse(&text).unwrap().as_str(), text);
        for bad in ["", "1769846400", "1769846400#a", &text[1..], &format!("{text}#")] {
            assert_eq!(AuditPlace::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn texts_are_short_and_on_one_line() {
        let actor = Actor { by: "operator:li".to_owned(), source_ip: None, request_id: None };
        let entry = AuditEntry::new("account.patch", &actor, &Random::system(), Timestamp::from_unix(1));
        let entry = entry.about("a\nb").with_detail(&"店".repeat(401));
        assert_eq!(entry.subject.as_deref(), Some("a b"));
        assert_eq!(entry.detail, Some("店".repeat(400)));
    }
}
