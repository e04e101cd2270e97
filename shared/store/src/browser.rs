//! The browsers of operators: each is bound by an invitation, and has a secret in a cookie.
//!
//! The table contains a digest of the secret and never the secret. A secret is replaced in two steps, since the
//! response with a new one may be lost: it is offered ([`Browsers::offer`]), and becomes the secret when the browser
//! uses it ([`Browsers::take`]). The replaced secret is remembered: if it is used later, somebody has a copy.

use std::time::Duration;

use base::clock::Timestamp;
use base::digest_id;
use base::ids::{BrowserId, Digest, OperatorId, OperatorName};
use secrecy::{ExposeSecret as _, SecretString};

use crate::attributes::{
    BOUND_AT, ENDED_AT, ENDED_BY, ENDS_AT, EXPIRES_AT, FORM_TOKEN, LABEL, LAST_SEEN_ON, NEXT_DIGEST, NEXT_MADE_AT,
    OPERATOR_ID, PK, PREVIOUS_DIGEST, REPLACED_AT, ROTATED_AT, SECRET_DIGEST, SK, USED_AT,
};
use crate::audit::AuditEntry;
use crate::invitation::{Invitation, InvitationDigest};
use crate::item::{Attributes, Item};
use crate::key_event::Actor;
use crate::operator::{OPERATOR_ATTRIBUTES, Operator};
use crate::part::{Key, Part};
use crate::request::Order;
use crate::write::{Condition, absent, check, equals, exists, id_value, is_after, is_before};
use crate::{StoreError, WriteOutcome};

/// How long a browser stays bound.
pub const BROWSER_LIFE: Duration = Duration::from_hours(24 * 30);

/// The attributes of a browser's item that [`Browsers::of`] reads. None of them is secret.
pub const KNOWN_BROWSER_ATTRIBUTES: [&str; 8] =
    [SK, OPERATOR_ID, BOUND_AT, ENDS_AT, LAST_SEEN_ON, LABEL, ENDED_AT, ENDED_BY];

/// How many browsers are read at once.
const AT_ONCE: usize = 100;

/// The greatest number of characters of a browser's label.
const LONGEST_LABEL: usize = 60;

digest_id! {
    /// The digest of the secret in a browser's cookie.
    SecretDigest
}

id_value!(SecretDigest);

impl SecretDigest {
    /// The digest of a secret.
    #[must_use]
    pub fn of(secret: &SecretString) -> Self {
        Self(Digest::of(&["browser", secret.expose_secret()]))
    }

    /// Compares two digests in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.matches(&other.0)
    }
}

/// A browser to be bound.
#[derive(Debug, Clone)]
pub struct NewBrowser {
    /// Its id.
    pub id: BrowserId,
    /// The digest of its first secret.
    pub secret: SecretDigest,
    /// The token that its forms must contain.
    pub form_token: SecretString,
    /// Its label for people, such as `Chrome, Windows`. It is shortened, and unprintable characters are left out.
    pub label: String,
}

/// A browser as it is stored.
#[derive(Debug, Clone)]
pub struct Browser {
    /// Its id.
    pub id: BrowserId,
    /// The operator's name.
    pub operator: OperatorName,
    /// The operator's id, which distinguishes operators with the same name.
    pub operator_id: OperatorId,
    /// The digest of its secret.
    pub secret: SecretDigest,
    /// The digest of the secret that it was offered, and when.
    pub next: Option<(SecretDigest, Timestamp)>,
    /// The digest of the secret that was replaced, and when.
    pub previous: Option<(SecretDigest, Timestamp)>,
    /// The token that its forms must contain.
    pub form_token: SecretString,
    /// When it was bound.
    pub bound_at: Timestamp,
    /// Until when it is accepted.
    pub ends_at: Timestamp,
    /// When its secret was generated.
    pub rotated_at: Timestamp,
    /// The last day (in UTC, such as `2026-01-31`) on which it was used.
    pub last_seen_on: Option<String>,
    /// Its label for people.
    pub label: String,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
    /// Who ended it.
    pub ended_by: Option<String>,
}

