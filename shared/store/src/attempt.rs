//! Attempts: each press of a link's button, with the pre-auth code that was made for it, and what comes back.

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use base::clock::Timestamp;
use base::ids::{AttemptId, Digest, LinkId};
use secrecy::SecretString;

use super::claim::KEEP as CLAIM_KEEP;
use super::item::{EXPIRES, Item, expires, instant, number, text, write};
use super::{Claim, Vault, VaultError};

/// An attempt can come back this long: longer than a pre-auth code and an authorization code live together.
pub const ATTEMPT_KEEP: Duration = Duration::from_hours(24);

/// Different authorization codes that one attempt may bring back. WeChat sends one; its address is public, and every
/// code costs a call of WeChat's.
pub const MAX_CODES: u32 = 5;

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

impl Vault {
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
}

fn attempt_sort(attempt: &AttemptId) -> String {
    format!("attempt#{attempt}")
}
