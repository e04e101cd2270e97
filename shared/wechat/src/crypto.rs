//! WeChat's message encryption (protocol section 4): opens and seals the messages of both push URLs.
//!
//! Nothing is decrypted before its `msg_signature` is verified, and nothing is returned before the padding, the length
//! and the trailing appid are checked. Token and key exist in two generations, current and previous, so that neither
//! has to change on both sides at the same moment. Pure: no clock, no randomness, no I/O.

use std::fmt;

use aes::Aes256;
use aes::cipher::{Array, BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use base::ids::{AppId, hex};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use sha1::{Digest as _, Sha1};
use subtle::ConstantTimeEq as _;

/// The number of characters of an `EncodingAESKey`; with a `=` appended it is the Base64 of 32 bytes.
const ENCODED_KEY_LENGTH: usize = 43;
/// WeChat pads to multiples of 32 bytes although AES has blocks of 16.
const PAD_BLOCK: usize = 32;
const AES_BLOCK: usize = 16;
/// The number of random bytes before every message.
const RANDOM_LENGTH: usize = 16;
/// The random bytes and the field with the message's length.
const HEADER_LENGTH: usize = RANDOM_LENGTH + 4;

/// The last character of a real `EncodingAESKey` may carry stray low bits, which a strict decoder refuses.
const KEY_ENGINE: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// Why a text is not an `EncodingAESKey`.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum KeyError {
    /// Wrong number of characters.
    #[error("an EncodingAESKey has 43 characters, but this one has {0}")]
    Length(usize),
    /// Characters outside `[A-Za-z0-9+/]`.
    #[error("an EncodingAESKey consists of letters, digits, '+' and '/'")]
    Alphabet,
}

/// The 消息加解密Key of the platform: 32 bytes of AES-256.
pub struct EncodingAesKey(SecretBox<[u8; 32]>);

impl EncodingAesKey {
    /// Decodes the 43 characters shown in WeChat's console.
    ///
    /// # Errors
    /// [`KeyError`] if the text has another length or other characters.
    pub fn parse(text: &SecretString) -> Result<Self, KeyError> {
        let text = text.expose_secret();
        let length = text.chars().count();
        if length != ENCODED_KEY_LENGTH {
            return Err(KeyError::Length(length));
        }
        let mut key = Box::new([0; 32]);
        let written =
            KEY_ENGINE.decode_slice(format!("{text}="), key.as_mut_slice()).map_err(|_| KeyError::Alphabet)?;
        if written == key.len() { Ok(Self(SecretBox::new(key))) } else { Err(KeyError::Alphabet) }
    }

    fn decrypt(&self, blocks: &mut [Array<u8, aes::cipher::consts::U16>]) {
        let (key, iv) = self.key_and_iv();
        cbc::Decryptor::<Aes256>::new(key.into(), iv.into()).decrypt_blocks(blocks);
    }

    fn encrypt(&self, blocks: &mut [Array<u8, aes::cipher::consts::U16>]) {
        let (key, iv) = self.key_and_iv();
        cbc::Encryptor::<Aes256>::new(key.into(), iv.into()).encrypt_blocks(blocks);
    }

    /// The initialization vector is the first half of the key.
    fn key_and_iv(&self) -> (&[u8; 32], &[u8; AES_BLOCK]) {
        let key = self.0.expose_secret();
        let iv = key.first_chunk().unwrap_or(&[0; AES_BLOCK]);
        (key, iv)
    }
}

impl fmt::Debug for EncodingAesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncodingAesKey([REDACTED])")
    }
}

/// The generation of the token or key that matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// The current one.
    Current,
    /// The previous one, still accepted while WeChat switches over.
    Previous,
}

/// Tokens and keys of one platform, and the appid that every message must end with.
#[derive(Debug)]
pub struct Keyring {
    component: AppId,
    token: SecretString,
    previous_token: Option<SecretString>,
    key: EncodingAesKey,
    previous_key: Option<EncodingAesKey>,
}

/// The signed parts of a message as they arrived: three query parameters and the `Encrypt` element.
#[derive(Clone, Copy)]
pub struct Signed<'a> {
    /// `timestamp` of the URL, as text: the signature covers the characters.
    pub timestamp: &'a str,
    /// `nonce` of the URL.
    pub nonce: &'a str,
    /// `msg_signature` of the URL: 40 lower-case hexadecimal digits.
    pub msg_signature: &'a str,
    /// The `Encrypt` element: standard Base64.
    pub encrypt: &'a str,
}

