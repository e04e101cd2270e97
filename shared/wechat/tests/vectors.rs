//! Message encryption and pushes compared with those of others: WeChat's own documentation, libraries in other
//! languages, and pushes that platforms received. `data/README.md` describes the files in `data/`.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test, as it should")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use base::ids::{AppId, hex};
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha1::{Digest as _, Sha1};
use wechat::crypto::{EncodingAesKey, Generations, Keyring, OpenError, Signed};
use wechat::push::envelope::Envelope;
use wechat::push::{AccountMessage, AuthorizationEvent, Event};

const TOKEN: &str = "ExampleToken01";
const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
const APP_ID: &str = "wx1234567890abcdef";

fn keyring(app_id: &str, token: &str, key: &str) -> Keyring {
    Keyring::new(AppId::parse(app_id).unwrap(), token.into(), EncodingAesKey::parse(&key.into()).unwrap())
}

fn open(keyring: &Keyring, signed: &Signed<'_>) -> Result<String, OpenError> {
    keyring.open(signed).map(|opened| String::from_utf8(opened.message).unwrap())
}

/// The signature as the protocol describes it, independent of the code under test.
fn sign(token: &str, timestamp: &str, nonce: &str, encrypt: &str) -> String {
    let mut parts = [token, timestamp, nonce, encrypt];
    parts.sort_unstable();
    hex(&Sha1::digest(parts.concat()))
}

/// Prints how much was run even if the test passes: the test runner suppresses ordinary output.
fn tell(line: &str) {
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn read<T: DeserializeOwned>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

#[derive(Deserialize)]
struct Published {
    name: String,
    token: String,
    encoding_aes_key: String,
    appid: String,
    timestamp: String,
    nonce: String,
    random: String,
    msg_signature: String,
    encrypt: String,
    message: String,
}

#[test]
fn published_vectors_open_and_are_sealed_to_the_very_same_bytes() {
    let vectors: Vec<Published> = read(&data("protocol.json"));
    assert_eq!(vectors.len(), 5);
    for vector in vectors {
        let keyring = keyring(&vector.appid, &vector.token, &vector.encoding_aes_key);
        let signed = Signed {
            timestamp: &vector.timestamp,
            nonce: &vector.nonce,
            msg_signature: &vector.msg_signature,
            encrypt: &vector.encrypt,
        };
        assert_eq!(open(&keyring, &signed).unwrap(), vector.message, "{}", vector.name);
        let random = vector.random.as_bytes().try_into().unwrap();
        let message = vector.message.as_bytes();
        let sealed = keyring.seal(message, random, &vector.timestamp, &vector.nonce, Generations::CURRENT);
        assert_eq!((sealed.encrypt, sealed.msg_signature), (vector.encrypt, vector.msg_signature), "{}", vector.name);
    }
}

#[derive(Deserialize)]
struct Sealer {
    library: String,
    token: String,
    encoding_aes_key: String,
    appid: String,
    vectors: Vec<Foreign>,
}

#[derive(Deserialize)]
struct Foreign {
    timestamp: String,
    nonce: String,
    msg_signature: String,
    encrypt: String,
    message: String,
}

#[test]
fn what_libraries_in_other_languages_sealed_opens() {
    for file in ["wechatpy.json", "wecom-crypto.json"] {
        let sealer: Sealer = read(&data(file));
        let keyring = keyring(&sealer.appid, &sealer.token, &sealer.encoding_aes_key);
        let mut lengths = [false; 32];
        for vector in &sealer.vectors {
            let signed = Signed {
                timestamp: &vector.timestamp,
                nonce: &vector.nonce,
                msg_signature: &vector.msg_signature,
                encrypt: &vector.encrypt,
            };
            assert_eq!(open(&keyring, &signed).as_ref(), Ok(&vector.message), "{}", sealer.library);
            lengths[vector.message.len() % 32] = true;
        }
        assert!(lengths.iter().all(|seen| *seen), "{}: every length of padding", sealer.library);
        tell(&format!("{}: {} messages opened", sealer.library, sealer.vectors.len()));
    }
}

#[test]
fn empty_texts_emoji_and_every_padding_length_come_back_as_they_were() {
    let keyring = keyring(APP_ID, TOKEN, KEY);
    let messages = ["", "😀👩‍👩‍👧🀄", "微信"].map(str::to_owned);
    for message in messages.into_iter().chain((1..=64).map(|length| "x".repeat(length))) {
        assert_eq!(round_trip(&keyring, &message), message);
    }
}

fn round_trip(keyring: &Keyring, message: &str) -> String {
    let sealed = keyring.seal(message.as_bytes(), *b"0123456789abcdef", "1700000000", "1", Generations::CURRENT);
    let signed =
        Signed { timestamp: "1700000000", nonce: "1", msg_signature: &sealed.msg_signature, encrypt: &sealed.encrypt };
    open(keyring, &signed).unwrap()
}

/// A message that another system sealed, with what is known about it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    number: u64,
    what: String,
    token: Option<String>,
    encoding_aes_key: Option<String>,
    appid: Option<String>,
    timestamp: Option<String>,
    nonce: Option<String>,
    random16: Option<String>,
    msg_signature: Option<String>,
    encrypt: String,
    /// The whole push.
    xml: Option<String>,
    signature_is_valid: Option<bool>,
    decrypts: bool,
    plain: Option<String>,
}

