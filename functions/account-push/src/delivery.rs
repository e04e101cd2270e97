//! Delivery of a message to the business: to the bus and the reply webhook at the same time, or to the bus alone.

use std::time::Duration;

use base::limits::AFTER_WAITING;
use platform::bus::{BusError, BusEvent, Put};
use platform::webhook::WebhookError;
use runtime::telemetry::{Measure, Metric};
use secrecy::SecretString;
use store::{Lease, StoreError};
use tokio::time::{Instant, timeout_at};
use wechat::push::{MessageId, Reply};

use crate::handler::{MessageHandler, MessageService, PendingMessage, ReceiveError};
use crate::reply::{AskError, ask};

/// With less time than this the webhook is not called: it could not respond, and would be blamed for delays here.
const LEAST_FOR_WEBHOOK: Duration = Duration::from_millis(300);

/// The response is sent this long before it is due, whether or not it has been recorded.
const TO_ANSWER: Duration = Duration::from_millis(50);

impl MessageHandler {
    /// Delivers a message, asks the webhook for a reply at the same time, and records the reply: this XML, or nothing.
    /// Without an `event` the message waits in the table until its account's name is known. `known` is a reply that is
    /// already certain; `may_ask` says whether the webhook may be called, that is, has not received the message yet.
    pub(crate) async fn deliver_and_ask(
        &self,
        work: &PendingMessage<'_>,
        lease: Option<&Lease<MessageId>>,
        event: Option<&BusEvent>,
        may_ask: bool,
        known: Option<SecretString>,
    ) -> Result<Option<SecretString>, ReceiveError> {
        let clock = &self.service.clock;
        let ask = async { if may_ask { self.ask(work, event?).await } else { None } };
        let (delivered, reply) = tokio::join!(self.deliver_in_time(work, event), ask);
        let reply = known.or_else(|| work.message.reply(&reply?, clock.now()));
        if let Err(error) = delivered {
            if let Some(lease) = lease
                && let Err(error) = work.store.messages.release(lease, reply.as_ref()).await
            {
                tracing::warn!(authorizer = %work.authorizer, message_id = %work.id, "the claim on a message was not released and will expire: {error}");
            }
            return Err(ReceiveError::NotKept(error));
        }
        self.write_down(work, lease, reply.as_ref()).await;
        // One line for each ordinary message: on a busy platform the log costs as much as the functions.
        let kind = work.message.content.kind();
        tracing::info!(authorizer = %work.authorizer, message_id = %work.id, kind, replied = reply.is_some(), "a message");
        Ok(reply)
    }

    /// Puts a message on the bus although the table failed and does not say whether an earlier delivery was handled.
    /// Each delivery puts it there again. The webhook is not called, since it may have received the message already.
    pub(crate) async fn deliver_without_table(
        &self,
        work: &PendingMessage<'_>,
        event: &BusEvent,
        failure: StoreError,
    ) -> Result<(), ReceiveError> {
        let until = work.by.checked_sub(TO_ANSWER).unwrap_or(work.by);
        let late = || BusError::Unavailable("timeout".to_owned());
        match timeout_at(until, self.put(event)).await.unwrap_or_else(|_| Err(late())) {
            Ok(()) => {
                self.report_without_note(work, &failure);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(authorizer = %work.authorizer, message_id = %work.id, "a message is not on the bus: {error}");
                Err(ReceiveError::NotKept(failure))
            }
        }
    }

    /// Records how a message is answered. The response is ready and does not wait for a table that hangs.
    async fn write_down(
        &self,
        work: &PendingMessage<'_>,
        lease: Option<&Lease<MessageId>>,
        reply: Option<&SecretString>,
    ) {
        let (messages, now) = (&work.store.messages, self.service.clock.now());
        let written = async {
            match lease {
                Some(lease) => messages.answer_claimed(lease, reply, now).await,
                None => messages.answer(&work.id, reply, now).await,
            }
        };
        let until = work.by.checked_sub(TO_ANSWER).unwrap_or(work.by);
        if let Err(error) = timeout_at(until, written).await.unwrap_or_else(|_| Err(StoreError::late("UpdateItem"))) {
            self.report_without_note(work, &error);
        }
    }

    /// Reports a message that is not recorded in the table: WeChat's next delivery of it would look like the first.
    fn report_without_note(&self, work: &PendingMessage<'_>, failure: &StoreError) {
        self.service.metrics.put(&Metric::count(Measure::MessageNotNoted, 1));
        tracing::error!(authorizer = %work.authorizer, message_id = %work.id, "a message was delivered but not recorded in the table: {failure}");
    }

    /// Delivers a message, or gives up while there is time to keep a reply for WeChat's next delivery.
    async fn deliver_in_time(&self, work: &PendingMessage<'_>, event: Option<&BusEvent>) -> Result<(), StoreError> {
        let until = work.by.checked_sub(AFTER_WAITING).unwrap_or(work.by);
        timeout_at(until, self.deliver(work, event)).await.unwrap_or_else(|_| Err(StoreError::late("UpdateItem")))
    }

    /// Puts a message on the bus; if that fails, the message waits in the table for the refresher.
    async fn deliver(&self, work: &PendingMessage<'_>, event: Option<&BusEvent>) -> Result<(), StoreError> {
        let MessageService { clock, metrics, .. } = &*self.service;
        let put = match event {
            Some(event) => self.put(event).await.map_err(Some),
            None => Err(None),
        };
        let Err(failure) = put else { return Ok(()) };
        if let Some(error) = &failure {
            tracing::warn!(authorizer = %work.authorizer, message_id = %work.id, "a message will be delivered later: {error}");
            metrics.put(&Metric::count(Measure::EventDelayed, 1));
        } else {
            tracing::warn!(authorizer = %work.authorizer, message_id = %work.id, "a message waits until the name of account {} is known", work.authorizer);
        }
        work.store.messages.keep(work.authorizer, work.message, failure.is_some(), clock.now()).await
    }

    /// Puts an event on the bus. An event that the bus will never accept counts as delivered.
    async fn put(&self, event: &BusEvent) -> Result<(), BusError> {
        let MessageService { bus, metrics, .. } = &*self.service;
        match bus.put(event).await {
            Ok(Put::Whole) => {}
            Ok(Put::Reduced) => metrics.put(&Metric::count(Measure::EventReduced, 1)),
            Err(error) if error.may_pass() => return Err(error),
            Err(error) => {
                metrics.put(&Metric::count(Measure::EventDropped, 1));
                tracing::error!(event = %event.id.as_str(), "a message will never be delivered: {error}");
            }
        }
        Ok(())
    }

    /// The webhook's reply; `None` without a webhook, or if it fails.
    async fn ask(&self, work: &PendingMessage<'_>, event: &BusEvent) -> Option<Reply> {
        let MessageService { webhook, clock, metrics, limits, .. } = &*self.service;
        let webhook = webhook.as_ref()?;
        let left = work.by.saturating_duration_since(Instant::now()).saturating_sub(AFTER_WAITING);
        let now = clock.now();
        let answer = match &work.seal.platform().webhook_key {
            _ if left < LEAST_FOR_WEBHOOK => Err(AskError::NoTime),
            Ok(key) => ask(webhook, key, event, now, left.min(limits.webhook)).await,
            Err(error) => Err(WebhookError::from(*error).into()),
        };
        answer.unwrap_or_else(|error| {
            metrics.put(&Metric::count(Measure::WebhookFailed, 1).with_dimension(error.reason()));
            tracing::warn!(authorizer = %work.authorizer, message_id = %work.id, reason = error.reason(), "{error}");
            None
        })
    }
}
