//! The events published on the bus: authorization pushes once they have taken effect, and the messages of accounts that
//! the bus did not accept when they arrived.
//!
//! A bus that does not respond is not called again in the same run: waiting for it with each event would use up the
//! time of the renewals. Everything is published at least once.

use std::sync::atomic::Ordering;
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::LinkId;
use futures::StreamExt as _;
use futures::stream::{self, Stream};
use platform::bus::{BusError, BusEvent, Put};
use runtime::telemetry::{Measure, Metric};
use store::{ClaimKey, Labels, Messages, Recipient, StoreError};
use tokio::time::Instant;
use wechat::push::{AccountMessage, AuthorizationEvent, Event, MessageId};

use crate::Run;
use crate::breaker::Breaker;
use crate::report::Report;
use crate::shards::shards_by_turns;

/// The most messages, or accounts with their events, that are delivered at once.
pub(crate) const AT_ONCE: usize = 16;

/// The wait before an event is offered again: until the next scheduled run, however long the bus has been unavailable.
/// Unlike WeChat's API, it is not harmed by calls.
pub(crate) const BUS_PAUSE: Duration = Duration::from_mins(1);

/// The wait after the bus was overloaded: current messages come first.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// How long a message waits for its account's name: by then two reconcile runs have looked for it.
const NAME_WAIT: Duration = Duration::from_hours(2);

/// The failure of an event that is not offered to a bus that has not responded in this run.
const SKIPPED: &str = "no response before";

/// Why an event of a push is not on the bus.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// The bus did not accept it.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Its link could not be read.
    #[error(transparent)]
    Link(#[from] StoreError),
}

impl PublishError {
    /// Whether another try can succeed.
    pub(crate) const fn may_pass(&self) -> bool {
        match self {
            Self::Bus(error) => error.may_pass(),
            Self::Link(_) => true,
        }
    }
}

/// Counts what was delivered. For each failure, which delays no other, `left` is logged.
pub(crate) async fn count_delivered(
    deliveries: impl Stream<Item = Result<u64, StoreError>>,
    table: &Breaker,
    left: &str,
    report: &mut Report,
) -> u64 {
    let mut deliveries = std::pin::pin!(deliveries);
    let mut count = 0;
    while let Some(delivered) = deliveries.next().await {
        match delivered {
            Ok(more) => {
                table.table_answered();
                count += more;
            }
            Err(error) => {
                if let Some(own) = table.own_failure(error.into()) {
                    tracing::warn!("{left}: {own}");
                    report.fail(&own.label());
                }
            }
        }
    }
    count
}

impl Run {
    /// Publishes a push that has taken effect.
    pub(crate) async fn publish_grant(&self, push: &AuthorizationEvent) -> Result<(), PublishError> {
        let labels = match push.event.account() {
            Some(account) => self.store.account_labels.get(account).await?,
            None => Labels::default(),
        };
        let (link, labels) = match self.link_of(push).await? {
            Some((link, said)) => (Some(link), labels.with(&said)),
            None => (None, labels),
        };
        match BusEvent::of_grant(self.store.component(), push, link.as_ref(), &labels) {
            Some(event) => Ok(self.put(&event).await?),
            None => Ok(()),
        }
    }

