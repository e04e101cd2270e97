//! The operators of the platform: who may use the console, what they may do there, and until when.
//!
//! There is neither a password nor an identity provider: an AWS principal creates an operator together with an
//! invitation, which binds a browser ([`Browser`](crate::Browser)). Ending an operator ends all their browsers and
//! invitations, and these do not become valid again if an operator with the same name is created: each has the
//! [`OperatorId`] of its operator.

use std::fmt;
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::{OperatorId, OperatorName};
use base::random::Random;

use crate::StoreError;
use crate::attributes::{
    CREATED_AT, CREATED_BY, EXPIRES_AT, LIST_PK, LIST_SK, OPERATOR_ENDED_AT, OPERATOR_ENDED_BY, OPERATOR_ID,
    OPERATOR_UNTIL, PK, RIGHTS, SK,
};
use crate::audit::AuditEntry;
use crate::invitation::{Invitation, InvitationCode};
use crate::item::{Attributes, Item};
use crate::key_event::Actor;
use crate::part::{Key, Part};
use crate::request::Order;
use crate::write::{Condition, absent, check, equals, exists, is_after, is_until};

/// How long an operator is kept after they were ended or expired.
const KEEP_ENDED: Duration = Duration::from_hours(24 * 30);

/// The attributes of an operator's item that are read.
pub const OPERATOR_ATTRIBUTES: [&str; 9] =
    [PK, SK, OPERATOR_ID, RIGHTS, OPERATOR_UNTIL, CREATED_AT, CREATED_BY, OPERATOR_ENDED_AT, OPERATOR_ENDED_BY];

/// The name under which the console itself calls other functions and ends browsers. No operator has it.
pub const CONSOLE_ITSELF: &str = "console";

/// What an operator may do in the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Read.
    Look,
    /// Read, and change what can be changed there.
    Act,
}

impl Rights {
    /// The word in the table and in the business API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Act => "act",
        }
    }

    /// The rights with this name.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Look, Self::Act].into_iter().find(|rights| rights.as_str() == word)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with a requested operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// The name does not have the required form.
    #[error("name must be 1 to 40 of a to z, 0 to 9, '.', '_' and '-', and begin with a letter or a digit")]
    Name,
    /// The name is reserved for the console itself.
    #[error("name must not be console: the name is reserved for the console itself")]
    Reserved,
    /// The rights are unknown.
    #[error("rights must be look or act")]
    Rights,
    /// The end is not a time, or it is in the past.
    #[error("until must be a time in the future, such as 2099-01-31T08:00:00Z; leave it out for no end")]
    Until,
}

/// A requested operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorRequest {
    name: OperatorName,
    rights: Rights,
    until: Option<Timestamp>,
}

impl OperatorRequest {
    /// An operator with this name and these rights, until a time in RFC 3339 or without an end.
    pub fn new(name: &str, rights: &str, until: Option<&str>, now: Timestamp) -> Result<Self, OperatorError> {
        let name = OperatorName::parse(name).map_err(|_| OperatorError::Name)?;
        if name.as_str() == CONSOLE_ITSELF {
            return Err(OperatorError::Reserved);
        }
        let rights = Rights::parse(rights).ok_or(OperatorError::Rights)?;
        let time = |text| Timestamp::parse_rfc3339(text).filter(|until| now < *until).ok_or(OperatorError::Until);
        Ok(Self { name, rights, until: until.map(time).transpose()? })
    }

    /// Creates the operator to be stored.
    #[must_use]
    pub fn make(self, created_by: &str, random: &Random, now: Timestamp) -> Operator {
        Operator {
            name: self.name,
            id: OperatorId::generate(random),
            rights: self.rights,
            until: self.until,
            created_at: now,
            created_by: created_by.to_owned(),
            ended_at: None,
            ended_by: None,
        }
    }
}

