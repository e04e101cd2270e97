//! The record of WeChat's last responses: the outcome of every call of a client is recorded in one place.
//!
//! It is for operators, whose first two questions when tokens are not renewed are whether WeChat responds at all, and
//! how it last refused. It is also for the run itself: an API whose quota is used up is not called again.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base::clock::{SharedClock, Timestamp};
use base::ids::Digest;

use super::endpoint::Api;
use super::errcode::ErrCode;
use super::error::{Refusal, WechatError};

/// The code of a success.
pub const SUCCESS: &str = "0";

/// The end of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastAnswer {
    /// When it ended, by our clock.
    pub at: Timestamp,
    /// The call.
    pub api: Api,
    /// [`SUCCESS`], WeChat's code, or a word if there was no response from WeChat: [`WechatError::code_label`].
    pub code: String,
}

/// A call that WeChat refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRefusal {
    /// When it was refused, by our clock.
    pub at: Timestamp,
    /// WeChat's statement, without secrets.
    pub refusal: Refusal,
}

/// WeChat's last responses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastResponses {
    /// How the last call ended; `None` before the first.
    pub answer: Option<LastAnswer>,
    /// The last refusal; `None` before the first.
    pub refusal: Option<LastRefusal>,
}

/// An API's quota counts as used up when calls about this many different accounts or codes in a row were refused for
/// it. WeChat has also been seen refusing a single account with such a code again and again while it served all others.
const QUOTA_WORDS: usize = 3;

/// Records WeChat's last responses.
pub(super) struct ResponseRecorder {
    clock: SharedClock,
    last_responses: Mutex<LastResponses>,
    quotas: Mutex<BTreeMap<Api, Quota>>,
}

/// The refusals of an API for its quota since its last other response.
struct Quota {
    last: Refusal,
    subjects: HashSet<Option<Digest>>,
}

impl Quota {
    fn is_used_up(&self) -> bool {
        !self.last.api.names_subject() || self.subjects.len() >= QUOTA_WORDS
    }
}

impl ResponseRecorder {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self { clock, last_responses: Mutex::default(), quotas: Mutex::default() }
    }

    /// The code with which the quota of an API turned out to be used up; `None` if it may be called.
    pub(super) fn quota_used_up(&self, api: Api) -> Option<ErrCode> {
        self.quotas().get(&api).filter(|quota| quota.is_used_up()).map(|quota| quota.last.code)
    }

    /// The last refusal of each API whose quota is used up.
    pub(super) fn used_up(&self) -> Vec<Refusal> {
        self.quotas().values().filter(|quota| quota.is_used_up()).map(|quota| quota.last.clone()).collect()
    }

    fn quotas(&self) -> MutexGuard<'_, BTreeMap<Api, Quota>> {
        self.quotas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a refusal for a quota; any other response of WeChat ends an incomplete row. `subject` is the account or
    /// code that the call was about.
    fn note_quota(&self, api: Api, subject: Option<&str>, failure: Option<&WechatError>) {
        let refused = failure.filter(|error| error.is_for_quota());
        match (refused.and_then(WechatError::refusal), failure) {
            (Some(refusal), _) => {
                let mut quotas = self.quotas();
                let quota =
                    quotas.entry(api).or_insert_with(|| Quota { last: refusal.clone(), subjects: HashSet::new() });
                quota.last = refusal.clone();
                quota.subjects.insert(subject.map(|subject| Digest::of(&[subject])));
            }
            // Once the quota is used up, calls that were in flight change nothing for this run.
            (None, None | Some(WechatError::Refused(_))) => {
                self.quotas().retain(|of, quota| *of != api || quota.is_used_up());
            }
            // There was no response from WeChat.
            (None, Some(_)) => {}
        }
    }

    /// Records how a call about `subject` ended. A call that was not started says nothing about WeChat.
    pub(super) fn note(&self, api: Api, subject: Option<&str>, failure: Option<&WechatError>) {
        if failure.is_some_and(WechatError::was_not_started) {
            return;
        }
        self.note_quota(api, subject, failure);
        let at = self.clock.now();
        let code = failure.map_or_else(|| SUCCESS.to_owned(), WechatError::code_label);
        let mut last_responses = self.last_responses.lock().unwrap_or_else(PoisonError::into_inner);
        last_responses.answer = Some(LastAnswer { at, api, code });
        if let Some(refusal) = failure.and_then(WechatError::refusal) {
            last_responses.refusal = Some(LastRefusal { at, refusal: refusal.clone() });
        }
    }

    pub(super) fn last_responses(&self) -> LastResponses {
        self.last_responses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base::clock::SystemClock;

    use super::*;

    fn refusal(api: Api, code: i64) -> WechatError {
        let code = ErrCode::from_code(code);
        Refusal { api, code, errmsg: String::new(), rid: None, refused_ip: None }.into()
    }

    fn recorder_after(calls: &[(&str, i64)]) -> ResponseRecorder {
        let recorder = ResponseRecorder::new(Arc::new(SystemClock));
        for (subject, code) in calls {
            let failure = (*code != 0).then(|| refusal(Api::AuthorizerToken, *code));
            recorder.note(Api::AuthorizerToken, Some(subject), failure.as_ref());
        }
        recorder
    }

    #[test]
    fn a_quota_is_used_up_when_three_accounts_in_a_row_are_refused_for_it() {
        let used_up = |calls| recorder_after(calls).quota_used_up(Api::AuthorizerToken).map(ErrCode::code);
        assert_eq!(used_up(&[("a", 45_009), ("a", 45_009), ("a", 45_009), ("b", 45_009)]), None);
        assert_eq!(used_up(&[("a", 45_009), ("b", 45_009), ("c", 0), ("d", 45_009)]), None);
        assert_eq!(used_up(&[("a", 45_009), ("b", 45_009), ("c", 40_013), ("d", 45_009)]), None);
        assert_eq!(used_up(&[("a", 45_009), ("b", 45_009), ("c", 45_011)]), Some(45_011));
        let recorder = recorder_after(&[("a", 45_009), ("b", 45_009), ("c", 45_009)]);
        assert_eq!(recorder.quota_used_up(Api::AuthorizerInfo), None, "other APIs may be called");
    }

    #[test]
    fn a_call_that_names_no_account_needs_no_second_word() {
        let recorder = ResponseRecorder::new(Arc::new(SystemClock));
        recorder.note(Api::AuthorizerList, None, Some(&refusal(Api::AuthorizerList, 45_009)));
        assert_eq!(recorder.used_up().len(), 1);
    }

    #[test]
    fn a_call_without_a_response_neither_adds_to_the_row_nor_ends_it() {
        let recorder = recorder_after(&[("a", 45_009), ("b", 45_009)]);
        recorder.note(Api::AuthorizerToken, Some("c"), Some(&WechatError::HttpStatus(502)));
        assert!(recorder.used_up().is_empty());
        recorder.note(Api::AuthorizerToken, Some("d"), Some(&refusal(Api::AuthorizerToken, 45_009)));
        assert_eq!(recorder.used_up().len(), 1);
    }
}
