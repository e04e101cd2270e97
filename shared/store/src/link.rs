//! Authorization links: what a business requested, and the outcome.
//!
//! A link ends once: one conditional write binds it to an account, another cancels it, and each fails if the other has
//! succeeded.

use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use base::clock::Timestamp;
use base::ids::{AppId, LinkId};

use crate::StoreError;
use crate::attributes::{
    ASKS_AGAIN, AUTH_TYPE, AUTHORIZED_AT, AUTHORIZER, BIZ_APPID, BOUND_BY, CANCELLED_AT, CATEGORY_IDS, CREATED_AT,
    CREATED_BY, EXPIRES_AT, LIST_PK, LIST_SK, MADE_BY, MINT_TIMES, MINTS, PK, REQUESTER_NAME, RETURN_URL, VALID_UNTIL,
};
use crate::details::AccountDetails;
use crate::item::{Attributes, Item};
use crate::labels::Labels;
use crate::part::{Key, Part};
use crate::request::{Order, Written};
use crate::write::{Change, NewItem, Value, absent, equals, exists, is_after};

/// The list of all links.
const ALL: &str = "links";

/// The name of the item in errors.
const ITEM: &str = "link";

/// How long a link can be read after it ended, since a business may ask for its outcome late.
const KEEP_ENDED: Duration = Duration::from_hours(24 * 30);

/// How long a link is valid that asks an account's merchant to authorize again.
const ASKING_AGAIN: Duration = Duration::from_hours(24 * 30);

/// Official accounts and mini programs. In a link for one account, the account itself decides.
const ANY_KIND: u8 = 3;

/// A requested link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRequest {
    /// The kinds of account that may be chosen (protocol section 2).
    pub auth_type: u8,
    /// The one account that may be chosen.
    pub biz_appid: Option<AppId>,
    /// A subset of the platform's permission sets.
    pub category_ids: Vec<u32>,
    /// Where the merchant goes afterwards.
    pub return_url: Option<String>,
    /// The name of the requester, as the merchant knows it.
    pub requester_name: Option<String>,
    /// The labels for the account that is authorized through it.
    pub labels: Labels,
    /// The service that requested it; `None` if the platform itself created it, and for a link of an earlier version.
    pub made_by: Option<String>,
}

/// A link as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its id.
    pub id: LinkId,
    /// The request.
    pub request: LinkRequest,
    /// Until when it can be used.
    pub valid_until: Timestamp,
    /// The account that was authorized through it, and when.
    pub authorized: Option<(AppId, Timestamp)>,
    /// What bound it to that account; `None` for a link that was bound before this was stored.
    pub bound_by: Option<BoundBy>,
    /// When the business cancelled it.
    pub cancelled_at: Option<Timestamp>,
    /// Whether the platform created it, with the event that an account's grant is refused.
    pub(crate) asks_again: bool,
    /// How many pre-auth codes were created for it.
    pub(crate) mints: u32,
    /// When those of the last hour were created.
    pub(crate) mint_times: Vec<Timestamp>,
}

/// The evidence that an account was authorized through a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundBy {
    /// The browser that pressed the link's button came back with the code that was exchanged.
    Browser,
    /// WeChat's push, which names the pre-auth code that was created for the link, but not the browser that confirmed.
    Push,
}

impl BoundBy {
    /// The word in the table and in the business API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Push => "push",
        }
    }

    fn parse(text: &str) -> Result<Self, ()> {
        [Self::Browser, Self::Push].into_iter().find(|by| by.as_str() == text).ok_or(())
    }
}

/// The outcome of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkStatus {
    /// It can be followed.
    Pending,
    /// An account was authorized through it.
    Authorized,
    /// The business cancelled it.
    Cancelled,
    /// It has expired. A merchant who was on WeChat's page at that time may still come back with an account.
    Expired,
}

