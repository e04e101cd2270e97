//! The greatest age of a push: handled pushes are remembered only for a while, and a repeat that comes later could not
//! be distinguished from a first delivery.

use std::time::Duration;

use base::clock::Timestamp;

/// Whether a push is older than `memory`, the time for which a repeat is recognized.
///
/// Its age is that of `CreateTime`, which is inside the signed message. Without a usable `CreateTime` it is that of the
/// delivery: `timestamp` of the URL is signed too, but not where it ends. A time far ahead of `now` is not WeChat's.
#[must_use]
pub fn is_beyond_memory(create_time: Option<Timestamp>, sent_at: Timestamp, now: Timestamp, memory: Duration) -> bool {
    let is_plausible = |at: &Timestamp| *at <= now.plus(memory);
    let made_at = create_time.filter(is_plausible).or_else(|| Some(sent_at).filter(is_plausible));
    made_at.is_none_or(|made_at| now.since(made_at) > memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;
    const DAY: i64 = 86_400;

    fn is_old(create_time: Option<i64>, sent_at: i64) -> bool {
        let create_time = create_time.map(Timestamp::from_unix);
        let (sent_at, now) = (Timestamp::from_unix(sent_at), Timestamp::from_unix(NOW));
        is_beyond_memory(create_time, sent_at, now, Duration::from_hours(24))
    }

    #[test]
    fn the_signed_time_decides_whenever_it_was_sent() {
        assert!(!is_old(Some(NOW), NOW) && !is_old(Some(NOW - DAY), 0) && !is_old(Some(NOW + 300), NOW));
        assert!(is_old(Some(NOW - DAY - 1), NOW) && is_old(Some(0), NOW));
    }

    #[test]
    fn without_a_usable_time_that_of_the_delivery_decides() {
        assert!(!is_old(None, NOW) && !is_old(Some(NOW + 2 * DAY), NOW));
        for moved in [NOW / 10, NOW * 10, i64::MAX, NOW - DAY - 1] {
            assert!(is_old(None, moved), "{moved}");
        }
        assert!(is_old(Some(NOW + 2 * DAY), NOW - 2 * DAY));
    }
}
