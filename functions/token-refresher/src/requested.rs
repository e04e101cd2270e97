//! A requested renew run: it waits until it may begin, and retries what the request names, whatever that waits for.
//! After that it is a run like the scheduled ones.

use std::time::Duration;

use futures::future::BoxFuture;
use platform::tokens::TokenError;
use store::{Beginning, RetryOf, StoreError};
use tokio::time::{Instant, sleep};

use crate::report::Report;
use crate::{Refresher, Run, RunError};

/// The pause between two checks whether the run may begin.
const LOOK: Duration = Duration::from_millis(500);

/// The most entries, events and messages, each, that are retried for one request.
const MOST: usize = 500;

impl Refresher {
    /// Waits until the requested run may begin, a few seconds at most; `false` if it need not begin: the event that
    /// starts it may arrive twice.
    pub(crate) async fn begins(&self) -> Result<bool, RunError> {
        let component = self.services.open(None).await?;
        let requests = self.services.table.store(component.appid()).run_requests;
        let (by, pause) = (self.services.random.id(), self.settings.requested_pause);
        let until = Instant::now() + pause;
        loop {
            match requests.begin(&by, pause, self.services.clock.now()).await {
                Ok(Beginning::Never) => {
                    tracing::info!("the requested run has been done already");
                    return Ok(false);
                }
                Ok(Beginning::Later(wait)) if Instant::now() < until => sleep(wait.min(LOOK)).await,
                // It has waited, whatever the clock of the previous run said.
                Ok(Beginning::Now | Beginning::Later(_)) => return Ok(true),
                Err(error) => {
                    tracing::warn!("a requested run begins without being recorded: {error}");
                    return Ok(true);
                }
            }
        }
    }
}

impl Run {
    /// Retries what the request names, then does what a scheduled run does.
    pub(crate) async fn renew_on_request(&self, report: &mut Report) {
        match self.store.run_requests.retries().await {
            Ok(retries) => {
                for retry in retries {
                    if self.is_over() {
                        break;
                    }
                    let trying: BoxFuture<'_, _> = Box::pin(self.retry(&retry.of, report));
                    let ended = match trying.await {
                        Ok(()) => self.store.run_requests.finish_retry(&retry).await,
                        failed => failed,
                    };
                    self.note_retry(&retry.of, ended, report);
                }
            }
            Err(error) => self.note_retry(&RetryOf::All, Err(error), report),
        }
        // Boxed, like the futures around it.
        let renewing: BoxFuture<'_, ()> = Box::pin(self.renew(report));
        renewing.await;
    }

    fn note_retry(&self, of: &RetryOf, result: Result<(), StoreError>, report: &mut Report) {
        match result {
            Ok(()) => self.breaker.table_answered(),
            Err(error) => {
                if let Some(own) = self.breaker.own_failure(TokenError::from(error)) {
                    tracing::warn!("what waits for {of} is left to the next run: {own}");
                    report.fail(&own.label());
                }
            }
        }
    }

    /// Makes what waits due, and processes it by its keys: the index may not know yet that it is due.
    async fn retry(&self, of: &RetryOf, report: &mut Report) -> Result<(), StoreError> {
        let waiting = &self.store.waiting;
        let partitions = waiting.entries(of, MOST, self.now()).await?;
        let subjects = waiting.events(of, MOST, self.now()).await?;
        let messages = waiting.messages(of, MOST).await?;
        let count = partitions.len() + subjects.len() + messages.len();
        tracing::info!("what waits for {of} is retried: {count} messages, or accounts with entries or events");
        let (mut on_bus, mut delivered) = (Report::default(), Report::default());
        tokio::join!(
            self.process_partitions(partitions, report),
            self.deliver_named(&subjects, &mut on_bus),
            self.redeliver(messages, &mut delivered),
        );
        report.add(&on_bus);
        report.add(&delivered);
        Ok(())
    }
}