/// The generations of token and key with which a message came: a reply to it must use the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generations {
    /// The token with which it is signed.
    pub token: Generation,
    /// The key with which it is sealed.
    pub key: Generation,
}

impl Generations {
    /// The current generations.
    pub const CURRENT: Self = Self { token: Generation::Current, key: Generation::Current };
}

/// A message that is authentic.
pub struct Opened {
    /// The decrypted message, not yet checked to be UTF-8.
    pub message: Vec<u8>,
    /// The token and key that matched.
    pub with: Generations,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("with", &self.with).finish_non_exhaustive()
    }
}

/// A sealed message, ready for a URL and a body.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Standard Base64 of the ciphertext.
    pub encrypt: String,
    /// The signature over token, timestamp, nonce and `encrypt`.
    pub msg_signature: String,
}

/// Why a message is refused. Each reason has its variant; none contains any content.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum OpenError {
    /// `msg_signature` matches none of our tokens.
    #[error("msg_signature does not match")]
    Signature,
    /// `Encrypt` is not standard Base64.
    #[error("Encrypt is not Base64")]
    Base64,
    /// The ciphertext is empty or not whole AES blocks.
    #[error("the ciphertext is not a whole number of AES blocks")]
    CipherLength,
    /// The padding is not 1 to 32 equal bytes: usually the key is wrong.
    #[error("the padding is invalid: encrypted with another EncodingAESKey")]
    Padding,
    /// The length field points outside the message.
    #[error("the length field is invalid")]
    MessageLength,
    /// The message ends with an appid other than the platform's.
    #[error("the message is sealed for another appid")]
    AppId,
}

impl OpenError {
    /// A stable word for metrics and logs.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Base64 => "base64",
            Self::CipherLength => "cipher-length",
            Self::Padding => "padding",
            Self::MessageLength => "message-length",
            Self::AppId => "appid",
        }
    }
}

impl Keyring {
    /// A keyring with only the current token and key.
    #[must_use]
    pub const fn new(component: AppId, token: SecretString, key: EncodingAesKey) -> Self {
        Self { component, token, previous_token: None, key, previous_key: None }
    }

    /// Also accepts what was signed or sealed with the previous token and key.
    #[must_use]
    pub fn with_previous(self, token: Option<SecretString>, key: Option<EncodingAesKey>) -> Self {
        Self { previous_token: token, previous_key: key, ..self }
    }

    /// The platform's own appid, with which every message ends.
    #[must_use]
    pub const fn component(&self) -> &AppId {
        &self.component
    }

    /// Verifies and decrypts a message.
    ///
    /// # Errors
    /// [`OpenError`] with the first reason for refusal. If there are two keys, it is the reason for the current one.
    pub fn open(&self, signed: &Signed<'_>) -> Result<Opened, OpenError> {
        let token = self.signing_token(signed).ok_or(OpenError::Signature)?;
        let cipher = STANDARD.decode(signed.encrypt).map_err(|_| OpenError::Base64)?;
        if cipher.is_empty() || !cipher.len().is_multiple_of(AES_BLOCK) {
            return Err(OpenError::CipherLength);
        }
        let Some(previous) = &self.previous_key else {
            return self.decrypt(&self.key, Generations { token, key: Generation::Current }, cipher);
        };
        self.decrypt(&self.key, Generations { token, key: Generation::Current }, cipher.clone()).or_else(|reason| {
            self.decrypt(previous, Generations { token, key: Generation::Previous }, cipher).map_err(|_| reason)
        })
    }

    /// Seals a message: random bytes ‖ length ‖ message ‖ appid, padded, encrypted, signed.
    ///
    /// `timestamp` and `nonce` are the texts that are sent with the sealed message. `with` are the generations of the
    /// request; if there is no previous token or key, the current one is used.
    #[must_use]
    pub fn seal(
        &self,
        message: &[u8],
        random: [u8; RANDOM_LENGTH],
        timestamp: &str,
        nonce: &str,
        with: Generations,
    ) -> Sealed {
        let mut plain = Vec::with_capacity(HEADER_LENGTH + message.len() + self.component.as_str().len() + PAD_BLOCK);
        plain.extend_from_slice(&random);
        plain.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
        plain.extend_from_slice(message);
        plain.extend_from_slice(self.component.as_str().as_bytes());
        let pad = PAD_BLOCK - plain.len() % PAD_BLOCK;
        plain.resize(plain.len() + pad, u8::try_from(pad).unwrap_or_default());

        let key = match (with.key, &self.previous_key) {
            (Generation::Previous, Some(previous)) => previous,
            _ => &self.key,
        };
        let (blocks, _) = Array::slice_as_chunks_mut(&mut plain);
        key.encrypt(blocks);
        let encrypt = STANDARD.encode(plain);
        let token = match (with.token, &self.previous_token) {
            (Generation::Previous, Some(previous)) => previous,
            _ => &self.token,
        };
        let msg_signature = signature(token, timestamp, nonce, &encrypt);
        Sealed { encrypt, msg_signature }
    }

