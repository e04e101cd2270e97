//! The platform's secret: can it be read, and is each of its fields well formed?
//!
//! What counts is what the functions accept, so every field goes through their own parser, [`Platform::parse`], beside
//! values that are right; the error then is this field's. No finding carries a value.

use aws_sdk_secretsmanager::Client;
use base::ids::AppId;
use platform::secret::{Platform, PlatformError};
use platform::webhook_key::WebhookKeyError;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::finding::{Finding, Verdict};
use super::{Place, refused};
use crate::cause::Cause;

const CHECK: &str = "secret";

const ACTION: &str = "secretsmanager:GetSecretValue";

/// The fields that must be there.
const REQUIRED: [&str; 4] = ["component_appid", "component_appsecret", "token", "encoding_aes_key"];

/// The fields of the generation before, while token or key change.
const PREVIOUS: [&str; 2] = ["previous_token", "previous_encoding_aes_key"];

/// What the reply webhook needs and nothing else.
const WEBHOOK: &str = "webhook_secret";

const WEBHOOK_KEY: &str = "store whsec_ and the Base64 of 24 to 64 random bytes as webhook_secret, and give the same text to the \
                           service behind the webhook; echo whsec_$(openssl rand -base64 32) makes one";

/// The secret that everybody can read in this repository.
const DEMO: &str = include_str!("../../../events/secret.json");

/// What the secret's fields are for in WeChat's console.
const FILL_IN: &str = "store component_appid, component_appsecret, token and encoding_aes_key from WeChat's console as a \
                       JSON object: aws secretsmanager put-secret-value --secret-id ID --secret-string file://secret.json";

/// Reads the secret. The platform's appid is needed to find its items, and returned wherever it can be used, whatever
/// else is wrong.
///
/// `webhook`: a reply webhook is to be called.
pub(super) async fn examine(client: &Client, id: &str, webhook: bool, place: Place) -> (Vec<Finding>, Option<AppId>) {
    let fill_in = FILL_IN.replace("ID", id);
    match client.get_secret_value().secret_id(id).send().await {
        Ok(output) => match output.secret_string {
            Some(text) => judge(&text.into(), webhook, place, &fill_in),
            None => (vec![Finding::wrong(CHECK, "it is binary, not text", fill_in)], None),
        },
        Err(error) => {
            let finding = match Cause::of(&error) {
                // A secret without a value is not found either.
                Cause::NotFound => Finding::wrong(CHECK, "it is not there, or was never filled in", fill_in),
                cause => refused(CHECK, &cause, ACTION, place, "--secrets-port"),
            };
            (vec![finding], None)
        }
    }
}

fn judge(text: &SecretString, webhook: bool, place: Place, fill_in: &str) -> (Vec<Finding>, Option<AppId>) {
    let whole = Platform::parse(text).err();
    if whole == Some(PlatformError::NotConfigured) {
        return (vec![Finding::wrong(CHECK, "it is still empty", fill_in)], None);
    }
    let Ok(fields) = serde_json::from_str::<Map<String, Value>>(text.expose_secret()) else {
        return (vec![Finding::wrong(CHECK, "it is not a JSON object", fill_in)], None);
    };
    let component = fields.get("component_appid").and_then(Value::as_str).and_then(|id| AppId::parse(id.trim()).ok());
    let mut findings: Vec<Finding> =
        REQUIRED.into_iter().chain(PREVIOUS).filter_map(|field| wrong_field(field, fields.get(field))).collect();
    // Whatever the fields say one by one: the functions read it as a whole.
    if let Some(error) = whole.filter(|_| findings.is_empty()) {
        findings.push(Finding::wrong(CHECK, error.to_string(), fill_in));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, well_formed(&fields)));
    }
    findings.extend(webhook_key(fields.get(WEBHOOK), webhook, place));
    findings.extend(demo(&fields, place));
    findings.extend(suspicious(&fields, place));
    (findings, component)
}

/// What the functions' parser makes of one field, all others being right.
fn parsed(field: &'static str, value: Option<&Value>) -> Result<Platform, PlatformError> {
    let mut secret = json!({
        "component_appid": "wx0000000000000000",
        "component_appsecret": "x",
        "token": "x",
        "encoding_aes_key": "A".repeat(43),
    });
    secret[field] = value.cloned().unwrap_or_default();
    Platform::parse(&secret.to_string().into())
}

fn wrong_field(field: &'static str, value: Option<&Value>) -> Option<Finding> {
    let sentence = match parsed(field, value).err()? {
        PlatformError::NotJson => format!("{field} is not a text"),
        PlatformError::Missing(field) => format!("{field} is missing or empty"),
        PlatformError::AppId => format!("{field} is malformed: an appid looks like wx1234567890abcdef"),
        PlatformError::Key { reason, .. } => format!("{field} is malformed: {reason}"),
        other => format!("{field}: {other}"),
    };
    let advice = format!("store {field} as it stands in WeChat's console; functions see it within 5 minutes");
    Some(Finding::wrong(CHECK, sentence, advice))
}

