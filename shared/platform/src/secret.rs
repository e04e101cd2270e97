//! The platform's own secret: appid, appsecret, and two generations of token and key.
//!
//! It is stored in Secrets Manager as one JSON object. [`Platform`] is its parsed form; [`PlatformSource`] reads it,
//! uses it for five minutes, and longer while Secrets Manager does not respond. However many requests wait, there is
//! only one read at a time; and whatever strangers send, reads stay rare. No error contains a value.

#[cfg(any(test, feature = "test-support"))]
pub mod fake;
mod source;

use std::fmt;

use base::ids::AppId;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;
use wechat::crypto::{EncodingAesKey, KeyError, Keyring};

use crate::derived_key::DerivedKeys;
use crate::webhook_key::{WebhookKey, WebhookKeyError};

pub use source::PlatformSource;

/// The platform as described by the secret.
#[derive(Debug)]
pub struct Platform {
    /// `component_appid`.
    pub component: AppId,
    /// `component_appsecret`.
    pub app_secret: SecretString,
    /// `token` and `encoding_aes_key`, current and previous.
    pub keyring: Keyring,
    /// Our own keys, derived from the secret.
    pub derived: DerivedKeys,
    /// `webhook_secret`, which only webhooks need: if it is wrong, only their calls fail, and everything else works.
    pub webhook_key: Result<WebhookKey, WebhookKeyError>,
}

/// Why there is no [`Platform`].
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
pub enum PlatformError {
    /// The secret is empty, as in a new stack, or does not exist: Secrets Manager responds to both in the same way.
    #[error(
        "the platform's secret is still empty, or SECRET_ID names no secret in this region: store component_appid, \
         component_appsecret, token and encoding_aes_key from WeChat's console in it, as a JSON object"
    )]
    NotConfigured,
    /// The secret is not a JSON object, or names a field twice.
    #[error("the platform's secret is not a JSON object, or has a field twice: store it again")]
    NotJson,
    /// The value of a field is not a string.
    #[error("{0} in the platform's secret is not a string: put it in quotation marks")]
    NotText(&'static str),
    /// A field is missing or empty while others are set.
    #[error("the platform's secret lacks {0}: copy it from WeChat's console")]
    Missing(&'static str),
    /// `component_appid` does not have the form of an appid.
    #[error(
        "component_appid in the platform's secret is malformed: it is the platform's AppID, such as wx1234567890abcdef"
    )]
    AppId,
    /// A key is malformed.
    #[error("{field} in the platform's secret is malformed: {reason}")]
    Key {
        /// `encoding_aes_key` or `previous_encoding_aes_key`.
        field: &'static str,
        /// What is wrong with it.
        reason: KeyError,
    },
    /// The secret could not be read from Secrets Manager.
    #[error("the platform's secret cannot be read ({0}): check SECRET_ID, the function's permission and the network")]
    Unreadable(String),
}

/// The stored form. Missing, `null` and empty are the same; unknown fields are ignored. The values are of any type, so
/// that all wrong fields can be reported, not only the first.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Stored {
    component_appid: Value,
    component_appsecret: Value,
    token: Value,
    encoding_aes_key: Value,
    previous_token: Value,
    previous_encoding_aes_key: Value,
    webhook_secret: Value,
}

impl Platform {
    /// Reads the secret's text. White space around a value is dropped: values are pasted by hand.
    ///
    /// # Errors
    /// The first error of [`Platform::check`].
    pub fn parse(secret: &SecretString) -> Result<Self, PlatformError> {
        Self::check(secret).map_err(|errors| errors.into_iter().next().unwrap_or(PlatformError::NotConfigured))
    }

