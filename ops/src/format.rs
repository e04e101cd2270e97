//! Times and counts as people say them.

use std::time::Duration;

use base::clock::Timestamp;

/// A span in its largest unit, rounded down: `42 seconds`, `1 minute`, `3 hours`, `2 days`.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => count(seconds, "second"),
        60..3_600 => count(seconds / 60, "minute"),
        // Hours alone would be too coarse for the first of them.
        3_600..7_200 => format!("1 hour {}", count((seconds - 3_600) / 60, "minute")),
        7_200..172_800 => count(seconds / 3_600, "hour"),
        _ => count(seconds / 86_400, "day"),
    }
}

/// How long ago something was: `3 minutes ago`.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", span(now.since(at)))
}

/// A number and what it counts: `1 account`, `2 accounts`.
pub(crate) fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_people_say_them() {
        let said = [0, 1, 59, 60, 1_500, 3_600, 3_660, 7_200, 100_000, 200_000].map(|s| span(Duration::from_secs(s)));
        let expected = [
            "0 seconds",
            "1 second",
            "59 seconds",
            "1 minute",
            "25 minutes",
            "1 hour 0 minutes",
            "1 hour 1 minute",
            "2 hours",
            "27 hours",
            "2 days",
        ];
        assert_eq!(said, expected);
    }
}
