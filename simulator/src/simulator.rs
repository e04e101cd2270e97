//! [`Simulator`]: the world, its clock and its keys in one handle, shared by the server, the control API and a test.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base::clock::{SharedClock, Timestamp};
use base::ids::AppId;
use base::random::Random;
use design::Neighbour;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use tokio::task::JoinSet;
use url::Url;
use wechat::crypto::{EncodingAesKey, KeyError, Keyring};

use crate::behaviour::{Behaviour, Lifetimes};
use crate::business::diagnosis::RefusedCalls;
use crate::business::media::Media;
use crate::business::quota::Quota;
use crate::calls::{Call, CallLog, CallOutcome, Counters};
use crate::chat::transcript::Transcript;
use crate::faults::{Faults, Injection};
use crate::options::{Options, Platform};
use crate::push::{Applicant, Push, PushOutcome};
use crate::received::{Received, Requests};
use crate::refusal::AuthorizationRefusal;
use crate::sent::SentMessage;
use crate::world::{Account, Authorization, Consent, IssuedSecret, Moment, Registration, SecretKind, World};

/// How long WeChat waits for the response to a push (protocol section 3.3).
const PUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a simulator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The platform's `EncodingAESKey` is invalid.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The HTTP client for pushes cannot be built.
    #[error("the HTTP client cannot be built")]
    Http(#[from] reqwest::Error),
    /// The state file cannot be read.
    #[error("the state file {} cannot be read", path.display())]
    ReadState {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The saved state was not written by this version.
    #[error("the saved state does not fit this version of the simulator")]
    ParseState(#[from] serde_json::Error),
}

/// WeChat's side. Clones share one world.
#[derive(Clone)]
pub struct Simulator(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    platform: Platform,
    launch_host: String,
    clock: SharedClock,
    random: Random,
    lifetimes: Lifetimes,
    state_file: Option<PathBuf>,
    pub(crate) neighbours: Vec<Neighbour>,
    pub(crate) http: reqwest::Client,
    faults: Faults,
    pub(crate) keys: Mutex<Keys>,
    pub(crate) push_url: Mutex<Option<Url>>,
    pub(crate) web_domains: Mutex<Vec<String>>,
    pub(crate) message_url: Mutex<Option<String>>,
    behaviour: Mutex<Behaviour>,
    world: Mutex<World>,
    calls: Mutex<CallLog>,
    pub(crate) pushes: Mutex<Vec<PushOutcome>>,
    requests: Mutex<Requests>,
    pub(crate) quota: Mutex<Quota>,
    pub(crate) refused: Mutex<RefusedCalls>,
    pub(crate) media: Mutex<Media>,
    pub(crate) sent: Mutex<VecDeque<SentMessage>>,
    pub(crate) transcript: Mutex<Transcript>,
    pub(crate) background: Mutex<JoinSet<()>>,
}

/// The token and key with which pushes are signed and sealed, and the earlier ones.
pub(crate) struct Keys {
    pub(crate) token: SecretString,
    pub(crate) keyring: Arc<Keyring>,
    ever_used: Vec<IssuedSecret>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starting, state and time.
impl Simulator {
    /// A simulator at rest: nothing is pushed and nothing runs until requested. Continues from the state file if there
    /// is one.
    ///
    /// # Errors
    /// [`StartError`] if the key or the saved state is unusable.
    pub fn new(options: Options) -> Result<Self, StartError> {
        let Options {
            platform,
            launch_host,
            web_domains,
            push_url,
            message_url,
            clock,
            random,
            lifetimes,
            behaviour,
            accounts,
            state_file,
            neighbours,
        } = options;
        let saved = state_file.as_deref().map(read_state).transpose()?.flatten();
        let world = match saved {
            Some(saved) => serde_json::from_slice::<World>(&saved)?.restored(),
            None => World::with_accounts(accounts),
        };
        let mut keys = Keys::new(&platform.component_appid, &platform.token, &platform.encoding_aes_key)?;
        keys.note(SecretKind::AppSecret, &platform.component_appsecret);
        Ok(Self(Arc::new(Inner {
            platform,
            launch_host,
            clock,
            random,
            lifetimes,
            state_file,
            neighbours,
            http: http_client()?,
            faults: Faults::default(),
            keys: Mutex::new(keys),
            push_url: Mutex::new(push_url),
            web_domains: Mutex::new(web_domains),
            message_url: Mutex::new(message_url),
            behaviour: Mutex::new(behaviour),
            world: Mutex::new(world),
            calls: Mutex::default(),
            pushes: Mutex::default(),
            requests: Mutex::default(),
            quota: Mutex::default(),
            refused: Mutex::default(),
            media: Mutex::default(),
            sent: Mutex::default(),
            transcript: Mutex::default(),
            background: Mutex::default(),
        })))
    }

    /// The state as JSON, as in the state file.
    ///
    /// # Errors
    /// If it cannot be serialized, which never happens to known states.
    pub fn snapshot(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(&*lock(&self.0.world))
    }

    /// Continues from a [`Simulator::snapshot`].
    ///
    /// # Errors
    /// If `snapshot` was not taken by this version. The state is unchanged then.
    pub fn restore(&self, snapshot: Value) -> Result<(), serde_json::Error> {
        let restored = serde_json::from_value::<World>(snapshot)?.restored();
        self.change(|world, _| world.replace_with(restored));
        Ok(())
    }

    /// Reads the state.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&World) -> R) -> R {
        read(&lock(&self.0.world))
    }

    /// Changes the state and saves it before anybody can learn of the change.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut World, &Moment<'_>) -> R) -> R {
        let moment = Moment { now: self.now(), random: &self.0.random, lifetimes: &self.0.lifetimes };
        let mut world = lock(&self.0.world);
        let result = change(&mut world, &moment);
        if let Some(path) = &self.0.state_file
            && let Err(error) = write_state(path, &world)
        {
            tracing::error!(%error, path = %path.display(), "the simulator's state is not saved");
        }
        result
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn random(&self) -> &Random {
        &self.0.random
    }

    pub(crate) fn lifetimes(&self) -> &Lifetimes {
        &self.0.lifetimes
    }

    pub(crate) fn platform(&self) -> &Platform {
        &self.0.platform
    }

    pub(crate) fn launch_host(&self) -> &str {
        &self.0.launch_host
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.0.faults
    }
}

/// The actions of merchants, and of WeChat's console.
impl Simulator {
    /// The accounts that can be chosen, in the order of their appids; those of WeChat's release check come last, since
    /// no merchant has them.
    #[must_use]
    pub fn accounts(&self) -> Vec<Account> {
        let mut accounts: Vec<_> = self.read(|world| world.accounts().cloned().collect());
        accounts.sort_by_key(Account::is_release_check);
        accounts
    }

    /// The account with this appid.
    #[must_use]
    pub fn account(&self, appid: &AppId) -> Option<Account> {
        self.read(|world| world.account(appid).cloned())
    }

    /// Adds an account, or replaces the one with its appid; an existing grant stays.
    pub fn put_account(&self, account: Account) {
        self.change(|world, _| world.put_account(account));
    }

    /// Replaces the granted permission sets and pushes nothing: the merchant has changed them in WeChat's console, or
    /// has granted an exclusive one to another platform. `false` if the account has not authorized the platform.
    #[must_use]
    pub fn set_permissions(&self, authorizer: &AppId, func_ids: &[u32]) -> bool {
        self.change(|world, _| world.set_permissions(authorizer, func_ids.to_vec()))
    }

    /// Adds this many accounts, each of which authorizes the platform. The pushes are returned unsent.
    #[must_use]
    pub fn add_authorized_accounts(&self, count: usize) -> Vec<Push> {
        let codes = self.behaviour().codes;
        // One change for all: each change is written to the state file, if there is one.
        self.change(|world, at| world.add_authorized(count, codes, &self.0.platform.component_appid, at))
    }

    /// Whether the account has authorized the platform at present.
    #[must_use]
    pub fn is_authorized(&self, authorizer: &AppId) -> bool {
        self.read(|world| world.is_authorized(authorizer))
    }

    /// A merchant confirms the link with this pre-auth code, without the HTML pages. Nothing is sent: [`Consent::push`]
    /// is for [`Simulator::send`].
    ///
    /// # Errors
    /// [`AuthorizationRefusal`] for a bad code or an unknown account.
    pub fn confirm(&self, pre_auth_code: &str, authorizer: &AppId) -> Result<Consent, AuthorizationRefusal> {
        self.authorize(authorizer, Some(pre_auth_code), None)
    }

    /// A merchant authorizes, or authorizes again, without one of our links. Nothing is sent.
    ///
    /// # Errors
    /// [`AuthorizationRefusal::Account`] if there is no such account.
    pub fn authorize_without_link(&self, authorizer: &AppId) -> Result<Consent, AuthorizationRefusal> {
        self.authorize(authorizer, None, None)
    }

    pub(crate) fn authorize(
        &self,
        appid: &AppId,
        pre_auth_code: Option<&str>,
        category_ids: Option<&[u32]>,
    ) -> Result<Consent, AuthorizationRefusal> {
        let asked = Authorization { appid, pre_auth_code, category_ids, codes: self.behaviour().codes };
        self.change(|world, at| world.authorize(&asked, &self.0.platform.component_appid, at))
    }

    /// A further authorization code of an account that has authorized the platform. Nothing is pushed, and the grant
    /// stays: the release check sends such a code in a message (section 7).
    ///
    /// # Errors
    /// [`AuthorizationRefusal::Account`] if the account has granted nothing.
    pub fn issue_code(&self, authorizer: &AppId) -> Result<String, AuthorizationRefusal> {
        self.change(|world, at| world.issue_code(authorizer, at))
    }

    /// A merchant withdraws the grant: the account's tokens and open codes become invalid. The `unauthorized` push is
    /// returned unsent; `None` if the account was not authorized.
    #[must_use]
    pub fn unauthorize(&self, authorizer: &AppId) -> Option<Push> {
        let revoked = self.change(|world, at| world.revoke(authorizer, at.now));
        revoked.then(|| Push::unauthorized(&self.0.platform.component_appid, authorizer, self.now()))
    }

    /// Fast registration succeeds: a new mini program, authorized to the platform. The push is returned unsent.
    #[must_use]
    pub fn register_mini_program(&self, name: &str) -> Registration {
        let applicant = Applicant::company(name);
        self.change(|world, at| world.register_mini_program(name, &applicant, &self.0.platform.component_appid, at))
    }

    /// Fast registration fails, with a status of section 5.12 such as 100001: a push without `appid` and `auth_code`.
    #[must_use]
    pub fn fail_registration(&self, name: &str, status: i64, msg: &str) -> Push {
        let applicant = Applicant::company(name);
        Push::registration_failed(&self.0.platform.component_appid, status, msg, &applicant, self.now())
    }

    /// Changes the token and key of the pushes, as in WeChat's console.
    ///
    /// # Errors
    /// [`KeyError`] if the key is invalid. Nothing has changed then.
    pub fn change_keys(&self, token: &SecretString, encoding_aes_key: &SecretString) -> Result<(), KeyError> {
        let new = Keys::new(&self.0.platform.component_appid, token, encoding_aes_key)?;
        let mut keys = lock(&self.0.keys);
        let earlier = std::mem::replace(&mut *keys, new).ever_used;
        keys.ever_used.extend(earlier);
        Ok(())
    }

    /// The behaviour that WeChat leaves open, as it is set now.
    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        *lock(&self.0.behaviour)
    }

    /// Changes the behaviour that WeChat leaves open.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        *lock(&self.0.behaviour) = behaviour;
    }
}

