//! The platform's secret: whether it can be read, and whether each of its fields is well formed.
//!
//! The criterion is what the functions accept: [`Platform::check`]. No finding contains a value.

use base::ids::AppId;
use platform::secret::{self, Platform, PlatformError};
use platform::webhook_key::WebhookKeyError;
use runtime::aws::{AwsFailure, FailureKind};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use super::refused;
use crate::deployment::{Deployment, Target};
use crate::finding::{Finding, Verdict};

const CHECK: &str = "secret";

const ACTION: &str = "secretsmanager:GetSecretValue";

/// The required fields.
const REQUIRED: [&str; 4] = ["component_appid", "component_appsecret", "token", "encoding_aes_key"];

/// The fields with the previous generation, while token or key are being changed.
const PREVIOUS: [&str; 2] = ["previous_token", "previous_encoding_aes_key"];

/// The field that only webhooks need.
const WEBHOOK: &str = "webhook_secret";

const WEBHOOK_KEY: &str = "store whsec_ and the Base64 of 24 to 64 random bytes as webhook_secret, and give the same text to the \
                           service behind the webhook; echo whsec_$(openssl rand -base64 32) generates one";

/// The demo secret, which everybody can read in this repository.
const DEMO: &str = include_str!("../../../events/secret.json");

/// How to fill in the secret.
const FILL_IN: &str = "store component_appid, component_appsecret, token and encoding_aes_key from WeChat's console as a \
                       JSON object: aws secretsmanager put-secret-value --secret-id ID --secret-string file://secret.json";

/// Reads the secret's text.
pub(crate) async fn read(deployment: &Deployment) -> Result<SecretString, Finding> {
    let fill_in = fill_in(deployment);
    match deployment.clients.secrets.get_secret_value().secret_id(&deployment.secret_id).send().await {
        Ok(output) => output
            .secret_string
            .map(SecretString::from)
            .ok_or_else(|| Finding::wrong(CHECK, "it is binary, not text", fill_in)),
        Err(error) => {
            let failure = AwsFailure::of(&error);
            Err(match failure.kind {
                // A secret without a value is also "not found".
                FailureKind::NotFound => Finding::wrong(CHECK, "it does not exist, or was never filled in", fill_in),
                _ => refused(CHECK, &failure, ACTION, deployment.target),
            })
        }
    }
}

/// How to fill in the secret of a deployment.
pub(crate) fn fill_in(deployment: &Deployment) -> String {
    FILL_IN.replace("ID", &deployment.secret_id)
}

/// Checks the secret. The platform's appid, which is needed to find its items, is returned if it is well formed,
/// whatever else is wrong.
pub(super) async fn examine(deployment: &Deployment) -> (Vec<Finding>, Option<AppId>) {
    match read(deployment).await {
        Ok(text) => judge(&text, deployment.webhook, deployment.target, &fill_in(deployment)),
        Err(unread) => (vec![unread], None),
    }
}

fn judge(text: &SecretString, webhook: bool, target: Target, fill_in: &str) -> (Vec<Finding>, Option<AppId>) {
    let errors = Platform::check(text).err().unwrap_or_default();
    match errors[..] {
        [PlatformError::NotConfigured] => return (vec![Finding::wrong(CHECK, "it is still empty", fill_in)], None),
        [PlatformError::NotJson] => {
            let sentence = "it is not a JSON object, or contains a field twice";
            return (vec![Finding::wrong(CHECK, sentence, fill_in)], None);
        }
        _ => {}
    }
    let fields: Map<String, Value> = serde_json::from_str(text.expose_secret()).unwrap_or_default();
    let component = fields.get("component_appid").and_then(Value::as_str).and_then(|id| AppId::parse(id.trim()).ok());
    let advice = "store it as WeChat's console shows it; the functions use it within 5 minutes";
    let mut findings: Vec<Finding> =
        errors.iter().map(|error| Finding::wrong(CHECK, error.to_string(), advice)).collect();
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, well_formed(&fields)));
    }
    findings.push(webhook_key(fields.get(WEBHOOK), webhook, target));
    findings.extend(demo(&fields, target));
    findings.extend(suspicious(&fields, target));
    (findings, component)
}

