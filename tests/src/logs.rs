//! The search for secrets in the log (promise 5 of `docs/architecture.md`).
//!
//! A secret leaks in more forms than its own: URLs carry it percent-encoded, JSON escapes it, `Debug` quotes it, and
//! headers or events carry it as Base64 inside something longer. [`leaks`] looks for all of these.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use runtime::telemetry;
use serde_json::Value;
use simulator::{Push, SecretKind, Simulator};

use crate::process::Process;

/// A value with fewer characters is found everywhere by accident, and is not a secret.
const SHORTEST_SECRET: usize = 8;

/// Encoders like `encodeURI` differ in what they leave unchanged; this is the laxest that still changes anything.
const LAX: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'#').add(b'%').add(b'+');

/// The places of a list's secrets in a text: one sentence for each, with its kind, its form and the line around it,
/// without the secret itself. Empty if nothing leaked.
#[must_use]
pub fn leaks<'a>(text: &str, secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut found = Vec::new();
    let ends = Ends::of(text);
    for (kind, secret) in secrets {
        assert!(secret.len() >= SHORTEST_SECRET, "the {kind} to look for is too short to be a secret");
        for (form, written) in forms(secret) {
            if ends.may_end(&written)
                && let Some(line) = text.lines().find(|line| line.contains(&written))
            {
                found.push(format!("{kind} ({form}): {}", line.replace(&written, "<the secret>")));
                break;
            }
        }
    }
    found
}

/// The ends of the parts of a text, so that hundreds of secrets in a dozen forms are found in one pass over it: a bit
/// for each run of eight bytes. Runs that share a bit cost a second look, and nothing else.
struct Ends(Vec<u64>);

impl Ends {
    const BITS: u32 = 22;

    fn of(text: &str) -> Self {
        let mut bits = vec![0; 1 << (Self::BITS - 6)];
        for run in text.as_bytes().array_windows() {
            let (word, bit) = Self::place(*run);
            bits[word] |= bit;
        }
        Self(bits)
    }

    /// Whether the text may contain this.
    fn may_end(&self, form: &str) -> bool {
        form.as_bytes().last_chunk().is_none_or(|run| {
            let (word, bit) = Self::place(*run);
            self.0[word] & bit != 0
        })
    }

    /// Multiplicative hashing, by the golden ratio.
    const fn place(run: [u8; SHORTEST_SECRET]) -> (usize, u64) {
        let hash = u64::from_le_bytes(run).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - Self::BITS);
        ((hash >> 6) as usize, 1 << (hash & 63))
    }
}

/// Every kind of secret that WeChat's side has for the platform itself.
pub const KINDS: [SecretKind; 9] = [
    SecretKind::AppSecret,
    SecretKind::Token,
    SecretKind::EncodingAesKey,
    SecretKind::Ticket,
    SecretKind::ComponentToken,
    SecretKind::PreAuthCode,
    SecretKind::AuthorizationCode,
    SecretKind::AuthorizerToken,
    SecretKind::RefreshToken,
];

/// Checks that every line that our code wrote carries the id of its request, and that there are such lines.
pub fn assert_request_ids(output: &str) {
    // A function that ends logs the reason under `runtime`, outside any request.
    let is_ours = |line: &Value| {
        let target = line["target"].as_str().unwrap_or_default();
        telemetry::is_ours(target) && !target.starts_with("runtime::")
    };
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ours: Vec<Value> = lines.filter(is_ours).collect();
    assert!(!ours.is_empty(), "it does log:\n{output}");
    for line in ours {
        let id = line["span"]["request_id"].as_str().unwrap_or_default();
        assert!(!id.is_empty(), "a line without a request id: {line}");
    }
}

/// Searches the output of a story's processes for every secret that WeChat's side had or issued, and for the messages
/// of these pushes. Before that it proves that each of them would be found in a process's output, and that the story
/// had secrets of every kind.
pub async fn assert_nothing_leaked(output: &str, simulator: &Simulator, pushes: &[&Push]) {
    let messages: Vec<_> = pushes.iter().map(|push| ("Message", push.message.as_str())).collect();
    assert_neither_leaked(output, simulator, &messages).await;
}

/// The same for other private texts, each with the word for its kind: messages between followers and accounts, a
/// webhook's key.
pub async fn assert_neither_leaked(output: &str, simulator: &Simulator, private: &[(&str, &str)]) {
    let issued = simulator.issued_secrets();
    let kinds: BTreeSet<SecretKind> = issued.iter().map(|secret| secret.kind).collect();
    assert!(kinds.is_superset(&BTreeSet::from(KINDS)), "a story without a kind of secret proves nothing about it");
    let private = private.iter().map(|(kind, value)| ((*kind).to_owned(), (*value).to_owned()));
    let sought: Vec<(String, String)> =
        issued.into_iter().map(|secret| (format!("{:?}", secret.kind), secret.value)).chain(private).collect();
    let sought = || sought.iter().map(|(kind, value)| (kind.as_str(), value.as_str()));

    let variables = sought().enumerate().map(|(number, (_, value))| (format!("SECRET_{number}"), value));
    let mut leaking = Process::start("/usr/bin/env", &[], variables);
    leaking.wait_for_end(Duration::from_secs(20)).await;
    assert_eq!(leaks(&leaking.output(), sought()).len(), sought().count(), "each would be found");

    let leaked = leaks(output, sought());
    assert!(leaked.is_empty(), "{leaked:#?}");
}

