//! Checking API keys: they are read from the request, looked up at most once a minute, and compared.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::KeyId;
use http::header::AUTHORIZATION;
use http::request::Parts;
use platform::services::Services;
use runtime::telemetry::{Measure, Metric};
use store::{Access, ApiKey, ApiKeys, KeyDigest, KeyText, access_to};
use tokio::time::timeout;
use wechat::api::ErrCode;

use crate::api::ApiError;
use crate::service_token::ServiceToken;
use crate::source::Source;
use crate::{InternalError, Problem, ProblemKind};

/// How long a key's item is cached: a revoked key works for at most this much longer.
const BELIEVED: Duration = Duration::from_mins(1);

/// The advice for a request without a key, or with something else in its place.
const SEND_A_KEY: &str = "there is no complete API key in the request: send the header authorization: Bearer wxp_…, \
                          or set the key as a library's secret";

/// The advice for a request with a key that does not exist or no longer works; it does not say which.
const ANOTHER_KEY: &str = "the API key is unknown, revoked or expired: check it, or have an operator create another \
                           with ops keys create";

/// The advice for a request with an invalid token.
const ANOTHER_TOKEN: &str = "the token is not valid here, or no longer: get another one from cgi-bin/token below the same path, with your \
                             key as the secret";

/// The advice for a request with a key in its URL that is not meant for URLs.
const NOT_FOR_URLS: &str = "this key must not be in a URL, which others may log: get a token for it from cgi-bin/token, send it in the header \
                            authorization, or create a key with in_url";

/// How long recording that a key is in use may take.
const NOTING: Duration = Duration::from_millis(300);

/// How many keys a process caches, including ids that do not exist, each of which costs one read a minute.
const REMEMBERED: usize = 1_000;

access_to! {
    /// The repositories that checking keys needs.
    pub(crate) struct Items {
        api_keys: ApiKeys,
    }
}

/// The cache of the keys that this process has seen; clones share it.
#[derive(Clone)]
pub(crate) struct KeyRing(Arc<Inner>);

struct Inner {
    services: Services,
    table: Access<Items>,
    known: Mutex<HashMap<KeyId, Known>>,
}

/// A cached key.
#[derive(Clone)]
struct Known {
    key: Option<Arc<ApiKey>>,
    read_at: Timestamp,
}

impl Known {
    fn is_believed(&self, now: Timestamp) -> bool {
        self.read_at <= now && now.since(self.read_at) < BELIEVED
    }
}

/// The credential of a request with a key.
#[derive(Clone)]
pub enum Credential {
    /// The key.
    Key(KeyText),
    /// The key, in a URL, which others may log.
    KeyInUrl(KeyText),
    /// A token that was issued for the key, for this account or the platform itself.
    Token(ServiceToken, String),
}

/// The extension of a request whose credential is not in the header `Authorization`; `None` if that is malformed.
#[derive(Clone)]
pub struct Presented(pub Option<Credential>);

impl Credential {
    /// The credential of a request: `Authorization: Bearer wxp_…`, exactly once, or the one in [`Presented`].
    fn of(parts: &mut Parts) -> Option<Self> {
        if let Some(Presented(credential)) = parts.extensions.remove() {
            return credential;
        }
        let mut values = parts.headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let (scheme, text) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(text.trim()).and_then(KeyText::parse).map(Self::Key)
    }

    const fn id(&self) -> &KeyId {
        match self {
            Self::Key(text) | Self::KeyInUrl(text) => &text.id,
            Self::Token(token, _) => token.key(),
        }
    }
}

/// The address that a request comes from, if known.
fn source(parts: &Parts) -> Option<String> {
    parts.extensions.get::<Source>()?.ip.map(|ip| ip.to_string())
}

/// The day in UTC: `2026-01-31`.
fn day_of(now: Timestamp) -> String {
    now.rfc3339().split('T').next().unwrap_or_default().to_owned()
}

impl KeyRing {
    pub(crate) fn new(services: &Services) -> Self {
        let table = services.table.clone().access();
        Self(Arc::new(Inner { services: services.clone(), table, known: Mutex::default() }))
    }

    pub(crate) fn services(&self) -> &Services {
        &self.0.services
    }

