//! A record of each reading of a token: a line in the log, and with `TOKEN_READ_EVENTS=on` an event on the bus.
//!
//! The event is best effort: if the bus does not accept it at once, only the log has it, since no service is to go
//! without its token, or wait for it, because the bus is unavailable.

use std::time::Duration;

use platform::bus::{BusError, BusEvent};
use platform::tokens::{TokenId, ValidToken};
use runtime::telemetry::{Measure, Metric};
use store::{Actor, TokenOwner};
use tokio::time::timeout;
use tracing::field::display;

use crate::{OpenTokens, TokenService};

/// How long a response waits for the bus, which usually accepts an event within some 15 ms. There is no time after the
/// response: Lambda stops the process.
const WAIT: Duration = Duration::from_millis(100);

impl TokenService {
    /// Records that somebody reads a token.
    pub(crate) async fn note_reading(&self, open: &OpenTokens, owner: &TokenOwner, token: &ValidToken, actor: Actor) {
        let token_id = TokenId::of(&token.token);
        let (caller, source_ip) = (actor.by.as_str(), actor.source_ip.map(display));
        tracing::info!(%owner, token_id = token_id.as_str(), caller, source_ip, "the token of {owner} was read");
        if !self.0.config.read_events {
            return;
        }
        let (component, random) = (&open.component, &open.context.random);
        let event = BusEvent::of_token_read(component, owner, token_id.as_str(), &actor, random, open.now());
        let put = timeout(WAIT, self.0.bus.put(&event)).await;
        if let Err(error) = put.unwrap_or_else(|_| Err(BusError::Unavailable("no answer in time".to_owned()))) {
            open.context.metrics.put(&Metric::count(Measure::EventDropped, 1));
            tracing::warn!("a token was read without an event: {error}");
        }
    }
}