/// An operator as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Their name.
    pub name: OperatorName,
    /// Their id, which distinguishes operators with the same name.
    pub id: OperatorId,
    /// What they may do.
    pub rights: Rights,
    /// When their access ends.
    pub until: Option<Timestamp>,
    /// When they were created.
    pub created_at: Timestamp,
    /// Who created them.
    pub created_by: String,
    /// When they were ended.
    pub ended_at: Option<Timestamp>,
    /// Who ended them.
    pub ended_by: Option<String>,
}

impl Operator {
    /// Whether they may use the console.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && self.until.is_none_or(|until| now < until)
    }

    /// Whether they may change anything there.
    #[must_use]
    pub const fn may_act(&self) -> bool {
        matches!(self.rights, Rights::Act)
    }

    /// Creates an invitation for one of their browsers, and the code for its URL.
    #[must_use]
    pub fn invitation(&self, created_by: &str, random: &Random, now: Timestamp) -> (Invitation, InvitationCode) {
        let code = InvitationCode::generate(&self.name, random);
        (Invitation::new(&code, &self.id, created_by, now), code)
    }

    fn is_known(&self, now: Timestamp) -> bool {
        self.ended_at.or(self.until).is_none_or(|end| now < end.plus(KEEP_ENDED))
    }

    pub(crate) fn key(part: &Part, name: &OperatorName) -> Key {
        part.key(KIND, name.as_str(), SORT)
    }

    /// The condition that the operator with this id is still valid.
    pub(crate) fn still_valid(id: &OperatorId, now: Timestamp) -> Condition {
        let in_time = absent(OPERATOR_UNTIL).or(is_after(OPERATOR_UNTIL, now));
        Condition::All(vec![equals(OPERATOR_ID, id), absent(OPERATOR_ENDED_AT), in_time])
    }

    pub(crate) fn read(name: OperatorName, attributes: Attributes) -> Result<Self, StoreError> {
        let item = Item::new(ITEM, attributes);
        // An unreadable end must not be taken for none.
        let end = |name: &'static str| match item.instant(name) {
            None if item.has(name) => Err(item.lacks(name)),
            end => Ok(end),
        };
        Ok(Self {
            name,
            id: item.parsed(OPERATOR_ID, OperatorId::parse).ok_or(item.lacks(OPERATOR_ID))?,
            rights: item.text(RIGHTS).and_then(Rights::parse).ok_or(item.lacks(RIGHTS))?,
            until: end(OPERATOR_UNTIL)?,
            created_at: item.instant(CREATED_AT).ok_or(item.lacks(CREATED_AT))?,
            created_by: item.text(CREATED_BY).unwrap_or_default().to_owned(),
            ended_at: end(OPERATOR_ENDED_AT)?,
            ended_by: item.text(OPERATOR_ENDED_BY).map(str::to_owned),
        })
    }
}

/// A page of operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorPage {
    /// The operators.
    pub operators: Vec<Operator>,
    /// The last name of the page, if there are more.
    pub next: Option<OperatorName>,
}

/// The operators.
#[derive(Debug, Clone)]
pub struct Operators(pub(crate) Part);

impl Operators {
    fn key(&self, name: &OperatorName) -> Key {
        Operator::key(&self.0, name)
    }

