//! From an authentic message to its response: its age, the release check, its account, whether it has been answered
//! before, and how it is answered.

use std::sync::Arc;

use axum::extract::FromRef;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base::clock::SharedClock;
use base::ids::AppId;
use base::limits::{Limits, MESSAGE_LEASE};
use base::random::Random;
use platform::bus::{Bus, BusEvent};
use platform::secret::PlatformSource;
use platform::webhook::Webhook;
use runtime::telemetry::{Measure, Metric, Metrics};
use secrecy::{ExposeSecret as _, SecretString};
use store::{
    Access, Labels, Lease, LeaseTerm, MESSAGE_MEMORY, MessageClaim, MessageState, Recipient, StoreError, access_to,
};
use tokio::time::{Instant, sleep, timeout_at};
use web::push::{AccountPush, PushRejection, ReplySeal, plain_answer};
use wechat::push::{AccountMessage, MessageId, ReleaseCheck, TestAccounts, is_beyond_memory};

use crate::arrivals::ArrivalMemory;
use crate::labels::LabelMemory;
use crate::recipient::RecipientCheck;

/// What the function is built from, once.
pub struct MessageService {
    /// The platform's secret.
    pub platform: Arc<PlatformSource>,
    /// The table.
    pub table: Access<Repositories>,
    /// Where messages are delivered.
    pub bus: Bus,
    /// The webhook that is asked for replies.
    pub webhook: Option<Webhook>,
    /// The accounts with which WeChat runs its release check.
    pub test_accounts: TestAccounts,
    /// The clock that the rules use.
    pub clock: SharedClock,
    /// Random bytes.
    pub random: Random,
    /// The sink for metrics.
    pub metrics: Metrics,
    /// The bound on each wait.
    pub limits: Limits,
}

access_to! {
    /// What the function may use of the table.
    pub struct Repositories {
        account_labels: AccountLabels,
        inbox: Inbox,
        message_arrivals: MessageArrivals,
        messages: Messages,
        recipients: Recipients,
        release_checks: ReleaseChecks,
    }
}

/// A running [`MessageService`]; clones share what they remember.
#[derive(Clone)]
pub(crate) struct MessageHandler {
    pub(crate) service: Arc<MessageService>,
    recipients: RecipientCheck,
    labels: LabelMemory,
    arrivals: ArrivalMemory,
}

impl FromRef<MessageHandler> for Arc<PlatformSource> {
    fn from_ref(handler: &MessageHandler) -> Self {
        Self::clone(&handler.service.platform)
    }
}

impl FromRef<MessageHandler> for Metrics {
    fn from_ref(handler: &MessageHandler) -> Self {
        handler.service.metrics.clone()
    }
}

/// Why an authentic message is answered with an error, so that WeChat redelivers it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    /// The message was sent to another account than the path names, or to one unrelated to the platform.
    #[error(transparent)]
    Refused(#[from] PushRejection),
    /// The table did not respond.
    #[error("a message was not handled: {0}")]
    Table(#[from] StoreError),
    /// Neither the bus nor the table took it.
    #[error("a message was not handled, it was neither delivered nor stored: {0}")]
    NotKept(StoreError),
    /// Something hung, or another delivery of the same message is still under way.
    #[error("a message was not handled: no response within the bound")]
    TooSlow,
}

impl ReceiveError {
    /// The response that lets WeChat send the message to `authorizer` again.
    pub(crate) fn response(self, authorizer: &str) -> Response {
        if let Self::Refused(rejection) = self {
            return rejection.into_response();
        }
        tracing::error!(authorizer, "{self}");
        plain_answer(StatusCode::INTERNAL_SERVER_ERROR, "not handled: send it again")
    }
}

/// A message being handled.
pub(crate) struct PendingMessage<'a> {
    pub(crate) authorizer: &'a AppId,
    pub(crate) message: &'a AccountMessage,
    pub(crate) seal: &'a ReplySeal,
    pub(crate) store: Repositories,
    pub(crate) id: MessageId,
    /// When the response is due.
    pub(crate) by: Instant,
    /// The limit of waiting for the table: time must remain to reach the bus without it.
    table_by: Instant,
}

/// A message that is ours to handle, or the reply that another delivery of it got.
enum Turn {
    Ours {
        /// The claim, if there is a webhook to call.
        lease: Option<Lease<MessageId>>,
        /// Whether this delivery may call the webhook: an earlier claimant may have done so.
        may_ask: bool,
        /// The reply that an earlier delivery got but could not return.
        reply: Option<SecretString>,
    },
    Answered(Option<SecretString>),
}

/// The pause between two looks at a message that another delivery has claimed grows up to this many times the first.
const MOST_PAUSES: u32 = 8;

