//! `cargo ops keys`: creates, lists and revokes API keys, directly in the table.
//!
//! It does the same as the routes below `/keys`, for a user whose credentials give access to the table. A key's text is
//! printed only once, when it is created.

use std::fmt;

use base::clock::Timestamp;
use base::language::Language;
use base::phrase::Noun;
use base::random::Random;
use platform::secret::{Platform, PlatformError};
use runtime::config::Environment;
use secrecy::ExposeSecret as _;
use store::{Actor, ApiKey, ApiKeys, KeyError, KeyRequest, StoreError};

use crate::args::{KeysCommand, NewKeyArgs};
use crate::columns::columns;
use crate::deployment::{self, Addresses, Deployment};
use crate::doctor::secret;
use crate::finding::Finding;

/// The author of changes made here.
pub(crate) const BY: &str = "cargo ops";

const ACCOUNT: Noun = Noun::new("个账号", "account");

/// How many keys are read at once.
const AT_ONCE: usize = 100;

/// Why nothing was done, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The deployment, or its secret, is not usable.
    #[error("{0}")]
    Unusable(Finding),
    /// The secret is unusable, so the platform and its keys are unknown.
    #[error("secret: {0}: ops doctor says more")]
    Secret(#[from] PlatformError),
    /// The requested key is not possible.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// There is no such key.
    #[error("there is no such key: ops keys list shows those that are known")]
    Unknown,
    /// The table could not be read or written.
    #[error("{0}; ops keys list shows what is stored")]
    Store(#[from] StoreError),
}

/// What a command prints.
pub struct Printed {
    /// The result, for standard output: of a new key or invitation only its text, for a variable or a secret store.
    pub output: String,
    /// What the user should know about it, for standard error.
    pub note: String,
}

impl fmt::Debug for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Printed").field("note", &self.note).finish_non_exhaustive()
    }
}

impl From<String> for Printed {
    fn from(output: String) -> Self {
        Self { output, note: String::new() }
    }
}

/// Finds the deployment that the arguments name, and runs the command.
///
/// # Errors
/// [`KeysError`]: a key may nevertheless have been created, but nobody has its text.
pub async fn run(command: &KeysCommand, environment: &impl Environment) -> Result<Printed, KeysError> {
    let located = deployment::locate(command.deployment(), Addresses::default(), environment).await;
    let deployment = located.usable().map_err(KeysError::Unusable)?;
    deployment.keys(command, &Random::system()).await
}

impl Deployment {
    /// Runs `command` on its keys.
    ///
    /// # Errors
    /// As [`run`].
    pub async fn keys(&self, command: &KeysCommand, random: &Random) -> Result<Printed, KeysError> {
        let text = secret::read(self).await.map_err(KeysError::Unusable)?;
        let keys = self.store(Platform::parse(&text)?.keyring.component()).api_keys;
        let now = self.clock.now();
        match command {
            KeysCommand::Create(options) => create(&keys, options, random, now).await,
            KeysCommand::List(_) => list(&keys, now).await.map(Printed::from),
            KeysCommand::Revoke(options) => {
                let key = keys.revoke(&options.id, &actor(), now).await?.ok_or(KeysError::Unknown)?;
                Ok(format!("{} ({}) is revoked: it is refused within 60 seconds.\n", key.id, key.name).into())
            }
        }
    }
}

/// The user of this command: without a gateway, neither an address nor a request id is known.
pub(crate) fn actor() -> Actor {
    Actor { by: BY.to_owned(), source_ip: None, request_id: None }
}