/// Faults, and what tests inspect.
impl Simulator {
    /// Makes calls fail, until [`Simulator::clear_faults`] or for as many calls as the injection says:
    /// `simulator.inject(Fault::DropAfter.on(paths::COMPONENT_TOKEN).times(1))`.
    pub fn inject(&self, injection: Injection) {
        self.0.faults.inject(injection);
    }

    /// Clears all faults. Responses that are held stay held.
    pub fn clear_faults(&self) {
        self.0.faults.clear();
    }

    /// Waits until `count` calls or responses are held on this path by [`crate::Fault::Hold`] or a similar fault.
    pub async fn until_held(&self, path: &str, count: usize) {
        self.0.faults.until_held(path, count).await;
    }

    /// Releases the calls and responses held on this path; later ones are held again if the fault is still there.
    pub fn release(&self, path: &str) {
        self.0.faults.release(path);
    }

    /// The counts of everything that happened.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters { calls: lock(&self.0.calls).counts(), effects: self.read(|world| world.effects().clone()) }
    }

    /// The calls of API and pages in order, the latest 100,000 of them.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.0.calls).calls()
    }

    /// The requests for this path in order, to the byte: from the latest 1,000 requests, and no more than 64 MiB.
    #[must_use]
    pub fn requests(&self, path: &str) -> Vec<Received> {
        lock(&self.0.requests).of(path)
    }

    pub(crate) fn record_request(&self, received: Received) {
        lock(&self.0.requests).add(received);
    }

    /// Every secret: those configured for the platform, those issued by this process, and those alive when it started.
    #[must_use]
    pub fn issued_secrets(&self) -> Vec<IssuedSecret> {
        let mut secrets = lock(&self.0.keys).ever_used.clone();
        self.read(|world| secrets.extend_from_slice(world.issued()));
        secrets
    }

    /// The injected faults that acted on fewer calls than ordered, or on none; [`Injection::times`] is what was left.
    /// Clearing the faults does not forget them: a test whose fault never acted proves nothing.
    #[must_use]
    pub fn unused_faults(&self) -> Vec<Injection> {
        self.0.faults.unused()
    }

    /// The calls that were refused, by a rule and not by a fault, because the caller is wrong whatever happened before:
    /// a missing field, a token of the wrong kind. A platform makes none. What it passes on for a service may be wrong,
    /// but has exactly one token.
    #[must_use]
    pub fn unexpected_calls(&self) -> Vec<Call> {
        lock(&self.0.calls).unexpected()
    }

    pub(crate) fn record_call(
        &self,
        path: &str,
        body: Option<&Map<String, Value>>,
        outcome: CallOutcome,
        is_unexpected: bool,
    ) {
        lock(&self.0.calls).add(self.now(), path, body, outcome, is_unexpected);
    }
}

