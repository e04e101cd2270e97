//! Faults on demand, per path: what a network and a busy WeChat do to a caller.
//!
//! A fault acts outside the rules: before a call takes effect or after it, never in between. If several match, the one
//! injected first acts, so that faults for one call each form a script.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base::ids::AppId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::watch;

use crate::paths;

/// The kind of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "kebab-case")]
pub enum Fault {
    /// Refused with this code; the call has no effect.
    Errcode {
        /// WeChat's code.
        errcode: i64,
        /// WeChat's text; a `rid` is added.
        errmsg: String,
    },
    /// An HTML page with status 502; the call has no effect.
    BadGateway,
    /// The call takes effect at once, and its response comes this much later (real time; milliseconds in JSON).
    Delay(#[serde(serialize_with = "to_milliseconds", deserialize_with = "from_milliseconds")] Duration),
    /// The connection is closed before the body is read: the call has no effect, and WeChat does not know of it.
    DropUnread,
    /// The request is read, then the connection is closed without a response; the call has no effect.
    DropBefore,
    /// The call takes effect, then the connection is closed without a response.
    DropAfter,
    /// The request is read, and the call waits until it is released: then the rules decide. It has no effect if the
    /// caller disconnects before.
    HoldBefore,
    /// The call takes effect, then its response is held until it is released or the caller disconnects.
    Hold,
    /// The same, but the head and the first half of the response's body are sent before.
    HoldHalfway,
    /// The call takes effect, and its response ends after this many bytes of its body: the connection is closed
    /// although the head promised all of them.
    CutShort(usize),
    /// The call takes effect, and its response has these headers instead of any with the same names. A name may occur
    /// several times.
    Headers(Vec<(String, String)>),
    /// The call takes effect, and this is the response instead.
    Answer {
        /// The status.
        status: u16,
        /// The headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// The call takes effect; these bytes replace the text wherever its response has it, even if the JSON becomes
    /// invalid.
    Garble {
        /// The text, such as a merchant's name.
        text: String,
        /// What is sent instead.
        bytes: Vec<u8>,
    },
}

/// WeChat's texts for the codes with which it refuses callers, tokens and grants.
const WORDS: [(i64, &str); 9] = [
    (-1, "system error"),
    (40001, "invalid credential, access_token is invalid or not latest"),
    (40014, "invalid access_token"),
    (42001, "access_token expired"),
    (45009, "reach max api daily quota limit"),
    (48001, "api unauthorized"),
    (61003, "component is not authorized by this account"),
    (61004, "access clientip is not registered requestIP: 203.0.113.9"),
    (61007, "api is unauthorized to component"),
];

impl Fault {
    /// A refusal with this code and WeChat's text for it.
    #[must_use]
    pub fn errcode(errcode: i64) -> Self {
        let words = WORDS.iter().find(|(known, _)| *known == errcode).map_or("refused", |(_, words)| *words);
        Self::Errcode { errcode, errmsg: words.to_owned() }
    }

    /// A refusal because the caller's address is not on the allow list (section 0): the text names the address.
    #[must_use]
    pub fn ip_not_registered() -> Self {
        Self::errcode(61004)
    }

    /// A refusal as busy: errcode −1.
    #[must_use]
    pub fn system_error() -> Self {
        Self::errcode(-1)
    }

    /// A response with this `Content-Type`, such as JSON labelled `text/plain`.
    #[must_use]
    pub fn content_type(content_type: &str) -> Self {
        Self::header("content-type", content_type)
    }

    /// A response with this header.
    #[must_use]
    pub fn header(name: &str, value: &str) -> Self {
        Self::Headers(vec![(name.to_owned(), value.to_owned())])
    }

    /// Another response with status 200: this body, of this type.
    #[must_use]
    pub fn answer(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self::Answer { status: 200, headers, body: body.into() }
    }

    /// A response in which these bytes replace the text.
    #[must_use]
    pub fn garble(text: &str, bytes: &[u8]) -> Self {
        Self::Garble { text: text.to_owned(), bytes: bytes.to_vec() }
    }

    /// This fault on a path of [`crate::paths`], for every call.
    #[must_use]
    pub fn on(self, path: &str) -> Injection {
        Injection { path: path.to_owned(), fault: self, authorizer_appid: None, times: None, if_called: false }
    }
}

/// A fault and the calls that it acts on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Injection {
    /// The path; [`paths::ANY`] for every path.
    pub path: String,
    /// The fault.
    pub fault: Fault,
    /// Only calls for this account: with its token, with a body that names it or a code of its own, or a login with its
    /// `appid`.
    #[serde(default)]
    pub authorizer_appid: Option<AppId>,
    /// How many calls; if missing, every one until the faults are cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// Whether it may stay unused ([`crate::Simulator::unused_faults`]).
    #[serde(default)]
    pub if_called: bool,
}

impl Injection {
    /// Only the next `times` calls.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    /// What the test shows holds whether or not such a call is made: the fault may stay unused.
    #[must_use]
    pub fn if_called(self) -> Self {
        Self { if_called: true, ..self }
    }