impl MessageHandler {
    pub(crate) fn new(service: MessageService) -> Self {
        Self {
            service: Arc::new(service),
            recipients: RecipientCheck::default(),
            labels: LabelMemory::default(),
            arrivals: ArrivalMemory::default(),
        }
    }

    /// Handles a message to `authorizer`; the response is due at `by`.
    pub(crate) async fn handle(
        &self,
        authorizer: &AppId,
        push: &AccountPush,
        by: Instant,
    ) -> Result<Response, ReceiveError> {
        let MessageService { table, test_accounts, clock, random, metrics, .. } = &*self.service;
        let AccountPush { message, seal, sent_at } = push;
        if is_beyond_memory(message.create_time, *sent_at, clock.now(), MESSAGE_MEMORY) {
            metrics.put(&Metric::count(Measure::PushStale, 1));
            tracing::warn!(%authorizer, "a message is too old to be delivered");
            return Ok(empty_answer());
        }
        let store = table.of(&seal.platform().component);
        let id = message.id(authorizer);
        let table_by = by.checked_sub(by.saturating_duration_since(Instant::now()) / 2).unwrap_or(by);
        let work = PendingMessage { authorizer, message, seal, store, id, by, table_by };
        let fixed = match ReleaseCheck::of(message, authorizer, test_accounts) {
            // To a merchant's account this is a message like any other; only its reply is fixed.
            Some(ReleaseCheck::Text(reply)) if !test_accounts.contain(authorizer) => message.reply(&reply, clock.now()),
            Some(check) => return self.check(&work, &check).await,
            None => None,
        };
        Ok(match self.reply_to(&work, fixed).await? {
            Some(reply) => seal.answer(reply.expose_secret(), random, clock.now()),
            None => empty_answer(),
        })
    }

    /// Responds to WeChat's release check (protocol section 7). The refresher makes the calls of WeChat, through the
    /// inbox.
    async fn check(&self, work: &PendingMessage<'_>, check: &ReleaseCheck) -> Result<Response, ReceiveError> {
        let MessageService { clock, random, metrics, .. } = &*self.service;
        // Anybody gets the fixed text: it costs nothing. A test account is not a merchant and need not be known.
        if !matches!(check, ReleaseCheck::Text(_)) && self.recipient(work).await? == Recipient::Foreign {
            return Err(self.refused(PushRejection::ForeignAccount));
        }
        let now = clock.now();
        let mut case = check.case();
        let answer = match check {
            ReleaseCheck::Text(reply) | ReleaseCheck::Event(reply) => match work.message.reply(reply, now) {
                Some(reply) => work.seal.answer(reply.expose_secret(), random, now),
                None => empty_answer(),
            },
            ReleaseCheck::Api => {
                if work.store.release_checks.count(work.authorizer, &work.id, now).await? {
                    work.store.inbox.put_release_check(work.authorizer, work.message, now).await?;
                } else {
                    tracing::warn!(authorizer = %work.authorizer, message_id = %work.id, "the release check sent more codes than are accepted in a minute");
                    case = "refused";
                }
                empty_answer()
            }
        };
        metrics.put(&Metric::count(Measure::ReleaseCheck, 1).with_dimension(case));
        tracing::info!(authorizer = %work.authorizer, message_id = %work.id, case, "a message of the release check");
        Ok(answer)
    }

    /// The reply to a message: this XML, or nothing. `fixed` is a reply that needs no webhook.
    async fn reply_to(
        &self,
        work: &PendingMessage<'_>,
        fixed: Option<SecretString>,
    ) -> Result<Option<SecretString>, ReceiveError> {
        let component = &work.seal.platform().component;
        let is_confirmed = match self.recipient(work).await {
            Ok(Recipient::Confirmed) => true,
            Ok(Recipient::Unnamed) => false,
            Ok(Recipient::Foreign) => return Err(self.refused(PushRejection::ForeignAccount)),
            Ok(Recipient::Unknown) => return Err(self.refused(PushRejection::UnknownAccount)),
            Err(error) => {
                let event = BusEvent::of_unconfirmed_message(component, work.authorizer, work.message);
                return self.deliver_without_table(work, &event, error).await.map(|()| fixed);
            }
        };
        let asks = self.service.webhook.is_some() && fixed.is_none() && is_confirmed && work.message.can_be_answered();
        let turn = async { if asks { self.claim(work).await } else { Ok(self.look(work).await) } };
        let (turn, event) = if is_confirmed {
            let (turn, labels) = tokio::join!(turn, self.labels(work));
            (turn, BusEvent::of_message(component, work.authorizer, &labels, work.message))
        } else {
            (turn.await, BusEvent::of_unconfirmed_message(component, work.authorizer, work.message))
        };
        match turn {
            Ok(Turn::Ours { lease, may_ask, reply }) => {
                let (event, account) = if is_confirmed { (Some(&event), Some(work.authorizer)) } else { (None, None) };
                let delivery = self.deliver_and_ask(work, lease.as_ref(), event, may_ask, reply.or(fixed));
                let (reply, ()) = tokio::join!(delivery, self.note_arrival(work, account));
                reply
            }
            Ok(Turn::Answered(reply)) => {
                self.service.metrics.put(&Metric::count(Measure::MessageRepeated, 1));
                tracing::info!(authorizer = %work.authorizer, message_id = %work.id, "a message came again: it gets the same reply");
                Ok(reply)
            }
            Err(error) => self.deliver_without_table(work, &event, error).await.map(|()| fixed),
        }
    }

