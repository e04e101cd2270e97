//! What becomes of an authentic message: the release check, a claim, delivery and reply side by side, the answer.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret as _, SecretString};
use shared::bus::{Bus, BusEvent};
use shared::clock::{SharedClock, Timestamp};
use shared::ids::{AppId, Digest};
use shared::limits::{AFTER_WAITING, Limits, MESSAGE_LEASE};
use shared::platform::PlatformSource;
use shared::push::{
    AccountMessage, AccountPush, PushRejection, ReleaseCheck, Reply, ReplySeal, TestAccounts, plain_answer,
};
use shared::random::Random;
use shared::telemetry::{Measure, Metric, Metrics};
use shared::vault::{MessageClaim, Store, Vault, VaultError};
use tokio::time::{Instant, sleep};

use crate::names::Names;
use crate::webhook::{Webhook, WebhookError};

/// What the function is built from, once.
pub struct Reception {
    /// The platform's secret.
    pub platform: Arc<PlatformSource>,
    /// The table.
    pub store: Store,
    /// Where messages are delivered.
    pub bus: Bus,
    /// Who is asked for replies.
    pub webhook: Option<Webhook>,
    /// With whom WeChat runs its release check.
    pub test_accounts: TestAccounts,
    /// Where the rules read the time.
    pub clock: SharedClock,
    /// Random bytes.
    pub random: Random,
    /// Where metrics go.
    pub metrics: Metrics,
    /// Bounds on every wait.
    pub limits: Limits,
}

/// A [`Reception`] at work; clones share what they remember.
#[derive(Clone)]
pub(crate) struct Desk {
    reception: Arc<Reception>,
    names: Names,
}

impl FromRef<Desk> for Arc<PlatformSource> {
    fn from_ref(desk: &Desk) -> Self {
        Self::clone(&desk.reception.platform)
    }
}

impl FromRef<Desk> for Metrics {
    fn from_ref(desk: &Desk) -> Self {
        desk.reception.metrics.clone()
    }
}

/// Why an authentic message gets no answer that WeChat takes for one: it sends it again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    /// It was sent to another account than the path names, or cannot be told.
    #[error(transparent)]
    Refused(#[from] PushRejection),
    /// The table did not answer.
    #[error("a message was not handled: {0}")]
    Table(#[from] VaultError),
    /// Neither the bus nor the table took it.
    #[error("a message was not handled, it could neither be delivered nor be kept: {0}")]
    NotKept(VaultError),
    /// Something hung, or another delivery of the same message is still under way.
    #[error("a message was not handled: no answer within the bound")]
    TooSlow,
}

impl IntoResponse for ReceiveError {
    fn into_response(self) -> Response {
        if let Self::Refused(rejection) = self {
            return rejection.into_response();
        }
        tracing::error!("{self}");
        plain_answer(StatusCode::INTERNAL_SERVER_ERROR, "not handled: send it again")
    }
}

/// A message under way.
struct Work<'a> {
    authorizer: &'a AppId,
    message: &'a AccountMessage,
    seal: &'a ReplySeal,
    vault: Vault,
    digest: Digest,
    /// Whose claim it is.
    owner: String,
    /// When the answer is due.
    by: Instant,
}

/// A message that is ours to handle, or the answer that another delivery of it got.
enum Claimed {
    Ours { first: bool, reply: Option<SecretString> },
    Answered(Option<SecretString>),
}

/// The webhook is not asked with less time than this: it could not answer, and would be blamed for what was slow here.
const LEAST_FOR_WEBHOOK: Duration = Duration::from_millis(300);

/// The answer leaves this long before it is due, whether it is written down or not.
const TO_ANSWER: Duration = Duration::from_millis(50);

/// Looks at a message that somebody else has claimed come further and further apart, up to this many times the first.
const MOST_PAUSES: u32 = 8;

impl Desk {
    pub(crate) fn new(reception: Reception) -> Self {
        Self { reception: Arc::new(reception), names: Names::default() }
    }

