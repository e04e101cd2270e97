//! The budgets of the product, measured: `cargo bench --workspace`. One part, by the names below: `cargo bench -p
//! stories -- messages`.
//!
//! Prints one line per budget, except for `peers`, which compares and promises nothing; the exit code is not zero if a
//! budget is exceeded. Compared figures are measured in the same run, alternately, as medians. The programs are the
//! real ones, built with the release profile; the services that they call are minimal replacements on loopback. Not
//! part of CI: it takes minutes, and needs a machine that does nothing else.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement ends where it fails, and prints its results"
)]

mod accounts;
mod build;
mod calls;
mod cold_start;
mod console;
mod http;
mod keys;
mod lambda;
mod line;
mod logins;
mod memory;
mod messages;
mod peers;
mod platform;
mod push;
mod renewals;
mod report;
mod share;
mod sizes;

use std::process::ExitCode;

use crate::report::Report;

/// A part, by name.
type Part = (&'static str, fn(&mut Report));

const PARTS: [Part; 12] = [
    ("push", push::measure),
    ("cold_start", cold_start::measure),
    ("memory", memory::measure),
    ("messages", messages::measure),
    ("accounts", accounts::measure),
    ("console", console::measure),
    ("calls", calls::measure),
    ("keys", keys::measure),
    ("logins", logins::measure),
    ("sizes", sizes::measure),
    ("renewals", renewals::measure),
    ("peers", peers::measure),
];

fn main() -> ExitCode {
    // Cargo passes `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let played = match arguments.first().map(String::as_str) {
        Some(renewals::ROLE) => Some(renewals::serve_as_refresher()),
        Some(messages::ROLE) => Some(messages::serve_as_account_push()),
        _ => None,
    };
    if let Some(ended) = played {
        if let Err(error) = ended {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
        return ExitCode::SUCCESS;
    }
    let mut report = Report::default();
    for (name, measure) in PARTS {
        if arguments.is_empty() || arguments.iter().any(|wanted| wanted == name) {
            measure(&mut report);
        }
    }
    match report.failed() {
        0 => ExitCode::SUCCESS,
        failed => {
            println!("{failed} budgets do not hold");
            ExitCode::FAILURE
        }
    }
}