    /// The same, with an error for everything that is wrong, in the order of the fields.
    ///
    /// # Errors
    /// One [`PlatformError`] or more, each naming its field and what to do, never the value.
    pub fn check(secret: &SecretString) -> Result<Self, Vec<PlatformError>> {
        let text = secret.expose_secret().trim();
        let stored: Stored = match text {
            "" => Stored::default(),
            // The parser's own message may quote the value; and it would accept an array as the fields in their order.
            json if json.starts_with('{') => serde_json::from_str(json).map_err(|_| vec![PlatformError::NotJson])?,
            _ => return Err(vec![PlatformError::NotJson]),
        };
        let component = filled("component_appid", stored.component_appid);
        let app_secret = filled("component_appsecret", stored.component_appsecret);
        let token = filled("token", stored.token);
        let key = filled("encoding_aes_key", stored.encoding_aes_key);
        if [&component, &app_secret, &token, &key].into_iter().all(|field| matches!(field, Ok(None))) {
            return Err(vec![PlatformError::NotConfigured]);
        }
        let needed = |name, field: Filled| field?.ok_or(PlatformError::Missing(name));
        let component = needed("component_appid", component)
            .and_then(|id| AppId::parse(id.expose_secret()).map_err(|_| PlatformError::AppId));
        let app_secret = needed("component_appsecret", app_secret);
        let token = needed("token", token);
        let key = needed("encoding_aes_key", key).and_then(|key| Ok((parse_key("encoding_aes_key", &key)?, key)));
        let previous_token = filled("previous_token", stored.previous_token);
        let previous_key = filled("previous_encoding_aes_key", stored.previous_encoding_aes_key)
            .and_then(|key| key.map(|key| Ok((parse_key("previous_encoding_aes_key", &key)?, key))).transpose());
        match (component, app_secret, token, key, previous_token, previous_key) {
            (Ok(component), Ok(app_secret), Ok(token), Ok((key, text)), Ok(previous_token), Ok(previous)) => {
                let (previous_key, previous_text) = previous.unzip();
                Ok(Self {
                    keyring: Keyring::new(component.clone(), token, key).with_previous(previous_token, previous_key),
                    derived: DerivedKeys::new(&component, &text, previous_text.as_ref()),
                    component,
                    app_secret,
                    webhook_key: webhook_key(stored.webhook_secret),
                })
            }
            (component, app_secret, token, key, previous_token, previous_key) => Err([
                component.err(),
                app_secret.err(),
                token.err(),
                key.err(),
                previous_token.err(),
                previous_key.err(),
            ]
            .into_iter()
            .flatten()
            .collect()),
        }
    }
}

/// The value of a field, if it has one.
type Filled = Result<Option<SecretString>, PlatformError>;

fn filled(name: &'static str, value: Value) -> Filled {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(trimmed(text)),
        _ => Err(PlatformError::NotText(name)),
    }
}

fn trimmed(text: String) -> Option<SecretString> {
    let text = SecretString::from(text);
    let trimmed = text.expose_secret().trim();
    (!trimmed.is_empty()).then(|| SecretString::from(trimmed))
}

fn parse_key(field: &'static str, key: &SecretString) -> Result<EncodingAesKey, PlatformError> {
    EncodingAesKey::parse(key).map_err(|reason| PlatformError::Key { field, reason })
}

