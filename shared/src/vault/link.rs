//! Authorization links, their attempts, and the bound on how many pre-auth codes a link may make.

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use secrecy::SecretString;

use super::claim::KEEP as CLAIM_KEEP;
use super::item::{Attributes, EXPIRES, Item, Updated, expires, instant, number, text, write, write_or_read};
use super::{Claim, Vault, VaultError};
use crate::clock::Timestamp;
use crate::ids::{AppId, AttemptId, Digest, LinkId};

const SORT: &str = "link";

/// A link is readable this long after it ended: a business may ask late what became of it.
const KEEP_ENDED: Duration = Duration::from_hours(24 * 30);

/// Pre-auth codes of one link in an hour: a merchant who fails tries a few times, a script more often.
pub const MAX_MINTS_PER_HOUR: usize = 10;

/// Pre-auth codes of one link in all.
pub const MAX_MINTS: u32 = 50;

/// An attempt can come back this long: longer than a pre-auth code and an authorization code live together.
pub const ATTEMPT_KEEP: Duration = Duration::from_hours(24);

/// Different authorization codes that one attempt may bring back. WeChat sends one; its address is public, and every
/// code costs a call of WeChat's.
pub const MAX_CODES: u32 = 5;

const HOUR: Duration = Duration::from_hours(1);

/// How often a race for the counter of one link is tried again.
const MINT_TRIES: usize = 5;

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
    mints: u32,
    mint_times: Vec<Timestamp>,
}

impl Link {
    /// Whether it can no longer be used.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.valid_until <= now
    }
}

/// Why a link makes no further pre-auth code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MintRefused {
    /// Ten in the last hour; another is possible after this long.
    Hourly(Duration),
    /// Fifty in all.
    Total,
}

/// One press of the button, as it is remembered.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The claim of the pre-auth code that was made for it.
    pub claim: Digest,
    /// The digest of the cookie that its browser carries; none for codes made for a page of the business's own.
    pub cookie: Option<Digest>,
}

/// Whether an attempt may bring a code back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeCount {
    /// It may: the code is new and within [`MAX_CODES`], or known already.
    Within,
    /// It brought [`MAX_CODES`] others.
    TooMany,
}

/// Whether a link could be bound to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// It is bound to this account.
    Yes,
    /// It is bound to another account, or is no longer there.
    No,
}

impl Vault {
    fn link_key(&self, link: &LinkId) -> String {
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
        let link = read_link(id, attributes)?;
        Ok((now < link.valid_until.plus(KEEP_ENDED)).then_some(link))
    }

    /// Counts a pre-auth code that is about to be made for a link, within its bounds. One write, and a read for each
    /// race that was lost.
    ///
    /// # Errors
    /// [`VaultError`]; [`VaultError::Contended`] where many pressed at once.
    pub async fn count_mint(&self, link: &Link, now: Timestamp) -> Result<Result<(), MintRefused>, VaultError> {
        let mut link = link.clone();
        for _ in 0..MINT_TRIES {
            if let Err(refused) = may_mint(&link, now) {
                return Ok(Err(refused));
            }
            let recent: Vec<AttributeValue> = recent(&link, now).into_iter().chain([now]).map(instant).collect();
            let update = self
                .update(self.link_key(&link.id), SORT)
                .update_expression("SET mints = :next, mint_times = :times")
                .condition_expression("mints = :mints")
                .expression_attribute_values(":mints", number(link.mints))
                .expression_attribute_values(":next", number(link.mints.saturating_add(1)))
                .expression_attribute_values(":times", AttributeValue::L(recent));
            match write_or_read(update).await? {
                Updated::Done(()) => return Ok(Ok(())),
                Updated::Refused(Some(attributes)) => link = read_link(&link.id, attributes)?,
                Updated::Refused(None) => break,
            }
        }
        Err(VaultError::Contended { item: "link" })
    }

