//! The end of a run: counts what it did, measures what it leaves behind, and records how it went.
//!
//! None of this can fail a run or outlast its time: what is not done here is done at the end of the next run. The
//! heartbeat comes last, so that it proves that a run got as far as its end.

use std::time::Duration;

use runtime::telemetry::{Measure, Metric};
use store::{
    AccountCounts, AccountState, FinishedRun, Health, Measured, ScheduledTask, StoreError, TokenOwner, WaitingCounts,
};
use tokio::time::timeout_at;

use crate::report::Report;
use crate::{Run, Task};

/// Measuring what a run leaves behind stops this long before its end, to leave time for the record of the run.
const LAST_RECORD: Duration = Duration::from_millis(200);

impl Run {
    /// Ends a run of `task` with this `report`.
    pub(crate) async fn finish(&self, task: &Task, report: &Report) {
        report.publish(&self.context.metrics);
        if let Some(scheduled) = task.scheduled()
            && timeout_at(self.ends_at, self.record_run(task, scheduled, report)).await.is_err()
        {
            tracing::warn!("no time was left to record the run");
        }
        // The heartbeat. A requested run does not show that the schedule is alive.
        if !matches!(task, Task::Requested) {
            self.context.metrics.put(&Metric::count(Measure::RunFinished, 1).with_dimension(task.name()));
        }
    }

    async fn record_run(&self, task: &Task, scheduled: ScheduledTask, report: &Report) {
        let Ok(report) = serde_json::to_string(report) else { return };
        let (finished_at, duration, id) = (self.now(), self.begun.elapsed(), self.context.random.id());
        let health = Health { finished_at, report, last_responses: self.component.wechat().last_responses() };
        // Nor does the doctor take it for a run of the schedule.
        if !matches!(task, Task::Requested)
            && let Err(error) = self.store.health.put(scheduled, &health).await
        {
            tracing::warn!("the run was not recorded: {error}");
        }
        let measured = self.measure(scheduled).await;
        let run = FinishedRun { id: &id, finished_at, duration, report: &health.report, measured };
        if let Err(error) = self.store.runs.put(scheduled, &run).await {
            tracing::warn!("the run is missing among those of the last days: {error}");
        }
    }

    async fn measure(&self, task: ScheduledTask) -> Measured {
        let measuring = async {
            Ok::<_, StoreError>(match task {
                ScheduledTask::Renew(part) if part.is_first() => {
                    Measured { waiting: Some(self.measure_what_waits().await?), ..Measured::default() }
                }
                ScheduledTask::Renew(_) => Measured::default(),
                ScheduledTask::Reconcile => {
                    Measured { accounts: Some(self.measure_accounts().await?), ..Measured::default() }
                }
            })
        };
        let until = self.ends_at.checked_sub(LAST_RECORD).unwrap_or(self.ends_at);
        let measured = timeout_at(until, measuring).await;
        measured.unwrap_or_else(|_| Err(StoreError::late("Query"))).unwrap_or_else(|error| {
            tracing::warn!("what the run leaves behind was not measured: {error}");
            Measured::default()
        })
    }

    async fn measure_what_waits(&self) -> Result<WaitingCounts, StoreError> {
        let (store, metrics) = (&self.store, &self.context.metrics);
        let component = store.tokens.get(&TokenOwner::Component).await?;
        let lapses = component.filter(|record| record.access_token.is_some()).and_then(|record| record.expires_at);
        let left = lapses.map(|lapses| lapses.since(self.now())).unwrap_or_default();
        metrics.put(&Metric::seconds(Measure::ComponentTokenLeft, left));
        let waiting = store.arrivals.counts().await?;
        metrics.put(&Metric::count(Measure::InboxWaiting, waiting.inbox));
        metrics.put(&Metric::count(Measure::MessagesWaiting, waiting.messages));
        metrics.put(&Metric::count(Measure::StateEventsWaiting, waiting.events));
        Ok(waiting)
    }

    async fn measure_accounts(&self) -> Result<AccountCounts, StoreError> {
        let counts = self.store.accounts.counts().await?;
        for state in AccountState::ALL {
            let metric = Metric::count(Measure::Accounts, counts.of(state));
            self.context.metrics.put(&metric.with_dimension(state.as_str()));
        }
        Ok(counts)
    }
}
