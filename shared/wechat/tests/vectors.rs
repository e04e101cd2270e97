//! Message crypto and pushes against what others produced: WeChat's own documentation, two libraries in other
//! languages, and, where it lies beside the workspace, a reference folder with real pushes and other systems' vectors.
//!
//! `data/protocol.json` holds published values; `data/wechatpy.json` and `data/wecom-crypto.json` were made by the
//! scripts in `data/generate/`.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test, as it should")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use base::ids::{AppId, hex};
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
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

/// Says how much was run, also where the test passes: the test runner holds back what is printed in the usual way.
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

/// A path in the reference folder, which need not be there.
fn reference(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    path.exists().then_some(path)
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

#[test]
fn reference_vectors_do_what_is_expected_of_them() {
    let Some(path) = reference("vectors.json") else {
        tell("reference folder not present: 0 vectors");
        return;
    };
    let vectors: Vec<Value> = read(&path);
    for vector in &vectors {
        reference_vector(vector);
    }
    tell(&format!("vectors run: {}", vectors.len()));
    assert!(!vectors.is_empty());
}

fn reference_vector(vector: &Value) {
    let text = |name: &str| vector[name].as_str();
    let id = text("id").unwrap();
    let expected = |name: &str| vector["expect"][name].as_str().unwrap();
    // What was never published does not matter to the rest: any key does to check a signature, any token to decrypt.
    let token = text("token").unwrap_or(TOKEN);
    let keyring = keyring(text("appid").unwrap_or(APP_ID), token, text("encoding_aes_key").unwrap_or(KEY));
    let (timestamp, nonce) = (text("timestamp").unwrap_or("1"), text("nonce").unwrap_or("1"));
    let encrypt = text("encrypt").unwrap();

    if let Some(xml) = text("xml") {
        assert_eq!(Envelope::parse(xml.as_bytes()).unwrap().encrypt, encrypt, "{id}");
    }
    if let Some(msg_signature) = text("msg_signature") {
        let outcome = keyring.open(&Signed { timestamp, nonce, msg_signature, encrypt });
        let refused = outcome.err() == Some(OpenError::Signature);
        assert_eq!(refused, expected("signature").starts_with("INVALID"), "{id}: signature");
    } else {
        assert_eq!(expected("signature"), "not published", "{id}");
    }

    // Whether it decrypts is a question of its own, so it is asked under a signature that fits.
    let msg_signature = sign(token, timestamp, nonce, encrypt);
    let opened = open(&keyring, &Signed { timestamp, nonce, msg_signature: &msg_signature, encrypt });
    if expected("decrypt").starts_with("ok") {
        let message = opened.unwrap_or_else(|error| panic!("{id}: {error}"));
        for published in ["expected_plain", "decrypted_plain"].into_iter().filter_map(text) {
            assert_eq!(message, published, "{id}");
        }
        for part in vector["expected_contains"].as_array().into_iter().flatten() {
            assert!(message.contains(part.as_str().unwrap()), "{id}: {part}");
        }
        if let Some(random) = text("random16") {
            let random = random.as_bytes().try_into().unwrap();
            let sealed = keyring.seal(message.as_bytes(), random, timestamp, nonce, Generations::CURRENT);
            assert_eq!(sealed.encrypt, encrypt, "{id}: sealed again");
        }
    } else {
        assert!(opened.is_err_and(|reason| reason != OpenError::Signature), "{id}");
    }
}

#[test]
fn reference_events_are_read_or_refused_by_name() {
    let Some(folder) = reference("events") else {
        tell("reference folder not present: 0 events");
        return;
    };
    let index: Vec<Value> = read(&folder.join("INDEX.json"));
    let keyring = keyring(APP_ID, TOKEN, KEY);
    let (mut events, mut envelopes, mut messages) = (0, 0, 0);
    for entry in &index {
        let file = entry["file"].as_str().unwrap();
        let xml = fs::read_to_string(folder.join(file)).unwrap();
        let channel = entry["channel"].as_str().unwrap();
        if channel.contains("InfoType") {
            reference_event(entry, &xml);
            events += 1;
        } else if channel.contains("envelope") {
            assert!(!Envelope::parse(xml.as_bytes()).unwrap_or_else(|e| panic!("{file}: {e}")).encrypt.is_empty());
            envelopes += 1;
        } else {
            assert_eq!(round_trip(&keyring, &xml), xml, "{file}");
            let message = AccountMessage::parse(xml.into());
            assert!(message.is_whole, "{file}");
            assert_eq!(message.content.event_name(), entry["event"].as_str(), "{file}");
            assert_eq!(message.fields.value("MsgType"), entry["msg_type"].as_str(), "{file}");
            messages += 1;
        }
    }
    tell(&format!("events run: {events}, envelopes run: {envelopes}, messages run: {messages}"));
    assert!(events > 0 && envelopes > 0 && messages > 0);
}

/// Some files are documentation: their appids are descriptions in Chinese, which no appid is, and one breaks off.
fn reference_event(entry: &Value, xml: &str) {
    let file = entry["file"].as_str().unwrap();
    let described = |name: &str| xml.contains(&format!("<{name}><![CDATA[第")) || xml.contains(&format!("<{name}>第"));
    let push = AuthorizationEvent::parse(SecretString::from(xml));
    if !xml.contains("<AppId>") || described("AppId") {
        assert!(push.component.is_none(), "{file}");
    } else {
        assert_eq!(push.event.info_type(), entry["info_type"].as_str().unwrap(), "{file}");
        assert!(!matches!(push.event, Event::Unknown { .. }), "{file}");
        let has_account = push.event.account().is_some();
        assert_eq!(has_account, xml.contains("<AuthorizerAppid>") || xml.contains("<auth_code>"), "{file}");
        assert_eq!(push.event.code().is_some(), xml.contains("queryauthcode@@@"), "{file}");
    }
}
