//! What truly happened, as WeChat, the merchants and the followers saw it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::ids::AppId;
use simulator::{Message, MessageOutcome, Push};
use url::Url;

use crate::labels::{Version, Writing};

/// The record of a history; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Model(Arc<Mutex<Record>>);

/// What happened so far.
#[derive(Default)]
pub(crate) struct Record {
    /// Every push, in the order of the events in them.
    pub(crate) pushes: Vec<SentPush>,
    /// Every redirect back from WeChat.
    pub(crate) returns: Vec<WayBack>,
    /// Every message of a follower.
    pub(crate) messages: Vec<SentMessage>,
    /// The accounts that were authorized through each link.
    pub(crate) through: Vec<(usize, AppId)>,
    /// The writes of accounts' labels, in the order in which they began.
    pub(crate) writings: Vec<Writing>,
    /// The version of each account that the service with `If-Match` knows.
    pub(crate) seen: BTreeMap<AppId, Version>,
    /// The number of moments so far.
    pub(crate) moments: u64,
    /// The lines of the story so far.
    pub(crate) told: Vec<String>,
}

/// A push of WeChat's.
pub(crate) struct SentPush {
    /// The push.
    pub(crate) push: Push,
    /// Its account.
    pub(crate) account: AppId,
    /// Whether it has been sent.
    pub(crate) sent: bool,
    /// Whether the platform has ever answered it with `success`.
    pub(crate) accepted: bool,
}

/// A redirect that brings a merchant back.
pub(crate) struct WayBack {
    /// The target.
    pub(crate) url: Url,
    /// The number of the link.
    pub(crate) link: usize,
}

/// A message of a follower.
pub(crate) struct SentMessage {
    /// The message.
    pub(crate) message: Message,
    /// Its account.
    pub(crate) account: AppId,
    /// The follower who wrote it.
    pub(crate) open_id: String,
    /// Its text, which no other message has.
    pub(crate) content: String,
    /// The outcome of each delivery.
    pub(crate) outcomes: Vec<MessageOutcome>,
}

impl Model {
    /// Reads or changes the record.
    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line to the story.
    pub(crate) fn tell(&self, line: impl Into<String>) {
        self.record().told.push(line.into());
    }
}

impl Record {
    /// The number of the push that a step means: the `number`th that has not been sent.
    pub(crate) fn under_way(&self, number: usize) -> Option<usize> {
        let waiting: Vec<usize> = (0..self.pushes.len()).filter(|push| !self.pushes[*push].sent).collect();
        nth(&waiting, number).copied()
    }

    /// The number of the push that a step means: the `number`th that has been sent.
    pub(crate) fn sent(&self, number: usize) -> Option<usize> {
        let sent: Vec<usize> = (0..self.pushes.len()).filter(|push| self.pushes[*push].sent).collect();
        nth(&sent, number).copied()
    }
}

/// The item that a step means by its number; `None` if there are none.
pub(crate) fn nth<T>(all: &[T], number: usize) -> Option<&T> {
    all.get(number.checked_rem(all.len())?)
}