impl Browser {
    /// Whether it is accepted, provided that its operator is.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.ends_at
    }

    fn read(operator: OperatorName, attributes: Attributes) -> Result<Self, StoreError> {
        let item = Item::new(ITEM, attributes);
        let text = |name: &'static str| item.text(name).ok_or(item.lacks(name));
        let secret = |digest, at| Some((item.text(digest).map(SecretDigest::from_stored)?, item.instant(at)?));
        let known = KnownBrowser::read(&item)?;
        Ok(Self {
            id: known.id,
            operator,
            operator_id: known.operator_id,
            secret: text(SECRET_DIGEST).map(SecretDigest::from_stored)?,
            next: secret(NEXT_DIGEST, NEXT_MADE_AT),
            previous: secret(PREVIOUS_DIGEST, REPLACED_AT),
            form_token: item.secret(FORM_TOKEN).ok_or(item.lacks(FORM_TOKEN))?,
            bound_at: known.bound_at,
            ends_at: known.ends_at,
            rotated_at: item.instant(ROTATED_AT).ok_or(item.lacks(ROTATED_AT))?,
            last_seen_on: known.last_seen_on,
            label: known.label,
            ended_at: known.ended_at,
            ended_by: known.ended_by,
        })
    }
}

/// A browser without its secrets, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownBrowser {
    /// Its id.
    pub id: BrowserId,
    /// The id of its operator.
    pub operator_id: OperatorId,
    /// Its label for people.
    pub label: String,
    /// When it was bound.
    pub bound_at: Timestamp,
    /// Until when it is accepted.
    pub ends_at: Timestamp,
    /// The last day (in UTC, such as `2026-01-31`) on which it was used.
    pub last_seen_on: Option<String>,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
    /// Who ended it.
    pub ended_by: Option<String>,
}

impl KnownBrowser {
    /// Whether it is accepted, provided that its operator is.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.ends_at
    }

    fn read(item: &Item) -> Result<Self, StoreError> {
        let instant = |name: &'static str| item.instant(name).ok_or(item.lacks(name));
        let id = item.text(SK).and_then(|sk| sk.strip_prefix(PREFIX)).and_then(|id| BrowserId::parse(id).ok());
        Ok(Self {
            id: id.ok_or(item.lacks(SK))?,
            operator_id: item.parsed(OPERATOR_ID, OperatorId::parse).ok_or(item.lacks(OPERATOR_ID))?,
            label: item.text(LABEL).unwrap_or_default().to_owned(),
            bound_at: instant(BOUND_AT)?,
            ends_at: instant(ENDS_AT)?,
            last_seen_on: item.text(LAST_SEEN_ON).map(str::to_owned),
            // An unreadable end must not be taken for none.
            ended_at: if item.has(ENDED_AT) { Some(instant(ENDED_AT)?) } else { None },
            ended_by: item.text(ENDED_BY).map(str::to_owned),
        })
    }
}

/// The browsers of operators.
#[derive(Debug, Clone)]
pub struct Browsers(pub(crate) Part);

impl Browsers {
    fn key(&self, operator: &OperatorName, id: &BrowserId) -> Key {
        self.0.key(KIND, operator.as_str(), &format!("{PREFIX}{id}"))
    }