impl Keys {
    fn new(component: &AppId, token: &SecretString, encoding_aes_key: &SecretString) -> Result<Self, KeyError> {
        let key = EncodingAesKey::parse(encoding_aes_key)?;
        let keyring = Arc::new(Keyring::new(component.clone(), token.clone(), key));
        let mut keys = Self { token: token.clone(), keyring, ever_used: Vec::new() };
        keys.note(SecretKind::Token, token);
        keys.note(SecretKind::EncodingAesKey, encoding_aes_key);
        Ok(keys)
    }

    fn note(&mut self, kind: SecretKind, value: &SecretString) {
        self.ever_used.push(IssuedSecret { kind, value: value.expose_secret().to_owned() });
    }
}

#[expect(clippy::disallowed_methods, reason = "this client is WeChat's, which pushes: not one that calls WeChat")]
fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(PUSH_TIMEOUT).build()
}

fn read_state(path: &Path) -> Result<Option<Vec<u8>>, StartError> {
    match std::fs::read(path) {
        Ok(saved) => Ok(Some(saved)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StartError::ReadState { path: path.to_owned(), source }),
    }
}

/// Writes a draft and renames it: a reader of the file finds the old state or the new one, complete. It contains
/// secrets, so only the user may read it.
fn write_state(path: &Path, world: &World) -> io::Result<()> {
    let draft = path.with_added_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&draft)?.write_all(&serde_json::to_vec(world)?)?;
    std::fs::rename(draft, path)
}
