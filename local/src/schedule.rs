//! Timers instead of EventBridge Scheduler and the table's stream, which start the refresher in the cloud.

use std::time::Duration;

use token_refresher::{Refresher, Task};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

/// The time between two runs for everything that is due, as in the template.
const RENEW: Duration = Duration::from_mins(5);

/// The time between two comparisons with WeChat's list, as in the template.
const RECONCILE: Duration = Duration::from_hours(1);

/// The time between two polls of the inbox: an entry takes effect within a second.
const INBOX: Duration = Duration::from_millis(250);

/// The same after a failure, which may affect every call: the daily number of calls is limited.
const INBOX_AFTER_FAILURE: Duration = Duration::from_secs(30);

/// The first run waits for the first ticket.
const FIRST: Duration = Duration::from_secs(1);

/// The longest run, as in the template.
const RUN: Duration = Duration::from_secs(280);

/// The interval of renewals: tokens with a shorter life than usual are checked four times in their life.
#[must_use]
pub fn renew_interval(token_lifetime: Duration) -> Duration {
    RENEW.min(token_lifetime / 4).max(Duration::from_secs(1))
}

/// Renews whatever is due, forever.
pub async fn renew_regularly(refresher: Refresher, every: Duration) {
    run_regularly(&refresher, &Task::renew(), Instant::now() + FIRST, every).await;
}

/// Compares with WeChat's list, forever.
pub async fn reconcile_hourly(refresher: Refresher) {
    run_regularly(&refresher, &Task::Reconcile, Instant::now() + RECONCILE, RECONCILE).await;
}

async fn run_regularly(refresher: &Refresher, task: &Task, first: Instant, every: Duration) {
    let mut ticks = interval_at(first, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = refresher.run(task, Instant::now() + RUN).await {
            tracing::error!("{task}: {error}");
        }
    }
}

/// Drains the inbox as soon as something is in it, forever.
pub async fn watch_inbox(refresher: Refresher) {
    loop {
        let pause = match refresher.poll(Instant::now() + RUN).await {
            Ok(Some(report)) if !report.failed.is_empty() => INBOX_AFTER_FAILURE,
            Ok(_) => INBOX,
            Err(error) => {
                tracing::error!("inbox: {error}");
                INBOX_AFTER_FAILURE
            }
        };
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_lived_tokens_are_looked_at_four_times_in_their_life() {
        assert_eq!(renew_interval(Duration::from_hours(2)), Duration::from_mins(5));
        assert_eq!(renew_interval(Duration::from_mins(1)), Duration::from_secs(15));
        assert_eq!(renew_interval(Duration::from_secs(1)), Duration::from_secs(1));
    }
}
