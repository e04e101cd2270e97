//! What is published to the business through EventBridge: messages and events of accounts, and the outcome of grants.
//!
//! [`BusEvent`] defines the form of an event, [`Bus`] publishes it: at least once, with the same `id` each time.

mod event;

use std::fmt;
use std::sync::Arc;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::SdkError;
use aws_sdk_eventbridge::operation::put_events::PutEventsError;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_smithy_types::DateTime;
use runtime::aws::{connect_to_eventbridge, failure};

use self::event::LARGEST;

pub use self::event::{BusEvent, RECONCILIATION_REQUESTED, RUN_REQUESTED, SOURCE};

/// How much of an event is on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// All of it.
    Whole,
    /// It was too large: `omitted` in it names what was left out.
    Reduced,
}

/// EventBridge's code for too many events, for a request or an entry in it.
const THROTTLED: &str = "ThrottlingException";

/// Why the bus did not accept an event.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum BusError {
    /// EventBridge did not respond, or refuses everything: no event is accepted now. It may have accepted this one.
    #[error("EventBridge accepts no events ({0}): check EVENT_BUS_NAME, the function's permission and the network")]
    Unavailable(String),
    /// EventBridge accepts fewer events than are sent.
    #[error(
        "EventBridge accepts no more events now ({0}): the region's limit of PutEvents calls per second is reached"
    )]
    Busy(String),
    /// EventBridge refused this event.
    #[error("EventBridge did not accept an event ({0})")]
    Refused(String),
    /// EventBridge will never accept this event.
    #[error("EventBridge will never accept an event ({0})")]
    Malformed(String),
    /// It is too large for this bus, even without everything that can be left out.
    #[error("EventBridge will never accept an event: it is too large")]
    TooLarge,
}

impl BusError {
    /// Whether the same event may be accepted later.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        !matches!(self, Self::Malformed(_) | Self::TooLarge)
    }

    fn of_request<R: fmt::Debug>(error: &SdkError<PutEventsError, R>) -> Self {
        let cause = failure(error);
        match (error, cause.as_str()) {
            (SdkError::ServiceError(_), THROTTLED) => Self::Busy(cause),
            // The only refusal of a request that is due to its content.
            (SdkError::ServiceError(service), "ValidationException") => {
                let words = service.err().meta().message().unwrap_or_default().to_ascii_lowercase();
                if words.contains("size") { Self::TooLarge } else { Self::Refused(cause) }
            }
            _ => Self::Unavailable(cause),
        }
    }
}

/// The event bus; clones share its connections.
#[derive(Debug, Clone)]
pub struct Bus {
    client: Client,
    name: Arc<str>,
}

impl Bus {
    /// The bus with this name or ARN, reached through `client`, which has the time-outs of [`runtime::aws`].
    #[must_use]
    pub fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.into() }
    }

    /// Connects before there is an event to publish.
    pub async fn connect(&self) {
        connect_to_eventbridge(&self.client).await;
    }

    /// Publishes an event. One that is too large is reduced and published at once: waiting would not help.
    ///
    /// # Errors
    /// [`BusError`]: the event has to be published again if [`BusError::may_pass`].
    pub async fn put(&self, event: &BusEvent) -> Result<Put, BusError> {
        let mut next = Some(event.clone());
        while let Some(event) = next {
            match self.put_as_it_is(&event).await {
                Err(BusError::TooLarge) => next = event.smaller(),
                put => return put.map(|()| if event.is_reduced() { Put::Reduced } else { Put::Whole }),
            }
        }
        Err(BusError::TooLarge)
    }

    async fn put_as_it_is(&self, event: &BusEvent) -> Result<(), BusError> {
        if event.size() > LARGEST {
            return Err(BusError::TooLarge);
        }
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&*self.name)
            .source(SOURCE)
            .detail_type(&event.detail_type)
            .set_time(event.time.map(|time| DateTime::from_secs(time.unix())))
            .detail(&event.detail)
            .build();
        let answer = self.client.put_events().entries(entry).send().await;
        let answer = answer.map_err(|error| BusError::of_request(&error))?;
        // A refused entry is part of a response that is otherwise a success.
        match answer.entries().first().and_then(|entry| entry.error_code()) {
            None if answer.failed_entry_count() == 0 => Ok(()),
            Some(THROTTLED) => Err(BusError::Busy(THROTTLED.to_owned())),
            Some(code @ ("MalformedDetail" | "InvalidArgument")) => Err(BusError::Malformed(code.to_owned())),
            code => Err(BusError::Refused(code.unwrap_or("no reason").to_owned())),
        }
    }
}