    /// The link that the merchant of a push came through, and its business's labels, from the claim of the pre-auth
    /// code that the push names. Two reads for a push that names a code of ours.
    async fn link_of(&self, push: &AuthorizationEvent) -> Result<Option<(LinkId, Labels)>, StoreError> {
        let (Event::Authorized(grant) | Event::UpdateAuthorized(grant)) = &push.event else { return Ok(None) };
        let Some(code) = &grant.pre_auth_code else { return Ok(None) };
        let store = &self.store;
        let Some(binding) = store.claims.binding(&ClaimKey::of_pre_auth_code(code)).await? else { return Ok(None) };
        let labels = match store.links.get(&binding.link, self.now()).await {
            Ok(link) => link.map(|link| link.says()).unwrap_or_default(),
            // A link that cannot be read must not hold its event back.
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(link = %binding.link, "an event lacks its reference: {error}");
                Labels::default()
            }
            Err(error) => return Err(error),
        };
        Ok(Some((binding.link, labels)))
    }

    /// Delivers the pending messages, as far as time and the bus allow. This needs no call of WeChat, so it is done
    /// even in a run that WeChat's refusal has ended. A message that cannot be read or finished delays no other.
    pub(crate) async fn redeliver_pending(&self, report: &mut Report) {
        self.redeliver_all(self.waiting(), report).await;
    }

    /// Delivers those of these messages that are pending.
    pub(crate) async fn redeliver(&self, messages: Vec<MessageId>, report: &mut Report) {
        self.redeliver_all(stream::iter(messages).map(Ok), report).await;
    }

    async fn redeliver_all(&self, messages: impl Stream<Item = Result<MessageId, StoreError>>, report: &mut Report) {
        let table = Breaker::default();
        let delivered = messages
            .take_while(|_| futures::future::ready(self.may_deliver(&table)))
            .map(async |message| Ok(u64::from(self.deliver(&message?).await?)))
            .buffer_unordered(AT_ONCE);
        let left = "a message that waits for the bus is left to the next run";
        report.messages_delivered += count_delivered(delivered, &table, left, report).await;
    }

    /// Whether to begin another delivery: there is time, and both the bus and the table are available.
    pub(crate) fn may_deliver(&self, table: &Breaker) -> bool {
        self.has_time(table) && !self.bus_is_away.load(Ordering::Relaxed)
    }

    /// Whether there is time, and the table is available.
    pub(crate) fn has_time(&self, table: &Breaker) -> bool {
        Instant::now() < self.stop_at && table.cause().is_none()
    }

    /// The pending messages.
    fn waiting(&self) -> impl Stream<Item = Result<MessageId, StoreError>> + '_ {
        let (store, until, shards) = (&self.store, self.now(), 0..Messages::WAITING_SHARDS);
        shards_by_turns(&self.context.random, shards, move |shard, after| store.messages.due(shard, until, after))
    }

    /// Delivers one message; `false` if it keeps waiting, or another process has delivered it.
    async fn deliver(&self, message_id: &MessageId) -> Result<bool, StoreError> {
        let store = &self.store;
        let Some(waiting) = store.messages.waiting(message_id).await? else { return Ok(false) };
        let message = AccountMessage::parse(waiting.xml);
        let recipient = if waiting.is_confirmed {
            Recipient::Confirmed
        } else {
            store.recipients.check(&waiting.authorizer, message.user_name.as_deref()).await?
        };
        let event = match recipient {
            Recipient::Confirmed => {
                let labels = store.account_labels.get(&waiting.authorizer).await?;
                BusEvent::of_message(store.component(), &waiting.authorizer, &labels, &message)
            }
            Recipient::Unnamed if self.has_waited(waiting.kept_at) => {
                BusEvent::of_unconfirmed_message(store.component(), &waiting.authorizer, &message)
            }
            Recipient::Unnamed => {
                store.messages.postpone_waiting(message_id, self.now().plus(BUS_PAUSE)).await?;
                return Ok(false);
            }
            Recipient::Foreign | Recipient::Unknown => {
                // As account-push counts it, where the name is known in time.
                self.context.metrics.put(&Metric::count(Measure::PushRefused, 1).with_dimension("foreign-account"));
                tracing::warn!(authorizer = %waiting.authorizer, %message_id, "a message was sent to another account");
                store.messages.finish_waiting(message_id, self.now()).await?;
                return Ok(false);
            }
        };
        let put = self.put(&event).await;
        match &put {
            // Left as it is, for the next run.
            Err(BusError::Unavailable(_)) => return Ok(false),
            Err(BusError::Busy(_)) => {
                tokio::time::sleep(BUSY_PAUSE).await;
                return Ok(false);
            }
            Err(error) if error.may_pass() => {
                tracing::warn!(authorizer = %waiting.authorizer, %message_id, "a message will be delivered later: {error}");
                store.messages.postpone_waiting(message_id, self.now().plus(BUS_PAUSE)).await?;
                return Ok(false);
            }
            Err(error) => {
                tracing::error!(authorizer = %waiting.authorizer, %message_id, "a message will never be delivered: {error}");
            }
            Ok(()) => {}
        }
        store.messages.finish_waiting(message_id, self.now()).await?;
        Ok(put.is_ok())
    }

    /// Whether a message has waited for its account's name for so long that there may never be one: a grant that was
    /// revoked at once has none. WeChat's own time of the message does not tell; a message that an earlier version
    /// stored, without the time at which its wait began, has waited long enough.
    fn has_waited(&self, kept_at: Option<Timestamp>) -> bool {
        kept_at.is_none_or(|kept_at| self.now().since(kept_at) > NAME_WAIT)
    }

    pub(crate) async fn put(&self, event: &BusEvent) -> Result<(), BusError> {
        if self.bus_is_away.load(Ordering::Relaxed) {
            return Err(BusError::Unavailable(SKIPPED.to_owned()));
        }
        let metrics = &self.context.metrics;
        let put = self.bus.put(event).await;
        if put == Ok(Put::Reduced) {
            metrics.put(&Metric::count(Measure::EventReduced, 1));
        }
        let put = put.map(drop);
        if let Err(error) = &put {
            let measure = if error.may_pass() { Measure::EventDelayed } else { Measure::EventDropped };
            metrics.put(&Metric::count(measure, 1));
            // Said once, by the first of those under way.
            if matches!(error, BusError::Unavailable(_)) && !self.bus_is_away.swap(true, Ordering::Relaxed) {
                tracing::error!("nothing more is delivered in this run: {error}");
            }
        }
        put
    }
}
