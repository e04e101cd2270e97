//! The finding of a check, and the diagnosis from all of them.
//!
//! A finding is a sentence for the user, with what to do if something is wrong. It never contains a secret, a ticket, a
//! token or a code.

use std::fmt;

use base::language::Language;

pub use diagnosis::Verdict;

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The name of the check, in a word or two.
    pub check: &'static str,
    /// The severity.
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
    /// The finding of a check of the table's items, in English.
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

    /// The same sentence with another verdict.
    pub(crate) fn with(self, verdict: Verdict) -> Self {
        Self { verdict, ..self }
    }
}

/// The findings of all checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// What was examined, such as `Stack wechat in eu-central-1`.
    pub subject: String,
    /// The findings, in the order in which they are best read.
    pub findings: Vec<Finding>,
    /// Whether there was something to examine.
    pub examined: bool,
}

impl Diagnosis {
    /// The number of findings with a verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }

    /// The program's exit status: 0 if all is well, 1 if something is wrong, 2 if nothing could be examined.
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
