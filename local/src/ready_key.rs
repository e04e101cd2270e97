//! The API key that is ready when `cargo run` is, so that a user calls the platform as a service outside AWS does.
//!
//! It permits everything that a key can permit, for all accounts, and is stored in the data folder from one start to
//! the next. If it is no longer valid, it is replaced. None is created in a table elsewhere, which may be a real
//! platform's.

use std::path::PathBuf;

use anyhow::Context as _;
use axum::Router;
use base::clock::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use store::{ApiKey, ApiKeys, KeyDigest, KeyText, Scope};

use crate::data_dir::DataDir;
use crate::inside::post;

/// The key's file in the data folder: its text and nothing else, for `$(cat …)` in a shell.
const FILE: &str = "api-key";

/// Its name in the list of keys.
const NAME: &str = "cargo run";

/// The key, and its origin.
#[derive(Debug)]
pub struct ReadyKey {
    /// Its text.
    pub text: SecretString,
    /// The file in which it is stored.
    pub file: PathBuf,
    /// Whether the stored one was no longer valid, so that this one was created now.
    pub is_replaced: bool,
}

#[derive(Deserialize)]
struct CreatedKey {
    key: String,
}

impl ReadyKey {
    /// The key of a data folder, if it permits everything according to the table, otherwise a new one.
    ///
    /// # Errors
    /// If the table or the folder cannot be used.
    pub(crate) async fn of(
        folder: &DataDir,
        keys: &ApiKeys,
        business: &Router,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let file = folder.file(FILE);
        let kept = std::fs::read_to_string(&file).ok();
        if let Some(text) = kept.as_deref().and_then(|kept| KeyText::parse(kept.trim())) {
            let known = keys.get(&text.id).await?;
            if known.is_some_and(|key| opens_everything(&key, &text, now)) {
                return Ok(Self { text: text.text(), file, is_replaced: false });
            }
        }
        let scopes: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        let asked = json!({ "name": NAME, "scopes": scopes, "in_url": true });
        let CreatedKey { key } = post(business, "/keys", &asked).await.context("no API key could be created")?;
        let text = SecretString::from(key);
        let content = format!("{}\n", text.expose_secret()).into();
        folder.keep(FILE, &content).with_context(|| format!("the key cannot be kept in {}", file.display()))?;
        Ok(Self { text, file, is_replaced: kept.is_some() })
    }
}

fn opens_everything(key: &ApiKey, text: &KeyText, now: Timestamp) -> bool {
    KeyDigest::of(&text.secret).matches(&key.secret)
        && key.is_valid(now)
        && key.appids.is_none()
        && Scope::ALL.iter().all(|scope| key.permits(*scope))
}