/// Every way a secret may be written, without duplicates.
fn forms(secret: &str) -> Vec<(&'static str, String)> {
    let json = |text: &str| {
        let quoted = serde_json::to_string(text).unwrap();
        quoted.trim_start_matches('"').trim_end_matches('"').to_owned()
    };
    let escaped = json(secret);
    let mut forms = vec![
        ("plain", secret.to_owned()),
        ("escaped", escaped.clone()),
        ("escaped twice", json(&escaped)),
        ("percent-encoded", utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string()),
        ("percent-encoded", lower_case_escapes(&utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string())),
        ("percent-encoded", utf8_percent_encode(secret, LAX).to_string()),
        ("form-encoded", form_encoded(secret)),
        ("percent-decoded", percent_decode_str(secret).decode_utf8_lossy().into_owned()),
        ("hexadecimal", base::ids::hex(secret.as_bytes())),
    ];
    for offset in 0..3 {
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            forms.push(("Base64", inside_base64(engine, secret, offset)));
        }
    }
    forms.push(("list of bytes", bytes_listed(secret)));
    forms.retain(|(_, form)| form.len() >= SHORTEST_SECRET);
    forms
}

/// `%2F` as `%2f`, the letters outside escapes unchanged.
fn lower_case_escapes(encoded: &str) -> String {
    let mut pieces = encoded.split('%');
    let mut lower = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (digits, rest) = piece.split_at(2);
        write!(lower, "%{}{rest}", digits.to_lowercase()).unwrap();
    }
    lower
}

/// As HTML forms and `url::form_urlencoded` write it: `*-._` stay, a space becomes `+`.
fn form_encoded(secret: &str) -> String {
    const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');
    utf8_percent_encode(secret, FORM).to_string().replace("%20", "+")
}

/// The characters that are the same whatever follows the secret, `offset` bytes after a boundary of three. The first
/// and last group of four may mix with the surrounding text.
fn inside_base64(engine: &impl base64::Engine, secret: &str, offset: usize) -> String {
    let mut bytes = vec![0; offset];
    bytes.extend_from_slice(secret.as_bytes());
    let whole = bytes.len() - bytes.len() % 3;
    let start = if offset == 0 { 0 } else { 4 };
    engine.encode(&bytes[..whole]).chars().skip(start).collect()
}

/// As a derived `Debug` writes bytes: `[104, 117, …]`.
fn bytes_listed(secret: &str) -> String {
    let mut listed = String::new();
    for byte in secret.bytes() {
        let separator = if listed.is_empty() { "" } else { ", " };
        write!(listed, "{separator}{byte}").unwrap();
    }
    listed
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const SECRET: &str = "queryAuthCode@@@a+b/\"c=\"";

    fn leaked(text: &str) -> bool {
        !leaks(text, [("code", SECRET)]).is_empty()
    }

    #[test]
    fn a_secret_is_found_however_it_is_written() {
        let written = [
            SECRET.to_owned(),
            serde_json::json!({ "event": SECRET }).to_string(),
            serde_json::json!({ "event": serde_json::json!({ "code": SECRET }).to_string() }).to_string(),
            format!("{SECRET:?}"),
            format!("?auth_code={}", utf8_percent_encode(SECRET, NON_ALPHANUMERIC)),
            format!("?auth_code={}", "queryAuthCode%40%40%40a%2bb%2f%22c%3d%22"),
            format!("?auth_code={}", utf8_percent_encode(SECRET, LAX)),
            format!("auth_code={}", form_encoded(SECRET)),
            format!("{:?}", SECRET.as_bytes()),
            base::ids::hex(SECRET.as_bytes()),
        ];
        for text in written {
            assert!(leaked(&format!("before {text} after")), "{text}");
        }
    }

    #[test]
    fn a_secret_inside_of_something_longer_is_found_in_its_base64() {
        for before in ["", "a", "ab", "abc", "{\"body\": \""] {
            let longer = format!("{before}{SECRET}, and more");
            assert!(leaked(&STANDARD.encode(&longer)), "{before}");
            assert!(leaked(&URL_SAFE_NO_PAD.encode(&longer)), "{before}");
        }
    }

    #[test]
    fn a_report_names_the_kind_and_not_the_secret() {
        let found = leaks(&format!("one\ntwo {SECRET} three"), [("code", SECRET), ("token", "not in there")]);
        assert_eq!(found, ["code (plain): two <the secret> three"]);
        assert!(!leaked("nothing of it"));
    }

    #[test]
    #[should_panic(expected = "too short")]
    fn a_secret_that_was_never_issued_is_no_proof() {
        let _ = leaks("text", [("token", "")]);
    }
}