impl Link {
    /// The status of the link. Authorization and cancellation take precedence over expiry.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> LinkStatus {
        if self.authorized.is_some() {
            LinkStatus::Authorized
        } else if self.cancelled_at.is_some() {
            LinkStatus::Cancelled
        } else if self.valid_until <= now {
            LinkStatus::Expired
        } else {
            LinkStatus::Pending
        }
    }

    /// What the business has said on it about the account that comes through it. A link that asks again only repeats
    /// what had been said about the account when the link was created; it adds nothing, since the business may have
    /// changed that.
    #[must_use]
    pub fn says(&self) -> Labels {
        if self.asks_again { Labels::default() } else { self.request.labels.clone() }
    }

    /// Whether it is bound to this account or can be: a link is for one account, and for none after it was cancelled.
    #[must_use]
    pub fn is_open_to(&self, authorizer: &AppId) -> bool {
        match &self.authorized {
            Some((account, _)) => account == authorizer,
            None => {
                self.cancelled_at.is_none() && self.request.biz_appid.as_ref().is_none_or(|only| only == authorizer)
            }
        }
    }

    /// Whether it is still kept: it is deleted some time after its end.
    fn is_known(&self, now: Timestamp) -> bool {
        now < self.valid_until.plus(KEEP_ENDED)
    }
}

/// Whether a link could be bound to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// It is bound to this account.
    Yes,
    /// It is bound to another account: a link is for one account.
    Another,
    /// The business had cancelled it.
    Cancelled,
    /// It no longer exists.
    Missing,
}

/// The position of a link in the list of its reference: when it was created, and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkPlace(String);

impl LinkPlace {
    fn new(link: &LinkId, created_at: Timestamp) -> Self {
        Self(format!("{:010}#{link}", created_at.unix()))
    }

    /// Parses a position.
    ///
    /// # Errors
    /// `Err` if the text is not one.
    #[expect(clippy::result_unit_err, reason = "a cursor is a place or it is none")]
    pub fn parse(text: &str) -> Result<Self, ()> {
        let (created_at, link) = text.split_once('#').ok_or(())?;
        let is_time = created_at.len() == 10 && created_at.bytes().all(|byte| byte.is_ascii_digit());
        if is_time && LinkId::parse(link).is_ok() { Ok(Self(text.to_owned())) } else { Err(()) }
    }

    /// The position as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn link(&self) -> Option<LinkId> {
        LinkId::parse(self.0.split_once('#')?.1).ok()
    }
}

/// The links.
#[derive(Debug, Clone)]
pub struct Links(pub(crate) Part);

impl Part {
    fn links_with_reference(&self, reference: &str) -> String {
        self.partition("links", &format!("reference#{reference}"))
    }
}

impl Links {
    fn key(&self, link: &LinkId) -> Key {
        self.0.key("link", link.as_str(), "link")
    }

    pub(crate) fn change(&self, link: &LinkId) -> Change {
        self.0.change(self.key(link))
    }

    /// Stores a new link and adds it to the list of all links and, if it has a reference, to the reference's list. A
    /// transaction of two writes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::Contended`] if there is another link with this id.
    pub async fn put(
        &self,
        id: &LinkId,
        request: &LinkRequest,
        valid_until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // A second try after a lost reply writes the same item again.
        let link = self.new_link(id, request, valid_until, now).or_when(equals(CREATED_BY, id));
        let writes = vec![link.in_transaction()?, self.entry(id, valid_until, now).in_transaction()?];
        if self.0.transact_or_refuse(writes, ITEM).await? { Ok(()) } else { Err(StoreError::Contended { item: ITEM }) }
    }

    /// The entry of a link in the list of all links: an item can be in one list only, and the link itself is in its
    /// reference's.
    pub(crate) fn entry(&self, id: &LinkId, valid_until: Timestamp, now: Timestamp) -> Change {
        self.0
            .change(self.entry_key(id))
            .set(EXPIRES_AT, valid_until.plus(KEEP_ENDED))
            .set(LIST_PK, self.0.kind(ALL))
            .set(LIST_SK, LinkPlace::new(id, now).0)
    }

    fn entry_key(&self, link: &LinkId) -> Key {
        self.0.key("link", link.as_str(), "listed")
    }

    /// A link that asks an account's merchant to authorize again, for the permission sets that the account had granted
    /// and with the labels that it had. An earlier one that was neither used nor cancelled is renewed.
    pub(crate) fn asking_again(
        &self,
        id: &LinkId,
        authorizer: &AppId,
        known: &AccountDetails,
        labels: &Labels,
        now: Timestamp,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let request = LinkRequest {
            auth_type: ANY_KIND,
            biz_appid: Some(authorizer.clone()),
            category_ids: known.func_info.clone(),
            return_url: None,
            requester_name: None,
            labels: labels.clone(),
            made_by: None,
        };
        let link = self.new_link(id, &request, now.plus(ASKING_AGAIN), now).set(ASKS_AGAIN, true);
        let link = link.or_when(absent(AUTHORIZER).and(absent(CANCELLED_AT)));
        [link.in_transaction(), self.entry(id, now.plus(ASKING_AGAIN), now).in_transaction()].into_iter().collect()
    }

