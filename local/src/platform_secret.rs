//! The platform's secret on this machine: the user's own, or one generated for the simulator and stored.
//!
//! The form is that of the secret in Secrets Manager: a JSON object of texts. A secret of the user's own is read and
//! never written. A generated one stays the same from one start to the next, or everything in the table would belong to
//! another platform; only a `webhook_secret` is added if an earlier version generated it without one. No error contains
//! a value.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use base::ids::{AppId, hex};
use base::random::Random;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platform::secret::{Platform, PlatformError};
use platform::webhook_key::{WebhookKey, WebhookKeyError};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::data_dir::DataDir;

/// The generated secret's file in the data folder.
const FILE: &str = "secret.json";

/// Why there is no secret, each as a sentence that names the file and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// There is no such file.
    #[error("there is no file {}: check --secret, or leave it out to use a generated secret", .0.display())]
    Missing(PathBuf),
    /// The file cannot be read or written.
    #[error("the secret {} cannot be used: {source}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file's content is not a usable secret.
    #[error("the secret {} cannot be used: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The problem with it.
        reason: PlatformError,
    },
}

/// The platform's secret, checked. The simulator needs its parts to play WeChat's side.
#[derive(Debug)]
pub struct PlatformSecret {
    /// The platform's appid.
    pub component_appid: AppId,
    /// Proves the platform to WeChat's API.
    pub component_appsecret: SecretString,
    /// Signs the pushes.
    pub token: SecretString,
    /// Encrypts the pushes: 43 characters.
    pub encoding_aes_key: SecretString,
    /// Signs the calls of the webhooks; nothing else needs it.
    pub webhook_key: Result<WebhookKey, WebhookKeyError>,
    json: SecretString,
}

/// The parts that [`Platform`] hides in its keyring and the simulator needs. No `Debug`: it owns secrets.
#[derive(Deserialize)]
struct Signing {
    token: String,
    encoding_aes_key: String,
}

impl PlatformSecret {
    /// The secret in a file of the user's own.
    ///
    /// # Errors
    /// [`SecretFileError`] naming the file.
    pub fn read(path: &Path) -> Result<Self, SecretFileError> {
        let text = std::fs::read_to_string(path).map_err(|source| match source.kind() {
            ErrorKind::NotFound => SecretFileError::Missing(path.to_owned()),
            _ => SecretFileError::Unusable { path: path.to_owned(), source },
        })?;
        Self::parse(text.into()).map_err(|reason| SecretFileError::Malformed { path: path.to_owned(), reason })
    }

    /// The path of the generated secret of a data folder.
    #[must_use]
    pub fn file(folder: &DataDir) -> PathBuf {
        folder.file(FILE)
    }

    /// The generated secret of a data folder; at the first start it is created and written, readable by the user only.
    ///
    /// # Errors
    /// [`SecretFileError`] naming the file.
    pub fn generated(folder: &DataDir, random: &Random) -> Result<Self, SecretFileError> {
        let path = Self::file(folder);
        let write = |json: &SecretString| {
            folder.keep(FILE, json).map_err(|source| SecretFileError::Unusable { path: path.clone(), source })
        };
        if !path.exists() {
            write(&generate(random))?;
        }
        let secret = Self::read(&path)?;
        match secret.with_webhook_secret(random) {
            Some(json) => {
                write(&json)?;
                Self::read(&path)
            }
            None => Ok(secret),
        }
    }

    /// The JSON object with a `webhook_secret` added, if it lacks one.
    fn with_webhook_secret(&self, random: &Random) -> Option<SecretString> {
        if !matches!(self.webhook_key, Err(WebhookKeyError::Missing)) {
            return None;
        }
        let mut fields: Map<String, Value> = serde_json::from_str(self.json.expose_secret()).ok()?;
        fields.insert("webhook_secret".to_owned(), webhook_secret(random).into());
        Some(in_file(&fields.into()))
    }

    /// The JSON object, as Secrets Manager returns it.
    #[must_use]
    pub const fn json(&self) -> &SecretString {
        &self.json
    }

    /// Accepts what a function accepts, with the same code.
    fn parse(json: SecretString) -> Result<Self, PlatformError> {
        let platform = Platform::parse(&json)?;
        let signing: Signing = serde_json::from_str(json.expose_secret()).map_err(|_| PlatformError::NotJson)?;
        Ok(Self {
            component_appid: platform.component,
            component_appsecret: platform.app_secret,
            token: signing.token.trim().into(),
            encoding_aes_key: signing.encoding_aes_key.trim().into(),
            webhook_key: platform.webhook_key,
            json,
        })
    }
}

/// A secret in the forms that WeChat uses: appid `wx` and 16 hexadecimal digits, appsecret 32, a key of 43 letters and
/// digits.
fn generate(random: &Random) -> SecretString {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let letter = || u8::try_from(random.up_to(61)).ok().and_then(|index| ALPHABET.get(usize::from(index)));
    let key: String = std::iter::repeat_with(letter).flatten().map(|&letter| char::from(letter)).take(43).collect();
    let secret = json!({
        "component_appid": format!("wx{}", hex(&random.bytes::<8>())),
        "component_appsecret": hex(&random.bytes::<16>()),
        "token": random.id(),
        "encoding_aes_key": key,
        "webhook_secret": webhook_secret(random),
    });
    in_file(&secret)
}

