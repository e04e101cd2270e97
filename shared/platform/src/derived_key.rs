//! Keys that are derived from the platform's secret (HKDF, RFC 5869), so that there is no further secret to create,
//! store and rotate.
//!
//! They are derived from `encoding_aes_key`, whose previous value is kept while WeChat switches to a new one: what was
//! signed before the change is accepted after it.

use std::fmt;

use base::ids::AppId;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, ExposeSecretMut as _, SecretBox, SecretString};
use sha2::Sha256;

/// The length of a signature, in bytes.
pub const SIGNATURE_LENGTH: usize = 32;

/// The length of a key, in bytes: HMAC-SHA256's block.
const KEY_LENGTH: usize = 64;

/// The purpose of a key. A signature for one purpose is not valid for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Short-lived tokens of services.
    ServiceToken,
    /// The state that a browser keeps while its visitor is being logged in.
    LoginAttempt,
    /// The code with which a visitor's login is redeemed.
    LoginCode,
}

impl Purpose {
    /// HKDF's `info`. It must not change: that would void every existing signature.
    const fn info(self) -> &'static [u8] {
        match self {
            Self::ServiceToken => b"service-token",
            Self::LoginAttempt => b"login-attempt",
            Self::LoginCode => b"login-code",
        }
    }
}

/// The keys of a platform, current and previous.
pub struct DerivedKeys {
    current: Generation,
    previous: Option<Generation>,
}

/// The pseudorandom key from which the keys of one generation are expanded.
struct Generation(Hkdf<Sha256>);

impl Generation {
    fn of(component: &AppId, key: &SecretString) -> Self {
        Self(Hkdf::new(Some(component.as_str().as_bytes()), key.expose_secret().as_bytes()))
    }

    fn mac(&self, purpose: Purpose, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut key = SecretBox::new(Box::new([0; KEY_LENGTH]));
        // It fails only for a key longer than this.
        const { assert!(KEY_LENGTH <= 255 * SIGNATURE_LENGTH) };
        let _ = self.0.expand(purpose.info(), key.expose_secret_mut());
        parts.iter().fold(Hmac::new(key.expose_secret().into()), |mac, part| {
            // Each part follows its length, so that no two lists of parts have the same signature.
            mac.chain_update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes()).chain_update(part)
        })
    }
}

impl DerivedKeys {
    /// The keys of a platform with this `encoding_aes_key`, and the one before it.
    #[must_use]
    pub fn new(component: &AppId, key: &SecretString, previous: Option<&SecretString>) -> Self {
        Self { current: Generation::of(component, key), previous: previous.map(|key| Generation::of(component, key)) }
    }

    /// Signs with the current key.
    #[must_use]
    pub fn sign(&self, purpose: Purpose, parts: &[&[u8]]) -> [u8; SIGNATURE_LENGTH] {
        self.current.mac(purpose, parts).finalize().into_bytes().into()
    }

    /// Whether a signature is valid under the current or the previous key, in constant time.
    #[must_use]
    pub fn verifies(&self, purpose: Purpose, parts: &[&[u8]], signature: &[u8; SIGNATURE_LENGTH]) -> bool {
        let is_of = |generation: &Generation| generation.mac(purpose, parts).verify(signature.into()).is_ok();
        is_of(&self.current) || self.previous.as_ref().is_some_and(is_of)
    }
}

impl fmt::Debug for DerivedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DerivedKeys([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use base::ids::hex;

    use super::*;

    const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

    fn keys(component: &str, key: &str, previous: Option<&str>) -> DerivedKeys {
        let previous = previous.map(SecretString::from);
        DerivedKeys::new(&AppId::parse(component).unwrap(), &SecretString::from(key), previous.as_ref())
    }

    fn sign(keys: &DerivedKeys, parts: &[&[u8]]) -> [u8; SIGNATURE_LENGTH] {
        keys.sign(Purpose::ServiceToken, parts)
    }

    /// The expected value was computed with Python's hmac, after RFC 5869, with the length before each part.
    #[test]
    fn a_signature_stays_the_same_from_version_to_version() {
        let signature = sign(&keys("wx1234567890abcdef", KEY, None), &[b"key", b"account"]);
        assert_eq!(hex(&signature), "07e190b51f0407a1eb8964103765769297bbdf9228c2eb75b8760292af5888e3");
    }

    #[test]
    fn what_was_signed_before_a_change_of_the_key_is_accepted_after_it() {
        let before = keys("wx1234567890abcdef", KEY, None);
        let signature = sign(&before, &[b"a"]);
        let changed = KEY.to_uppercase();
        let after = keys("wx1234567890abcdef", &changed, Some(KEY));
        assert!(after.verifies(Purpose::ServiceToken, &[b"a"], &signature));
        assert_ne!(sign(&after, &[b"a"]), signature, "the current key signs");
        let later = keys("wx1234567890abcdef", &changed, None);
        assert!(!later.verifies(Purpose::ServiceToken, &[b"a"], &signature));
    }

    #[test]
    fn a_signature_is_of_one_platform_and_of_these_parts_only() {
        let keys_of = |component| keys(component, KEY, None);
        let signature = sign(&keys_of("wx1234567890abcdef"), &[b"ab", b"c"]);
        let verifies = |component, parts: &[&[u8]], signature| {
            keys_of(component).verifies(Purpose::ServiceToken, parts, signature)
        };
        assert!(verifies("wx1234567890abcdef", &[b"ab", b"c"], &signature));
        assert!(!verifies("wx1234567890abcdee", &[b"ab", b"c"], &signature));
        for parts in [&[b"a".as_slice(), b"bc"][..], &[b"ab", b"d"], &[b"abc"], &[]] {
            assert!(!verifies("wx1234567890abcdef", parts, &signature));
        }
        let mut forged = signature;
        forged[31] ^= 1;
        assert!(!verifies("wx1234567890abcdef", &[b"ab", b"c"], &forged));
    }

    #[test]
    fn nothing_secret_is_in_a_debug_text() {
        assert_eq!(format!("{:?}", keys("wx1", KEY, Some(KEY))), "DerivedKeys([REDACTED])");
    }
}
