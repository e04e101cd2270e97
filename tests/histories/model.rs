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
    /// Every push, in the order of what it tells.
    pub(crate) pushes: Vec<SentPush>,
    /// Every way back from WeChat.
    pub(crate) returns: Vec<WayBack>,
    /// Every message of a follower.
    pub(crate) messages: Vec<SentMessage>,
    /// Which accounts were authorized through which link.
    pub(crate) through: Vec<(usize, AppId)>,
    /// What has written what is said about accounts, in the order in which it began.
    pub(crate) writings: Vec<Writing>,
    /// The version of each account that the service knows which minds them.
    pub(crate) seen: BTreeMap<AppId, Version>,
    /// How many moments there have been.
    pub(crate) moments: u64,
    /// The story so far.
    pub(crate) told: Vec<String>,
}

/// A push of WeChat's.
pub(crate) struct SentPush {
    /// What is sent.
    pub(crate) push: Push,
    /// Whom it is about.
    pub(crate) account: AppId,
    /// Whether it has been sent.
    pub(crate) sent: bool,
    /// Whether the platform has ever answered it with `success`.
    pub(crate) accepted: bool,
}

/// A redirect that brings a merchant back.
pub(crate) struct WayBack {
    /// Where to.
    pub(crate) url: Url,
    /// Through which link.
    pub(crate) link: usize,
}

/// A message of a follower.
pub(crate) struct SentMessage {
    /// What is sent.
    pub(crate) message: Message,
    /// To whom.
    pub(crate) account: AppId,
    /// Who wrote it.
    pub(crate) open_id: String,
    /// What it says: no other message says the same.
    pub(crate) content: String,
    /// How each delivery was answered.
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

/// The one that a step means by its number; `None` if there is none at all.
pub(crate) fn nth<T>(all: &[T], number: usize) -> Option<&T> {
    all.get(number.checked_rem(all.len())?)
}