/// Checks the key of the webhooks, without which none is called. Whether a `cargo run` has a webhook is not known here.
fn webhook_key(value: Option<&Value>, webhook: bool, target: Target) -> Finding {
    const NONE: &str = "no webhook is set";
    let sentence = match (secret::webhook_key(value.cloned().unwrap_or_default()), webhook) {
        (Ok(_), false) if target != Target::Local => {
            return Finding::ok(CHECK, format!("webhook_secret is well formed; {NONE}"));
        }
        (Ok(_), _) => return Finding::ok(CHECK, "webhook_secret is well formed"),
        (Err(WebhookKeyError::Missing), false) => return Finding::ok(CHECK, NONE),
        (Err(WebhookKeyError::Missing), true) => "webhook_secret is missing: no webhook is called".to_owned(),
        (Err(malformed), _) => malformed.to_string(),
    };
    let verdict = if webhook { Verdict::Wrong } else { Verdict::Warning };
    Finding::wrong(CHECK, sentence, WEBHOOK_KEY).with(verdict)
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

fn demo(fields: &Map<String, Value>, target: Target) -> Option<Finding> {
    let demo: Map<String, Value> = serde_json::from_str(DEMO).unwrap_or_default();
    let used = ["token", "encoding_aes_key"].into_iter().find(|field| {
        let value =
            |fields: &Map<String, Value>| fields.get(*field).and_then(Value::as_str).map(|v| v.trim().to_owned());
        value(&demo).is_some_and(|known| value(fields) == Some(known))
    })?;
    let verdict = match target {
        Target::Aws => Verdict::Wrong,
        Target::Emulator => Verdict::Warning,
        Target::Local => return None,
    };
    let sentence = format!("{used} is that of the demo, which is public: anyone could forge pushes");
    let advice = format!("choose another {used} in WeChat's console and store it");
    Some(Finding::wrong(CHECK, sentence, advice).with(verdict))
}

/// Finds what the functions accept but WeChat does not issue: fields that were mixed up or misspelt.
fn suspicious(fields: &Map<String, Value>, target: Target) -> Vec<Finding> {
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
    if target == Target::Local {
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
    use serde_json::json;

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
        judge(&text.into(), false, Target::Aws, FILL_IN)
    }

    fn with(field: &str, value: &Value) -> Vec<Finding> {
        let mut secret = complete();
        secret[field] = value.clone();
        judged(&secret.to_string()).0
    }

    #[test]
    fn a_complete_secret_is_well() {
        let (findings, component) = judged(&complete().to_string());
        let no_webhook = Finding::ok(CHECK, "no webhook is set");
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
            assert!(findings[0].sentence.contains(field), "{findings:?}");
            assert!(!format!("{findings:?}").contains("hush"), "{findings:?}");
        }
        let (findings, component) = judged(r#"{"component_appid":"wx1234567890abcdef","encoding_aes_key":"hush"}"#);
        let wrong = findings.iter().filter(|finding| finding.verdict == Verdict::Wrong);
        let sentences: Vec<&str> = wrong.map(|finding| finding.sentence.as_str()).collect();
        assert_eq!(sentences.len(), 3, "{sentences:?}");
        for (sentence, field) in sentences.into_iter().zip(["component_appsecret", "token", "encoding_aes_key"]) {
            assert!(sentence.contains(field), "{sentence}");
        }
        assert!(component.is_some(), "the rest can still be examined");
    }

    #[test]
    fn an_empty_secret_is_reported_with_how_to_fill_it_in() {
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
        let verdicts = |target| {
            let findings = judge(&DEMO.into(), false, target, FILL_IN).0.into_iter();
            findings.filter(|finding| finding.sentence.contains("demo")).map(|found| found.verdict).collect::<Vec<_>>()
        };
        assert_eq!(verdicts(Target::Aws), [Verdict::Wrong]);
        assert_eq!(verdicts(Target::Emulator), [Verdict::Warning]);
        assert_eq!(verdicts(Target::Local), []);
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
        let judged = |key: &Value, webhook, target| {
            let mut secret = complete();
            secret["webhook_secret"] = key.clone();
            judge(&secret.to_string().into(), webhook, target, FILL_IN).0
        };
        let key = json!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        for (key, webhook, target, told) in [
            (&key, true, Target::Aws, "webhook_secret is well formed"),
            (&key, false, Target::Aws, "webhook_secret is well formed; no webhook is set"),
            (&key, false, Target::Local, "webhook_secret is well formed"),
            (&json!(null), false, Target::Aws, "no webhook is set"),
            (&json!(""), false, Target::Local, "no webhook is set"),
        ] {
            let findings = judged(key, webhook, target);
            assert_eq!((findings.len(), &findings[1]), (2, &Finding::ok(CHECK, told)));
        }
        for (key, webhook, verdict) in [
            (json!(null), true, Verdict::Wrong),
            (json!("whsec_hush"), true, Verdict::Wrong),
            (json!("hush"), false, Verdict::Warning),
            (json!(5), false, Verdict::Warning),
        ] {
            let findings = judged(&key, webhook, Target::Aws);
            assert_eq!((findings.len(), findings[1].verdict), (2, verdict), "{findings:?}");
            assert!(findings[1].sentence.starts_with("webhook_secret"), "{findings:?}");
            assert!(!format!("{findings:?}").contains("hush"), "{findings:?}");
        }
    }
}
