//! WeChat's timestamps in pushes and lists, and how far they can be trusted (protocol section 3.2).

use std::time::Duration;

use base::clock::Timestamp;

/// Two of WeChat's times that are this close do not decide which event came first: its servers' clocks differ, and a
/// push has the time of its creation, not of the merchant's action.
const TIMES_DECIDE: Duration = Duration::from_mins(5);

/// How far ahead of our clock a time of WeChat is still accepted, since clocks differ. One that is further ahead is a
/// mistake, and if it were accepted, every later event would seem older.
pub const MAX_AHEAD: Duration = TIMES_DECIDE;

/// The order of two events by WeChat's timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The event is later than what is stored.
    Later,
    /// The event is earlier than what is stored.
    Earlier,
    /// The times are too close, or one is missing or not credible: only WeChat can decide.
    Undecided,
}

/// A time of WeChat, unless it is further ahead of `ours` than clocks can differ: then the true time is unknown.
#[must_use]
pub fn credible(at: Timestamp, ours: Timestamp) -> Option<Timestamp> {
    (at <= ours.plus(MAX_AHEAD)).then_some(at)
}

/// Compares an event's time with the time of what is stored. Both are WeChat's; `now` is ours, and is only used to
/// reject times that are too far ahead.
#[must_use]
pub fn order(event: Option<Timestamp>, stored: Option<Timestamp>, now: Timestamp) -> Order {
    let believed = |at: Option<Timestamp>| at.and_then(|at| credible(at, now));
    let (Some(event), Some(stored)) = (believed(event), believed(stored)) else { return Order::Undecided };
    if event > stored.plus(TIMES_DECIDE) {
        Order::Later
    } else if event.plus(TIMES_DECIDE) < stored {
        Order::Earlier
    } else {
        Order::Undecided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_unix(1_700_000_000);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(T0.unix() + seconds)
    }

    #[test]
    fn times_decide_only_when_more_than_5_minutes_apart() {
        let to_t0 = |event: i64| order(Some(at(event)), Some(T0), at(3_600));
        assert_eq!(
            [301, 300, -300, -301].map(to_t0),
            [Order::Later, Order::Undecided, Order::Undecided, Order::Earlier]
        );
        assert_eq!(order(Some(T0), None, at(3_600)), Order::Undecided);
        assert_eq!(order(None, Some(T0), at(3_600)), Order::Undecided);
    }

    #[test]
    fn a_time_more_than_5_minutes_ahead_of_ours_decides_nothing() {
        assert_eq!((credible(at(300), T0), credible(at(301), T0)), (Some(at(300)), None));
        assert_eq!(order(Some(at(301)), Some(at(-600)), T0), Order::Undecided);
        assert_eq!(order(Some(at(-600)), Some(at(301)), T0), Order::Undecided);
        assert_eq!(order(Some(at(300)), Some(at(-600)), T0), Order::Later);
    }
}