    fn new_link(&self, id: &LinkId, request: &LinkRequest, valid_until: Timestamp, now: Timestamp) -> NewItem {
        let reference = request.labels.reference.as_ref();
        self.0
            .new_item(self.key(id))
            .set(CREATED_BY, id)
            .set(CREATED_AT, now)
            .set(VALID_UNTIL, valid_until)
            .set(EXPIRES_AT, valid_until.plus(KEEP_ENDED))
            .set(AUTH_TYPE, request.auth_type)
            .set(CATEGORY_IDS, Value::list(request.category_ids.iter().copied()))
            .set(MINTS, 0)
            .set(MINT_TIMES, Value::list::<Timestamp>([]))
            .set_some(BIZ_APPID, request.biz_appid.as_ref())
            .set_some(RETURN_URL, request.return_url.as_ref())
            .set_some(REQUESTER_NAME, request.requester_name.as_ref())
            .set_some(MADE_BY, request.made_by.as_ref())
            .set_some(LIST_PK, reference.map(|reference| self.0.links_with_reference(reference)))
            .set_some(LIST_SK, reference.map(|_| LinkPlace::new(id, now).0))
            .label(&request.labels)
    }

    /// Reads a link; `None` if there is none or it ended long ago. One read.
    pub async fn get(&self, id: &LinkId, now: Timestamp) -> Result<Option<Link>, StoreError> {
        let Some(attributes) = self.0.get(self.key(id)).await? else { return Ok(None) };
        Ok(Some(read_link(id, attributes)?).filter(|link| link.is_known(now)))
    }

    /// Reads links in the order of the given ids, each of which is named once; unknown ones are left out. Half a read
    /// unit per link, eventually consistent.
    pub async fn many(&self, ids: &[LinkId], now: Timestamp) -> Result<Vec<Link>, StoreError> {
        let items = self.0.batch_in_order(ids.iter().map(|id| self.key(id)).collect(), &[]).await?;
        let id_of = |item: &Attributes| LinkId::parse(self.0.id_in("link", item.get(PK)?.as_s().ok()?)?).ok();
        // An unreadable link cannot be used by anybody, and must not hide the others.
        let read = |item: Attributes| read_link(&id_of(&item)?, item).ok();
        Ok(items.into_iter().filter_map(read).filter(|link| link.is_known(now)).collect())
    }

    /// A page of the links with a reference, newest first: `after` is the position of the previous page's last one. If
    /// there are more, the position of the last one that was read is returned. One query of the index, and half a read
    /// unit per link, eventually consistent.
    pub async fn with_reference(
        &self,
        reference: &str,
        limit: usize,
        after: Option<&LinkPlace>,
        now: Timestamp,
    ) -> Result<(Vec<Link>, Option<LinkPlace>), StoreError> {
        let list = self.0.links_with_reference(reference);
        let after = after.and_then(|place| Some((self.key(&place.link()?), place.0.clone())));
        self.listed(&list, limit, after, now).await
    }

    /// The same of all links. Those of an earlier version are not among them.
    pub async fn all(
        &self,
        limit: usize,
        after: Option<&LinkPlace>,
        now: Timestamp,
    ) -> Result<(Vec<Link>, Option<LinkPlace>), StoreError> {
        let after = after.and_then(|place| Some((self.entry_key(&place.link()?), place.0.clone())));
        self.listed(&self.0.kind(ALL), limit, after, now).await
    }

    async fn listed(
        &self,
        list: &str,
        limit: usize,
        after: Option<(Key, String)>,
        now: Timestamp,
    ) -> Result<(Vec<Link>, Option<LinkPlace>), StoreError> {
        let (entries, has_more) = self.0.page_of_list(list, Order::Descending, limit, after).await?;
        let places = entries.into_iter().map(|entry| Item::new("link", entry).parsed(LIST_SK, LinkPlace::parse));
        let places: Vec<LinkPlace> = places.flatten().collect();
        let ids: Vec<LinkId> = places.iter().filter_map(LinkPlace::link).collect();
        Ok((self.many(&ids, now).await?, places.into_iter().next_back().filter(|_| has_more)))
    }

