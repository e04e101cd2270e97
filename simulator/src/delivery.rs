//! Sending pushes: when, where to and how often (protocol sections 3.1 and 3.3).
//!
//! Whatever becomes of a push is recorded. WeChat documents no second delivery for this URL: redelivery is an option.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::push::{Push, PushAnswer, PushOutcome, SealedPush};
use crate::simulator::{Simulator, lock};
use crate::world::World;

/// How often a push is sent in all where redelivery is on.
const PUSH_ATTEMPTS: u32 = 3;

impl Simulator {
    /// Changes the 授权事件接收URL.
    pub fn set_push_url(&self, url: Url) {
        *lock(&self.0.push_url) = Some(url);
    }

    /// A push with a new ticket, not sent yet. The ticket is good whether it is sent or not.
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

    /// WeChat stops pushing tickets on the timer, until `api_start_push_ticket` is called.
    pub fn stop_ticket_pushes(&self) {
        self.change(|world, _| world.stop_tickets());
    }

    /// Pushes a ticket now and after every `interval` (real time), for ever; WeChat's interval is 10 minutes.
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

    /// Seals a message as of now, with a fresh nonce.
    #[must_use]
    pub fn seal(&self, push: &Push) -> SealedPush {
        let (keyring, token) = {
            let keys = lock(&self.0.keys);
            (Arc::clone(&keys.keyring), keys.token.clone())
        };
        push.seal(&keyring, &token, self.random(), self.now())
    }

    /// Seals a message and posts it to the push URL; up to three times where redelivery is on.
    pub async fn send(&self, push: &Push) -> PushOutcome {
        let allowed = if self.behaviour().redeliver_pushes { PUSH_ATTEMPTS } else { 1 };
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

    /// Posts a sealed message as it is, once: for duplicates and for what was tampered with.
    pub async fn send_sealed(&self, sealed: &SealedPush) -> PushOutcome {
        let answer = self.post(sealed).await;
        self.record(PushOutcome { info_type: sealed.info_type.clone(), attempts: 1, answer })
    }

    /// Sends a push while the caller goes on.
    pub(crate) fn send_in_background(&self, push: Push) {
        let simulator = self.clone();
        let mut background = lock(&self.0.background);
        while background.try_join_next().is_some() {}
        background.spawn(async move {
            simulator.send(&push).await;
        });
    }

    /// Waits until every push that a page or `api_start_push_ticket` set off is answered.
    pub async fn pushes_settled(&self) {
        let background = std::mem::take(&mut *lock(&self.0.background));
        background.join_all().await;
    }

    /// What became of every push, in the order of the answers.
    #[must_use]
    pub fn pushes(&self) -> Vec<PushOutcome> {
        lock(&self.0.pushes).clone()
    }

    async fn post(&self, sealed: &SealedPush) -> PushAnswer {
        let url = lock(&self.0.push_url).clone();
        sealed.post(&self.0.http, url).await
    }

    fn record(&self, outcome: PushOutcome) -> PushOutcome {
        lock(&self.0.pushes).push(outcome.clone());
        outcome
    }
}
