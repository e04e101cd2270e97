//! The record of calls: what came, in which order, and how it was answered. In memory, without secrets.

use std::collections::{BTreeMap, VecDeque};

use base::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::world::Effects;

/// How many calls are remembered; the counters continue.
const REMEMBERED: usize = 100_000;
/// The fields of a body that may be stored; any other may be a secret.
const KEPT_FIELDS: [&str; 4] = ["component_appid", "authorizer_appid", "offset", "count"];

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// When it came.
    pub at: Timestamp,
    /// Its path: one of [`crate::paths`], or any other.
    pub path: String,
    /// `component_appid`, `authorizer_appid`, `offset` and `count` of its body, where present.
    pub fields: Map<String, Value>,
    /// Its outcome.
    pub outcome: CallOutcome,
}

/// How a call ended on the simulator's side, whatever the caller saw of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallOutcome {
    /// It took effect.
    Done,
    /// It was refused with this errcode, by a rule or by a fault.
    Refused(i64),
    /// A fault kept it from taking effect: a 502 page or a dropped connection.
    Lost,
}

/// The counts of everything that happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Calls per path since this process started, refused and lost ones included.
    pub calls: BTreeMap<String, u64>,
    /// What took effect since the world began.
    pub effects: Effects,
}

#[derive(Default)]
pub(crate) struct CallLog {
    calls: VecDeque<Call>,
    unexpected: Vec<Call>,
    counts: BTreeMap<String, u64>,
}

impl CallLog {
    pub(crate) fn add(
        &mut self,
        at: Timestamp,
        path: &str,
        body: Option<&Map<String, Value>>,
        outcome: CallOutcome,
        is_unexpected: bool,
    ) {
        let kept = |name: &str| body.and_then(|body| body.get(name)).map(|value| (name.to_owned(), value.clone()));
        let fields = KEPT_FIELDS.into_iter().filter_map(kept).collect();
        if self.calls.len() == REMEMBERED {
            self.calls.pop_front();
        }
        let call = Call { at, path: path.to_owned(), fields, outcome };
        if is_unexpected && self.unexpected.len() < REMEMBERED {
            self.unexpected.push(call.clone());
        }
        self.calls.push_back(call);
        *self.counts.entry(path.to_owned()).or_default() += 1;
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.iter().cloned().collect()
    }

    pub(crate) fn unexpected(&self) -> Vec<Call> {
        self.unexpected.clone()
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.clone()
    }
}
