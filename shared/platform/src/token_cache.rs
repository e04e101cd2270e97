//! The cache of accounts' tokens across events, so that many requests for one account cost one read.
//!
//! [`crate::memory`] caches the component's token for one event. This cache is for the functions that hand out tokens
//! or make calls with them: each process caches a token for a few seconds at most, never longer than it may be used
//! without reading it again, and forgets it as soon as somebody reports that WeChat refuses it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base::clock::Timestamp;
use store::TokenOwner;

use crate::leased::ValidToken;

/// The greatest age of a cached token. A process does not see what others do: for this long it may return a token that
/// was refused elsewhere, or the token of an account that has withdrawn its authorization.
const LIFE: Duration = Duration::from_secs(5);

/// The greatest number of cached owners. The tokens of others are read again.
const MAX_CACHED: usize = 1_000;

/// The tokens that a process has just read. All events share it.
#[derive(Default)]
pub struct TokenCache(Mutex<Known>);

#[derive(Default)]
struct Known {
    tokens: HashMap<TokenOwner, (ValidToken, Timestamp)>,
    /// How often a token was forgotten: a read that began before that is not cached.
    forgotten: u64,
}

/// A read in progress.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    begun_at: Timestamp,
    forgotten: u64,
}

impl TokenCache {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a read. Call it before the token is read.
    pub(crate) fn begin(&self, now: Timestamp) -> Reading {
        Reading { begun_at: now, forgotten: self.known().forgotten }
    }

    /// The cached token, unless it is too old or has become due.
    pub(crate) fn get(&self, owner: &TokenOwner, now: Timestamp) -> Option<ValidToken> {
        let known = self.known();
        let (token, read_at) = known.tokens.get(owner)?;
        (now.since(*read_at) < LIFE && now < token.use_until).then(|| token.clone())
    }

    /// Caches what was read, unless a token was forgotten meanwhile.
    pub(crate) fn keep(&self, owner: &TokenOwner, token: &ValidToken, reading: Reading) {
        let mut known = self.known();
        if known.forgotten != reading.forgotten {
            return;
        }
        if known.tokens.len() >= MAX_CACHED {
            known.tokens.clear();
        }
        known.tokens.insert(owner.clone(), (token.clone(), reading.begun_at));
    }

    /// Forgets a token, and whatever is being read at the moment.
    pub(crate) fn forget(&self, owner: &TokenOwner) {
        let mut known = self.known();
        known.tokens.remove(owner);
        known.forgotten += 1;
    }
}

#[cfg(test)]
mod tests {
    use base::ids::AppId;
    use secrecy::{ExposeSecret as _, SecretString};

    use super::*;

    fn owner() -> TokenOwner {
        TokenOwner::Authorizer(AppId::parse("wx1234567890abcdef").unwrap())
    }

    fn token(text: &str, use_until: i64) -> ValidToken {
        let expires_at = Timestamp::from_unix(use_until + 600);
        ValidToken { token: SecretString::from(text), use_until: Timestamp::from_unix(use_until), expires_at }
    }

    fn remembered(cache: &TokenCache, now: i64) -> Option<String> {
        let found = cache.get(&owner(), Timestamp::from_unix(now))?;
        Some(found.token.expose_secret().to_owned())
    }

    #[test]
    fn a_token_is_remembered_for_five_seconds_and_not_when_it_has_become_due() {
        let cache = TokenCache::default();
        cache.keep(&owner(), &token("first", 2_000), cache.begin(Timestamp::from_unix(1_000)));
        assert_eq!(remembered(&cache, 1_004).as_deref(), Some("first"));
        assert_eq!(remembered(&cache, 1_005), None);
        cache.keep(&owner(), &token("second", 1_012), cache.begin(Timestamp::from_unix(1_010)));
        assert_eq!(remembered(&cache, 1_011).as_deref(), Some("second"));
        assert_eq!(remembered(&cache, 1_012), None);
    }

    #[test]
    fn what_was_read_before_a_token_was_forgotten_is_not_remembered_after_it() {
        let (cache, now) = (TokenCache::default(), Timestamp::from_unix(1_000));
        let reading = cache.begin(now);
        cache.forget(&owner());
        cache.keep(&owner(), &token("refused", 2_000), reading);
        assert_eq!(remembered(&cache, 1_000), None);
        cache.keep(&owner(), &token("new", 2_000), cache.begin(now));
        assert_eq!(remembered(&cache, 1_000).as_deref(), Some("new"));
        cache.forget(&owner());
        assert_eq!(remembered(&cache, 1_000), None);
    }

    #[test]
    fn it_does_not_grow_without_bound() {
        let (cache, now) = (TokenCache::default(), Timestamp::from_unix(1_000));
        for number in 0..3_000 {
            let owner = TokenOwner::Authorizer(AppId::parse(&format!("wx{number:016x}")).unwrap());
            cache.keep(&owner, &token("any", 2_000), cache.begin(now));
            assert!(cache.known().tokens.len() <= MAX_CACHED);
        }
    }
}
