//! `component_verify_ticket` (protocol sections 1.1, 1.2 and rule 8 of 1.8): every push carries a new one, and each is
//! valid until it is 12 hours old, whatever was pushed after it.

use std::time::Duration;

use base::clock::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Moment, SecretKind, World};
use crate::refusal::Refusal;

/// How long expired tickets are remembered, to distinguish "expired" from "never issued".
const REMEMBERED: Duration = Duration::from_hours(12);

#[derive(Serialize, Deserialize)]
pub(super) struct Ticket {
    pub(super) value: String,
    issued_at: Timestamp,
}

impl World {
    /// A new ticket, to be pushed.
    pub(crate) fn issue_ticket(&mut self, at: &Moment<'_>) -> String {
        self.tickets.retain(|ticket| at.now.since(ticket.issued_at) < at.lifetimes.ticket + REMEMBERED);
        let value = self.issue(SecretKind::Ticket, "ticket@@@", at);
        self.tickets.push(Ticket { value: value.clone(), issued_at: at.now });
        self.effects.tickets += 1;
        value
    }

    /// Whether tickets are pushed on the timer.
    pub(crate) fn pushes_tickets(&self) -> bool {
        !self.tickets_stopped
    }

    /// Switches the push of tickets off, as WeChat does now and then on its own.
    pub(crate) fn stop_tickets(&mut self) {
        self.tickets_stopped = true;
    }

    /// Switches the push of tickets on; `true` if it was off.
    pub(crate) fn start_tickets(&mut self) -> bool {
        std::mem::take(&mut self.tickets_stopped)
    }

    pub(super) fn check_ticket(&self, value: &str, at: &Moment<'_>) -> Result<(), Refusal> {
        let ticket = self
            .tickets
            .iter()
            .find(|ticket| ticket.value == value)
            .ok_or_else(|| Refusal::new(61006, "component ticket is invalid"))?;
        if at.now.since(ticket.issued_at) < at.lifetimes.ticket {
            Ok(())
        } else {
            Err(Refusal::new(61005, "component ticket is expired"))
        }
    }
}
