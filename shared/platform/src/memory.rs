//! A token, remembered for the length of one event, so that a run of many calls reads it once.
//!
//! It is remembered until it is due by the clock: before that, no process of ours replaces it unless WeChat has refused
//! it. If WeChat refuses it here, the caller reads the table, and what that brings is remembered instead.

use std::sync::{Mutex, PoisonError};

use base::clock::Timestamp;
use secrecy::SecretString;

use crate::context::Context;
use crate::error::TokenError;
use crate::leased::UsableToken;

/// The memory of one token.
#[derive(Default)]
pub(crate) struct TokenMemory {
    kept: Mutex<Option<UsableToken>>,
    /// Held by the caller that reads.
    reading: tokio::sync::Mutex<()>,
}

impl TokenMemory {
    /// The remembered token, else what `read` brings. Callers that arrive while another one reads wait for that. If it
    /// brings nothing to remember, they read by themselves, all at once: a table that hangs must not make them queue.
    pub(crate) async fn or_read<R>(
        &self,
        context: &Context,
        read: impl FnOnce() -> R,
    ) -> Result<SecretString, TokenError>
    where
        R: Future<Output = Result<UsableToken, TokenError>>,
    {
        if let Some(token) = self.remembered(context.now()) {
            return Ok(token);
        }
        let reading = self.reading.try_lock().ok();
        if reading.is_none() {
            drop(self.reading.lock().await);
        }
        if let Some(token) = self.remembered(context.now()) {
            return Ok(token);
        }
        let found = read().await?;
        self.keep(&found);
        drop(reading);
        Ok(found.token)
    }

    /// Remembers a token instead of the one before.
    pub(crate) fn keep(&self, found: &UsableToken) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
    }

    fn remembered(&self, now: Timestamp) -> Option<SecretString> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|kept| now < kept.good_until).map(|kept| kept.token.clone())
    }
}