    /// Only calls for this account: with its token, with a body that names it or a code of its own, or a login with its
    /// `appid`.
    #[must_use]
    pub fn for_authorizer(self, appid: &AppId) -> Self {
        Self { authorizer_appid: Some(appid.clone()), ..self }
    }

    fn fits(&self, path: &str, authorizer: Option<&str>) -> bool {
        self.times != Some(0)
            && (self.path == path || self.path == paths::ANY)
            && self.authorizer_appid.as_ref().is_none_or(|appid| Some(appid.as_str()) == authorizer)
    }
}

/// The faults in force, and the calls being held.
#[derive(Default)]
pub(crate) struct Faults {
    injections: Mutex<Injections>,
    holds: watch::Sender<Holds>,
}

#[derive(Default)]
struct Injections {
    in_force: Vec<InForce>,
    /// The injections that had acted on fewer calls than ordered when the faults were cleared.
    cleared_unused: Vec<Injection>,
}

struct InForce {
    injection: Injection,
    has_acted: bool,
}

impl InForce {
    /// Whether it still has to act: on every call that was ordered, or on one if there is no count.
    const fn is_unused(&self) -> bool {
        !self.injection.if_called && (self.injection.times.is_some() || !self.has_acted)
    }
}

/// Per path: how many responses are held, and how often they were released.
#[derive(Default)]
struct Holds {
    held: BTreeMap<String, usize>,
    releases: BTreeMap<String, u64>,
}

impl Holds {
    fn releases(&self, path: &str) -> u64 {
        self.releases.get(path).copied().unwrap_or_default()
    }
}

impl Faults {
    pub(crate) fn inject(&self, injection: Injection) {
        self.injections().in_force.push(InForce { injection, has_acted: false });
    }

    pub(crate) fn clear(&self) {
        let mut injections = self.injections();
        let cleared = std::mem::take(&mut injections.in_force);
        let unused = cleared.into_iter().filter(InForce::is_unused).map(|cleared| cleared.injection);
        injections.cleared_unused.extend(unused);
    }

    /// The injections that acted on fewer calls than ordered, or on none, cleared ones included.
    pub(crate) fn unused(&self) -> Vec<Injection> {
        let injections = self.injections();
        let in_force = injections.in_force.iter().filter(|in_force| in_force.is_unused());
        injections.cleared_unused.iter().chain(in_force.map(|in_force| &in_force.injection)).cloned().collect()
    }

    /// Whether the fault that acts on this call does so before its body is read; if so, one use of it is spent.
    pub(crate) fn is_dropped_unread(&self, path: &str, authorizer: Option<&str>) -> bool {
        self.next_if(path, authorizer, |fault| *fault == Fault::DropUnread).is_some()
    }

    /// The fault that acts on this call, after spending one use of it.
    pub(crate) fn next(&self, path: &str, authorizer: Option<&str>) -> Option<Fault> {
        self.next_if(path, authorizer, |_| true)
    }

    fn next_if(&self, path: &str, authorizer: Option<&str>, is_wanted: fn(&Fault) -> bool) -> Option<Fault> {
        let in_force = &mut self.injections().in_force;
        let at = in_force.iter().position(|in_force| in_force.injection.fits(path, authorizer))?;
        in_force.get(at).filter(|in_force| is_wanted(&in_force.injection.fault))?;
        let chosen = in_force.get_mut(at)?;
        chosen.has_acted = true;
        let fault = chosen.injection.fault.clone();
        if let Some(times) = &mut chosen.injection.times {
            *times -= 1;
            if *times == 0 {
                in_force.remove(at);
            }
        }
        Some(fault)
    }

    /// Holds a response until its path is released.
    pub(crate) async fn hold(&self, path: &str) {
        let mut changes = self.holds.subscribe();
        let mut before = 0;
        self.holds.send_modify(|holds| {
            *holds.held.entry(path.to_owned()).or_default() += 1;
            before = holds.releases(path);
        });
        let _held = Held { faults: self, path };
        // Fails only when the sender is gone, which `self` owns.
        let _ = changes.wait_for(|holds| holds.releases(path) != before).await;
    }

    /// Releases every response held on this path.
    pub(crate) fn release(&self, path: &str) {
        self.holds.send_modify(|holds| *holds.releases.entry(path.to_owned()).or_default() += 1);
    }

    /// Waits until `count` calls or responses are held on this path.
    pub(crate) async fn until_held(&self, path: &str, count: usize) {
        let mut changes = self.holds.subscribe();
        let _ = changes.wait_for(|holds| holds.held.get(path).copied().unwrap_or_default() >= count).await;
    }

    /// How many responses are held per path.
    pub(crate) fn held(&self) -> BTreeMap<String, usize> {
        self.holds.borrow().held.clone()
    }

    fn injections(&self) -> std::sync::MutexGuard<'_, Injections> {
        self.injections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a held response until it is released or its caller disconnects.
struct Held<'a> {
    faults: &'a Faults,
    path: &'a str,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.faults.holds.send_modify(|holds| {
            if let Some(count) = holds.held.get_mut(self.path) {
                *count -= 1;
                if *count == 0 {
                    holds.held.remove(self.path);
                }
            }
        });
    }
}

pub(crate) fn to_milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

pub(crate) fn from_milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}
