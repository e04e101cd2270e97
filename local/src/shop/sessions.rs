//! The shop's own sessions, in memory: the visitor of each browser, and the logins that the browser has begun.
//!
//! A browser that comes back with a `state` that its session does not have has not begun that login: it opened somebody
//! else's link, or a QR code was scanned with another device. Each login starts a new session, so that nobody who knew
//! the old one is logged in as well.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, HeaderValue};
use base::random::Random;
use web::cookies;

use super::steps::Step;
use super::visitor::{MiniProgramUser, Visitor};

/// The cookie's name.
const COOKIE: &str = "shop-session";

/// The most sessions that are kept; the least recently used goes first. A real shop has a database.
const KEPT: usize = 200;

/// The most logins that a session remembers: one for each tab that began one.
const ATTEMPTS: usize = 5;

/// The id by which the browser names its session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SessionId(String);

impl SessionId {
    /// The cookie that carries it: for this host only, not for scripts, and not from forms and frames of other sites.
    pub(super) fn cookie(&self) -> Option<HeaderValue> {
        let Self(id) = self;
        HeaderValue::from_str(&format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Lax")).ok()
    }
}

/// The progress of a login that this browser began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The visitor has not come back yet.
    UnderWay,
    /// The visitor is logged in. Browsers may load the return URL twice.
    Done,
}

/// The shop's knowledge of a browser.
#[derive(Debug, Clone, Default)]
pub(super) struct Session {
    pub(super) visitor: Option<Visitor>,
    pub(super) mini_program: Option<MiniProgramUser>,
    /// The shop's last steps for this visitor.
    pub(super) steps: Vec<Step>,
    attempts: Vec<(String, Attempt)>,
    used: u64,
}

impl Session {
    /// The progress of the login with this `state`; `None` if this browser did not begin it.
    pub(super) fn attempt(&self, state: &str) -> Option<Attempt> {
        self.attempts.iter().find(|(known, _)| known == state).map(|(_, attempt)| *attempt)
    }

    fn begin(&mut self, state: String) {
        self.attempts.push((state, Attempt::UnderWay));
        let too_many = self.attempts.len().saturating_sub(ATTEMPTS);
        self.attempts.drain(..too_many);
    }

    fn end(&mut self, state: &str) {
        for (known, attempt) in &mut self.attempts {
            if known == state {
                *attempt = Attempt::Done;
            }
        }
    }
}

/// All sessions.
pub(super) struct Sessions {
    random: Random,
    all: Mutex<HashMap<SessionId, Session>>,
}

impl Sessions {
    pub(super) fn new(random: Random) -> Self {
        Self { random, all: Mutex::default() }
    }

    /// The session of a browser, as it is now; an empty one if it has none.
    pub(super) fn read(&self, headers: &HeaderMap) -> Session {
        carried(headers).and_then(|id| self.lock().get(&id).cloned()).unwrap_or_default()
    }

    /// Changes the session of a browser, which gets one if it has none.
    pub(super) fn change<R>(&self, headers: &HeaderMap, change: impl FnOnce(&mut Session) -> R) -> (SessionId, R) {
        let mut all = self.lock();
        let known = carried(headers).filter(|id| all.contains_key(id));
        let id = known.unwrap_or_else(|| SessionId(self.random.id()));
        let used = all.values().map(|session| session.used).max().unwrap_or_default() + 1;
        let session = all.entry(id.clone()).or_default();
        session.used = used;
        let changed = change(session);
        drop_oldest(&mut all);
        (id, changed)
    }

    /// The `state` of a new login, which nobody can guess.
    pub(super) fn new_state(&self) -> String {
        self.random.id()
    }

    /// Begins a login of this browser.
    pub(super) fn begin(&self, headers: &HeaderMap, state: String, steps: Vec<Step>) -> SessionId {
        let (id, ()) = self.change(headers, |session| {
            session.begin(state);
            session.steps = steps;
        });
        id
    }

