//! The events that start a run.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;
use store::{DuePart, EVENT_SORT_PREFIX, INBOX_SORT_PREFIX, ScheduledTask};

/// The task of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Renew every due account of a part; with the first part also the ticket, the inbox, and messages waiting for the
    /// bus.
    Renew(DuePart),
    /// Renew everything that is due, and retry what a request names.
    Requested,
    /// Compare with WeChat's list of accounts.
    Reconcile,
    /// Process only what is new in the partitions with these table keys: entries of the inbox, and events of accounts
    /// and keys.
    Stream(BTreeSet<String>),
}

impl Task {
    /// Everything that is due, in one run.
    #[must_use]
    pub const fn renew() -> Self {
        Self::Renew(DuePart::ALL)
    }

    /// The scheduler's task, whoever sent it; `None` if the table's stream started the run.
    pub(crate) const fn scheduled(&self) -> Option<ScheduledTask> {
        match self {
            Self::Renew(part) => Some(ScheduledTask::Renew(*part)),
            Self::Requested => Some(ScheduledTask::Renew(DuePart::ALL)),
            Self::Reconcile => Some(ScheduledTask::Reconcile),
            Self::Stream(_) => None,
        }
    }

    /// The accounts that its run renews.
    pub(crate) const fn part(&self) -> DuePart {
        match self {
            Self::Renew(part) => *part,
            Self::Requested | Self::Reconcile | Self::Stream(_) => DuePart::ALL,
        }
    }

    /// The task's name in logs and metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Requested => "requested",
            task => task.scheduled().map_or("stream", ScheduledTask::name),
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An event that starts no run. Its content is not repeated: it could be anything.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EventError {
    /// The event is not one of ours.
    #[error(
        "the event is neither {{\"task\":\"renew\"}}, {{\"task\":\"requested\"}}, {{\"task\":\"reconcile\"}} nor a batch of the \
         table's stream"
    )]
    Foreign,
    /// The event names a part of the accounts that does not exist.
    #[error(
        "the event asks for a part that does not exist: only {{\"task\":\"renew\"}} may have \"part\" and \"of\", both of \
         them, with \"of\" 1, 2 or 4 and \"part\" a number from 0 to less than that"
    )]
    Part,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Shape {
    Scheduled {
        task: Scheduled,
        part: Option<Value>,
        of: Option<Value>,
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
    Requested,
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
    /// Reads an event of EventBridge Scheduler, of a rule of the bus, or of the table's stream. Records of items other
    /// than inbox entries and events to be reported are ignored: the stream's filter lets none through, and if one
    /// arrives all the same, that is no reason to fail a batch.
    pub fn parse(event: Value) -> Result<Self, EventError> {
        match serde_json::from_value(event).map_err(|_| EventError::Foreign)? {
            Shape::Scheduled { task: Scheduled::Renew, part: None, of: None } => Ok(Self::renew()),
            Shape::Scheduled { task: Scheduled::Renew, part: Some(part), of: Some(of) } => {
                let part = part.as_u64().zip(of.as_u64()).and_then(|(part, of)| DuePart::new(part, of));
                part.map(Self::Renew).ok_or(EventError::Part)
            }
            Shape::Scheduled { task: Scheduled::Requested, part: None, of: None } => Ok(Self::Requested),
            Shape::Scheduled { task: Scheduled::Reconcile, part: None, of: None } => Ok(Self::Reconcile),
            Shape::Scheduled { .. } => Err(EventError::Part),
            Shape::Stream { records } => Ok(Self::Stream(
                records
                    .into_iter()
                    .map(|record| record.dynamodb.keys)
                    .filter(|keys| {
                        [INBOX_SORT_PREFIX, EVENT_SORT_PREFIX].iter().any(|prefix| keys.sk.s.starts_with(prefix))
                    })
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
        assert_eq!(Task::parse(json!({"task": "renew"})), Ok(Task::renew()));
        assert_eq!(Task::parse(json!({"task": "reconcile"})), Ok(Task::Reconcile));
        assert_eq!(Task::parse(json!({"task": "requested"})), Ok(Task::Requested));
        let record = |sk: &str| json!({"eventName": "INSERT", "dynamodb": {"Keys": {"pk": {"S": "wx1#inbox#wx2"}, "sk": {"S": sk}}}});
        let batch = json!({"Records": [record("entry#0#a"), record("entry#0#b"), record("account")]});
        assert_eq!(Task::parse(batch), Ok(Task::Stream(["wx1#inbox#wx2".to_owned()].into())));
    }

    #[test]
    fn a_part_of_the_accounts_is_named_by_its_number_and_how_many_there_are() {
        let part = |number, of| Ok(Task::Renew(DuePart::new(number, of).unwrap()));
        assert_eq!(Task::parse(json!({"task": "renew", "part": 3, "of": 4})), part(3, 4));
        assert_eq!(Task::parse(json!({"task": "renew", "part": 1, "of": 2})), part(1, 2));
        assert_eq!(Task::parse(json!({"task": "renew", "part": 0, "of": 1})), Ok(Task::renew()));
        let names = [(0, 1), (0, 4), (1, 2), (3, 4)].map(|(number, of)| part(number, of).unwrap().to_string());
        assert_eq!(names, ["renew", "renew", "renew-1", "renew-3"]);
    }

    #[test]
    fn a_part_that_does_not_exist_is_refused_with_the_reason() {
        for odd in [
            json!({"task": "renew", "part": 4, "of": 4}),
            json!({"task": "renew", "part": 0, "of": 3}),
            json!({"task": "renew", "part": 0, "of": 0}),
            json!({"task": "renew", "part": -1, "of": 2}),
            json!({"task": "renew", "part": "0", "of": 2}),
            json!({"task": "renew", "part": 0.5, "of": 2}),
            json!({"task": "renew", "part": 1}),
            json!({"task": "renew", "of": 2}),
            json!({"task": "reconcile", "part": 0, "of": 2}),
        ] {
            let error = Task::parse(odd.clone()).unwrap_err();
            assert_eq!(error, EventError::Part, "{odd}");
            assert!(error.to_string().contains("\"of\" 1, 2 or 4"), "{error}");
        }
    }

    #[test]
    fn a_foreign_event_is_refused_without_being_quoted() {
        let error = Task::parse(json!({"password": "s3cr3t"})).unwrap_err();
        assert!(!error.to_string().contains("s3cr3t"));
    }
}