/// The key of the reply webhook, without which it is not called. Of a `cargo run` only its own terminal knows whether it
/// has a webhook.
fn webhook_key(value: Option<&Value>, webhook: bool, place: Place) -> Option<Finding> {
    const NONE: &str = "no reply webhook is set";
    let sentence = match (parsed(WEBHOOK, value).ok()?.webhook_key, webhook) {
        (Ok(_), false) if place != Place::Here => {
            return Some(Finding::ok(CHECK, format!("webhook_secret is well formed; {NONE}")));
        }
        (Ok(_), _) => return Some(Finding::ok(CHECK, "webhook_secret is well formed")),
        (Err(WebhookKeyError::Missing), false) => return Some(Finding::ok(CHECK, NONE)),
        (Err(WebhookKeyError::Missing), true) => {
            "webhook_secret is missing: the reply webhook is not called".to_owned()
        }
        (Err(malformed), _) => malformed.to_string(),
    };
    let verdict = if webhook { Verdict::Wrong } else { Verdict::Warning };
    Some(Finding::wrong(CHECK, sentence, WEBHOOK_KEY).with(verdict))
}

fn well_formed(fields: &Map<String, Value>) -> String {
    let previous: Vec<&str> = PREVIOUS
        .into_iter()
        .filter(|field| fields.get(*field).and_then(Value::as_str).is_some_and(|value| !value.trim().is_empty()))
        .collect();
    match previous[..] {
        [] => "its four fields are well formed".to_owned(),
        _ => format!("its four fields are well formed, and so is {}", previous.join(", and ")),
    }
}

fn demo(fields: &Map<String, Value>, place: Place) -> Option<Finding> {
    let demo: Map<String, Value> = serde_json::from_str(DEMO).unwrap_or_default();
    let used = ["token", "encoding_aes_key"].into_iter().find(|field| {
        let value =
            |fields: &Map<String, Value>| fields.get(*field).and_then(Value::as_str).map(|v| v.trim().to_owned());
        value(&demo).is_some_and(|known| value(fields) == Some(known))
    })?;
    let verdict = match place {
        Place::Aws => Verdict::Wrong,
        Place::Emulator => Verdict::Warning,
        Place::Here => return None,
    };
    let sentence = format!("{used} is the demo's, which everybody knows: anyone could forge pushes");
    let advice = format!("choose another {used} in WeChat's console and store it");
    Some(Finding::wrong(CHECK, sentence, advice).with(verdict))
}