    /// Ends a login successfully: the browser's session continues under another id, with the visitor. The old id has no
    /// visitor, and the logins begun under it have ended.
    pub(super) fn end(&self, headers: &HeaderMap, state: &str, visitor: Visitor) -> SessionId {
        let (old, mut session) = self.change(headers, |session| {
            session.end(state);
            let left = Session { attempts: session.attempts.clone(), used: session.used, ..Session::default() };
            std::mem::replace(session, left)
        });
        session.visitor = Some(visitor);
        let id = SessionId(self.random.id());
        let mut all = self.lock();
        if let Some(left) = all.get_mut(&old) {
            left.attempts.retain(|(_, attempt)| *attempt == Attempt::Done);
        }
        all.insert(id.clone(), session);
        drop_oldest(&mut all);
        id
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Session>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn drop_oldest(all: &mut HashMap<SessionId, Session>) {
    if all.len() > KEPT {
        let oldest = all.iter().min_by_key(|(_, session)| session.used).map(|(id, _)| id.clone());
        if let Some(oldest) = oldest {
            all.remove(&oldest);
        }
    }
}

fn carried(headers: &HeaderMap) -> Option<SessionId> {
    cookies(headers).find(|(name, _)| *name == COOKIE).map(|(_, id)| SessionId(id.to_owned()))
}

#[cfg(test)]
mod tests {
    use axum::http::header::COOKIE as HEADER;

    use super::*;

    fn browser(id: &SessionId) -> HeaderMap {
        let cookie = id.cookie().unwrap();
        let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        HeaderMap::from_iter([(HEADER, HeaderValue::from_str(&pair).unwrap())])
    }

    fn begin(sessions: &Sessions, headers: &HeaderMap) -> (SessionId, String) {
        let state = sessions.new_state();
        (sessions.begin(headers, state.clone(), Vec::new()), state)
    }

    fn visitor() -> Visitor {
        Visitor { openid: "oVisitor".to_owned(), ..Visitor::default() }
    }

    #[test]
    fn a_state_is_known_to_the_browser_that_began_and_to_no_other() {
        let sessions = Sessions::new(Random::system());
        let (id, state) = begin(&sessions, &HeaderMap::new());
        let (_, other_tab) = begin(&sessions, &browser(&id));
        let session = sessions.read(&browser(&id));
        assert_eq!(session.attempt(&state), Some(Attempt::UnderWay));
        assert_eq!(session.attempt(&other_tab), Some(Attempt::UnderWay));
        let (other, _) = begin(&sessions, &HeaderMap::new());
        for stranger in [browser(&other), HeaderMap::new(), browser(&SessionId("planted".to_owned()))] {
            assert_eq!(sessions.read(&stranger).attempt(&state), None);
        }
    }

    #[test]
    fn whoever_knew_the_session_before_the_login_is_not_logged_in() {
        let sessions = Sessions::new(Random::system());
        let (before, state) = begin(&sessions, &HeaderMap::new());
        let (_, other_tab) = begin(&sessions, &browser(&before));
        let after = sessions.end(&browser(&before), &state, visitor());
        assert_eq!(sessions.read(&browser(&after)).visitor, Some(visitor()));
        let left = sessions.read(&browser(&before));
        assert_eq!((left.visitor, left.attempts), (None, vec![(state.clone(), Attempt::Done)]));
        // By then, the browser has the new cookie in all of its tabs.
        assert_eq!(sessions.read(&browser(&after)).attempt(&other_tab), Some(Attempt::UnderWay));
    }

    #[test]
    fn an_id_that_somebody_made_up_opens_no_session() {
        let sessions = Sessions::new(Random::system());
        let planted = SessionId("planted".to_owned());
        let (id, _) = begin(&sessions, &browser(&planted));
        assert_ne!(id, planted);
    }

    #[test]
    fn the_sessions_that_were_not_used_for_longest_go_first() {
        let sessions = Sessions::new(Random::system());
        let (first, _) = begin(&sessions, &HeaderMap::new());
        let (second, state) = begin(&sessions, &HeaderMap::new());
        for _ in 0..KEPT {
            begin(&sessions, &browser(&first));
            begin(&sessions, &HeaderMap::new());
        }
        assert_eq!(sessions.lock().len(), KEPT);
        assert!(sessions.lock().contains_key(&first));
        assert_eq!(sessions.read(&browser(&second)).attempt(&state), None);
    }
}