    /// Cancels a pending link, and returns the resulting link: it is cancelled, now or earlier, unless it was
    /// authorized or had expired. `None` if there is none. One write.
    ///
    /// # Errors
    /// [`StoreError`]: a caller that tries again gets the same result.
    pub async fn cancel(&self, id: &LinkId, now: Timestamp) -> Result<Option<Link>, StoreError> {
        let can_be = exists(PK).and(absent(AUTHORIZER)).and(exists(CANCELLED_AT).or(is_after(VALID_UNTIL, now)));
        let cancelled = self.change(id).set_once(CANCELLED_AT, now).when(can_be).apply_and_read().await?;
        let (Written::Done(attributes) | Written::Refused(Some(attributes))) = cancelled else { return Ok(None) };
        Ok(Some(read_link(id, attributes)?).filter(|link| link.is_known(now)))
    }

    /// The write that binds a link that is neither bound nor cancelled.
    pub(crate) fn bound(&self, link: &LinkId, authorizer: &AppId, by: BoundBy, now: Timestamp) -> Change {
        self.change(link).set(AUTHORIZER, authorizer).set(AUTHORIZED_AT, now).set(BOUND_BY, by.as_str()).when(
            exists(PK)
                .and(absent(AUTHORIZER))
                .and(absent(CANCELLED_AT))
                .and(absent(BIZ_APPID).or(equals(BIZ_APPID, authorizer))),
        )
    }

    /// Binds a link to the account that was authorized through it; a link is for one account, and for none after it was
    /// cancelled. One write, and another one if a link that a push has bound is also bound by its browser, which is the
    /// stronger evidence, whichever came first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it is tried again with the inbox entry that caused it.
    pub async fn bind(
        &self,
        link: &LinkId,
        authorizer: &AppId,
        by: BoundBy,
        now: Timestamp,
    ) -> Result<Bound, StoreError> {
        let attributes = match self.bound(link, authorizer, by, now).apply_or_read().await? {
            Written::Done(()) => return Ok(Bound::Yes),
            Written::Refused(None) => return Ok(Bound::Missing),
            Written::Refused(Some(attributes)) => attributes,
        };
        let item = Item::new("link", attributes);
        match item.text(AUTHORIZER) {
            Some(bound) if bound == authorizer.as_str() => {
                if by == BoundBy::Browser && item.parsed(BOUND_BY, BoundBy::parse) == Some(BoundBy::Push) {
                    let too = self.change(link).set(BOUND_BY, by.as_str());
                    too.when(equals(AUTHORIZER, authorizer)).apply().await?;
                }
                Ok(Bound::Yes)
            }
            None if item.has(CANCELLED_AT) => Ok(Bound::Cancelled),
            // If it has no account, it was created for another one only.
            Some(_) | None => Ok(Bound::Another),
        }
    }
}

pub(crate) fn read_link(id: &LinkId, attributes: Attributes) -> Result<Link, StoreError> {
    let item = Item::new("link", attributes);
    Ok(Link {
        id: id.clone(),
        request: LinkRequest {
            auth_type: item.number(AUTH_TYPE).ok_or(item.lacks(AUTH_TYPE))?,
            biz_appid: item.parsed(BIZ_APPID, AppId::parse),
            category_ids: item.numbers(CATEGORY_IDS).collect(),
            return_url: item.text(RETURN_URL).map(str::to_owned),
            requester_name: item.text(REQUESTER_NAME).map(str::to_owned),
            labels: Labels::read(&item),
            made_by: item.text(MADE_BY).map(str::to_owned),
        },
        valid_until: item.instant(VALID_UNTIL).ok_or(item.lacks(VALID_UNTIL))?,
        authorized: item.parsed(AUTHORIZER, AppId::parse).zip(item.instant(AUTHORIZED_AT)),
        bound_by: item.parsed(BOUND_BY, BoundBy::parse),
        cancelled_at: item.instant(CANCELLED_AT),
        asks_again: item.has(ASKS_AGAIN),
        mints: item.number(MINTS).ok_or(item.lacks(MINTS))?,
        mint_times: item.numbers(MINT_TIMES).map(Timestamp::from_unix).collect(),
    })
}
