//! Times for display, in China's one time zone, which has no summer time. Each page that shows them names it once.

use std::time::Duration;

use base::clock::Timestamp;

const AHEAD: Duration = Duration::from_hours(8);

/// Month to second in Beijing: `01-31 08:00:00`.
#[must_use]
pub fn beijing_time(at: Timestamp) -> String {
    let local = at.plus(AHEAD).rfc3339();
    local.get(5..19).unwrap_or(&local).replace('T', " ")
}

/// The day in Beijing: `2026-01-31`.
pub(crate) fn beijing_day(at: Timestamp) -> String {
    let mut day = at.plus(AHEAD).rfc3339();
    day.truncate(10);
    day
}

/// The month in Beijing: `2026-01`.
pub(crate) fn beijing_month(at: Timestamp) -> String {
    let mut month = beijing_day(at);
    month.truncate(7);
    month
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beijing_is_eight_hours_ahead() {
        assert_eq!(beijing_time(Timestamp::from_unix(1_700_000_000)), "11-15 06:13:20");
    }
}
