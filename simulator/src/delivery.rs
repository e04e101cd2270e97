//! Sending pushes and messages: when, where and how often (protocol sections 3.1 to 3.3).
//!
//! The outcome of every push is recorded. WeChat documents no redelivery for the URL of pushes, and two for that of
//! messages: either is an option, without the seconds that WeChat waits in between.

use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use url::Url;
use wechat::crypto::Keyring;

use crate::answer::MessageOutcome;
use crate::chat::bubble::Bubble;
use crate::chat::transcript::Speaker;
use crate::message::{Message, Written};
use crate::push::{Envelope, Push, PushAnswer, PushOutcome, SealedPush};
use crate::simulator::{Simulator, lock};
use crate::world::{World, follower_of};

/// How often a push is sent in all if redelivery is on.
const PUSH_ATTEMPTS: u32 = 3;
/// The placeholder for an account's appid in the 消息与事件接收URL.
const APP_ID_PLACE: &str = "$APPID$";

impl Simulator {
    /// Changes the 授权事件接收URL.
    pub fn set_push_url(&self, url: Url) {
        *lock(&self.0.push_url) = Some(url);
    }

    /// A push with a new ticket, not sent yet. The ticket is valid whether it is sent or not.
    #[must_use]
    pub fn ticket(&self) -> Push {
        let ticket = self.change(World::issue_ticket);
        Push::ticket(&self.platform().component_appid, &ticket, self.now())
    }

    /// Pushes a new ticket.
    pub async fn push_ticket(&self) -> PushOutcome {
        let push = self.ticket();
        self.send(&push).await
    }

    /// Stops WeChat's timed pushes of tickets, until `api_start_push_ticket` is called.
    pub fn stop_ticket_pushes(&self) {
        self.change(|world, _| world.stop_tickets());
    }

    /// Pushes a ticket now and after every `interval` (real time), forever; WeChat's interval is 10 minutes.
    pub async fn run_ticket_timer(&self, interval: Duration) {
        loop {
            if self.read(World::pushes_tickets) {
                let outcome = self.push_ticket().await;
                if !outcome.is_accepted() {
                    tracing::warn!(answer = ?outcome.answer, "a ticket push was not accepted");
                }
            }
            tokio::time::sleep(interval).await;
        }
    }

    /// Seals a message now, with a fresh nonce.
    #[must_use]
    pub fn seal(&self, push: &Push) -> SealedPush {
        self.seal_with(&self.keys_in_use(), &push.envelope(&self.platform().component_appid))
    }

    /// Seals a message and posts it to the push URL; up to three times if redelivery is on.
    pub async fn send(&self, push: &Push) -> PushOutcome {
        let allowed = self.allowed_attempts();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let answer = self.post(&self.seal(push)).await;
            let outcome = PushOutcome { info_type: push.info_type.clone(), attempts, answer };
            if outcome.is_accepted() || attempts == allowed {
                return self.record(outcome);
            }
        }
    }

    /// Posts a sealed message unchanged, once: for duplicates and tampered messages.
    pub async fn send_sealed(&self, sealed: &SealedPush) -> PushOutcome {
        let answer = self.post(sealed).await;
        self.record(PushOutcome { info_type: sealed.info_type.clone(), attempts: 1, answer })
    }

    /// Sends a push while the caller continues.
    pub(crate) fn send_in_background(&self, push: Push) {
        self.send_all_in_background(vec![push]);
    }

    /// Sends pushes one after another while the caller continues.
    pub(crate) fn send_all_in_background(&self, pushes: Vec<Push>) {
        let simulator = self.clone();
        let mut background = lock(&self.0.background);
        while background.try_join_next().is_some() {}
        background.spawn(async move {
            for push in pushes {
                simulator.send(&push).await;
            }
        });
    }

    /// Waits until every push that a page or `api_start_push_ticket` caused is answered.
    pub async fn pushes_settled(&self) {
        let background = std::mem::take(&mut *lock(&self.0.background));
        background.join_all().await;
    }

    /// The outcome of every push, in the order of the responses.
    #[must_use]
    pub fn pushes(&self) -> Vec<PushOutcome> {
        lock(&self.0.pushes).clone()
    }

    fn allowed_attempts(&self) -> u32 {
        if self.behaviour().redeliver_pushes { PUSH_ATTEMPTS } else { 1 }
    }

    fn keys_in_use(&self) -> (Arc<Keyring>, SecretString) {
        let keys = lock(&self.0.keys);
        (Arc::clone(&keys.keyring), keys.token.clone())
    }

    fn seal_with(&self, (keyring, token): &(Arc<Keyring>, SecretString), envelope: &Envelope<'_>) -> SealedPush {
        envelope.seal(keyring, token, self.random(), self.now())
    }

    async fn post(&self, sealed: &SealedPush) -> PushAnswer {
        let url = match &sealed.authorizer {
            None => lock(&self.0.push_url).clone(),
            Some(authorizer) => lock(&self.0.message_url)
                .as_ref()
                .and_then(|url| Url::parse(&url.replace(APP_ID_PLACE, authorizer.as_str())).ok()),
        };
        sealed.post(&self.0.http, url).await
    }

    fn record(&self, outcome: PushOutcome) -> PushOutcome {
        lock(&self.0.pushes).push(outcome.clone());
        outcome
    }
}

/// Messages of accounts.
impl Simulator {
    /// Changes the 消息与事件接收URL, in which `$APPID$` stands for the account.
    pub fn set_message_url(&self, url: String) {
        *lock(&self.0.message_url) = Some(url);
    }

    /// Seals a message now, with a fresh nonce.
    #[must_use]
    pub fn seal_message(&self, message: &Message) -> SealedPush {
        let written = message.written(self.now(), self.random());
        self.seal_with(&self.keys_in_use(), &written.envelope())
    }

    /// Seals a message and posts it to the message URL of its account; up to three times if redelivery is on, until the
    /// response is valid. The account need not have granted anything. Messages of [`crate::Account::follower`] appear
    /// on the chat page.
    pub async fn send_message(&self, message: &Message) -> MessageOutcome {
        let written = message.written(self.now(), self.random());
        let from_the_chat = written.open_id == follower_of(&written.authorizer);
        let line = from_the_chat.then(|| {
            let bubble = Bubble::of_xml(&written.tree);
            lock(&self.0.transcript).add(&written.authorizer, self.now(), Speaker::Follower, bubble)
        });
        let outcome = self.deliver(&written).await;
        if let Some(line) = line {
            lock(&self.0.transcript).answer(line, &outcome, self.now());
        }
        outcome
    }

    async fn deliver(&self, written: &Written) -> MessageOutcome {
        let allowed = self.allowed_attempts();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let keys = self.keys_in_use();
            let sealed = self.seal_with(&keys, &written.envelope());
            let started = Instant::now();
            let answer = self.post(&sealed).await;
            let outcome = MessageOutcome::of(answer, written, &keys.0, attempts, started.elapsed());
            if outcome.fault.is_none() || attempts == allowed {
                return outcome;
            }
        }
    }
}
