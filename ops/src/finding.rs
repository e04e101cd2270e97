//! What a check found, and the outcome of all of them.
//!
//! A finding is a sentence for the person at the keyboard, and what to do if something is not as it should be. It never
//! holds a secret, a ticket, a token or a code.

use std::fmt;

use base::language::Language;

pub use diagnosis::Verdict;

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in a word or two.
    pub check: &'static str,
    /// How bad it is.
    pub verdict: Verdict,
    /// What was found.
    pub sentence: String,
    /// What to do; `None` if all is well.
    pub advice: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.sentence)?;
        self.advice.iter().try_for_each(|advice| write!(f, ": {advice}"))
    }
}

impl Finding {
    /// What a check of the table's items found, in English.
    pub(crate) fn of(finding: &diagnosis::Finding) -> Self {
        let language = Language::English;
        Self {
            check: finding.check.title(language),
            verdict: finding.verdict,
            sentence: finding.sentence(language),
            advice: finding.remedy(language),
        }
    }

    pub(crate) fn ok(check: &'static str, sentence: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, sentence: sentence.into(), advice: None }
    }

    pub(crate) fn warning(check: &'static str, sentence: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warning, sentence: sentence.into(), advice: Some(advice.into()) }
    }

    pub(crate) fn wrong(check: &'static str, sentence: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Wrong, sentence: sentence.into(), advice: Some(advice.into()) }
    }

    pub(crate) fn skipped(check: &'static str, sentence: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::warning(check, sentence, advice).with(Verdict::Skipped)
    }

    /// The same sentence with a milder or graver verdict.
    pub(crate) fn with(self, verdict: Verdict) -> Self {
        Self { verdict, ..self }
    }
}

/// What all checks found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// What was examined, such as `Stack wechat in eu-central-1`.
    pub subject: String,
    /// The findings, in the order they are best read.
    pub findings: Vec<Finding>,
    /// Whether there was something to examine.
    pub examined: bool,
}

impl Diagnosis {
    /// How many findings have a verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }

    /// The program's exit status: 0 all well, 1 something wrong, 2 nothing could be examined.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match (self.examined, self.count(Verdict::Wrong)) {
            (false, _) => 2,
            (true, 0) => 0,
            (true, _) => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_says_whether_all_is_well() {
        let status =
            |finding, examined| Diagnosis { subject: "it".to_owned(), findings: vec![finding], examined }.exit_code();
        assert_eq!(status(Finding::ok("a", "b"), true), 0);
        assert_eq!(status(Finding::warning("a", "b", "c"), true), 0);
        assert_eq!(status(Finding::wrong("a", "b", "c"), true), 1);
        assert_eq!(status(Finding::wrong("a", "b", "c"), false), 2);
    }
}
