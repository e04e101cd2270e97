//! Authorization links: what a business asked for, and what became of it.
//!
//! A link ends once: one conditional write binds it to an account, another cancels it, and each refuses what the other
//! has done.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use base::clock::Timestamp;
use base::ids::{AppId, LinkId};

use super::item::{Attributes, EXPIRES, Item, Updated, expires, instant, number, send, text, write, write_or_read};
use super::{Vault, VaultError};

pub(super) const SORT: &str = "link";

/// A link is readable this long after it ended: a business may ask late what became of it.
const KEEP_ENDED: Duration = Duration::from_hours(24 * 30);

/// What a business asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRequest {
    /// Which kinds of account may be chosen (protocol section 2).
    pub auth_type: u8,
    /// The one account that may be chosen.
    pub biz_appid: Option<AppId>,
    /// A subset of the platform's permission sets.
    pub category_ids: Vec<u32>,
    /// Where the merchant goes afterwards.
    pub return_url: Option<String>,
    /// Who asks, as the merchant knows them.
    pub requester_name: Option<String>,
    /// The business's own mark.
    pub reference: Option<String>,
}

/// A link as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its id.
    pub id: LinkId,
    /// What was asked for.
    pub request: LinkRequest,
    /// Until when it can be used.
    pub valid_until: Timestamp,
    /// The account that was authorized through it, and when.
    pub authorized: Option<(AppId, Timestamp)>,
    /// What bound it to that account; `None` for a link that was bound before this was kept.
    pub bound_by: Option<BoundBy>,
    /// When the business cancelled it.
    pub cancelled_at: Option<Timestamp>,
    /// How many pre-auth codes it has made.
    pub(super) mints: u32,
    /// When it made those of the last hour.
    pub(super) mint_times: Vec<Timestamp>,
}

/// What has shown that an account was authorized through a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundBy {
    /// The browser that pressed the link's button came back with the code that was exchanged.
    Browser,
    /// WeChat's push, which names the pre-auth code that was made for the link, and not whose browser confirmed.
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

/// What became of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkStatus {
    /// It can be followed.
    Pending,
    /// An account was authorized through it.
    Authorized,
    /// The business cancelled it.
    Cancelled,
    /// Its time is over. A merchant who was at WeChat by then may still come back with an account.
    Expired,
}

impl Link {
    /// What became of the link. What somebody did to it outweighs that its time is over.
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

    /// Whether it is still known: it is forgotten some time after its end.
    fn is_known(&self, now: Timestamp) -> bool {
        now < self.valid_until.plus(KEEP_ENDED)
    }
}

/// Whether a link could be bound to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// It is bound to this account.
    Yes,
    /// It is bound to another account: a link takes one.
    Another,
    /// The business had cancelled it.
    Cancelled,
    /// It is no longer there.
    Missing,
}

impl Vault {
    pub(super) fn link_key(&self, link: &LinkId) -> String {
        self.key("link", Some(link.as_str()))
    }