    async fn recipient(&self, work: &PendingMessage<'_>) -> Result<Recipient, StoreError> {
        let user_name = work.message.user_name.as_deref();
        let pause = self.service.limits.poll;
        self.recipients.check(&work.store.recipients, work.authorizer, user_name, pause, work.table_by).await
    }

    /// The business's labels of the account; none if the table does not respond in time.
    async fn labels(&self, work: &PendingMessage<'_>) -> Arc<Labels> {
        let labels = self.labels.get(&work.store.account_labels, work.authorizer, self.service.clock.now());
        let labels = timeout_at(work.table_by, labels).await;
        labels.unwrap_or_else(|_| Err(StoreError::late("GetItem"))).unwrap_or_else(|error| {
            tracing::warn!(authorizer = %work.authorizer, message_id = %work.id, "a message is delivered without its account's reference and tags: {error}");
            Arc::default()
        })
    }

    /// Stores that a message has arrived, and that it was sent to `account`, which must be certain. The message does not
    /// depend on it; its response waits for it no longer than for the table.
    async fn note_arrival(&self, work: &PendingMessage<'_>, account: Option<&AppId>) {
        let now = self.service.clock.now();
        let noted = timeout_at(work.table_by, self.arrivals.note(&work.store.message_arrivals, account, now)).await;
        if let Err(error) = noted.unwrap_or_else(|_| Err(StoreError::late("UpdateItem"))) {
            tracing::warn!(authorizer = %work.authorizer, message_id = %work.id, "the arrival of a message was not noted: {error}");
        }
    }

    fn refused(&self, rejection: PushRejection) -> ReceiveError {
        rejection.report(&self.service.metrics);
        rejection.into()
    }

    /// Looks up whether another delivery of the message has been answered. One that is in progress is not waited for.
    /// If the table does not respond, there may have been one: the message is then on the bus twice, under the same id.
    async fn look(&self, work: &PendingMessage<'_>) -> Turn {
        let state = timeout_at(work.table_by, work.store.messages.state(&work.id)).await;
        match state.unwrap_or_else(|_| Err(StoreError::late("GetItem"))) {
            Ok(MessageState::Answered(reply)) => return Turn::Answered(reply),
            Ok(MessageState::Open) => {}
            Err(error) => {
                tracing::warn!(authorizer = %work.authorizer, message_id = %work.id, "it is unknown whether a message was delivered before: {error}");
            }
        }
        Turn::Ours { lease: None, may_ask: false, reply: None }
    }

    /// Claims a message before the webhook is called, which gets each message at most once. Waits while another
    /// delivery of it is in progress.
    async fn claim(&self, work: &PendingMessage<'_>) -> Result<Turn, StoreError> {
        let MessageService { clock, random, limits, .. } = &*self.service;
        let (mut pauses, mut until) = (1, work.table_by);
        let mut term = LeaseTerm::new(random, clock.now(), MESSAGE_LEASE);
        loop {
            let claim = work.store.messages.claim(&work.id, &term);
            match timeout_at(until, claim).await.unwrap_or_else(|_| Err(StoreError::late("UpdateItem")))? {
                MessageClaim::Ours { lease, first, reply } => {
                    return Ok(Turn::Ours { lease: Some(lease), may_ask: first && reply.is_none(), reply });
                }
                MessageClaim::Answered(reply) => return Ok(Turn::Answered(reply)),
                // The table responds, so only the limit of the whole response ends this loop.
                MessageClaim::Busy => sleep(limits.poll * pauses).await,
            }
            pauses = (pauses * 2).min(MOST_PAUSES);
            until = work.by;
            term = term.renewed(clock.now(), MESSAGE_LEASE);
        }
    }
}

/// The response after which WeChat sends nothing to the follower.
fn empty_answer() -> Response {
    StatusCode::OK.into_response()
}
