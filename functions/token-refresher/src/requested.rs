//! A renew run that somebody has asked for: it waits until it may begin, and tries again what it was asked to, whatever that
//! waits for. From then on it is a run like the scheduled ones.

use std::time::Duration;

use futures::future::BoxFuture;
use platform::tokens::TokenError;
use store::{Beginning, RetryOf, StoreError};
use tokio::time::{Instant, sleep};

use crate::report::Report;
use crate::{Refresher, Run, RunError};

/// Between two looks whether it may begin.
const LOOK: Duration = Duration::from_millis(500);

/// At most so many entries, events and messages each are tried again for one request.
const MOST: usize = 500;

impl Refresher {
    /// Waits until the run that was asked for may begin, which is a few seconds at most; `false` where it need not begin: the
    /// event that starts it may come twice.
    pub(crate) async fn begins(&self) -> Result<bool, RunError> {
        let component = self.services.open(None).await?;
        let requests = self.services.table.store(component.appid()).run_requests;
        let (by, pause) = (self.services.random.id(), self.settings.requested_pause);
        let until = Instant::now() + pause;
        loop {
            match requests.begin(&by, pause, self.services.clock.now()).await {
                Ok(Beginning::Never) => {
                    tracing::info!("the run has been asked for no more");
                    return Ok(false);
                }
                Ok(Beginning::Later(wait)) if Instant::now() < until => sleep(wait.min(LOOK)).await,
                // It has waited, whatever the clock of the run before said.
                Ok(Beginning::Now | Beginning::Later(_)) => return Ok(true),
                Err(error) => {
                    tracing::warn!("a run that was asked for begins without its mark: {error}");
                    return Ok(true);
                }
            }
        }
    }
}

impl Run {
    /// Tries again what was asked for, then does what a scheduled run does.
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
        // On the heap, as what is around it.
        let renewing: BoxFuture<'_, ()> = Box::pin(self.renew(report));
        renewing.await;
    }

    fn note_retry(&self, of: &RetryOf, result: Result<(), StoreError>, report: &mut Report) {
        match result {
            Ok(()) => self.breaker.table_answered(),
            Err(error) => {
                if let Some(own) = self.breaker.own_failure(TokenError::from(error)) {
                    tracing::warn!("what waits of {of} is left to the next run: {own}");
                    report.fail(&own.label());
                }
            }
        }
    }

    /// Makes due what waits, and processes it by its names: the index may not know yet that it is due.
    async fn retry(&self, of: &RetryOf, report: &mut Report) -> Result<(), StoreError> {
        let waiting = &self.store.waiting;
        let partitions = waiting.entries(of, MOST, self.now()).await?;
        let subjects = waiting.events(of, MOST, self.now()).await?;
        let messages = waiting.messages(of, MOST).await?;
        let count = partitions.len() + subjects.len() + messages.len();
        tracing::info!("what waits of {of} is tried again: {count} messages, or accounts with entries or events");
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
