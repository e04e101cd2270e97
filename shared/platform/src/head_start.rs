//! What a function prepares before its first event: the secret, and connections to whatever each event needs.
//!
//! A starting function has the most CPU, and usually nobody is waiting yet. All steps are awaited, up to a time limit:
//! no task continues alongside the first event, since one that is still running when the sandbox freezes would be
//! broken afterwards. What is not ready by then, or failed, is done by the first event that needs it, as if it had not
//! been tried.

use std::time::Duration;

use futures::future::{BoxFuture, join_all};

/// Runs all steps concurrently, for at most `bound`, which is [`base::limits::Limits::head_start`].
pub async fn head_start<const STEPS: usize>(bound: Duration, steps: [BoxFuture<'_, ()>; STEPS]) {
    drop(tokio::time::timeout(bound, join_all(steps)).await);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_step_that_hangs_takes_the_whole_time_and_affects_no_other_step() {
        let taken = AtomicBool::new(false);
        let quick = async { taken.store(true, Ordering::Relaxed) };
        head_start(Duration::from_millis(20), [Box::pin(std::future::pending()), Box::pin(quick)]).await;
        assert!(taken.into_inner());
    }
}
