//! Calls with an `Idempotency-Key`: each is sent to WeChat at most once within a day, and a repeat gets the first
//! response.
//!
//! A key is claimed before the call. If its process dies, or WeChat's response does not arrive, nobody knows whether
//! the call took effect: this is stored with the key, and nothing more is sent under it.

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

/// How long a key is kept: longer than any service repeats a call.
const KEEP: Duration = Duration::from_hours(24);

digest_id! {
    /// The digest of the caller, the account, the API and the key of a call.
    CallKey
}

digest_id! {
    /// The digest of the whole content of a call.
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

/// A response that is stored for repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Everything except the body, in the caller's format.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

/// The outcome of claiming a key.
#[derive(Debug)]
pub enum KeyedCall {
    /// The caller may make the call.
    Ours(Lease<()>),
    /// It has a response; `None` if that was too large to be stored.
    Answered(Option<KeptAnswer>),
    /// It is in progress, until this time at the latest.
    UnderWay(Timestamp),
    /// It was made, but it is not known whether it took effect.
    Unknown,
    /// A different call was made under the key.
    OtherRequest,
}

/// Calls with a key.
#[derive(Debug, Clone)]
pub struct KeyedCalls(pub(crate) Part);

impl KeyedCalls {
    /// Claims a key for a call. One write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: nothing must be sent. The key may have been claimed; then the outcome of its call
    /// counts as unknown.
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

    /// Stores the response to a call; `None` for one that is too large to be stored. One write.
    ///
    /// # Errors
    /// [`StoreError`]: then the outcome of the key's call counts as unknown.
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

    /// Stores that a call was made but it is not known whether it took effect. One write.
    ///
    /// # Errors
    /// [`StoreError`]: the end of the lease has the same effect.
    pub async fn ended_unknown(&self, lease: &Lease<()>) -> Result<(), StoreError> {
        self.0.change(lease.key.clone()).end_lease().when(lease.is_held()).apply().await.map(drop)
    }

    /// Releases a key whose call certainly had no effect and may succeed next time. One write.
    ///
    /// # Errors
    /// [`StoreError`]: then the outcome of the key's call counts as unknown.
    pub async fn give_back(&self, lease: &Lease<()>) -> Result<(), StoreError> {
        let free = self.0.change(lease.key.clone()).remove([REQUEST]).end_lease();
        free.when(lease.is_held()).apply().await.map(drop)
    }
}

fn kept_answer(item: &Item) -> Option<KeptAnswer> {
    let body = item.attributes.get(ANSWER_BODY)?.as_b().ok()?.clone().into_inner();
    Some(KeptAnswer { head: item.text(ANSWER)?.to_owned(), body })
}