    /// `signature` of a push's URL, over token, timestamp and nonce. It does not cover the body, so it proves nothing.
    #[must_use]
    pub fn url_signature(&self, timestamp: &str, nonce: &str) -> String {
        signature(&self.token, timestamp, nonce, "")
    }

    /// The token whose signature matches. Compares in constant time, so that a signature cannot be guessed digit by
    /// digit.
    fn signing_token(&self, signed: &Signed<'_>) -> Option<Generation> {
        let fits = |token: &SecretString| -> bool {
            let expected = signature(token, signed.timestamp, signed.nonce, signed.encrypt);
            expected.as_bytes().ct_eq(signed.msg_signature.as_bytes()).into()
        };
        if fits(&self.token) {
            return Some(Generation::Current);
        }
        self.previous_token.as_ref().filter(|token| fits(token)).map(|_| Generation::Previous)
    }

    fn decrypt(&self, key: &EncodingAesKey, with: Generations, mut cipher: Vec<u8>) -> Result<Opened, OpenError> {
        let (blocks, _) = Array::slice_as_chunks_mut(&mut cipher);
        key.decrypt(blocks);
        let mut plain = cipher;

        let content = unpadded_length(&plain).ok_or(OpenError::Padding)?;
        plain.truncate(content);
        let length: [u8; 4] = plain
            .get(RANDOM_LENGTH..HEADER_LENGTH)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(OpenError::MessageLength)?;
        let end = usize::try_from(u32::from_be_bytes(length))
            .ok()
            .and_then(|length| length.checked_add(HEADER_LENGTH))
            .ok_or(OpenError::MessageLength)?;
        let tail = plain.get(end..).ok_or(OpenError::MessageLength)?;
        if tail != self.component.as_str().as_bytes() {
            return Err(OpenError::AppId);
        }
        plain.truncate(end);
        plain.drain(..HEADER_LENGTH);
        Ok(Opened { message: plain, with })
    }
}

/// The length of the content without its 1 to 32 equal bytes of padding, the last of which says how many there are.
fn unpadded_length(plain: &[u8]) -> Option<usize> {
    let last = *plain.last()?;
    let pad = usize::from(last);
    if !(1..=PAD_BLOCK).contains(&pad) {
        return None;
    }
    let content = plain.len().checked_sub(pad)?;
    plain.get(content..)?.iter().all(|&byte| byte == last).then_some(content)
}

