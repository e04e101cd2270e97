//! The schedule of renewals: when a token is due, and when to try again after a failure. Pure.

use std::time::Duration;

use base::clock::Timestamp;
use base::random::Random;

/// The component token is renewed with this much left: WeChat advises 10 minutes, and the refresher runs every 5.
pub const COMPONENT_MARGIN: Duration = Duration::from_mins(15);

/// An account's token is renewed with at least this much left: enough for four runs of the refresher, should renewals
/// fail.
pub const AUTHORIZER_MARGIN: Duration = Duration::from_mins(20);

/// Renewals are spread over this much more, so that accounts that were authorized together do not fall due together.
pub const JITTER: Duration = Duration::from_mins(10);

/// The wait after a first failure: one run of the refresher.
const FIRST_BACKOFF: Duration = Duration::from_mins(5);

/// The wait after a first failure to issue the component token: pages are waiting, but the daily number of issues is
/// limited.
const FIRST_COMPONENT_BACKOFF: Duration = Duration::from_secs(15);

/// The longest wait after failures: a few calls a day for an account that fails forever.
const LONGEST_BACKOFF: Duration = Duration::from_hours(6);

/// A ticket older than this is a sign that WeChat has stopped pushing: two pushes are missing.
pub const TICKET_STALE: Duration = Duration::from_mins(20);

/// When a token that was just issued is due: its margin before the end of its life, but at half its life at the
/// earliest, so that a short-lived token is not due at once.
#[must_use]
pub fn due_at(now: Timestamp, lifetime: Duration, margin: Duration) -> Timestamp {
    now.plus(lifetime.saturating_sub(margin.min(lifetime / 2)))
}

/// The margin of one account's renewal: 20 to 30 minutes.
#[must_use]
pub fn authorizer_margin(random: &Random) -> Duration {
    AUTHORIZER_MARGIN + Duration::from_secs(random.up_to(JITTER.as_secs()))
}

/// The wait after the `failures`-th failure in a row, counted from 1: 5 minutes, doubled up to 6 hours.
#[must_use]
pub fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (FIRST_BACKOFF * 2_u32.pow(doublings)).min(LONGEST_BACKOFF)
}

/// The same for the component token, on which everything waits: 15 seconds, doubled up to 5 minutes.
#[must_use]
pub fn component_backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (FIRST_COMPONENT_BACKOFF * 2_u32.pow(doublings)).min(FIRST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_unix(1_700_000_000);

    #[test]
    fn a_two_hour_token_is_due_20_to_30_minutes_before_its_end() {
        for fill in [0x00, 0x5a, 0xff] {
            let margin = authorizer_margin(&Random::from_fn(move |bytes| bytes.fill(fill)));
            let left = Duration::from_hours(2).saturating_sub(due_at(T0, Duration::from_hours(2), margin).since(T0));
            assert!((Duration::from_mins(20)..=Duration::from_mins(30)).contains(&left), "{left:?}");
        }
    }

    #[test]
    fn a_short_lived_token_is_due_at_half_its_life() {
        assert_eq!(due_at(T0, Duration::from_mins(1), AUTHORIZER_MARGIN).since(T0), Duration::from_secs(30));
    }

    #[test]
    fn waits_double_from_5_minutes_to_6_hours() {
        let minutes: Vec<u64> = [1, 2, 3, 7, 8, 40].map(|failures| backoff(failures).as_secs() / 60).to_vec();
        assert_eq!(minutes, [5, 10, 20, 320, 360, 360]);
    }
}