#[test]
fn what_other_systems_sealed_opens_or_is_refused_as_they_say() {
    let all: Vec<Sealed> = read(&data("sealed.json"));
    assert_eq!(all.len(), 25);
    for sealed in &all {
        opens_or_is_refused(sealed);
    }
}

fn opens_or_is_refused(sealed: &Sealed) {
    let id = format!("{}, {}", sealed.number, sealed.what);
    // A key or token that was never published can be anything: checking a signature needs no key, and decrypting no
    // token.
    let token = sealed.token.as_deref().unwrap_or(TOKEN);
    let (appid, key) = (sealed.appid.as_deref(), sealed.encoding_aes_key.as_deref());
    let keyring = keyring(appid.unwrap_or(APP_ID), token, key.unwrap_or(KEY));
    let (timestamp, nonce) = (sealed.timestamp.as_deref().unwrap_or("1"), sealed.nonce.as_deref().unwrap_or("1"));
    let encrypt = sealed.encrypt.as_str();

    if let Some(xml) = &sealed.xml {
        assert_eq!(Envelope::parse(xml.as_bytes()).unwrap().encrypt, encrypt, "{id}");
    }
    assert_eq!(sealed.msg_signature.is_some(), sealed.signature_is_valid.is_some(), "{id}");
    if let (Some(msg_signature), Some(is_valid)) = (&sealed.msg_signature, sealed.signature_is_valid) {
        let outcome = keyring.open(&Signed { timestamp, nonce, msg_signature, encrypt });
        assert_eq!(outcome.err() != Some(OpenError::Signature), is_valid, "{id}: signature");
    }

    // Whether it decrypts is a separate question, so it is checked with a valid signature.
    let msg_signature = sign(token, timestamp, nonce, encrypt);
    let opened = open(&keyring, &Signed { timestamp, nonce, msg_signature: &msg_signature, encrypt });
    if !sealed.decrypts {
        assert!(opened.is_err_and(|reason| reason != OpenError::Signature), "{id}");
        return;
    }
    let message = opened.unwrap_or_else(|error| panic!("{id}: {error}"));
    assert_eq!(Some(&message), sealed.plain.as_ref(), "{id}");
    if let Some(random) = &sealed.random16 {
        let random = random.as_bytes().try_into().unwrap();
        let again = keyring.seal(message.as_bytes(), random, timestamp, nonce, Generations::CURRENT);
        assert_eq!(again.encrypt, encrypt, "{id}: sealed again");
    }
}

/// A push to one of a platform's two addresses.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Received {
    Authorization { info_type: Option<String>, xml: String },
    Envelope { xml: String },
    Message { msg_type: Option<String>, event: Option<String>, xml: String },
}

#[test]
fn pushes_as_platforms_received_them_are_read() {
    let all: Vec<Received> = read(&data("pushes.json"));
    let keyring = keyring(APP_ID, TOKEN, KEY);
    let mut counts = [0; 3];
    for received in all {
        match received {
            Received::Authorization { info_type, xml } => {
                authorization_is_read(info_type.as_deref(), &xml);
                counts[0] += 1;
            }
            Received::Envelope { xml } => {
                let envelope = Envelope::parse(xml.as_bytes()).unwrap_or_else(|error| panic!("{error}: {xml}"));
                assert!(!envelope.encrypt.is_empty(), "{xml}");
                counts[1] += 1;
            }
            Received::Message { msg_type, event, xml } => {
                assert_eq!(round_trip(&keyring, &xml), xml);
                let message = AccountMessage::parse(xml.as_str().into());
                assert!(message.is_whole, "{xml}");
                assert_eq!(message.content.event_name(), event.as_deref(), "{xml}");
                assert_eq!(message.fields.value("MsgType"), msg_type.as_deref(), "{xml}");
                counts[2] += 1;
            }
        }
    }
    assert_eq!(counts, [23, 10, 125]);
}

/// Some are from a manual: their appids are descriptions in Chinese, and one is truncated.
fn authorization_is_read(info_type: Option<&str>, xml: &str) {
    let described = |name: &str| xml.contains(&format!("<{name}><![CDATA[第")) || xml.contains(&format!("<{name}>第"));
    let push = AuthorizationEvent::parse(SecretString::from(xml));
    if !xml.contains("<AppId>") || described("AppId") {
        assert!(push.component.is_none(), "{xml}");
    } else {
        assert_eq!(Some(push.event.info_type()), info_type, "{xml}");
        assert!(!matches!(push.event, Event::Unknown { .. }), "{xml}");
        let has_account = push.event.account().is_some();
        assert_eq!(has_account, xml.contains("<AuthorizerAppid>") || xml.contains("<auth_code>"), "{xml}");
        assert_eq!(push.event.code().is_some(), xml.contains("queryauthcode@@@"), "{xml}");
    }
}
