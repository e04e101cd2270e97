//! Spans of time and counts as people say them, in both languages.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::language::Language;

/// Something that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noun {
    /// With its measure word, such as `个账号`.
    chinese: &'static str,
    /// The singular. The plural adds an `s`.
    english: &'static str,
}

const SECOND: Noun = Noun::new("秒", "second");
const MINUTE: Noun = Noun::new("分钟", "minute");
const HOUR: Noun = Noun::new("小时", "hour");
const DAY: Noun = Noun::new("天", "day");

impl Noun {
    /// A noun: in Chinese with its measure word, in English the singular of a word whose plural only adds an `s`.
    #[must_use]
    pub const fn new(chinese: &'static str, english: &'static str) -> Self {
        Self { chinese, english }
    }

    /// A number of them: `3 个账号`, `1 account`, `3 accounts`.
    #[must_use]
    pub fn count(self, number: u64, language: Language) -> String {
        match (language, number) {
            (Language::Chinese, _) => format!("{number} {}", self.chinese),
            (Language::English, 1) => format!("1 {}", self.english),
            (Language::English, _) => format!("{number} {}s", self.english),
        }
    }
}

/// A span in its largest unit, rounded down: `42 秒`, `1 minute`, `3 hours`, `2 days`.
#[must_use]
pub fn span(duration: Duration, language: Language) -> String {
    let count = |number, unit: Noun| unit.count(number, language);
    let seconds = duration.as_secs();
    match seconds {
        0..60 => count(seconds, SECOND),
        60..3_600 => count(seconds / 60, MINUTE),
        // Whole hours would be too coarse between one hour and two.
        3_600..7_200 => format!("{} {}", count(1, HOUR), count((seconds - 3_600) / 60, MINUTE)),
        7_200..172_800 => count(seconds / 3_600, HOUR),
        _ => count(seconds / 86_400, DAY),
    }
}

/// A time in the past, by its age: `3 分钟前`, `3 minutes ago`.
#[must_use]
pub fn before(age: Duration, language: Language) -> String {
    let span = span(age, language);
    match language {
        Language::Chinese => format!("{span}前"),
        Language::English => format!("{span} ago"),
    }
}

/// How long ago something was: `3 分钟前`, `3 minutes ago`.
#[must_use]
pub fn ago(at: Timestamp, now: Timestamp, language: Language) -> String {
    before(now.since(at), language)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECONDS: [u64; 10] = [0, 1, 59, 60, 1_500, 3_600, 3_660, 7_200, 100_000, 200_000];

    #[test]
    fn spans_read_as_people_say_them() {
        let said = |language| SECONDS.map(|seconds| span(Duration::from_secs(seconds), language));
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
        assert_eq!(said(Language::English), expected);
        let expected = [
            "0 秒",
            "1 秒",
            "59 秒",
            "1 分钟",
            "25 分钟",
            "1 小时 0 分钟",
            "1 小时 1 分钟",
            "2 小时",
            "27 小时",
            "2 天",
        ];
        assert_eq!(said(Language::Chinese), expected);
    }

    #[test]
    fn ages_are_phrased_as_past() {
        let (at, now) = (Timestamp::from_unix(1_000), Timestamp::from_unix(1_180));
        assert_eq!(ago(at, now, Language::English), "3 minutes ago");
        assert_eq!(ago(at, now, Language::Chinese), "3 分钟前");
    }
}
