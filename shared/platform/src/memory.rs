//! A token, remembered for the length of one event, so that a run of many calls reads it once.
//!
//! It is remembered until it is due by the clock. Our own processes leave it in place until then, with few exceptions:
//! WeChat has refused it, the result of a renewal was superseded, or another process's clock is ahead. Then WeChat
//! refuses it here as well, the caller reads the table, and what that brings is remembered instead.
//!
//! Nobody waits for another caller's read: it may renew the token, which can take longer than the leases of those who
//! wait. A run asks once before anything else, so that those who come later find it remembered.

use std::sync::{Mutex, PoisonError};

use base::clock::Timestamp;
use secrecy::SecretString;

use crate::leased::ValidToken;

/// The memory of one token.
#[derive(Default)]
pub(crate) struct TokenMemory(Mutex<Option<ValidToken>>);

impl TokenMemory {
    /// Remembers a token instead of the one before.
    pub(crate) fn keep(&self, token: &ValidToken) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
    }

    /// The remembered token, unless it has become due.
    pub(crate) fn get(&self, now: Timestamp) -> Option<SecretString> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|kept| now < kept.use_until).map(|kept| kept.token.clone())
    }
}