async fn create(keys: &ApiKeys, options: &NewKeyArgs, random: &Random, now: Timestamp) -> Result<Printed, KeysError> {
    let mut request = KeyRequest::new(&options.name, &options.scopes)?;
    if !options.appids.is_empty() {
        request = request.limited_to(&options.appids)?;
    }
    if let Some(ends_at) = &options.expires_at {
        request = request.until(ends_at, now)?;
    }
    let (key, text) = request.in_url(options.in_url).make(BY, random, now);
    keys.create(&key, &actor()).await?;
    let output = format!("{}\n", text.text().expose_secret());
    let note = format!("This is the key of {} (id {}). Store it now: it is not shown again.\n", key.name, key.id);
    Ok(Printed { output, note })
}

async fn list(keys: &ApiKeys, now: Timestamp) -> Result<String, KeysError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = keys.page(AT_ONCE, after.as_ref(), now).await?;
        all.extend(page.keys);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(table(&all, now)),
        }
    }
}

const HEADS: ([&str; 6], &str) = (["ID", "CREATED", "LAST USED", "STATE", "ACCOUNTS", "SCOPES"], "NAME");

fn table(keys: &[ApiKey], now: Timestamp) -> String {
    if keys.is_empty() {
        return "There are no API keys.\n".to_owned();
    }
    let rows: Vec<([String; 6], String)> = keys.iter().map(|key| (row(key, now), key.name.clone())).collect();
    columns(HEADS, &rows)
}

fn row(key: &ApiKey, now: Timestamp) -> [String; 6] {
    let state = match (key.revoked_at, key.ends_at) {
        (Some(revoked_at), _) => format!("revoked {}", day(revoked_at)),
        (None, Some(ends_at)) if ends_at <= now => format!("expired {}", day(ends_at)),
        (None, Some(ends_at)) => format!("until {}", day(ends_at)),
        (None, None) => "valid".to_owned(),
    };
    let accounts = |appids: &std::collections::BTreeSet<_>| {
        ACCOUNT.count(u64::try_from(appids.len()).unwrap_or(u64::MAX), Language::English)
    };
    [
        key.id.to_string(),
        day(key.created_at),
        key.last_used_on.clone().unwrap_or_else(|| "never".to_owned()),
        state,
        key.appids.as_ref().map_or_else(|| "all".to_owned(), accounts),
        key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(","),
    ]
}

/// The day of an instant, in UTC.
pub(crate) fn day(at: Timestamp) -> String {
    at.rfc3339().chars().take_while(|c| *c != 'T').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(scopes: &[&str], now: Timestamp) -> ApiKey {
        KeyRequest::new("订单", scopes).unwrap().make(BY, &Random::from_fn(|bytes| bytes.fill(0)), now).0
    }

    #[test]
    fn keys_are_listed_in_columns_with_their_state() {
        let now = Timestamp::parse_rfc3339("2026-01-31T08:00:00Z").unwrap();
        let used = ApiKey { last_used_on: Some("2026-01-30".to_owned()), ..key(&["calls", "accounts:read"], now) };
        let revoked = ApiKey { revoked_at: Some(now), ends_at: Some(now), ..key(&["links"], now) };
        let expired = ApiKey { ends_at: Some(now), appids: Some([].into()), ..key(&["links"], now) };
        assert_eq!(
            table(&[used, revoked, expired], now),
            "ID                      CREATED     LAST USED   STATE               ACCOUNTS    SCOPES               NAME\n\
             AAAAAAAAAAAAAAAAAAAAAA  2026-01-31  2026-01-30  valid               all         accounts:read,calls  订单\n\
             AAAAAAAAAAAAAAAAAAAAAA  2026-01-31  never       revoked 2026-01-31  all         links                订单\n\
             AAAAAAAAAAAAAAAAAAAAAA  2026-01-31  never       expired 2026-01-31  0 accounts  links                订单\n"
        );
        assert_eq!(table(&[], now), "There are no API keys.\n");
    }

    #[test]
    fn what_is_unusable_is_reported_with_what_to_do() {
        let error = KeysError::Unusable(Finding::wrong("secret", "it is still empty", "fill it in"));
        assert_eq!(error.to_string(), "secret: it is still empty: fill it in");
    }
}