/// What the functions accept, and WeChat does not issue: fields that were mixed up, or misspelt.
fn suspicious(fields: &Map<String, Value>, place: Place) -> Vec<Finding> {
    let mut findings = Vec::new();
    let unknown: Vec<&str> = fields
        .keys()
        .map(String::as_str)
        .filter(|field| !REQUIRED.contains(field) && !PREVIOUS.contains(field) && *field != WEBHOOK)
        .collect();
    if !unknown.is_empty() {
        let sentence = format!("it has fields that nothing reads: {}", unknown.join(", "));
        findings.push(Finding::warning(CHECK, sentence, "check their spelling, or remove them"));
    }
    if place == Place::Here {
        return findings;
    }
    let text = |field: &str| fields.get(field).and_then(Value::as_str).map_or("", str::trim);
    let hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = text("component_appid");
    if !id.is_empty() && AppId::parse(id).is_ok() && !id.strip_prefix("wx").is_some_and(|digits| hex(digits, 16)) {
        let sentence = "component_appid does not look like WeChat's: wx and 16 hexadecimal digits";
        findings.push(Finding::warning(CHECK, sentence, "compare it with the platform's AppID in WeChat's console"));
    }
    let secret = text("component_appsecret");
    if !secret.is_empty() && !hex(secret, 32) {
        let sentence = "component_appsecret does not look like WeChat's: 32 hexadecimal digits";
        findings.push(Finding::warning(
            CHECK,
            sentence,
            "compare it with what WeChat's console showed; reset it there if lost",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFH";

    fn complete() -> Value {
        json!({
            "component_appid": "wx1234567890abcdef",
            "component_appsecret": "0123456789abcdef0123456789abcdef",
            "token": "ExampleToken01",
            "encoding_aes_key": KEY,
        })
    }

    fn judged(text: &str) -> (Vec<Finding>, Option<AppId>) {
        judge(&text.into(), false, Place::Aws, FILL_IN)
    }

    fn with(field: &str, value: &Value) -> Vec<Finding> {
        let mut secret = complete();
        secret[field] = value.clone();
        judged(&secret.to_string()).0
    }

    #[test]
    fn a_complete_secret_is_well() {
        let (findings, component) = judged(&complete().to_string());
        let no_webhook = Finding::ok(CHECK, "no reply webhook is set");
        assert_eq!(findings, [Finding::ok(CHECK, "its four fields are well formed"), no_webhook]);
        assert_eq!(component.unwrap().as_str(), "wx1234567890abcdef");
        let findings = with("previous_token", &json!("old"));
        assert!(findings.len() == 2 && findings[0].sentence.contains("previous_token"), "{findings:?}");
    }

    #[test]
    fn every_wrong_field_is_named_and_no_value_is() {
        let cases = [
            ("component_appid", json!("hush hush")),
            ("component_appid", json!("")),
            ("component_appsecret", json!(null)),
            ("token", json!(["hush"])),
            ("encoding_aes_key", json!("hush")),
            ("encoding_aes_key", json!("!".repeat(43))),
            ("previous_token", json!(5)),
            ("previous_encoding_aes_key", json!("hush")),
        ];
        for (field, value) in cases {
            let mut findings = with(field, &value);
            findings.retain(|finding| finding.verdict != Verdict::Ok);
            assert_eq!(findings.len(), 1, "{findings:?}");
            assert_eq!(findings[0].verdict, Verdict::Wrong);
            assert!(findings[0].sentence.starts_with(field), "{findings:?}");
            assert!(!format!("{findings:?}").contains("hush"), "{findings:?}");
        }
        let (findings, component) = judged(r#"{"component_appid":"wx1234567890abcdef","encoding_aes_key":"hush"}"#);
        let wrong = findings.iter().filter(|finding| finding.verdict == Verdict::Wrong);
        let named: Vec<&str> = wrong.filter_map(|finding| finding.sentence.split(' ').next()).collect();
        assert_eq!(named, ["component_appsecret", "token", "encoding_aes_key"]);
        assert!(component.is_some(), "the rest can still be examined");
    }

    #[test]
    fn an_empty_secret_is_told_with_how_to_fill_it_in() {
        for text in ["", "{}", r#"{"token":""}"#] {
            let (findings, _) = judged(text);
            assert!(findings[0].sentence.contains("empty"), "{findings:?}");
            assert!(findings[0].advice.as_ref().unwrap().contains("put-secret-value"));
        }
        for text in ["hush", "[1]", "\"hush\""] {
            assert!(judged(text).0[0].sentence.contains("JSON object"), "{text}");
        }
    }

    #[test]
    fn the_demo_secret_is_wrong_where_wechat_may_push() {
        let verdicts = |place| {
            let findings = judge(&DEMO.into(), false, place, FILL_IN).0.into_iter();
            findings.filter(|finding| finding.sentence.contains("demo")).map(|found| found.verdict).collect::<Vec<_>>()
        };
        assert_eq!(verdicts(Place::Aws), [Verdict::Wrong]);
        assert_eq!(verdicts(Place::Emulator), [Verdict::Warning]);
        assert_eq!(verdicts(Place::Here), []);
    }

    #[test]
    fn mixed_up_and_misspelt_fields_are_a_warning() {
        for (field, value) in [
            ("component_appid", json!("gh_1234567890ab")),
            ("component_appsecret", json!("ExampleToken01")),
            ("previous_aes_key", json!("hush")),
        ] {
            let findings = with(field, &value);
            let verdicts: Vec<_> = findings.iter().map(|finding| finding.verdict).collect();
            assert_eq!(verdicts, [Verdict::Ok, Verdict::Ok, Verdict::Warning], "{findings:?}");
            assert!(findings[2].sentence.contains(field) && !format!("{findings:?}").contains("hush"));
        }
    }

    #[test]
    fn the_webhooks_key_is_missed_only_where_there_is_a_webhook() {
        let judged = |key: &Value, webhook, place| {
            let mut secret = complete();
            secret["webhook_secret"] = key.clone();
            judge(&secret.to_string().into(), webhook, place, FILL_IN).0
        };
        let key = json!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        for (key, webhook, place, told) in [
            (&key, true, Place::Aws, "webhook_secret is well formed"),
            (&key, false, Place::Aws, "webhook_secret is well formed; no reply webhook is set"),
            (&key, false, Place::Here, "webhook_secret is well formed"),
            (&json!(null), false, Place::Aws, "no reply webhook is set"),
            (&json!(""), false, Place::Here, "no reply webhook is set"),
        ] {
            let findings = judged(key, webhook, place);
            assert_eq!((findings.len(), &findings[1]), (2, &Finding::ok(CHECK, told)));
        }
        for (key, webhook, verdict) in [
            (json!(null), true, Verdict::Wrong),
            (json!("whsec_hush"), true, Verdict::Wrong),
            (json!("hush"), false, Verdict::Warning),
            (json!(5), false, Verdict::Warning),
        ] {
            let findings = judged(&key, webhook, Place::Aws);
            assert_eq!((findings.len(), findings[1].verdict), (2, verdict), "{findings:?}");
            assert!(findings[1].sentence.starts_with("webhook_secret"), "{findings:?}");
            assert!(!format!("{findings:?}").contains("hush"), "{findings:?}");
        }
    }
}