    /// Binds a browser to an operator by an invitation; `None` if the invitation is unknown, used or expired, or the
    /// operator has ended. A read, a transaction of three writes and a check, and two reads.
    ///
    /// # Errors
    /// [`StoreError`]: the browser may be bound, and the invitation used. The caller may try again with the same
    /// browser.
    pub async fn bind(
        &self,
        operator: &OperatorName,
        invitation: &InvitationDigest,
        browser: &NewBrowser,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Option<(Operator, Browser)>, StoreError> {
        let place = || Invitation::key(&self.0, operator, invitation);
        let Some(found) = self.0.get(place()).await? else { return Ok(None) };
        let id = Invitation::read(invitation.clone(), found)?.operator_id;
        let used = self.0.change(place()).set(USED_AT, now).when(absent(USED_AT).and(is_after(ENDS_AT, now)));
        let valid = check(&self.0, Operator::key(&self.0, operator), Operator::still_valid(&id, now))?;
        let new = self
            .0
            .new_item(self.key(operator, &browser.id))
            .set(OPERATOR_ID, &id)
            .set(SECRET_DIGEST, &browser.secret)
            .set(FORM_TOKEN, &browser.form_token)
            .set(BOUND_AT, now)
            .set(ENDS_AT, now.plus(BROWSER_LIFE))
            .set(ROTATED_AT, now)
            .set(LABEL, label(&browser.label))
            .set(EXPIRES_AT, now.plus(BROWSER_LIFE));
        let entry = AuditEntry::once("browser.bind", &[browser.id.as_str()], actor, now)?;
        let entry = entry.about(browser.id.as_str()).with_detail(&label(&browser.label));
        let writes = vec![used.in_transaction()?, valid, new.in_transaction()?, self.0.audited(&entry)?];
        // If it is refused, its own first try, whose reply was lost, may have succeeded: then the browser exists.
        self.0.transact_or_refuse(writes, ITEM).await?;
        let session = self.session(operator, &browser.id, now).await?;
        Ok(session.filter(|(_, bound)| bound.secret.matches(&browser.secret)))
    }

    /// An operator and one of their browsers, if both exist and are accepted. Two concurrent reads.
    pub async fn session(
        &self,
        operator: &OperatorName,
        id: &BrowserId,
        now: Timestamp,
    ) -> Result<Option<(Operator, Browser)>, StoreError> {
        let operator_key = Operator::key(&self.0, operator);
        let (known, browser) =
            tokio::try_join!(self.0.read(operator_key, &OPERATOR_ATTRIBUTES), self.0.get(self.key(operator, id)))?;
        let (Some(known), Some(browser)) = (known, browser) else { return Ok(None) };
        let known = Operator::read(operator.clone(), known)?;
        let browser = Browser::read(operator.clone(), browser)?;
        let is_accepted = known.id == browser.operator_id && known.is_valid(now) && browser.is_valid(now);
        Ok(is_accepted.then_some((known, browser)))
    }

    /// Stores the next secret that is offered to a browser, replacing any other offered one. One write.
    pub async fn offer(
        &self,
        browser: &Browser,
        next: &SecretDigest,
        now: Timestamp,
    ) -> Result<WriteOutcome, StoreError> {
        let as_read = match &browser.next {
            Some((offered, _)) => equals(NEXT_DIGEST, offered),
            None => absent(NEXT_DIGEST),
        };
        let offered = self.0.change(self.key(&browser.operator, &browser.id));
        let offered = offered.set(NEXT_DIGEST, next).set(NEXT_MADE_AT, now);
        let written = offered.when(Self::has_secret_of(browser).and(as_read)).apply_or_read().await?;
        Ok(WriteOutcome::of(written, |item| Item::new(ITEM, item).text(NEXT_DIGEST) == Some(next.as_str())))
    }

    /// Makes the offered secret the browser's secret, and remembers the previous one. One write.
    ///
    /// # Errors
    /// [`StoreError::Unbuildable`] for a browser that was offered none.
    pub async fn take(&self, browser: &Browser, now: Timestamp) -> Result<WriteOutcome, StoreError> {
        let (next, made_at) = browser.next.as_ref().ok_or(StoreError::Unbuildable)?;
        let taken = self
            .0
            .change(self.key(&browser.operator, &browser.id))
            .set(SECRET_DIGEST, next)
            .set(PREVIOUS_DIGEST, &browser.secret)
            .set(REPLACED_AT, now)
            .set(ROTATED_AT, *made_at)
            .remove([NEXT_DIGEST, NEXT_MADE_AT])
            .when(Self::has_secret_of(browser).and(equals(NEXT_DIGEST, next)));
        let written = taken.apply_or_read().await?;
        Ok(WriteOutcome::of(written, |item| Item::new(ITEM, item).text(SECRET_DIGEST) == Some(next.as_str())))
    }

    /// The condition that the browser has the secret that was read, and has not ended.
    fn has_secret_of(browser: &Browser) -> Condition {
        equals(SECRET_DIGEST, &browser.secret).and(absent(ENDED_AT))
    }

    /// Ends a browser, and returns whether there is such a browser of this operator. One that has already ended is not
    /// changed. A read, and a transaction of two writes.
    ///
    /// # Errors
    /// [`StoreError`]: a caller that tries again gets the same result.
    pub async fn end(
        &self,
        operator: &OperatorName,
        id: &BrowserId,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        match self.0.read(self.key(operator, id), &[BOUND_AT, ENDED_AT]).await? {
            None => return Ok(false),
            Some(browser) if browser.contains_key(ENDED_AT) => return Ok(true),
            Some(_) => {}
        }
        let ended = self.0.change(self.key(operator, id)).set(ENDED_AT, now).set(ENDED_BY, &actor.by);
        let ended = ended.when(exists(PK).and(absent(ENDED_AT))).in_transaction()?;
        let entry = AuditEntry::once("browser.end", &[id.as_str()], actor, now)?;
        let entry = self.0.audited(&entry.about(id.as_str()).with_detail(operator.as_str()))?;
        // If it is refused, somebody else was first, or our own first try, whose reply was lost.
        self.0.transact_or_refuse(vec![ended, entry], ITEM).await?;
        Ok(true)
    }

    /// The browsers of an operator that were bound within [`BROWSER_LIFE`], including those that have ended, in no
    /// particular order. One query per hundred, eventually consistent.
    pub async fn of(&self, operator: &Operator, now: Timestamp) -> Result<Vec<KnownBrowser>, StoreError> {
        let partition = self.0.partition(KIND, operator.name.as_str());
        let (mut browsers, mut after): (Vec<KnownBrowser>, _) = (Vec::new(), None);
        loop {
            let (partition, attributes) = (partition.clone(), &KNOWN_BROWSER_ATTRIBUTES);
            let page = self.0.page_below(partition, PREFIX, attributes, Order::Ascending, AT_ONCE, after).await?;
            let (items, has_more) = page;
            let last =
                items.last().and_then(|item| BrowserId::parse(item.get(SK)?.as_s().ok()?.strip_prefix(PREFIX)?).ok());
            // An unreadable browser is not accepted anywhere, and must not hide the others.
            browsers.extend(items.into_iter().flat_map(|item| KnownBrowser::read(&Item::new(ITEM, item))));
            after = last.filter(|_| has_more).map(|id| self.key(&operator.name, &id));
            if after.is_none() {
                browsers.retain(|browser| browser.operator_id == operator.id && now < browser.ends_at);
                return Ok(browsers);
            }
        }
    }

    /// Records that a browser is used on a day (in UTC, such as `2026-01-31`), unless that is already recorded. One
    /// write.
    ///
    /// # Errors
    /// [`StoreError`]: the next use records it.
    pub async fn note_seen(&self, browser: &Browser, day: &str) -> Result<(), StoreError> {
        let is_new = exists(PK).and(absent(LAST_SEEN_ON).or(is_before(LAST_SEEN_ON, day)));
        let seen = self.0.change(self.key(&browser.operator, &browser.id)).set(LAST_SEEN_ON, day);
        seen.when(is_new).apply().await.map(drop)
    }
}

/// Makes a label short and printable.
fn label(text: &str) -> String {
    let is_printable = |c: &char| c.escape_debug().count() == 1 || matches!(c, '"' | '\'' | '\\');
    text.chars().filter(is_printable).take(LONGEST_LABEL).collect()
}

const KIND: &str = "operator";
const PREFIX: &str = "browser#";

/// The name of the item in errors.
const ITEM: &str = "browser";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_short_and_printable() {
        assert_eq!(label("Chrome, \"Windows\""), "Chrome, \"Windows\"");
        assert_eq!(label("微信\u{1b}[31m\u{202e}\n"), "微信[31m");
        assert_eq!(label(&"店".repeat(61)), "店".repeat(60));
    }
}