/// A key as the Standard Webhooks specification recommends it.
fn webhook_secret(random: &Random) -> String {
    format!("whsec_{}", STANDARD.encode(random.bytes::<32>()))
}

/// The JSON object as it is in the file.
fn in_file(secret: &Value) -> SecretString {
    format!("{secret:#}\n").into()
}

#[cfg(test)]
mod tests {
    use wechat::crypto::KeyError;

    use super::*;

    fn with(field: &str, value: Value) -> Result<PlatformSecret, PlatformError> {
        let mut secret: Value = serde_json::from_str(generate(&Random::system()).expose_secret()).unwrap();
        secret[field] = value;
        PlatformSecret::parse(secret.to_string().into())
    }

    #[test]
    fn a_generated_secret_has_wechats_forms_and_stays_the_same() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataDir::open(parent.path()).unwrap();
        let first = PlatformSecret::generated(&folder, &Random::system()).unwrap();
        let again = PlatformSecret::generated(&folder, &Random::system()).unwrap();
        assert_eq!(first.json().expose_secret(), again.json().expose_secret());
        let appid = first.component_appid.as_str();
        assert!(appid.len() == 18 && appid.starts_with("wx"), "{appid}");
        let key = first.encoding_aes_key.expose_secret();
        assert!(key.len() == 43 && key.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }

    #[test]
    fn two_generated_secrets_differ_in_every_part() {
        let secret = || PlatformSecret::parse(generate(&Random::system())).unwrap();
        let (one, other) = (secret(), secret());
        let parts = |secret: PlatformSecret| [secret.token, secret.component_appsecret, secret.encoding_aes_key];
        assert_ne!(one.component_appid, other.component_appid);
        for (one, other) in parts(one).iter().zip(&parts(other)) {
            assert_ne!(one.expose_secret(), other.expose_secret());
        }
    }

    #[test]
    fn a_secret_from_before_webhooks_gets_a_key_for_them_and_keeps_the_rest() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataDir::open(parent.path()).unwrap();
        let mut old: Value = serde_json::from_str(generate(&Random::system()).expose_secret()).unwrap();
        old.as_object_mut().unwrap().remove("webhook_secret");
        std::fs::write(folder.file(FILE), old.to_string()).unwrap();
        let secret = PlatformSecret::generated(&folder, &Random::system()).unwrap();
        assert!(secret.webhook_key.is_ok());
        let saved = PlatformSecret::generated(&folder, &Random::system()).unwrap();
        assert_eq!(saved.json().expose_secret(), secret.json().expose_secret());
        let mut saved: Value = serde_json::from_str(saved.json().expose_secret()).unwrap();
        saved.as_object_mut().unwrap().remove("webhook_secret");
        assert_eq!(saved, old);
    }

    #[test]
    fn a_secret_of_the_users_own_is_never_written() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("mine.json");
        let mut mine: Value = serde_json::from_str(generate(&Random::system()).expose_secret()).unwrap();
        mine["webhook_secret"] = Value::Null;
        std::fs::write(&file, mine.to_string()).unwrap();
        let secret = PlatformSecret::read(&file).unwrap();
        assert_eq!(secret.webhook_key.unwrap_err(), WebhookKeyError::Missing);
        assert_eq!(std::fs::read_to_string(file).unwrap(), mine.to_string());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_user_may_read_a_generated_secret() {
        use std::os::unix::fs::PermissionsExt as _;
        let parent = tempfile::tempdir().unwrap();
        let folder = DataDir::open(parent.path()).unwrap();
        PlatformSecret::generated(&folder, &Random::system()).unwrap();
        let mode = std::fs::metadata(folder.file(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_missing_file_is_named_together_with_the_option() {
        let sentence = PlatformSecret::read(Path::new("/nowhere/secret.json")).unwrap_err().to_string();
        assert!(sentence.contains("/nowhere/secret.json") && sentence.contains("--secret"), "{sentence}");
    }

    #[test]
    fn what_is_wrong_is_named_and_never_quoted() {
        let cases = [
            ("token", json!(""), PlatformError::Missing("token")),
            ("component_appid", json!("wx 1"), PlatformError::AppId),
            ("component_appsecret", json!(5), PlatformError::NotText("component_appsecret")),
            (
                "encoding_aes_key",
                json!("hunter2"),
                PlatformError::Key { field: "encoding_aes_key", reason: KeyError::Length(7) },
            ),
            (
                "previous_encoding_aes_key",
                json!("hunter2"),
                PlatformError::Key { field: "previous_encoding_aes_key", reason: KeyError::Length(7) },
            ),
        ];
        for (field, value, expected) in cases {
            let error = with(field, value).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
            assert_eq!(error, expected);
        }
        assert_eq!(PlatformSecret::parse("token=hunter2".into()).unwrap_err(), PlatformError::NotJson);
        assert!(with("previous_encoding_aes_key", json!("")).is_ok());
    }
}
