//! An even rate of starts per second.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

pub(crate) struct RateLimiter {
    interval: Duration,
    next: Mutex<Instant>,
}

impl RateLimiter {
    pub(crate) fn per_second(starts: u32) -> Self {
        Self { interval: Duration::from_secs(1) / starts.max(1), next: Mutex::new(Instant::now()) }
    }

    /// Waits for the caller's turn. A pause is not made up for by a burst of more than one interval.
    pub(crate) async fn acquire(&self) {
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let turn = (*next).max(Instant::now());
            *next = turn + self.interval;
            turn
        };
        tokio::time::sleep_until(turn).await;
    }
}
