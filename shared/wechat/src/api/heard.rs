//! What WeChat last said, remembered next to the client: however a call ends, it is noted in one place.
//!
//! For operators: whether WeChat answers at all, and with which words it last refused, are the first two questions when
//! tokens are not renewed. For the run itself: an API whose quota is used up is not called again.

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

/// An API counts as used up when this many different accounts or codes in a row were refused for its quota. WeChat has
/// also answered one account with such a code again and again while all others were served.
const QUOTA_WORDS: usize = 3;

/// Remembers what WeChat last said.
pub(super) struct Listener {
    clock: SharedClock,
    heard: Mutex<Heard>,
    quotas: Mutex<BTreeMap<Api, Quota>>,
}

/// The refusals of an API for its quota, since it last answered otherwise.
struct Quota {
    last: Refusal,
    subjects: HashSet<Option<Digest>>,
}

impl Quota {
    fn is_used_up(&self) -> bool {
        !self.last.api.names_subject() || self.subjects.len() >= QUOTA_WORDS
    }
}

impl Listener {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self { clock, heard: Mutex::default(), quotas: Mutex::default() }
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

    /// Counts a refusal for a quota; any other answer of WeChat's ends a row that is not complete. `subject` is the
    /// account or code that the call was about.
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
            // Once it is used up, what was under way changes nothing for this run.
            (None, None | Some(WechatError::Refused(_))) => {
                self.quotas().retain(|of, quota| *of != api || quota.is_used_up());
            }
            // Nothing of WeChat's was heard.
            (None, Some(_)) => {}
        }
    }

    /// Notes how a call about `subject` ended. One that was not started says nothing about WeChat.
    pub(super) fn note(&self, api: Api, subject: Option<&str>, failure: Option<&WechatError>) {
        if failure.is_some_and(WechatError::was_not_started) {
            return;
        }
        self.note_quota(api, subject, failure);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base::clock::SystemClock;

    use super::*;

    fn refusal(api: Api, code: i64) -> WechatError {
        let code = ErrCode::from_code(code);
        Refusal { api, code, errmsg: String::new(), rid: None, refused_ip: None }.into()
    }

    fn listener_after(calls: &[(&str, i64)]) -> Listener {
        let listener = Listener::new(Arc::new(SystemClock));
        for (subject, code) in calls {
            let failure = (*code != 0).then(|| refusal(Api::AuthorizerToken, *code));
            listener.note(Api::AuthorizerToken, Some(subject), failure.as_ref());
        }
        listener
    }

    #[test]
    fn a_quota_is_used_up_when_three_accounts_in_a_row_are_refused_for_it() {
        let used_up = |calls| listener_after(calls).quota_used_up(Api::AuthorizerToken).map(ErrCode::code);
        assert_eq!(used_up(&[("a", 45_009), ("a", 45_009), ("a", 45_009), ("b", 45_009)]), None);
        assert_eq!(used_up(&[("a", 45_009), ("b", 45_009), ("c", 0), ("d", 45_009)]), None);
        assert_eq!(used_up(&[("a", 45_009), ("b", 45_009), ("c", 40_013), ("d", 45_009)]), None);
        assert_eq!(used_up(&[("a", 45_009), ("b", 45_009), ("c", 45_011)]), Some(45_011));
        let listener = listener_after(&[("a", 45_009), ("b", 45_009), ("c", 45_009)]);
        assert_eq!(listener.quota_used_up(Api::AuthorizerInfo), None, "other APIs may be called");
    }

    #[test]
    fn a_call_that_names_no_account_needs_no_second_word() {
        let listener = Listener::new(Arc::new(SystemClock));
        listener.note(Api::AuthorizerList, None, Some(&refusal(Api::AuthorizerList, 45_009)));
        assert_eq!(listener.used_up().len(), 1);
    }

    #[test]
    fn a_call_without_an_answer_neither_adds_to_the_row_nor_ends_it() {
        let listener = listener_after(&[("a", 45_009), ("b", 45_009)]);
        listener.note(Api::AuthorizerToken, Some("c"), Some(&WechatError::HttpStatus(502)));
        assert!(listener.used_up().is_empty());
        listener.note(Api::AuthorizerToken, Some("d"), Some(&refusal(Api::AuthorizerToken, 45_009)));
        assert_eq!(listener.used_up().len(), 1);
    }
}
