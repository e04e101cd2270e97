//! Calls with an `Idempotency-Key`: each is sent to WeChat once at most within a day, and whoever sends it again gets the
//! first answer.
//!
//! A key is claimed before the call. If its process dies, or WeChat's answer does not arrive, nobody knows whether the call
//! took effect: from then on the key says so, and nothing is sent under it any more.

use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base::clock::Timestamp;
use base::digest_id;
use base::ids::Digest;

use crate::StoreError;
use crate::attributes::{ANSWER, ANSWER_BODY, ANSWERED_AT, EXPIRES_AT, LEASE_OWNER, LEASE_UNTIL, REQUEST};
use crate::item::Item;
use crate::lease::{Lease, LeaseTerm};
use crate::part::Part;
use crate::request::Written;
use crate::write::{Value, absent, id_value, is_until};

/// For how long a key is known: longer than any service repeats one call.
const KEEP: Duration = Duration::from_hours(24);

digest_id! {
    /// The digest of whose call it is, for which account, of which API, under which key.
    CallKey
}

digest_id! {
    /// The digest of everything that a call sends.
    RequestDigest
}

id_value!(RequestDigest);

impl CallKey {
    /// The key of a caller's calls of one API for one account.
    #[must_use]
    pub fn of(caller: &str, account: &str, path: &str, key: &str) -> Self {
        Self(Digest::of(&["keyed-call", caller, account, path, key]))
    }
}

impl RequestDigest {
    /// The digest of these parts.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        Self(Digest::of(parts))
    }
}

/// An answer that is kept for repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Everything but the body, as the caller of the store writes it.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

/// The outcome of claiming a key.
#[derive(Debug)]
pub enum KeyedCall {
    /// The call is ours to make.
    Ours(Lease<()>),
    /// It was answered; `None` if the answer was too large to be kept.
    Answered(Option<KeptAnswer>),
    /// It is being made, until this moment at the latest.
    UnderWay(Timestamp),
    /// It was made, and whether it took effect is not known.
    Unknown,
    /// Another call was made under the key.
    OtherRequest,
}

/// Calls with a key.
#[derive(Debug, Clone)]
pub struct KeyedCalls(pub(crate) Part);

impl KeyedCalls {
    /// Claims a key for a call. One write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: nothing must be sent. The key may be ours; it then counts as one whose call ended
    /// unknown.
    pub async fn claim(
        &self,
        key: &CallKey,
        request: &RequestDigest,
        term: &LeaseTerm,
    ) -> Result<KeyedCall, StoreError> {
        let key = self.0.key("keyed-call", key.as_str(), "keyed-call");
        let claimed = self
            .0
            .change(key.clone())
            .begin_lease(term)
            .set(REQUEST, request)
            .set(EXPIRES_AT, term.now.plus(KEEP))
            .remove([ANSWERED_AT, ANSWER, ANSWER_BODY])
            .when(absent(REQUEST).or(is_until(EXPIRES_AT, term.now)));
        let found = match claimed.apply_or_read().await? {
            Written::Done(()) => return Ok(KeyedCall::Ours(term.on(key, ()))),
            Written::Refused(found) => Item::new("keyed call", found.unwrap_or_default()),
        };
        Ok(if found.text(LEASE_OWNER) == Some(&term.owner) {
            KeyedCall::Ours(term.on(key, ()))
        } else if found.text(REQUEST) != Some(request.as_str()) {
            KeyedCall::OtherRequest
        } else if found.has(ANSWERED_AT) {
            KeyedCall::Answered(kept_answer(&found))
        } else {
            match found.instant(LEASE_UNTIL).filter(|until| term.now < *until) {
                Some(until) => KeyedCall::UnderWay(until),
                None => KeyedCall::Unknown,
            }
        })
    }

    /// Writes down how a call was answered; `None` for an answer that is too large to be kept. One write.
    ///
    /// # Errors
    /// [`StoreError`]: the key then counts as one whose call ended unknown.
    pub async fn answered(
        &self,
        lease: &Lease<()>,
        answer: Option<&KeptAnswer>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let body = answer.map(|answer| Value(AttributeValue::B(Blob::new(answer.body.as_slice()))));
        let answered = self
            .0
            .change(lease.key.clone())
            .set(ANSWERED_AT, now)
            .set_some(ANSWER, answer.map(|answer| &answer.head))
            .set_some(ANSWER_BODY, body)
            .end_lease();
        answered.when(lease.is_held()).apply().await.map(drop)
    }

    /// Writes down that a call was made and that whether it took effect is not known. One write.
    ///
    /// # Errors
    /// [`StoreError`]: the same is known once the lease has ended.
    pub async fn ended_unknown(&self, lease: &Lease<()>) -> Result<(), StoreError> {
        self.0.change(lease.key.clone()).end_lease().when(lease.is_held()).apply().await.map(drop)
    }

    /// Gives a key back whose call has surely had no effect and may have another end next time. One write.
    ///
    /// # Errors
    /// [`StoreError`]: the key then counts as one whose call ended unknown.
    pub async fn give_back(&self, lease: &Lease<()>) -> Result<(), StoreError> {
        let free = self.0.change(lease.key.clone()).remove([REQUEST]).end_lease();
        free.when(lease.is_held()).apply().await.map(drop)
    }
}

fn kept_answer(item: &Item) -> Option<KeptAnswer> {
    let body = item.attributes.get(ANSWER_BODY)?.as_b().ok()?.clone().into_inner();
    Some(KeptAnswer { head: item.text(ANSWER)?.to_owned(), body })
}