/// Reads the field `webhook_secret`.
///
/// # Errors
/// [`WebhookKeyError`], which describes the required form.
pub fn webhook_key(value: Value) -> Result<WebhookKey, WebhookKeyError> {
    let text = match value {
        Value::Null => None,
        Value::String(text) => trimmed(text),
        _ => return Err(WebhookKeyError::Prefix),
    };
    WebhookKey::parse(&text.ok_or(WebhookKeyError::Missing)?)
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stored([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
    const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn parse(text: &impl ToString) -> Result<Platform, PlatformError> {
        Platform::parse(&text.to_string().into())
    }

    fn complete() -> serde_json::Value {
        json!({
            "component_appid": "wx1234567890abcdef",
            "component_appsecret": "app-secret",
            "token": "ExampleToken01",
            "encoding_aes_key": KEY,
        })
    }

    fn with(field: &str, value: &serde_json::Value) -> serde_json::Value {
        let mut secret = complete();
        secret[field] = value.clone();
        secret
    }

    #[test]
    fn a_fresh_secret_is_not_configured() {
        let empty = json!({ "component_appid": "", "component_appsecret": " ", "token": null, "encoding_aes_key": "" });
        for text in [String::new(), " \n".into(), "{}".into(), empty.to_string()] {
            assert_eq!(parse(&text).unwrap_err(), PlatformError::NotConfigured, "{text:?}");
        }
    }

    #[test]
    fn a_complete_secret_is_read_and_pasted_white_space_dropped() {
        let platform = parse(&with("component_appsecret", &json!(" app-secret\n"))).unwrap();
        assert_eq!(platform.component.as_str(), "wx1234567890abcdef");
        assert_eq!(platform.app_secret.expose_secret(), "app-secret");
        assert!(parse(&with("previous_token", &json!("old"))).is_ok());
        assert!(parse(&with("previous_encoding_aes_key", &json!(""))).is_ok());
        assert!(parse(&with("note", &json!(1))).is_ok());
    }

    #[test]
    fn a_wrong_field_is_named_and_its_value_is_not() {
        for (field, value, expected) in [
            ("component_appid", json!(""), PlatformError::Missing("component_appid")),
            ("component_appid", json!("hush hush"), PlatformError::AppId),
            ("component_appsecret", json!(null), PlatformError::Missing("component_appsecret")),
            ("token", json!(" "), PlatformError::Missing("token")),
            ("token", json!(["hush"]), PlatformError::NotText("token")),
            ("encoding_aes_key", json!(""), PlatformError::Missing("encoding_aes_key")),
            (
                "encoding_aes_key",
                json!("hush"),
                PlatformError::Key { field: "encoding_aes_key", reason: KeyError::Length(4) },
            ),
            (
                "previous_encoding_aes_key",
                json!("hush"),
                PlatformError::Key { field: "previous_encoding_aes_key", reason: KeyError::Length(4) },
            ),
        ] {
            let error = parse(&with(field, &value)).unwrap_err();
            assert_eq!(error, expected, "{field}");
            assert!(error.to_string().contains(field), "{error}");
            assert!(!format!("{error:?} {error}").contains("hush"), "{error}");
        }
        let twice = r#"{"token":"hush","token":"hush"}"#;
        for text in ["hush", "[1]", "[\"wx1\"]", "\"hush\"", "{\"token\": \"hush", twice] {
            assert_eq!(parse(&text).unwrap_err(), PlatformError::NotJson, "{text}");
        }
    }

    #[test]
    fn a_check_names_all_that_is_wrong() {
        let secret = json!({ "component_appid": "wx1234567890abcdef", "token": 5, "encoding_aes_key": "hush",
            "previous_encoding_aes_key": [] });
        let errors = Platform::check(&secret.to_string().into()).unwrap_err();
        let key = PlatformError::Key { field: "encoding_aes_key", reason: KeyError::Length(4) };
        assert_eq!(
            errors,
            [
                PlatformError::Missing("component_appsecret"),
                PlatformError::NotText("token"),
                key,
                PlatformError::NotText("previous_encoding_aes_key"),
            ]
        );
        assert!(Platform::check(&complete().to_string().into()).is_ok());
    }

    #[test]
    fn a_wrong_webhook_secret_disables_only_the_webhook() {
        let webhook_key = |value| parse(&with("webhook_secret", &value)).unwrap().webhook_key;
        assert!(webhook_key(json!(format!(" {WEBHOOK_SECRET}\n"))).is_ok());
        for (value, expected) in [
            (json!(null), WebhookKeyError::Missing),
            (json!(" "), WebhookKeyError::Missing),
            (json!(7), WebhookKeyError::Prefix),
            (json!(["whsec_"]), WebhookKeyError::Prefix),
            (json!("hush"), WebhookKeyError::Prefix),
            (json!("whsec_hush"), WebhookKeyError::Length(3)),
        ] {
            assert_eq!(webhook_key(value.clone()).unwrap_err(), expected, "{value}");
        }
        assert_eq!(parse(&complete()).unwrap().webhook_key.unwrap_err(), WebhookKeyError::Missing);
        // It does not make a fresh secret look filled either.
        let fresh = json!({ "component_appid": "", "webhook_secret": WEBHOOK_SECRET });
        assert_eq!(parse(&fresh).unwrap_err(), PlatformError::NotConfigured);
    }

    #[test]
    fn nothing_secret_is_in_a_debug_text() {
        let text = format!("{:?}", parse(&with("webhook_secret", &json!(WEBHOOK_SECRET))).unwrap());
        assert!(!text.contains("app-secret") && !text.contains("ExampleToken01") && !text.contains(KEY), "{text}");
        assert!(!text.contains(&WEBHOOK_SECRET[6..]), "{text}");
    }
}
