//! The one source of random bytes.
//!
//! Link ids, attempt ids, API keys, cookies, lease owners and the 16 bytes at the start of every encrypted message come
//! from here.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

type Fill = dyn Fn(&mut [u8]) + Send + Sync;

/// A source of random bytes; clones share it.
#[derive(Clone)]
pub struct Random(Arc<Fill>);

impl Random {
    /// The operating system's generator.
    ///
    /// # Panics
    /// If the operating system provides no random bytes: nothing secure can be done then.
    #[must_use]
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one home of the random generator")]
        #[expect(
            clippy::expect_used,
            reason = "without random bytes no id and no seal is safe: stop rather than go on"
        )]
        Self(Arc::new(|bytes| getrandom::fill(bytes).expect("the operating system provides random bytes")))
    }

    /// A source under the caller's control, for tests.
    #[must_use]
    pub fn from_fn(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    /// `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.0)(&mut bytes);
        bytes
    }

    /// 128 random bits as 22 URL-safe characters: unguessable, and short enough for a link.
    #[must_use]
    pub fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<16>())
    }

    /// 256 random bits as 43 URL-safe characters: the secret of an API key.
    #[must_use]
    pub fn secret(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<32>())
    }

    /// A number in `0..=max`, for jitter: the slight bias of the remainder does not matter there.
    #[must_use]
    pub fn up_to(&self, max: u64) -> u64 {
        let number = u64::from_le_bytes(self.bytes());
        max.checked_add(1).map_or(number, |bound| number % bound)
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_128_bits_and_differ() {
        let random = Random::system();
        let (one, other) = (random.id(), random.id());
        assert_eq!(one.len(), 22);
        assert_ne!(one, other);
    }

    #[test]
    fn up_to_stays_in_range() {
        let random = Random::from_fn(|bytes| bytes.fill(0xff));
        assert!(random.up_to(599) <= 599);
        assert_eq!(random.up_to(u64::MAX), u64::MAX);
    }
}