    /// Keeps a new link. One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn put_link(
        &self,
        id: &LinkId,
        request: &LinkRequest,
        valid_until: Timestamp,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        let mut put = self
            .client()
            .put_item()
            .table_name(self.table())
            .condition_expression("attribute_not_exists(pk) OR created_by = :id")
            .expression_attribute_values(":id", text(id.as_str()))
            .item("pk", text(self.link_key(id)))
            .item("sk", text(SORT))
            // A second try after a lost reply writes the same again.
            .item("created_by", text(id.as_str()))
            .item("created_at", instant(now))
            .item("valid_until", instant(valid_until))
            .item(EXPIRES, expires(valid_until, KEEP_ENDED))
            .item("auth_type", number(request.auth_type))
            .item("category_ids", AttributeValue::L(request.category_ids.iter().map(|id| number(*id)).collect()))
            .item("mints", number(0))
            .item("mint_times", AttributeValue::L(Vec::new()));
        let optional = [
            ("biz_appid", request.biz_appid.as_ref().map(AppId::as_str)),
            ("return_url", request.return_url.as_deref()),
            ("requester_name", request.requester_name.as_deref()),
            ("reference", request.reference.as_deref()),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                put = put.item(name, text(value));
            }
        }
        put.send().await.map(drop).map_err(|error| VaultError::from_sdk("PutItem", &error))
    }

    /// A link; nothing where there is none or where it ended long ago. One read.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn link(&self, id: &LinkId, now: Timestamp) -> Result<Option<Link>, VaultError> {
        let Some(attributes) = self.get(self.link_key(id), SORT).await? else { return Ok(None) };
        Ok(Some(read_link(id, attributes)?).filter(|link| link.is_known(now)))
    }

    /// Cancels a link that is pending, and answers with the link as it is then: cancelled, now or before, unless it was
    /// authorized or had expired. `None` if there is none. One write.
    ///
    /// # Errors
    /// [`VaultError`]: whoever asks again gets the same answer.
    pub async fn cancel_link(&self, id: &LinkId, now: Timestamp) -> Result<Option<Link>, VaultError> {
        let update = self
            .update(self.link_key(id), SORT)
            .update_expression("SET cancelled_at = if_not_exists(cancelled_at, :now)")
            .condition_expression(
                "attribute_exists(pk) AND attribute_not_exists(authorizer) \
                 AND (attribute_exists(cancelled_at) OR valid_until > :now)",
            )
            .expression_attribute_values(":now", instant(now));
        let (Updated::Done(attributes) | Updated::Refused(Some(attributes))) = send(update).await? else {
            return Ok(None);
        };
        Ok(Some(read_link(id, attributes)?).filter(|link| link.is_known(now)))
    }

    /// Binds a link to the account that was authorized through it; a link takes one account, and none once it was
    /// cancelled. One write, and another where a link that a push has bound is bound by its browser too: that says more,
    /// whichever came first.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: tried again with the entry that asked for it.
    pub async fn bind_link(
        &self,
        link: &LinkId,
        authorizer: &AppId,
        by: BoundBy,
        now: Timestamp,
    ) -> Result<Bound, VaultError> {
        let update = self
            .update(self.link_key(link), SORT)
            .update_expression("SET authorizer = :authorizer, authorized_at = :now, bound_by = :by")
            .expression_attribute_values(":by", text(by.as_str()))
            .condition_expression(
                "attribute_exists(pk) AND attribute_not_exists(authorizer) AND attribute_not_exists(cancelled_at)",
            )
            .expression_attribute_values(":authorizer", text(authorizer.as_str()))
            .expression_attribute_values(":now", instant(now));
        let attributes = match write_or_read(update).await? {
            Updated::Done(()) => return Ok(Bound::Yes),
            Updated::Refused(None) => return Ok(Bound::Missing),
            Updated::Refused(Some(attributes)) => attributes,
        };
        let item = Item::new("link", attributes);
        match item.text("authorizer") {
            Some(bound) if bound == authorizer.as_str() => {
                if by == BoundBy::Browser && item.parsed("bound_by", BoundBy::parse) == Some(BoundBy::Push) {
                    self.bound_by_browser_too(link, authorizer).await?;
                }
                Ok(Bound::Yes)
            }
            Some(_) => Ok(Bound::Another),
            None => Ok(Bound::Cancelled),
        }
    }

    async fn bound_by_browser_too(&self, link: &LinkId, authorizer: &AppId) -> Result<(), VaultError> {
        let update = self
            .update(self.link_key(link), SORT)
            .update_expression("SET bound_by = :by")
            .condition_expression("authorizer = :authorizer")
            .expression_attribute_values(":by", text(BoundBy::Browser.as_str()))
            .expression_attribute_values(":authorizer", text(authorizer.as_str()));
        write(update).await.map(drop)
    }
}

pub(super) fn read_link(id: &LinkId, attributes: Attributes) -> Result<Link, VaultError> {
    let item = Item::new("link", attributes);
    let numbers = |name| item.attributes.get(name).and_then(|list| list.as_l().ok()).into_iter().flatten();
    Ok(Link {
        id: id.clone(),
        request: LinkRequest {
            auth_type: item.number("auth_type").ok_or(item.lacks("auth_type"))?,
            biz_appid: item.parsed("biz_appid", AppId::parse),
            category_ids: numbers("category_ids").filter_map(|id| id.as_n().ok()?.parse().ok()).collect(),
            return_url: item.text("return_url").map(str::to_owned),
            requester_name: item.text("requester_name").map(str::to_owned),
            reference: item.text("reference").map(str::to_owned),
        },
        valid_until: item.instant("valid_until").ok_or(item.lacks("valid_until"))?,
        authorized: item.parsed("authorizer", AppId::parse).zip(item.instant("authorized_at")),
        bound_by: item.parsed("bound_by", BoundBy::parse),
        cancelled_at: item.instant("cancelled_at"),
        mints: item.number("mints").ok_or(item.lacks("mints"))?,
        mint_times: numbers("mint_times")
            .filter_map(|at| at.as_n().ok()?.parse().ok().map(Timestamp::from_unix))
            .collect(),
    })
}
