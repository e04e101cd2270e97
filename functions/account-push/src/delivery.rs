//! A message on its way to the business: the bus and the reply webhook at the same time, or the bus alone.

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

/// The webhook is not asked with less time than this: it could not answer, and would be blamed for what was slow here.
const LEAST_FOR_WEBHOOK: Duration = Duration::from_millis(300);

/// The answer leaves this long before it is due, whether it is written down or not.
const TO_ANSWER: Duration = Duration::from_millis(50);

impl MessageHandler {
    /// Delivers a message, asks for a reply to it at the same time, and writes down how it is answered: with this XML,
    /// or with nothing. Without an `event` it waits in the table until its account's name is known. `known` is a reply
    /// that is certain already; `may_ask` whether the webhook has not had the message.
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
                tracing::warn!(authorizer = %work.authorizer, message_id = %work.id, "the claim on a message ends by itself: {error}");
            }
            return Err(ReceiveError::NotKept(error));
        }
        self.write_down(work, lease, reply.as_ref()).await;
        // The one line of an ordinary message: at a busy platform the log costs as much as the functions.
        let kind = work.message.content.kind();
        tracing::info!(authorizer = %work.authorizer, message_id = %work.id, kind, replied = reply.is_some(), "a message");
        Ok(reply)
    }

    /// Puts a message on the bus although the table, whose failure this is, does not say what happened to it before. Each
    /// delivery puts it there again. The webhook is not asked, since nobody knows whether it has been.
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

    /// Writes down how a message is answered. The answer does not wait for a table that hangs: it is in hand.
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

    /// Reports a message of which the table has no note: WeChat's next delivery of it would be taken for the first.
    fn report_without_note(&self, work: &PendingMessage<'_>, failure: &StoreError) {
        self.service.metrics.put(&Metric::count(Measure::MessageNotNoted, 1));
        tracing::error!(authorizer = %work.authorizer, message_id = %work.id, "a message is delivered and not noted in the table: {failure}");
    }

    /// Delivers a message, or gives up while there is time to leave a reply to WeChat's next try.
    async fn deliver_in_time(&self, work: &PendingMessage<'_>, event: Option<&BusEvent>) -> Result<(), StoreError> {
        let until = work.by.checked_sub(AFTER_WAITING).unwrap_or(work.by);
        timeout_at(until, self.deliver(work, event)).await.unwrap_or_else(|_| Err(StoreError::late("UpdateItem")))
    }

    /// Puts a message on the bus; where that fails, it waits in the table for the refresher to do it.
    async fn deliver(&self, work: &PendingMessage<'_>, event: Option<&BusEvent>) -> Result<(), StoreError> {
        let MessageService { clock, metrics, .. } = &*self.service;
        let put = match event {
            Some(event) => self.put(event).await.map_err(Some),
            None => Err(None),
        };
        let Err(failure) = put else { return Ok(()) };
        if let Some(error) = &failure {
            tracing::warn!(authorizer = %work.authorizer, message_id = %work.id, "a message is delivered later: {error}");
            metrics.put(&Metric::count(Measure::EventDelayed, 1));
        } else {
            tracing::warn!(authorizer = %work.authorizer, message_id = %work.id, "a message waits until the name of account {} is known", work.authorizer);
        }
        work.store.messages.keep(work.authorizer, work.message, failure.is_some(), clock.now()).await
    }

    /// Puts an event on the bus. One that the bus will never take is done with.
    async fn put(&self, event: &BusEvent) -> Result<(), BusError> {
        let MessageService { bus, metrics, .. } = &*self.service;
        match bus.put(event).await {
            Ok(Put::Whole) => {}
            Ok(Put::Reduced) => metrics.put(&Metric::count(Measure::EventReduced, 1)),
            Err(error) if error.may_pass() => return Err(error),
            Err(error) => {
                metrics.put(&Metric::count(Measure::EventDropped, 1));
                tracing::error!(event = %event.id.as_str(), "a message is never delivered: {error}");
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
