//! The events that start a run.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;
use store::{INBOX_SORT_PREFIX, ScheduledTask};

/// What a run is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Ticket, component token, inbox, then every account that is due, and the messages that wait for the bus.
    Renew,
    /// Compare with WeChat's list of accounts.
    Reconcile,
    /// Only the inbox, and of it the partitions with these table keys.
    Inbox(BTreeSet<String>),
}

impl Task {
    /// The task that the scheduler asks for; `None` where the table's stream started the run.
    pub(crate) const fn scheduled(&self) -> Option<ScheduledTask> {
        match self {
            Self::Renew => Some(ScheduledTask::Renew),
            Self::Reconcile => Some(ScheduledTask::Reconcile),
            Self::Inbox(_) => None,
        }
    }

    /// The word in logs and metrics.
    pub(crate) fn name(&self) -> &'static str {
        self.scheduled().map_or("inbox", ScheduledTask::as_str)
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The event is not one of ours. Its content is not repeated: it could hold anything.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the event is neither {{\"task\":\"renew\"}}, {{\"task\":\"reconcile\"}} nor a batch of the table's stream")]
pub struct EventError;

#[derive(Deserialize)]
#[serde(untagged)]
enum Shape {
    Scheduled {
        task: Scheduled,
    },
    Stream {
        #[serde(rename = "Records")]
        records: Vec<Record>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scheduled {
    Renew,
    Reconcile,
}

#[derive(Deserialize)]
struct Record {
    dynamodb: Change,
}

#[derive(Deserialize)]
struct Change {
    #[serde(rename = "Keys")]
    keys: Keys,
}

#[derive(Deserialize)]
struct Keys {
    pk: Text,
    sk: Text,
}

#[derive(Deserialize)]
struct Text {
    #[serde(rename = "S")]
    s: String,
}

impl Task {
    /// Reads an event of EventBridge Scheduler or of the table's stream. Records of other items than inbox entries are
    /// left out: the stream's filter lets none through, and one that came all the same is no reason to fail a batch.
    pub fn parse(event: Value) -> Result<Self, EventError> {
        match serde_json::from_value(event).map_err(|_| EventError)? {
            Shape::Scheduled { task: Scheduled::Renew } => Ok(Self::Renew),
            Shape::Scheduled { task: Scheduled::Reconcile } => Ok(Self::Reconcile),
            Shape::Stream { records } => Ok(Self::Inbox(
                records
                    .into_iter()
                    .map(|record| record.dynamodb.keys)
                    .filter(|keys| keys.sk.s.starts_with(INBOX_SORT_PREFIX))
                    .map(|keys| keys.pk.s)
                    .collect(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ticks_and_batches_are_told_apart() {
        assert_eq!(Task::parse(json!({"task": "renew"})), Ok(Task::Renew));
        assert_eq!(Task::parse(json!({"task": "reconcile"})), Ok(Task::Reconcile));
        let record = |sk: &str| json!({"eventName": "INSERT", "dynamodb": {"Keys": {"pk": {"S": "wx1#inbox#wx2"}, "sk": {"S": sk}}}});
        let batch = json!({"Records": [record("entry#0#a"), record("entry#0#b"), record("account")]});
        assert_eq!(Task::parse(batch), Ok(Task::Inbox(["wx1#inbox#wx2".to_owned()].into())));
    }

    #[test]
    fn a_foreign_event_is_refused_without_being_quoted() {
        let error = Task::parse(json!({"password": "s3cr3t"})).unwrap_err();
        assert!(!error.to_string().contains("s3cr3t"));
    }
}