    /// Handles a message to `authorizer`; the answer is due `by` then.
    pub(crate) async fn take(
        &self,
        authorizer: &AppId,
        push: &AccountPush,
        by: Instant,
    ) -> Result<Response, ReceiveError> {
        let Reception { store, test_accounts, clock, random, metrics, .. } = &*self.reception;
        let AccountPush { message, seal } = push;
        let vault = store.vault(&seal.platform().component);
        let (digest, owner) = (message.dedup(authorizer), random.token());
        let work = Work { authorizer, message, seal, vault, digest, owner, by };
        // Before anything about the account is asked: WeChat's test accounts are no merchants.
        let fixed = match ReleaseCheck::of(message, authorizer, test_accounts) {
            // To a merchant's account this is a message like any other; only its reply is fixed.
            Some(ReleaseCheck::Text(reply)) if !test_accounts.contain(authorizer) => {
                Some(work.reply_xml(&reply, clock.now()).into())
            }
            Some(check) => return self.check(&work, &check).await,
            None => None,
        };
        if !self.names.fit(&work.vault, authorizer, &message.user_name).await? {
            let refused = PushRejection::ForeignAccount;
            refused.report(metrics);
            return Err(refused.into());
        }
        let reply = match self.claim(&work).await? {
            Claimed::Ours { first, reply } => {
                let known = reply.or(fixed);
                self.handle(&work, first && known.is_none(), known).await?
            }
            Claimed::Answered(reply) => {
                metrics.put(&Metric::count(Measure::MessageRepeated, 1));
                tracing::info!(%authorizer, "a message came again: it gets the same answer");
                reply
            }
        };
        Ok(match reply {
            Some(reply) => seal.answer(reply.expose_secret(), random, clock.now()),
            None => empty_answer(),
        })
    }

    /// Answers WeChat's release check (protocol section 7). Its calls of WeChat are the refresher's, through the inbox.
    async fn check(&self, work: &Work<'_>, check: &ReleaseCheck) -> Result<Response, ReceiveError> {
        let Reception { clock, random, metrics, .. } = &*self.reception;
        let now = clock.now();
        let mut case = check.case();
        let answer = match check {
            ReleaseCheck::Text(reply) | ReleaseCheck::Event(reply) => {
                work.seal.answer(&work.reply_xml(reply, now), random, now)
            }
            ReleaseCheck::Api => {
                if work.vault.count_release_check(work.authorizer, &work.digest, now).await? {
                    work.vault.put_release_check(work.authorizer, work.message, now).await?;
                } else {
                    tracing::warn!(authorizer = %work.authorizer, "more codes of the release check than a minute has room for");
                    case = "refused";
                }
                empty_answer()
            }
        };
        metrics.put(&Metric::count(Measure::ReleaseCheck, 1).by(case));
        tracing::info!(authorizer = %work.authorizer, case, "a message of the release check");
        Ok(answer)
    }

    /// Waits while another delivery of the same message is under way.
    async fn claim(&self, work: &Work<'_>) -> Result<Claimed, ReceiveError> {
        let Reception { clock, limits, .. } = &*self.reception;
        let mut pauses = 1;
        loop {
            let now = clock.now();
            match work.vault.claim_message(&work.digest, &work.owner, now, now.plus(MESSAGE_LEASE)).await? {
                MessageClaim::Ours { first, reply } => return Ok(Claimed::Ours { first, reply }),
                MessageClaim::Answered(reply) => return Ok(Claimed::Answered(reply)),
                // The bound on the whole answer ends this.
                MessageClaim::Busy => sleep(limits.poll * pauses).await,
            }
            pauses = (pauses * 2).min(MOST_PAUSES);
        }
    }

