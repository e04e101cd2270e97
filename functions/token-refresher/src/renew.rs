//! `{"task":"renew"}`: ticket, component token, then the inbox and every due account, and concurrently the messages
//! that wait for the bus. If several runs share the accounts (`{"task":"renew","part":1,"of":4}`), the first does all
//! this, and the others only renew the accounts of their parts.

use std::time::Duration;

use platform::schedule::TICKET_STALE;
use platform::tokens::TokenError;
use runtime::telemetry::{Measure, Metric};
use store::StoreError;
use tokio::time::Instant;
use wechat::api::Api;

use crate::Run;
use crate::report::Report;

/// The time that the inbox has the run to itself, because what it brings often spares a renewal. After that the
/// accounts are renewed concurrently, however long the inbox's codes hang. The runs of the other parts do not wait for
/// it: their schedules have phases of their own, and a renewal that a push would have spared costs a call and does no
/// harm.
const INBOX_HEAD_START: Duration = Duration::from_secs(5);

/// The head start takes at most this part of the remaining time.
const HEAD_START_PART: u32 = 4;

impl Run {
    pub(crate) async fn renew(&self, report: &mut Report) {
        if !self.part.is_first() {
            return self.renew_what_is_due(report).await;
        }
        // Concurrently: neither waits for calls that hang at the other's service.
        let (mut messages, mut events) = (Report::default(), Report::default());
        let renewals = async {
            self.look_after_ticket(report).await;
            self.renew_what_is_due(report).await;
        };
        tokio::join!(renewals, self.redeliver_pending(&mut messages), self.deliver_outbox(&mut events));
        report.add(&messages);
        report.add(&events);
    }

    async fn renew_what_is_due(&self, report: &mut Report) {
        match self.component.token().await {
            Ok(_) if self.part.is_first() => self.renew_inbox_and_accounts(report).await,
            Ok(_) => Box::pin(self.renew_accounts(report)).await,
            Err(error) => self.breaker.trip(TokenError::NoComponentToken(Box::new(error))),
        }
        if self.is_over() || self.is_used_up(Api::AuthorizerToken) {
            self.count_left_over(report).await;
        }
    }

    async fn renew_inbox_and_accounts(&self, report: &mut Report) {
        let mut from_inbox = Report::default();
        {
            let mut inbox = std::pin::pin!(self.process_inbox(&mut from_inbox));
            let left = self.stop_at.saturating_duration_since(Instant::now());
            let head_start = INBOX_HEAD_START.min(left / HEAD_START_PART);
            match tokio::time::timeout(head_start, &mut inbox).await {
                Ok(()) => Box::pin(self.renew_accounts(report)).await,
                Err(_) => drop(tokio::join!(inbox, Box::pin(self.renew_accounts(report)))),
            }
        }
        report.add(&from_inbox);
    }

    async fn count_left_over(&self, report: &mut Report) {
        let count = self.store.accounts.count_due(self.part, self.now());
        match tokio::time::timeout_at(self.ends_at, count).await {
            Ok(Ok(count)) => report.left_over = count,
            Ok(Err(error)) => tracing::warn!("the accounts that are left over were not counted: {error}"),
            Err(_) => tracing::warn!("no time was left to count the accounts that are left over"),
        }
    }

    /// WeChat pushes a ticket every 10 minutes. If it stops, it has to be asked to resume; the last ticket is valid for
    /// 12 hours.
    async fn look_after_ticket(&self, report: &mut Report) {
        let age = match self.ticket_age().await {
            Ok(age) => age,
            // The component token may still be valid.
            Err(error) => {
                tracing::warn!("the age of the ticket is unknown: {error}");
                report.fail(&TokenError::from(error).label());
                return;
            }
        };
        report.ticket_age_seconds = age.map(|age| age.as_secs());
        if age.is_some_and(|age| age <= TICKET_STALE) {
            return;
        }
        self.context.metrics.put(&Metric::count(Measure::TicketStale, 1));
        let platform = self.component.platform();
        match self.component.wechat().start_push_ticket(&platform.component, &platform.app_secret).await {
            Ok(_) => tracing::warn!("no ticket for {} minutes: WeChat is asked to resume", age.map_or(0, minutes)),
            Err(error) => self.context.report("api_start_push_ticket", &error),
        }
    }

    async fn ticket_age(&self) -> Result<Option<Duration>, StoreError> {
        let ticket = self.store.tickets.newest().await?;
        Ok(ticket.map(|ticket| self.now().since(ticket.received_at)))
    }
}

const fn minutes(age: Duration) -> u64 {
    age.as_secs() / 60
}