    /// Remembers a pre-auth code with its link and attempt: a redirect brings the attempt back, a push the code. A
    /// transaction of two writes.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn put_attempt(
        &self,
        link: &LinkId,
        attempt: &AttemptId,
        code: &SecretString,
        cookie: Option<&Digest>,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        let claim = Claim::of_pre_auth_code(code);
        let put = |pk: String, sk: String, keep: Duration| {
            Put::builder()
                .table_name(self.table())
                .condition_expression("attribute_not_exists(pk)")
                .item("pk", text(pk))
                .item("sk", text(sk))
                .item("created_at", instant(now))
                .item(EXPIRES, expires(now, keep))
        };
        let mut by_attempt =
            put(self.link_key(link), attempt_sort(attempt), ATTEMPT_KEEP).item("claim", text(claim.as_str()));
        if let Some(cookie) = cookie {
            by_attempt = by_attempt.item("cookie", text(cookie.as_str()));
        }
        let by_code = put(self.key("claim", Some(claim.as_str())), "claim".to_owned(), CLAIM_KEEP)
            .item("link", text(link.as_str()))
            .item("attempt", text(attempt.as_str()));
        let mut transaction = self.client().transact_write_items();
        for put in [by_attempt, by_code] {
            let put = put.build().map_err(|_| VaultError::Corrupt { item: "attempt", attribute: "put" })?;
            transaction = transaction.transact_items(TransactWriteItem::builder().put(put).build());
        }
        match transaction.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(service)) if service.err().is_transaction_canceled_exception() => {
                Err(VaultError::Contended { item: "attempt" })
            }
            Err(error) => Err(VaultError::from_sdk("TransactWriteItems", &error)),
        }
    }

    /// An attempt of a link, while it can come back. One read.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn attempt(
        &self,
        link: &LinkId,
        attempt: &AttemptId,
        now: Timestamp,
    ) -> Result<Option<Attempt>, VaultError> {
        let Some(attributes) = self.get(self.link_key(link), &attempt_sort(attempt)).await? else { return Ok(None) };
        let item = Item::new("attempt", attributes);
        let created = item.instant("created_at").ok_or(item.lacks("created_at"))?;
        if created.plus(ATTEMPT_KEEP) <= now {
            return Ok(None);
        }
        Ok(Some(Attempt {
            claim: item.text("claim").map(Digest::from_stored).ok_or(item.lacks("claim"))?,
            cookie: item.text("cookie").map(Digest::from_stored),
        }))
    }

    /// Counts a code that comes back with an attempt. The same code counts once. One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn count_code(
        &self,
        link: &LinkId,
        attempt: &AttemptId,
        code: &SecretString,
    ) -> Result<CodeCount, VaultError> {
        let digest = Claim::of_authorization_code(code);
        let update = self
            .update(self.link_key(link), &attempt_sort(attempt))
            .update_expression("ADD codes :code")
            .condition_expression(
                "attribute_exists(pk) AND \
                 (attribute_not_exists(codes) OR contains(codes, :digest) OR size(codes) < :max)",
            )
            .expression_attribute_values(":code", AttributeValue::Ss(vec![digest.as_str().to_owned()]))
            .expression_attribute_values(":digest", text(digest.as_str()))
            .expression_attribute_values(":max", number(MAX_CODES));
        Ok(if write(update).await? { CodeCount::Within } else { CodeCount::TooMany })
    }

    /// Binds a link to the account that was authorized through it; a link takes one account. One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: tried again with the entry that asked for it.
    pub async fn bind_link(&self, link: &LinkId, authorizer: &AppId, now: Timestamp) -> Result<Bound, VaultError> {
        let update = self
            .update(self.link_key(link), SORT)
            .update_expression("SET authorizer = :authorizer, authorized_at = :now")
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(authorizer)")
            .expression_attribute_values(":authorizer", text(authorizer.as_str()))
            .expression_attribute_values(":now", instant(now));
        Ok(match write_or_read(update).await? {
            Updated::Done(()) => Bound::Yes,
            Updated::Refused(Some(attributes)) => {
                let same = Item::new("link", attributes).text("authorizer") == Some(authorizer.as_str());
                if same { Bound::Yes } else { Bound::No }
            }
            Updated::Refused(None) => Bound::No,
        })
    }
}

fn attempt_sort(attempt: &AttemptId) -> String {
    format!("attempt#{attempt}")
}

fn recent(link: &Link, now: Timestamp) -> Vec<Timestamp> {
    link.mint_times.iter().copied().filter(|at| now < at.plus(HOUR)).collect()
}

fn may_mint(link: &Link, now: Timestamp) -> Result<(), MintRefused> {
    if link.mints >= MAX_MINTS {
        return Err(MintRefused::Total);
    }
    let recent = recent(link, now);
    match recent.first() {
        Some(oldest) if recent.len() >= MAX_MINTS_PER_HOUR => Err(MintRefused::Hourly(oldest.plus(HOUR).since(now))),
        _ => Ok(()),
    }
}

fn read_link(id: &LinkId, attributes: Attributes) -> Result<Link, VaultError> {
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
        mints: item.number("mints").ok_or(item.lacks("mints"))?,
        mint_times: numbers("mint_times")
            .filter_map(|at| at.as_n().ok()?.parse().ok().map(Timestamp::from_unix))
            .collect(),
    })
}