    /// Delivers a message, asks for a reply to it at the same time, and writes down how it is answered: with this XML,
    /// or with nothing. `known` is a reply that is certain already; `may_ask` whether the webhook has not had the message.
    async fn handle(
        &self,
        work: &Work<'_>,
        may_ask: bool,
        known: Option<SecretString>,
    ) -> Result<Option<SecretString>, ReceiveError> {
        let Reception { clock, metrics, .. } = &*self.reception;
        let component = &work.seal.platform().component;
        let event = BusEvent::of_message(component, work.authorizer, work.message);
        // Whoever had the claim before may have asked the webhook: it gets a message once at most.
        let ask = async { if may_ask { self.ask(work, &event).await } else { None } };
        let (delivered, reply) = tokio::join!(self.deliver_in_time(work, &event), ask);
        let reply = known.or_else(|| Some(work.reply_xml(&reply?, clock.now()).into()));
        if let Err(error) = delivered {
            if let Err(error) = work.vault.release_message(&work.digest, &work.owner, reply.as_ref()).await {
                tracing::warn!("the claim on a message ends by itself: {error}");
            }
            return Err(ReceiveError::NotKept(error));
        }
        self.write_down(work, reply.as_ref()).await;
        let kind = work.message.content.kind();
        metrics.put(&Metric::count(Measure::MessageReceived, 1).by(kind));
        tracing::info!(authorizer = %work.authorizer, kind, replied = reply.is_some(), "a message of account {}", work.authorizer);
        Ok(reply)
    }

    /// Writes down how a message is answered. The answer does not wait for a table that hangs: it is in hand.
    async fn write_down(&self, work: &Work<'_>, reply: Option<&SecretString>) {
        let now = self.reception.clock.now();
        let written = work.vault.answer_message(&work.digest, &work.owner, reply, now);
        let until = work.by.checked_sub(TO_ANSWER).unwrap_or(work.by);
        let failure = match tokio::time::timeout_at(until, written).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer of the table in time".to_owned(),
        };
        tracing::warn!("how a message was answered is not written down, it may be delivered twice: {failure}");
    }

    /// Delivers a message, or gives up while there is time to leave a reply to WeChat's next try.
    async fn deliver_in_time(&self, work: &Work<'_>, event: &BusEvent) -> Result<(), VaultError> {
        let until = work.by.checked_sub(AFTER_WAITING).unwrap_or(work.by);
        let late = || VaultError::Unavailable { operation: "UpdateItem", cause: "timeout".to_owned() };
        tokio::time::timeout_at(until, self.deliver(work, event)).await.unwrap_or_else(|_| Err(late()))
    }

    /// Puts a message on the bus; where that fails, it waits in the table for the refresher to do it.
    async fn deliver(&self, work: &Work<'_>, event: &BusEvent) -> Result<(), VaultError> {
        let Reception { bus, clock, metrics, .. } = &*self.reception;
        let Err(error) = bus.put(event).await else { return Ok(()) };
        tracing::warn!(authorizer = %work.authorizer, "a message is delivered later: {error}");
        metrics.put(&Metric::count(Measure::EventDelayed, 1));
        work.vault.keep_message(work.authorizer, work.message, clock.now()).await
    }

    /// The webhook's reply; none where there is no webhook, or it fails.
    async fn ask(&self, work: &Work<'_>, event: &BusEvent) -> Option<Reply> {
        let Reception { webhook, clock, metrics, limits, .. } = &*self.reception;
        let webhook = webhook.as_ref()?;
        let left = work.by.saturating_duration_since(Instant::now()).saturating_sub(AFTER_WAITING);
        let answer = match &work.seal.platform().webhook_key {
            _ if left < LEAST_FOR_WEBHOOK => Err(WebhookError::NoTime),
            Ok(key) => webhook.ask(key, event.id.as_str(), body(event), clock.now(), left.min(limits.webhook)).await,
            Err(error) => Err(WebhookError::from(*error)),
        };
        answer.unwrap_or_else(|error| {
            metrics.put(&Metric::count(Measure::WebhookFailed, 1).by(error.reason()));
            tracing::warn!(authorizer = %work.authorizer, reason = error.reason(), "{error}");
            None
        })
    }
}

impl Work<'_> {
    /// From the account to who wrote to it.
    fn reply_xml(&self, reply: &Reply, now: Timestamp) -> String {
        reply.xml(&self.message.open_id, &self.message.user_name, now)
    }
}

/// What the webhook gets: the payload that Standard Webhooks recommends, around the detail of the bus's event.
fn body(event: &BusEvent) -> String {
    // The type has no character that JSON would escape: see `BusEvent`.
    format!(r#"{{"type":"{}","timestamp":"{}","data":{}}}"#, event.detail_type, event.time, event.detail)
}

/// WeChat says nothing to the follower then.
fn empty_answer() -> Response {
    StatusCode::OK.into_response()
}
