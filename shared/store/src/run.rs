//! The records of the refresher's runs of the last days, one item for each, for people and pages that show them.
//!
//! The platform itself does not depend on them. They contain counts and codes, no secret.

use std::collections::BTreeMap;
use std::time::Duration;

use base::clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::account_state::AccountState;
use crate::arrivals::WaitingCounts;
use crate::attributes::{EXPIRES_AT, MEASURED, MILLISECONDS, REPORT, SK};
use crate::health::ScheduledTask;
use crate::item::{Attributes, Item};
use crate::part::{Key, Part};

/// How long a run is kept: a day can be compared with the same day a week before.
pub const RUNS_KEPT: Duration = Duration::from_hours(24 * 8);

/// A run to be stored.
#[derive(Debug, Clone)]
pub struct FinishedRun<'a> {
    /// Distinguishes it from others that end in the same second.
    pub id: &'a str,
    /// When it ended, by our clock.
    pub finished_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// Its report as JSON text, which is read as [`RunCounts`].
    pub report: &'a str,
    /// What was measured at its end.
    pub measured: Measured,
}

/// A run that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRun {
    /// The task and its part, as in [`ScheduledTask::name`].
    pub task: String,
    /// When it ended, by our clock.
    pub finished_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// Its counts.
    pub counts: RunCounts,
    /// What was measured at its end.
    pub measured: Measured,
}

/// The counts of a run. A count that is missing in its report is zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RunCounts {
    /// Accounts whose token was renewed.
    pub renewed: u64,
    /// Failures, by WeChat's code or a word.
    pub failed: BTreeMap<String, u64>,
    /// Accounts that were due but not reached.
    pub left_over: u64,
    /// Inbox entries that took effect.
    pub inbox_done: u64,
    /// Inbox entries that will be tried again.
    pub inbox_postponed: u64,
    /// Messages that had waited for the bus and were delivered.
    pub messages_delivered: u64,
    /// Events that the bus has accepted.
    pub events_delivered: u64,
    /// Events that the event webhook has accepted.
    pub events_sent: u64,
    /// Accounts that reconciliation found missing.
    pub added: u64,
    /// Accounts whose refresh token or profile reconciliation repaired.
    pub repaired: u64,
    /// Accounts whose grant turned out to be gone.
    pub gone: u64,
    /// Age of the newest ticket; `None` before the first one, and in runs that do not check it.
    pub ticket_age_seconds: Option<u64>,
}

impl RunCounts {
    /// Parses a report, also that of a [`crate::Health`]; all counts of an unreadable one are zero.
    #[must_use]
    pub fn of(report: &str) -> Self {
        serde_json::from_str(report).unwrap_or_default()
    }
}

/// What a run measures at its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// What waits, measured by the renew run of the first part of the accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<WaitingCounts>,
    /// The number of accounts, measured by the reconcile run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<AccountCounts>,
}

/// The number of accounts in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountCounts {
    /// In use and renewed: an account that granted no API permission has no token and is not counted.
    pub active: u64,
    /// Revoked by the merchant.
    pub unauthorized: u64,
    /// Refused by WeChat until the merchant authorizes the platform again.
    pub needs_authorization: u64,
}

impl AccountCounts {
    /// The number of accounts in a state.
    #[must_use]
    pub const fn of(self, state: AccountState) -> u64 {
        match state {
            AccountState::Active => self.active,
            AccountState::Unauthorized => self.unauthorized,
            AccountState::NeedsAuthorization => self.needs_authorization,
        }
    }
}

/// The runs of the last days.
#[derive(Debug, Clone)]
pub struct Runs(pub(crate) Part);

impl Runs {
    /// Stores the record of a run. One write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may be stored.
    pub async fn put(&self, task: ScheduledTask, run: &FinishedRun<'_>) -> Result<(), StoreError> {
        let measured = serde_json::to_string(&run.measured);
        let measured = measured.map_err(|_| StoreError::Corrupt { item: ITEM, attribute: MEASURED })?;
        let sk = format!("{:010}#{}#{}", run.finished_at.unix(), task.name(), run.id);
        // A second try after a lost reply finds its own item.
        self.0
            .new_item(Key { pk: self.partition(kind(task)), sk })
            .set(REPORT, run.report)
            .set(MILLISECONDS, u64::try_from(run.duration.as_millis()).unwrap_or(u64::MAX))
            .set(MEASURED, measured)
            .set(EXPIRES_AT, run.finished_at.plus(RUNS_KEPT))
            .put()
            .await
            .map(drop)
    }

    /// The renew runs that have ended since a time, of all parts of the accounts, in the order of their ends. One query
    /// per megabyte, about 2,000 runs.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if they cannot be read.
    pub async fn renewals(&self, since: Timestamp) -> Result<Vec<PastRun>, StoreError> {
        self.since(RENEW, since).await
    }

    /// The same of the reconcile runs.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if they cannot be read.
    pub async fn reconciliations(&self, since: Timestamp) -> Result<Vec<PastRun>, StoreError> {
        self.since(RECONCILE, since).await
    }

    async fn since(&self, kind: &str, since: Timestamp) -> Result<Vec<PastRun>, StoreError> {
        let from = format!("{:010}", since.unix().max(0));
        let items = self.0.all_from(self.partition(kind), &from).await?;
        Ok(items.into_iter().filter_map(read).collect())
    }

    fn partition(&self, kind: &str) -> String {
        self.0.partition("runs", kind)
    }
}

const ITEM: &str = "run";
const RENEW: &str = "renew";
const RECONCILE: &str = "reconcile";

const fn kind(task: ScheduledTask) -> &'static str {
    match task {
        ScheduledTask::Renew(_) => RENEW,
        ScheduledTask::Reconcile => RECONCILE,
    }
}

fn read(attributes: Attributes) -> Option<PastRun> {
    let item = Item::new(ITEM, attributes);
    let (finished_at, rest) = item.text(SK)?.split_once('#')?;
    let (task, _) = rest.split_once('#')?;
    Some(PastRun {
        task: task.to_owned(),
        finished_at: Timestamp::from_unix(finished_at.parse().ok()?),
        duration: Duration::from_millis(item.number(MILLISECONDS).unwrap_or(0)),
        counts: item.text(REPORT).map(RunCounts::of).unwrap_or_default(),
        measured: item.parsed(MEASURED, |json| serde_json::from_str(json)).unwrap_or_default(),
    })
}
