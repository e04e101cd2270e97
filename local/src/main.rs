//! `cargo run`: the whole platform on this machine, with WeChat simulated beside it.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use local::args::Args;
use local::system::System;
use local::welcome;
use shared::config::{Environment as _, ProcessEnvironment};
use shared::telemetry;

/// What is still running when the user ends the program gets this long.
const END: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let args = Args::parse();
    telemetry::init_readable_logs(ProcessEnvironment.get("RUST_LOG").as_deref());
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
        say(&welcome::text(&system).await?);
        tokio::select! {
            () = system.run() => anyhow::bail!("a part of the system stopped; the log above says why"),
            ended = tokio::signal::ctrl_c() => Ok(ended?),
        }
    });
    runtime.shutdown_timeout(END);
    ended
}

#[expect(clippy::print_stdout, reason = "the welcome is what the program is started for")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "the reason why nothing runs belongs on the terminal, not in a log format")]
fn complain(error: &anyhow::Error) {
    eprintln!("{error:#}");
}
