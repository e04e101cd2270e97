//! A limit on log lines that strangers can cause: the lines must not cost more than their requests.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The interval between two lines for one reason: an operator sees within a minute that it continues.
const INTERVAL: Duration = Duration::from_mins(1);

/// Lets one line a minute pass for each reason, and counts those that were left out. There is one for the whole
/// process.
#[derive(Debug, Default)]
pub struct LogThrottle(Mutex<BTreeMap<&'static str, Turn>>);

#[derive(Debug)]
struct Turn {
    next: Instant,
    left_out: u64,
}

impl LogThrottle {
    /// A throttle without a history.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// The number of lines left out since the last one if a line may be written for this reason, or else `None`.
    pub fn admit(&self, reason: &'static str, now: Instant) -> Option<u64> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = turns.entry(reason).or_insert(Turn { next: now, left_out: 0 });
        if now < turn.next {
            turn.left_out = turn.left_out.saturating_add(1);
            return None;
        }
        turn.next = now + INTERVAL;
        Some(std::mem::take(&mut turn.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_minute_is_written_for_each_reason_and_the_others_are_counted() {
        let throttle = LogThrottle::new();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(throttle.admit("signature", at(0)), Some(0));
        assert_eq!(throttle.admit("signature", at(1)), None);
        assert_eq!(throttle.admit("signature", at(59)), None);
        assert_eq!(throttle.admit("padding", at(59)), Some(0));
        assert_eq!(throttle.admit("signature", at(60)), Some(2));
        assert_eq!(throttle.admit("signature", at(61)), None);
        assert_eq!(throttle.admit("signature", at(600)), Some(1));
    }
}
