//! Short-lived tokens that a service gets for its API key, and sends where a WeChat library sends WeChat's own token.
//!
//! Libraries write a token into every URL, and URLs end up in logs: a key does not belong there, and WeChat's token
//! never leaves the platform. Such a token is for one key and one account, or the platform itself; it is useless for
//! anything else, and after two hours. It is signed ([`DerivedKeys`]), so issuing and checking one takes neither a
//! write nor an extra read.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::KeyId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use platform::derived_key::{DerivedKeys, Purpose, SIGNATURE_LENGTH};
use secrecy::SecretString;

/// How long a service may use a token: as long as WeChat's.
pub const SERVICE_TOKEN_LIFE: Duration = Duration::from_hours(2);

/// How much longer it is accepted. A service counts from when it gets a token, and libraries use one to the last
/// second.
const GRACE: Duration = Duration::from_mins(1);

/// The prefix of every token, by which secret scanners recognize it in source code.
const PREFIX: &str = "wxs_";

/// The number of characters of the time: seconds since 1970, in hexadecimal.
const TIME_LENGTH: usize = 8;

/// A token that was presented: `wxs_KEY_TIME_SIGNATURE`. It is not verified yet.
#[derive(Clone)]
pub struct ServiceToken {
    key: KeyId,
    expires_at: u32,
    signature: [u8; SIGNATURE_LENGTH],
}

impl ServiceToken {
    /// Issues a token for a key and `target`: an account's appid, or the word for the platform itself.
    #[must_use]
    pub fn issue(keys: &DerivedKeys, key: &KeyId, target: &str, now: Timestamp) -> SecretString {
        let expires_at = u32::try_from(now.plus(SERVICE_TOKEN_LIFE + GRACE).unix()).unwrap_or(u32::MAX);
        let signature = keys.sign(Purpose::ServiceToken, &signed(key, expires_at.to_be_bytes().as_slice(), target));
        format!("{PREFIX}{key}_{expires_at:0TIME_LENGTH$x}_{}", URL_SAFE_NO_PAD.encode(signature)).into()
    }

    /// Parses a token; `None` if the text is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (key, rest) = text.strip_prefix(PREFIX)?.split_at_checked(KeyId::LENGTH)?;
        let (time, signature) = rest.strip_prefix('_')?.split_at_checked(TIME_LENGTH)?;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let expires_at = Some(time).filter(|time| time.bytes().all(is_digit))?;
        let signature = URL_SAFE_NO_PAD.decode(signature.strip_prefix('_')?).ok()?;
        Some(Self {
            key: KeyId::parse(key).ok()?,
            expires_at: u32::from_str_radix(expires_at, 16).ok()?,
            signature: signature.try_into().ok()?,
        })
    }

    /// The key for which it was issued.
    #[must_use]
    pub const fn key(&self) -> &KeyId {
        &self.key
    }

    /// Whether this platform has issued it, for this target.
    #[must_use]
    pub fn is_genuine(&self, keys: &DerivedKeys, target: &str) -> bool {
        let time = self.expires_at.to_be_bytes();
        keys.verifies(Purpose::ServiceToken, &signed(&self.key, time.as_slice(), target), &self.signature)
    }

    /// Whether it has expired.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        i64::from(self.expires_at) <= now.unix()
    }
}

fn signed<'a>(key: &'a KeyId, expires_at: &'a [u8], target: &'a str) -> [&'a [u8]; 3] {
    [key.as_str().as_bytes(), expires_at, target.as_bytes()]
}