    /// The key of a request, if it is valid.
    pub(crate) async fn key(&self, parts: &mut Parts) -> Result<Arc<ApiKey>, ApiError> {
        let presented = Credential::of(parts).ok_or_else(|| self.refuse("malformed", SEND_A_KEY))?;
        let now = self.services().clock.now();
        if let Credential::Token(token, target) = &presented {
            self.check(token, target, now).await?;
        }
        let key = self.known(presented.id(), now).await?.ok_or_else(|| self.refuse("unknown", ANOTHER_KEY))?;
        if let Credential::Key(text) | Credential::KeyInUrl(text) = &presented
            && !KeyDigest::of(&text.secret).matches(&key.secret)
        {
            return Err(self.refuse("wrong", ANOTHER_KEY));
        }
        if matches!(presented, Credential::KeyInUrl(_)) && !key.in_url {
            tracing::warn!(key = %key.id, "the key {} was in a URL, although it is not meant for URLs", key.id);
            return Err(self.refuse("in-url", NOT_FOR_URLS));
        }
        if key.revoked_at.is_some() {
            let source_ip = source(parts);
            tracing::warn!(key = %key.id, source_ip, "the revoked key {} is still in use", key.id);
            return Err(self.refuse("revoked", ANOTHER_KEY));
        }
        if !key.is_valid(now) {
            let source_ip = source(parts);
            tracing::warn!(key = %key.id, source_ip, "the key {} has expired and is still in use", key.id);
            return Err(self.refuse("ended", ANOTHER_KEY));
        }
        self.note_use(&key, now).await;
        Ok(key)
    }

    /// Refuses a token that is not one of ours, is for something else, or has expired.
    async fn check(&self, token: &ServiceToken, target: &str, now: Timestamp) -> Result<(), ApiError> {
        let platform = self.services().platform.current().await.map_err(InternalError::from)?;
        if !token.is_genuine(&platform.derived, target) {
            return Err(self.refuse("wrong", ANOTHER_TOKEN));
        }
        if token.has_expired(now) {
            // Every library's token expires every two hours, so this is not counted.
            let problem = Problem::new(ProblemKind::InvalidKey, ANOTHER_TOKEN);
            return Err(problem.with("errcode", ErrCode::AccessTokenExpired.code()).into());
        }
        Ok(())
    }

    /// A key as it is in the table, or was at most a minute ago.
    async fn known(&self, id: &KeyId, now: Timestamp) -> Result<Option<Arc<ApiKey>>, ApiError> {
        let known = self.remembered(|keys| keys.get(id).filter(|known| known.is_believed(now)).cloned());
        if let Some(known) = known {
            return Ok(known.key);
        }
        let keys = self.in_table().await?;
        // The request itself needs time too, so this gets little.
        let found = timeout(self.services().limits.table_try, keys.get(id)).await;
        let key = found.map_err(|_| InternalError::Timeout)??.map(Arc::new);
        self.remember(id, key.clone(), now);
        Ok(key)
    }

    /// Records in the table that a key is in use, once a day. If that fails, the key is still accepted.
    async fn note_use(&self, key: &ApiKey, now: Timestamp) {
        let today = day_of(now);
        if key.last_used_on.as_ref().is_some_and(|day| *day >= today) {
            return;
        }
        // Set first, so that if the table hangs, the next request does not wait for it again.
        self.remembered(|keys| {
            if let Some(known) = keys.get_mut(&key.id).and_then(|known| known.key.as_mut()) {
                *known = Arc::new(ApiKey { last_used_on: Some(today.clone()), ..ApiKey::clone(known) });
            }
        });
        let noting = async { Ok::<(), InternalError>(self.in_table().await?.note_use(&key.id, &today).await?) };
        let noted = timeout(NOTING, noting).await.unwrap_or(Err(InternalError::Timeout));
        if let Err(error) = noted {
            tracing::warn!(key = %key.id, "it could not be recorded that the key {} is in use: {error}", key.id);
        }
    }

    async fn in_table(&self) -> Result<ApiKeys, InternalError> {
        let platform = self.services().platform.current().await?;
        Ok(self.0.table.of(&platform.component).api_keys)
    }

    fn remember(&self, id: &KeyId, key: Option<Arc<ApiKey>>, now: Timestamp) {
        self.remembered(|keys| {
            if keys.len() >= REMEMBERED {
                keys.retain(|_, known| known.is_believed(now));
            }
            if keys.len() >= REMEMBERED {
                keys.clear();
            }
            keys.insert(id.clone(), Known { key, read_at: now });
        });
    }

    fn remembered<T>(&self, look: impl FnOnce(&mut HashMap<KeyId, Known>) -> T) -> T {
        look(&mut self.0.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Refuses a request, and counts that.
    fn refuse(&self, reason: &'static str, detail: &str) -> ApiError {
        self.services().metrics.put(&Metric::count(Measure::KeyRefused, 1).with_dimension(reason));
        Problem::new(ProblemKind::InvalidKey, detail).into()
    }
}
