//! What the release check found, and the table it is printed as.

use std::fmt::Write as _;

/// The result of one case for one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Whether WeChat would be content.
    pub passed: bool,
    /// The case, such as `text`.
    pub case: &'static str,
    /// Whose message it was.
    pub account: String,
    /// What came, in words.
    pub came: String,
    /// After how many milliseconds.
    pub milliseconds: Option<u128>,
    /// What to do about a failure.
    pub advice: Option<&'static str>,
}

/// The results of all cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What was checked; or why nothing could be.
    pub subject: String,
    /// The results, in the order of WeChat's check. None where nothing could be checked.
    pub rows: Vec<Row>,
}

impl Report {
    pub(super) const fn of(subject: String, rows: Vec<Row>) -> Self {
        Self { subject, rows }
    }

    /// Nothing could be checked.
    pub(super) const fn nothing(why: String) -> Self {
        Self { subject: why, rows: Vec::new() }
    }

    /// How many cases failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.rows.iter().filter(|row| !row.passed).count()
    }

    /// The program's exit status: 0 all passed, 1 something failed, 2 nothing could be checked.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match (self.rows.is_empty(), self.failed()) {
            (true, _) => 2,
            (false, 0) => 0,
            (false, _) => 1,
        }
    }

    /// The table, with a line feed at its end.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.subject);
        if self.rows.is_empty() {
            return text;
        }
        let cell = |row: &Row| {
            let result = if row.passed { "PASS" } else { "FAIL" };
            let milliseconds = row.milliseconds.map(|milliseconds| milliseconds.to_string()).unwrap_or_default();
            [result.to_owned(), row.case.to_owned(), row.account.clone(), milliseconds, row.came.clone()]
        };
        let head = ["", "case", "account", "ms", "what came"].map(str::to_owned);
        let lines: Vec<_> =
            std::iter::once((head, None)).chain(self.rows.iter().map(|row| (cell(row), row.advice))).collect();
        let width = |column: usize| lines.iter().filter_map(|(cells, _)| cells.get(column)).map(String::len).max();
        let [result, case, account, milliseconds] = [0, 1, 2, 3].map(|column| width(column).unwrap_or_default());
        text.push('\n');
        for ([a, b, c, d, e], advice) in &lines {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{a:<result$}  {b:<case$}  {c:<account$}  {d:>milliseconds$}  {e}");
            if let Some(advice) = advice {
                let _ = writeln!(text, "{:result$}  do: {advice}", "");
            }
        }
        let _ = match self.failed() {
            0 => writeln!(text, "\nAll {} cases passed.", self.rows.len()),
            failed => writeln!(text, "\n{failed} of {} cases failed.", self.rows.len()),
        };
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(passed: bool, milliseconds: Option<u128>) -> Row {
        let advice = (!passed).then_some("look");
        Row { passed, case: "text", account: "wx1".to_owned(), came: "nothing".to_owned(), milliseconds, advice }
    }

    #[test]
    fn the_exit_status_says_whether_wechat_would_be_content() {
        let status = |rows| Report::of("it".to_owned(), rows).exit_code();
        assert_eq!(status(vec![row(true, None)]), 0);
        assert_eq!(status(vec![row(true, None), row(false, None)]), 1);
        assert_eq!(Report::nothing("why".to_owned()).exit_code(), 2);
    }

    #[test]
    fn the_columns_are_aligned_and_a_failure_says_what_to_do() {
        let report = Report::of("it".to_owned(), vec![row(true, Some(12)), row(false, None)]);
        let expected = "it\n\n\
                        \u{20}     case  account  ms  what came\n\
                        PASS  text  wx1      12  nothing\n\
                        FAIL  text  wx1          nothing\n\
                        \u{20}     do: look\n\n\
                        1 of 2 cases failed.\n";
        assert_eq!(report.text(), expected);
        assert_eq!(Report::nothing("why".to_owned()).text(), "why\n");
    }
}
