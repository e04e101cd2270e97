//! `cargo run`: the whole platform on this machine, with WeChat simulated next to it.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use local::args::Args;
use local::error_text;
use local::system::System;
use local::welcome;
use runtime::config::{Environment as _, ProcessEnvironment};
use runtime::telemetry;

/// The log level unless `RUST_LOG` sets another.
const LOGS: &str = "info";

/// How long anything that still runs may take when the user ends the program.
const END: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let args = Args::parse();
    telemetry::init_readable_logs(Some(ProcessEnvironment.get("RUST_LOG").as_deref().unwrap_or(LOGS)));
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let mut system = System::start(args, &ProcessEnvironment).await?;
        let asked_to_end = asked_to_end()?;
        say(&welcome::text(&system).await?);
        tokio::select! {
            () = system.run() => anyhow::bail!("a part of the system stopped; the log above says why"),
            () = asked_to_end => Ok(()),
        }
    });
    runtime.shutdown_timeout(END);
    ended
}

/// Resolves with Ctrl-C, or the signal that containers and service managers send. Both are handled from the call on.
#[cfg(unix)]
fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(windows)]
fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}

#[expect(clippy::print_stdout, reason = "the welcome is what the program is started for")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "the reason why nothing runs belongs on the terminal, not in a log format")]
fn complain(error: &anyhow::Error) {
    eprintln!("{}", error_text::sentence(error));
}