    /// Stores a new operator with an invitation for their first browser, and returns whether it did: not if a valid
    /// operator has this name. A transaction of three writes, and one of the index.
    ///
    /// # Errors
    /// [`StoreError`]: the operator may exist, but nobody has the invitation.
    pub async fn create(
        &self,
        operator: &Operator,
        invitation: &Invitation,
        actor: &Actor,
    ) -> Result<bool, StoreError> {
        let is_over = exists(OPERATOR_ENDED_AT).or(is_until(OPERATOR_UNTIL, operator.created_at));
        let new = self
            .0
            .new_item(self.key(&operator.name))
            .set(OPERATOR_ID, &operator.id)
            .set(RIGHTS, operator.rights.as_str())
            .set(CREATED_AT, operator.created_at)
            .set(CREATED_BY, &operator.created_by)
            .set_some(OPERATOR_UNTIL, operator.until)
            .set_some(EXPIRES_AT, operator.until.map(|until| until.plus(KEEP_ENDED)))
            .set(LIST_PK, self.0.kind(LIST))
            .set(LIST_SK, &operator.name)
            // A second try after a lost reply writes the same item again.
            .or_when(is_over.or(equals(OPERATOR_ID, &operator.id)));
        let entry = AuditEntry::once("operator.create", &[operator.id.as_str()], actor, operator.created_at)?;
        let entry = entry.about(operator.name.as_str()).with_detail(&match operator.until {
            Some(until) => format!("rights {}, until {until}", operator.rights),
            None => format!("rights {}", operator.rights),
        });
        let writes = vec![new.in_transaction()?, self.invited(operator, invitation)?, self.0.audited(&entry)?];
        self.0.transact_or_refuse(writes, ITEM).await
    }

    /// Stores a further invitation of an operator, and returns whether it did: not if the operator has ended meanwhile.
    /// A transaction of two writes and a check.
    ///
    /// # Errors
    /// [`StoreError`]: the invitation may exist, but nobody has its code.
    pub async fn invite(
        &self,
        operator: &Operator,
        invitation: &Invitation,
        actor: &Actor,
    ) -> Result<bool, StoreError> {
        let now = invitation.created_at;
        let valid = check(&self.0, self.key(&operator.name), Operator::still_valid(&operator.id, now))?;
        let entry = AuditEntry::once("operator.invite", &[invitation.digest.as_str()], actor, now)?;
        let entry = self.0.audited(&entry.about(operator.name.as_str()))?;
        self.0.transact_or_refuse(vec![valid, self.invited(operator, invitation)?, entry], ITEM).await
    }

    fn invited(
        &self,
        operator: &Operator,
        invitation: &Invitation,
    ) -> Result<aws_sdk_dynamodb::types::TransactWriteItem, StoreError> {
        let ours = equals(OPERATOR_ID, &invitation.operator_id);
        invitation.item(&self.0, &operator.name).or_when(ours).in_transaction()
    }

    /// Whether an invitation can be used: it and its operator are valid. At most two reads.
    pub async fn has_invitation(&self, code: &InvitationCode, now: Timestamp) -> Result<bool, StoreError> {
        let Some(operator) = self.get(&code.operator).await?.filter(|operator| operator.is_valid(now)) else {
            return Ok(false);
        };
        let found = self.0.get(Invitation::key(&self.0, &code.operator, &code.digest())).await?;
        let invitation = found.map(|attributes| Invitation::read(code.digest(), attributes)).transpose()?;
        Ok(invitation.is_some_and(|found| found.operator_id == operator.id && found.is_valid(now)))
    }

    /// Reads an operator, even one who is no longer valid; `None` if there is none with this name. One read.
    pub async fn get(&self, name: &OperatorName) -> Result<Option<Operator>, StoreError> {
        let found = self.0.read(self.key(name), &OPERATOR_ATTRIBUTES).await?;
        found.map(|attributes| Operator::read(name.clone(), attributes)).transpose()
    }

    /// A page of the operators after `after`, ordered by name, including those who have ended recently. One query of
    /// the index, and half a read unit per operator, eventually consistent.
    pub async fn page(
        &self,
        limit: usize,
        after: Option<&OperatorName>,
        now: Timestamp,
    ) -> Result<OperatorPage, StoreError> {
        let after = after.map(|name| (self.key(name), name.to_string()));
        let (entries, has_more) = self.0.page_of_list(&self.0.kind(LIST), Order::Ascending, limit, after).await?;
        let name_of = |item: &Attributes| OperatorName::parse(self.0.id_in(KIND, item.get(PK)?.as_s().ok()?)?).ok();
        let names: Vec<OperatorName> = entries.iter().filter_map(name_of).collect();
        let keys = names.iter().map(|name| self.key(name)).collect();
        let items = self.0.batch_in_order(keys, &OPERATOR_ATTRIBUTES).await?;
        // An unreadable operator is not accepted anywhere, and must not hide the others.
        let read = |item: Attributes| Operator::read(name_of(&item)?, item).ok();
        let operators = items.into_iter().filter_map(read).filter(|operator| operator.is_known(now)).collect();
        Ok(OperatorPage { operators, next: names.into_iter().next_back().filter(|_| has_more) })
    }

