//! The end of a run: what it did is counted, what it leaves behind is measured, how it went is written down.
//!
//! None of this can fail a run, and none of it may outlast the run's own time: what does not get done here is done at
//! the end of the next run. The heartbeat comes last, so that it says that a run got as far as its end.

use runtime::telemetry::{Measure, Metric};
use store::{AccountState, END_OF_TIME, Health, ScheduledTask, StoreError, TokenOwner};

use crate::report::Report;
use crate::{Run, Task};

impl Run {
    /// Ends a run of `task` that did what `report` says.
    pub(crate) async fn finish(&self, task: &Task, report: &Report) {
        report.publish(&self.context.metrics);
        if let Some(scheduled) = task.scheduled()
            && tokio::time::timeout_at(self.ends_at, self.record_run(scheduled, report)).await.is_err()
        {
            tracing::warn!("no time was left to write down how the run went");
        }
        self.context.metrics.put(&Metric::count(Measure::RunFinished, 1).by(task.name()));
    }

    async fn record_run(&self, task: ScheduledTask, report: &Report) {
        self.save_health(task, report).await;
        let measured = match task {
            ScheduledTask::Renew(part) if part.is_first() => self.measure_what_waits().await,
            ScheduledTask::Renew(_) => Ok(()),
            ScheduledTask::Reconcile => self.measure_accounts().await,
        };
        if let Err(error) = measured {
            tracing::warn!("what the run leaves behind was not measured: {error}");
        }
    }

    async fn save_health(&self, task: ScheduledTask, report: &Report) {
        let Ok(report) = serde_json::to_string(report) else { return };
        let health = Health { finished_at: self.now(), report, heard: self.component.wechat().heard() };
        if let Err(error) = self.store.health.put(task, &health).await {
            tracing::warn!("how the run went was not written down: {error}");
        }
    }

    async fn measure_what_waits(&self) -> Result<(), StoreError> {
        let (store, metrics) = (&self.store, &self.context.metrics);
        let component = store.tokens.get(&TokenOwner::Component).await?;
        let lapses = component.filter(|record| record.access_token.is_some()).and_then(|record| record.expires_at);
        let left = lapses.map(|lapses| lapses.since(self.now())).unwrap_or_default();
        metrics.put(&Metric::seconds(Measure::ComponentTokenLeft, left));
        let waiting = store.inbox.count_waiting(END_OF_TIME).await?;
        metrics.put(&Metric::count(Measure::InboxWaiting, waiting));
        let messages = store.messages.count_waiting(END_OF_TIME).await?;
        metrics.put(&Metric::count(Measure::MessagesWaiting, messages));
        let events = store.outbox.count_waiting(END_OF_TIME).await?;
        metrics.put(&Metric::count(Measure::StateEventsWaiting, events));
        Ok(())
    }

    async fn measure_accounts(&self) -> Result<(), StoreError> {
        for state in AccountState::ALL {
            let accounts = self.store.accounts.count(state).await?;
            self.context.metrics.put(&Metric::count(Measure::Accounts, accounts).by(state.as_str()));
        }
        Ok(())
    }
}
