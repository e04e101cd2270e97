//! What a run did, to be returned, logged and counted.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use runtime::telemetry::{Measure, Metric, Metrics};
use serde::Serialize;

/// The results of a run.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Accounts whose token was renewed.
    pub renewed: u64,
    /// Failures, by WeChat's code or a word.
    pub failed: BTreeMap<String, u64>,
    /// Accounts that were due but not renewed: out of time, or stopped by a failure that concerns all.
    pub left_over: u64,
    /// Inbox entries that took effect.
    pub inbox_done: u64,
    /// Inbox entries that will be retried.
    pub inbox_postponed: u64,
    /// Messages that had waited for the bus and were delivered.
    pub messages_delivered: u64,
    /// Events of accounts' states that the bus has accepted.
    pub events_delivered: u64,
    /// Events of accounts' states that the event webhook has accepted.
    pub events_sent: u64,
    /// Accounts that reconciliation found missing here.
    pub added: u64,
    /// Accounts whose refresh token or profile reconciliation repaired.
    pub repaired: u64,
    /// Accounts whose grant turned out to be gone.
    pub gone: u64,
    /// Age of the newest ticket; none before the first one, and in runs that do not read it.
    pub ticket_age_seconds: Option<u64>,
}

impl Report {
    pub(crate) fn fail(&mut self, label: &str) {
        self.fail_times(label, 1);
    }

    pub(crate) fn fail_times(&mut self, label: &str, count: u64) {
        *self.failed.entry(label.to_owned()).or_default() += count;
    }

    /// Adds what another part of the run did.
    pub(crate) fn add(&mut self, part: &Self) {
        self.inbox_done += part.inbox_done;
        self.inbox_postponed += part.inbox_postponed;
        self.messages_delivered += part.messages_delivered;
        self.events_delivered += part.events_delivered;
        self.events_sent += part.events_sent;
        self.gone += part.gone;
        for (label, count) in &part.failed {
            self.fail_times(label, *count);
        }
    }

    pub(crate) fn publish(&self, metrics: &Metrics) {
        if let Some(age) = self.ticket_age_seconds {
            metrics.put(&Metric::seconds(Measure::TicketAge, Duration::from_secs(age)));
        }
        for (measure, count) in
            [(Measure::Renewed, self.renewed), (Measure::LeftOver, self.left_over), (Measure::GrantsGone, self.gone)]
        {
            metrics.put(&Metric::count(measure, count));
        }
        for (code, count) in &self.failed {
            metrics.put(&Metric::count(Measure::Failed, *count).with_dimension(code.as_str()));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} renewed, {} left over, inbox {} done", self.renewed, self.left_over, self.inbox_done)?;
        for (what, count) in [
            ("inbox postponed", self.inbox_postponed),
            ("messages delivered", self.messages_delivered),
            ("events delivered", self.events_delivered),
            ("events sent", self.events_sent),
            ("added", self.added),
            ("repaired", self.repaired),
            ("gone", self.gone),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        for (code, count) in &self.failed {
            write!(f, ", {count} failed with {code}")?;
        }
        match self.ticket_age_seconds {
            Some(age) => write!(f, ", ticket {age} s old"),
            None => Ok(()),
        }
    }
}
