//! Reading and caching the platform's secret.
//!
//! Three rules bound the reads: what was read is used for [`FRESH`]; a caller that doubts it (a signature did not
//! match) causes a read at most once in [`REREAD`]; and after a failed read the next one waits, for [`REREAD`] if there
//! is an older value to use and for [`RETRY`] if there is none. All times are the clock's, so a test can move them.

use std::fmt;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::timeout::TimeoutConfig;
use base::clock::{SharedClock, Timestamp};
use base::limits::Limits;
use runtime::aws::failure;
use runtime::telemetry::{Measure, Metric, Metrics};
use secrecy::SecretString;
use tokio::sync::Mutex;

use super::{Platform, PlatformError};

/// How long a secret is used without reading it again: a change takes effect within this time, and a busy function
/// reads it a dozen times an hour.
const FRESH: Duration = Duration::from_mins(5);

/// The least time between two reads that doubts cause, so that forged pushes cannot cause many.
const REREAD: Duration = Duration::from_mins(1);

/// The minimum time between two reads while no secret is known. It is short, since nothing works without one.
const RETRY: Duration = Duration::from_secs(5);

/// The platform's secret, shared by all requests of one process.
pub struct PlatformSource {
    client: Client,
    secret_id: String,
    clock: SharedClock,
    limits: Limits,
    metrics: Metrics,
    known: StdMutex<Known>,
    /// Held during a read; a caller that waited for it checks [`Known`] again before reading.
    flight: Mutex<()>,
}

/// What is known so far.
#[derive(Default)]
struct Known {
    platform: Option<Arc<Platform>>,
    read_at: Option<Timestamp>,
    failed: Option<(Timestamp, PlatformError)>,
    doubted_at: Option<Timestamp>,
}

impl Known {
    /// The result, if it needs no read.
    fn answer(&self, now: Timestamp) -> Option<Answer> {
        let within = |at: Timestamp, bound| now.since(at) < bound;
        match (&self.platform, &self.failed) {
            (Some(platform), _) if self.read_at.is_some_and(|at| within(at, FRESH)) => {
                Some(Answer::Fresh(Arc::clone(platform)))
            }
            (Some(platform), Some((at, _))) if within(*at, REREAD) => Some(Answer::Stale(Arc::clone(platform))),
            (None, Some((at, error))) if within(*at, RETRY) => Some(Answer::Failed(error.clone())),
            _ => None,
        }
    }
}

enum Answer {
    Fresh(Arc<Platform>),
    Stale(Arc<Platform>),
    Failed(PlatformError),
}

impl PlatformSource {
    /// A source that has read nothing yet.
    #[must_use]
    pub fn new(
        client: Client,
        secret_id: impl Into<String>,
        clock: SharedClock,
        limits: Limits,
        metrics: Metrics,
    ) -> Self {
        Self {
            client,
            secret_id: secret_id.into(),
            clock,
            limits,
            metrics,
            known: StdMutex::default(),
            flight: Mutex::new(()),
        }
    }

    /// The platform, as read within the last five minutes, or before an outage of Secrets Manager.
    ///
    /// # Errors
    /// [`PlatformError`] if the secret has never been read successfully.
    pub async fn current(&self) -> Result<Arc<Platform>, PlatformError> {
        if let Some(answer) = self.answer() {
            return self.give(answer);
        }
        let _flight = self.flight.lock().await;
        if let Some(answer) = self.answer() {
            return self.give(answer);
        }
        let read = self.read().await;
        let kept = self.known().platform.clone();
        match (read, kept) {
            (Err(_), Some(platform)) => self.give(Answer::Stale(platform)),
            (read, _) => read,
        }
    }

    /// Reads the secret ahead, so that a function's first request does not wait. A failure is not remembered; the first
    /// request tries again.
    pub async fn read_ahead(&self) {
        let _flight = self.flight.lock().await;
        if let Ok(platform) = self.fetch().await {
            self.keep(platform);
        }
    }

    /// A newer platform than `doubted`, if there may be one: for use when a signature does not match it.
    ///
    /// `None` if nothing newer is known and the last doubt or failure is less than a minute old, or if the read failed.
    pub async fn reread(&self, doubted: &Arc<Platform>) -> Option<Arc<Platform>> {
        let _flight = self.flight.lock().await;
        {
            let mut known = self.known();
            if let Some(platform) = known.platform.as_ref().filter(|platform| !Arc::ptr_eq(platform, doubted)) {
                return Some(Arc::clone(platform));
            }
            let now = self.clock.now();
            // A failed read counts as well: one request never waits twice for an unavailable Secrets Manager.
            let failed_at = known.failed.as_ref().map(|(at, _)| *at);
            if [known.doubted_at, failed_at].into_iter().flatten().any(|at| now.since(at) < REREAD) {
                return None;
            }
            // Set before the read, so that a request that is dropped meanwhile counts too.
            known.doubted_at = Some(now);
        }
        self.read().await.ok()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing can panic while the lock is held.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self) -> Option<Answer> {
        self.known().answer(self.clock.now())
    }

    fn give(&self, answer: Answer) -> Result<Arc<Platform>, PlatformError> {
        match answer {
            Answer::Fresh(platform) => Ok(platform),
            Answer::Stale(platform) => {
                self.metrics.put(&Metric::count(Measure::SecretServedStale, 1));
                Ok(platform)
            }
            Answer::Failed(error) => Err(error),
        }
    }

    /// Reads and remembers, success or failure. The caller holds `flight`.
    async fn read(&self) -> Result<Arc<Platform>, PlatformError> {
        match self.fetch().await {
            Ok(platform) => Ok(self.keep(platform)),
            Err(error) => {
                let now = self.clock.now();
                let mut known = self.known();
                if known.platform.is_some() {
                    tracing::warn!(%error, "the platform's secret cannot be read again; the previous value stays in use");
                }
                known.failed = Some((now, error.clone()));
                Err(error)
            }
        }
    }

    fn keep(&self, platform: Platform) -> Arc<Platform> {
        let platform = Arc::new(platform);
        let mut known = self.known();
        *known = Known {
            platform: Some(Arc::clone(&platform)),
            read_at: Some(self.clock.now()),
            failed: None,
            doubted_at: known.doubted_at,
        };
        platform
    }

    async fn fetch(&self) -> Result<Platform, PlatformError> {
        let bounds = TimeoutConfig::builder()
            .operation_attempt_timeout(self.limits.secrets_try)
            .operation_timeout(self.limits.secrets)
            .build();
        let answer = self
            .client
            .get_secret_value()
            .secret_id(&self.secret_id)
            .customize()
            .config_override(aws_sdk_secretsmanager::Config::builder().timeout_config(bounds))
            .send()
            .await
            .map_err(|error| match error.as_service_error() {
                // The stack creates the secret without a value; this is the response until the operator stores one.
                Some(service) if service.is_resource_not_found_exception() => PlatformError::NotConfigured,
                _ => PlatformError::Unreadable(failure(&error)),
            })?;
        let text = answer.secret_string.ok_or(PlatformError::NotJson)?;
        Platform::parse(&SecretString::from(text))
    }
}

impl fmt::Debug for PlatformSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlatformSource").field("secret_id", &self.secret_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
