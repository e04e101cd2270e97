//! Times for the eye, as in China, which has one time of the day and no summer time. Whoever shows them names it once.

use std::time::Duration;

use shared::clock::Timestamp;

const AHEAD: Duration = Duration::from_hours(8);

/// Day and time in Beijing: `2026-01-31 08:00:00`.
#[must_use]
pub fn beijing_time(at: Timestamp) -> String {
    let local = at.plus(AHEAD).rfc3339().replace('T', " ");
    local.trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beijing_is_eight_hours_ahead() {
        assert_eq!(beijing_time(Timestamp::from_unix(1_700_000_000)), "2023-11-15 06:13:20");
    }
}
