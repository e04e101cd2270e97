//! What WeChat last said, remembered beside the client: whoever calls it, and in whatever way a call ends, it is noted
//! in one place.
//!
//! For operators: whether WeChat answers at all, and with which words it last refused, are the first two questions when
//! tokens are not renewed.

use std::sync::{Mutex, PoisonError};

use super::api::Api;
use super::error::{Refusal, WechatError};
use crate::clock::{SharedClock, Timestamp};

/// The code of a success.
pub const SUCCESS: &str = "0";

/// The end of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastAnswer {
    /// When it ended, by our clock.
    pub at: Timestamp,
    /// The call.
    pub api: Api,
    /// [`SUCCESS`], WeChat's code, or a word where there was no answer of WeChat's: [`WechatError::code_label`].
    pub code: String,
}

/// A call that WeChat refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRefusal {
    /// When it was refused, by our clock.
    pub at: Timestamp,
    /// What WeChat said, cleaned of secrets.
    pub refusal: Refusal,
}

/// What WeChat last said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// How the last call ended; `None` before the first.
    pub answer: Option<LastAnswer>,
    /// The last refusal; `None` before the first.
    pub refusal: Option<LastRefusal>,
}

/// Remembers what WeChat last said.
pub(super) struct Listener {
    clock: SharedClock,
    heard: Mutex<Heard>,
}

impl Listener {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self { clock, heard: Mutex::default() }
    }

    /// Notes how a call ended. One that was not started says nothing about WeChat.
    pub(super) fn note(&self, api: Api, failure: Option<&WechatError>) {
        if failure.is_some_and(WechatError::was_not_started) {
            return;
        }
        let at = self.clock.now();
        let code = failure.map_or_else(|| SUCCESS.to_owned(), WechatError::code_label);
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.answer = Some(LastAnswer { at, api, code });
        if let Some(refusal) = failure.and_then(WechatError::refusal) {
            heard.refusal = Some(LastRefusal { at, refusal: refusal.clone() });
        }
    }

    pub(super) fn heard(&self) -> Heard {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