    /// Ends an operator, with their browsers and invitations, and returns the ended operator; `None` if there is none.
    /// Ending an operator again changes nothing. One read and a transaction of two writes.
    ///
    /// # Errors
    /// [`StoreError`]: a caller that tries again gets the same result.
    pub async fn end(
        &self,
        name: &OperatorName,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Option<Operator>, StoreError> {
        let operator = match self.get(name).await? {
            Some(operator) if operator.ended_at.is_none() => operator,
            known => return Ok(known),
        };
        let ended = self
            .0
            .change(self.key(name))
            .set(OPERATOR_ENDED_AT, now)
            .set(OPERATOR_ENDED_BY, &actor.by)
            .set(EXPIRES_AT, now.plus(KEEP_ENDED))
            .when(exists(PK).and(equals(OPERATOR_ID, &operator.id)).and(absent(OPERATOR_ENDED_AT)));
        let entry = AuditEntry::once("operator.end", &[operator.id.as_str()], actor, now)?.about(name.as_str());
        if self.0.transact_or_refuse(vec![ended.in_transaction()?, self.0.audited(&entry)?], ITEM).await? {
            return Ok(Some(Operator { ended_at: Some(now), ended_by: Some(actor.by.clone()), ..operator }));
        }
        // Somebody else was first, or our own first try, whose reply was lost.
        self.get(name).await
    }
}

const KIND: &str = "operator";
const SORT: &str = "operator";
const LIST: &str = "operators";

/// The name of the item in errors.
const ITEM: &str = "operator";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::Value;

    const NOW: Timestamp = Timestamp::from_unix(1_769_846_400);

    #[test]
    fn a_requested_operator_must_be_within_bounds() {
        let asked = |name, rights, until| OperatorRequest::new(name, rights, until, NOW);
        let request = asked("li", "act", Some("2026-01-31T09:00:01+01:00")).unwrap();
        let operator = request.make("me", &Random::system(), NOW);
        assert!(operator.may_act() && operator.is_valid(NOW) && !operator.is_valid(NOW.plus(Duration::from_secs(1))));
        assert!(!asked("li", "look", None).unwrap().make("me", &Random::system(), NOW).may_act());
        assert_eq!(asked("Li", "look", None), Err(OperatorError::Name));
        assert_eq!(asked("console", "look", None), Err(OperatorError::Reserved));
        for bad in ["", "Look", "admin"] {
            assert_eq!(asked("li", bad, None), Err(OperatorError::Rights), "{bad}");
        }
        for bad in ["2026-01-31T08:00:00Z", "2026-02-01", "tomorrow", ""] {
            assert_eq!(asked("li", "look", Some(bad)), Err(OperatorError::Until), "{bad}");
        }
    }

    #[test]
    fn rights_or_an_end_that_cannot_be_read_are_not_guessed() {
        let read = |more: &[(&str, Value)]| {
            let known =
                [(OPERATOR_ID, Value::from("a".repeat(22))), (CREATED_AT, Value::from(1_u64)), (RIGHTS, "look".into())];
            let attributes = known.iter().chain(more).map(|(name, value)| ((*name).to_owned(), value.0.clone()));
            Operator::read(OperatorName::parse("li").unwrap(), attributes.collect())
        };
        assert_eq!(read(&[]).unwrap().until, None);
        for bad in [RIGHTS, OPERATOR_UNTIL, OPERATOR_ENDED_AT] {
            assert!(read(&[(bad, Value::from("soon"))]).is_err(), "{bad}");
        }
    }
}