/// `msg_signature`: the SHA-1, in lower-case hexadecimal, of the four texts, sorted bytewise and joined without a
/// separator.
fn signature(token: &SecretString, timestamp: &str, nonce: &str, encrypt: &str) -> String {
    let mut parts = [token.expose_secret(), timestamp, nonce, encrypt];
    parts.sort_unstable();
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP_ID: &str = "wx1234567890abcdef";
    const TOKEN: &str = "ExampleToken01";
    const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
    const OTHER_KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

    fn key(text: &str) -> EncodingAesKey {
        EncodingAesKey::parse(&text.into()).unwrap()
    }

    fn keyring() -> Keyring {
        Keyring::new(AppId::parse(APP_ID).unwrap(), TOKEN.into(), key(KEY))
    }

    fn seal(keyring: &Keyring, message: &[u8]) -> Sealed {
        keyring.seal(message, *b"0123456789abcdef", "1700000000", "987", Generations::CURRENT)
    }

    fn open(keyring: &Keyring, sealed: &Sealed) -> Result<Opened, OpenError> {
        keyring.open(&Signed {
            timestamp: "1700000000",
            nonce: "987",
            msg_signature: &sealed.msg_signature,
            encrypt: &sealed.encrypt,
        })
    }

    /// Signs whatever plaintext the test makes up, as an attacker with the keys could.
    fn sign_raw(plain: &[u8]) -> Sealed {
        let mut plain = plain.to_vec();
        let (blocks, _) = Array::slice_as_chunks_mut(&mut plain);
        key(KEY).encrypt(blocks);
        let encrypt = STANDARD.encode(plain);
        let msg_signature = signature(&TOKEN.into(), "1700000000", "987", &encrypt);
        Sealed { encrypt, msg_signature }
    }

    #[test]
    fn a_key_with_stray_low_bits_is_a_key() {
        // The last character of KEY carries them; the strict engine refuses it.
        assert!(STANDARD.decode(format!("{KEY}=")).is_err());
        assert!(EncodingAesKey::parse(&KEY.into()).is_ok());
    }

    #[test]
    fn a_malformed_key_is_named() {
        assert_eq!(EncodingAesKey::parse(&"short".into()).unwrap_err(), KeyError::Length(5));
        assert_eq!(EncodingAesKey::parse(&"-".repeat(43).into()).unwrap_err(), KeyError::Alphabet);
    }

    #[test]
    fn every_padding_length_opens() {
        let keyring = keyring();
        for length in 0..=96 {
            let message = vec![b'a'; length];
            assert_eq!(open(&keyring, &seal(&keyring, &message)).unwrap().message, message, "{length} bytes");
        }
    }

    #[test]
    fn what_was_sealed_before_a_rotation_opens_and_is_recognized() {
        let old = keyring();
        let new = Keyring::new(AppId::parse(APP_ID).unwrap(), "NewToken".into(), key(OTHER_KEY))
            .with_previous(Some(TOKEN.into()), Some(key(KEY)));
        let with = open(&new, &seal(&old, b"hello")).unwrap().with;
        assert_eq!(with, Generations { token: Generation::Previous, key: Generation::Previous });
        let reply = new.seal(b"reply", *b"0123456789abcdef", "1700000000", "987", with);
        assert_eq!(open(&old, &reply).unwrap().message, b"reply", "WeChat has changed nothing yet");
        assert_eq!(open(&new, &seal(&new, b"hello")).unwrap().with, Generations::CURRENT);
        assert_eq!(open(&old, &seal(&new, b"hello")).unwrap_err(), OpenError::Signature);
    }

    #[test]
    fn a_changed_byte_or_a_foreign_appid_is_refused() {
        let keyring = keyring();
        let mut forged = seal(&keyring, b"hello");
        forged.msg_signature.replace_range(0..1, if forged.msg_signature.starts_with('0') { "1" } else { "0" });
        assert_eq!(open(&keyring, &forged).unwrap_err(), OpenError::Signature);

        let foreign = Keyring::new(AppId::parse("wxffffffffffffffff").unwrap(), TOKEN.into(), key(KEY));
        assert_eq!(open(&keyring, &seal(&foreign, b"hello")).unwrap_err(), OpenError::AppId);
    }

    #[test]
    fn hostile_plaintexts_under_a_right_signature_are_refused_by_reason() {
        let keyring = keyring();
        let with_length = |length: u32| {
            let mut plain = vec![0; RANDOM_LENGTH];
            plain.extend_from_slice(&length.to_be_bytes());
            plain.extend_from_slice(&[12; 12]);
            plain
        };
        for (plain, reason) in [
            (vec![0; 32], OpenError::Padding),
            (vec![33; 64], OpenError::Padding),
            (vec![32; 16], OpenError::Padding),
            ([vec![1; 31], vec![2]].concat(), OpenError::Padding),
            (vec![32; 32], OpenError::MessageLength),
            (with_length(u32::MAX), OpenError::MessageLength),
            (with_length(1), OpenError::MessageLength),
            (with_length(0), OpenError::AppId),
            (vec![], OpenError::CipherLength),
        ] {
            assert_eq!(open(&keyring, &sign_raw(&plain)).unwrap_err(), reason, "{plain:?}");
        }
        let odd =
            Sealed { encrypt: "AAAA".into(), msg_signature: signature(&TOKEN.into(), "1700000000", "987", "AAAA") };
        assert_eq!(open(&keyring, &odd).unwrap_err(), OpenError::CipherLength);
        let text =
            Sealed { encrypt: "<?>".into(), msg_signature: signature(&TOKEN.into(), "1700000000", "987", "<?>") };
        assert_eq!(open(&keyring, &text).unwrap_err(), OpenError::Base64);
    }

    #[test]
    fn nothing_secret_is_in_a_debug_text() {
        let keyring = keyring();
        let opened = open(&keyring, &seal(&keyring, b"hello")).unwrap();
        let text = format!("{keyring:?} {opened:?}");
        for secret in [TOKEN, KEY, "hello"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}
