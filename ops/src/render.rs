//! A diagnosis as text: a line for each finding, what to do below it, and the verdict at the end.
//!
//! The text is suitable for a pipe: colours are optional and only on the marks.

use std::fmt::Write as _;

use crate::finding::{Diagnosis, Verdict};

/// As wide as the longest mark.
const MARK: usize = 7;

/// As wide as the longest name of a check.
const CHECK: usize = 16;

/// The text, with a line feed at the end.
#[must_use]
pub fn text(diagnosis: &Diagnosis, colours: bool) -> String {
    let mut text = format!("{}\n\n", diagnosis.subject);
    for finding in &diagnosis.findings {
        let (mark, colour) = match finding.verdict {
            Verdict::Ok => ("ok", "\u{1b}[32m"),
            Verdict::Skipped => ("skipped", "\u{1b}[36m"),
            Verdict::Unknown => ("unknown", "\u{1b}[36m"),
            Verdict::Warning => ("warning", "\u{1b}[33m"),
            Verdict::Wrong => ("WRONG", "\u{1b}[31m"),
        };
        let mark = format!("{mark:<MARK$}");
        let mark = if colours { format!("{colour}{mark}\u{1b}[0m") } else { mark };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{mark}  {:<CHECK$}  {}", finding.check, finding.sentence);
        if let Some(advice) = &finding.advice {
            let _ = writeln!(text, "{:width$}do: {advice}", "", width = MARK + CHECK + 4);
        }
    }
    let _ = writeln!(text, "\n{}", verdict(diagnosis));
    text
}

fn verdict(diagnosis: &Diagnosis) -> String {
    let warnings = match diagnosis.count(Verdict::Warning) {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        many => format!(", {many} warnings"),
    };
    match diagnosis.count(Verdict::Wrong) {
        _ if !diagnosis.examined => "It could not be examined.".to_owned(),
        0 => format!("All is well{warnings}."),
        1 => format!("1 thing is wrong{warnings}."),
        many => format!("{many} things are wrong{warnings}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Finding;

    fn diagnosis() -> Diagnosis {
        let findings = vec![
            Finding::ok("table", "it is there"),
            Finding::warning("inbox", "2 wait", "wait"),
            Finding::wrong("ticket", "there is none", "look"),
        ];
        Diagnosis { subject: "stack wechat".to_owned(), findings, examined: true }
    }

    #[test]
    fn a_pipe_gets_plain_lines_and_what_to_do_below_each() {
        let expected = "stack wechat\n\n\
                        ok       table             it is there\n\
                        warning  inbox             2 wait\n\
                        \u{20}                          do: wait\n\
                        WRONG    ticket            there is none\n\
                        \u{20}                          do: look\n\n\
                        1 thing is wrong, 1 warning.\n";
        assert_eq!(text(&diagnosis(), false), expected);
    }

    #[test]
    fn colours_are_on_the_marks_only() {
        let coloured = text(&diagnosis(), true);
        assert!(coloured.contains("\u{1b}[31mWRONG  \u{1b}[0m  ticket"), "{coloured}");
        let plain = ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[0m"];
        assert_eq!(plain.iter().fold(coloured, |text, code| text.replace(code, "")), text(&diagnosis(), false));
    }
}
