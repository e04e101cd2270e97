//! The key that signs calls of webhooks: symmetric signatures of the Standard Webhooks specification 1.0.0.
//!
//! `webhook_secret` in the platform's secret is `whsec_` and the Base64 of 24 to 64 bytes. A signature is `v1,` and the
//! Base64 of HMAC-SHA256 over `id.timestamp.body`; the receiver computes the same with any of the specification's
//! libraries.

use std::fmt;

use base::clock::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretBox, SecretSlice, SecretString};
use sha2::Sha256;

/// The prefix of every symmetric key.
const PREFIX: &str = "whsec_";

/// The specification's bounds on a key. The upper one is also HMAC-SHA256's block size: a shorter key that is padded to
/// it with zeros gives the same signatures.
const SHORTEST: usize = 24;
const LONGEST: usize = 64;

/// Why there is no [`WebhookKey`]. No error contains a value.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum WebhookKeyError {
    /// There is no key.
    #[error(
        "the platform's secret lacks webhook_secret: store whsec_ and the Base64 of 24 to 64 random bytes in it, and \
         give the same text to the service behind the webhook"
    )]
    Missing,
    /// It does not begin like a key, or is not a string.
    #[error("webhook_secret in the platform's secret is malformed: it must begin with whsec_")]
    Prefix,
    /// The rest is not Base64.
    #[error(
        "webhook_secret in the platform's secret is malformed: what follows whsec_ must be Base64, padding included"
    )]
    Base64,
    /// It is too short or too long.
    #[error(
        "webhook_secret in the platform's secret is malformed: what follows whsec_ must be the Base64 of {SHORTEST} \
         to {LONGEST} bytes, but it is the Base64 of {0}"
    )]
    Length(usize),
}

/// A symmetric key of the Standard Webhooks specification.
pub struct WebhookKey(SecretBox<[u8; LONGEST]>);

impl WebhookKey {
    /// Decodes `whsec_…`.
    ///
    /// # Errors
    /// [`WebhookKeyError`], which describes the required form.
    pub fn parse(text: &SecretString) -> Result<Self, WebhookKeyError> {
        let encoded = text.expose_secret().strip_prefix(PREFIX).ok_or(WebhookKeyError::Prefix)?;
        let key = SecretSlice::from(STANDARD.decode(encoded).map_err(|_| WebhookKeyError::Base64)?);
        let key = key.expose_secret();
        let mut filled_up = Box::new([0; LONGEST]);
        match filled_up.get_mut(..key.len()) {
            Some(start) if key.len() >= SHORTEST => start.copy_from_slice(key),
            _ => return Err(WebhookKeyError::Length(key.len())),
        }
        Ok(Self(SecretBox::new(filled_up)))
    }

    /// The value of the header `webhook-signature` for a call with this `webhook-id`, `webhook-timestamp` and body.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: Timestamp, body: &[u8]) -> String {
        let mac = Hmac::<Sha256>::new(self.0.expose_secret().into())
            .chain_update(id)
            .chain_update(format!(".{}.", timestamp.unix()))
            .chain_update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookKey([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<WebhookKey, WebhookKeyError> {
        WebhookKey::parse(&text.into())
    }

    fn of_length(length: usize) -> String {
        format!("{PREFIX}{}", STANDARD.encode(vec![7; length]))
    }

    /// The example with which the specification's own libraries are tested.
    #[test]
    fn the_specifications_example_is_signed_as_its_libraries_sign_it() {
        let key = parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let sent_at = Timestamp::from_unix(1_614_265_330);
        assert_eq!(
            key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", sent_at, br#"{"test": 2432232314}"#),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    /// Computed with Python's hmac: a key as long as HMAC-SHA256's block.
    #[test]
    fn the_longest_key_signs_too() {
        let signature = parse(&of_length(LONGEST)).unwrap().sign("a", Timestamp::from_unix(1), "微".as_bytes());
        assert_eq!(signature, "v1,LMetKs5JqbH6Zns0+El1Ibk2v0iYYe2Q+nIbv1bok3k=");
    }

    #[test]
    fn id_timestamp_and_body_are_all_signed() {
        let key = parse(&of_length(32)).unwrap();
        let sign = |id, timestamp, body: &str| key.sign(id, Timestamp::from_unix(timestamp), body.as_bytes());
        let signature = sign("a", 1, "{}");
        assert_eq!(signature, sign("a", 1, "{}"));
        for other in [sign("b", 1, "{}"), sign("a", 2, "{}"), sign("a", 1, "{ }")] {
            assert_ne!(signature, other);
        }
    }

    #[test]
    fn a_text_of_another_form_is_refused_by_reason() {
        for length in [SHORTEST, 32, LONGEST - 1, LONGEST] {
            assert!(parse(&of_length(length)).is_ok(), "{length}");
        }
        for (text, reason) in [
            ("", WebhookKeyError::Prefix),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", WebhookKeyError::Prefix),
            ("whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", WebhookKeyError::Prefix),
            ("whsec_hush hush", WebhookKeyError::Base64),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", WebhookKeyError::Base64),
            ("whsec_", WebhookKeyError::Length(0)),
            (&of_length(SHORTEST - 1), WebhookKeyError::Length(23)),
            (&of_length(LONGEST + 1), WebhookKeyError::Length(65)),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error, reason, "{text}");
            assert!(error.to_string().contains("webhook_secret") && !error.to_string().contains("hush"), "{error}");
        }
    }

    #[test]
    fn nothing_secret_is_in_a_debug_text() {
        assert_eq!(format!("{:?}", parse(&of_length(24)).unwrap()), "WebhookKey([REDACTED])");
    }
}
