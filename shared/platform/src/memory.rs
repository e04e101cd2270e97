//! The cache of a token for one event, so that a run of many calls reads it once.
//!
//! It is cached until it is due by the clock. Our own processes do not replace it before, with few exceptions: WeChat
//! has refused it, the result of a renewal was superseded, or another process's clock is ahead. Then WeChat refuses it
//! here as well, the caller reads the table, and the token read there is cached instead.
//!
//! No caller waits for another caller's read: it may renew the token, which can take longer than the leases of the
//! waiting callers. A run reads the token once before anything else, so that later callers find it cached.

use std::sync::{Mutex, PoisonError};

use base::clock::Timestamp;
use secrecy::SecretString;

use crate::leased::ValidToken;

/// The cache of one token.
#[derive(Default)]
pub(crate) struct TokenMemory(Mutex<Option<ValidToken>>);

impl TokenMemory {
    /// Caches a token instead of the previous one.
    pub(crate) fn keep(&self, token: &ValidToken) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
    }

    /// The cached token, unless it has become due.
    pub(crate) fn get(&self, now: Timestamp) -> Option<SecretString> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|kept| now < kept.use_until).map(|kept| kept.token.clone())
    }
}
