//! The budgets of the product, measured: `cargo bench --workspace`.
//!
//! One line a budget; the exit code is not zero where one does not hold. What is compared is measured in the same run,
//! by turns, and medians count. The programs are the real ones, built with the release profile; what they talk to are
//! the smallest stand-ins on loopback. Not part of CI: it takes minutes, and wants a machine that does nothing else.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement ends where it fails, and prints what it found"
)]

mod build;
mod cold_start;
mod http;
mod lambda;
mod platform;
mod push;
mod renewals;
mod report;
mod sizes;

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == renewals::ROLE) {
        if let Err(error) = renewals::serve_as_refresher() {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
        return ExitCode::SUCCESS;
    }
    let mut report = report::Report::default();
    push::measure(&mut report);
    cold_start::measure(&mut report);
    sizes::measure(&mut report);
    renewals::measure(&mut report);
    match report.failed() {
        0 => ExitCode::SUCCESS,
        failed => {
            println!("{failed} budgets do not hold");
            ExitCode::FAILURE
        }
    }
}
