//! `cargo run`: the whole platform on this machine, with WeChat simulated beside it.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use clap::Parser as _;
use local::account;
use local::args::{Args, Command, CopyTableArgs, DoctorArgs, ReleaseCheckArgs};
use local::complaint;
use local::copy_table;
use local::doctor;
use local::release_check;
use local::system::System;
use local::welcome;
use runtime::config::{Environment as _, ProcessEnvironment};
use runtime::telemetry;

/// What is logged unless `RUST_LOG` says otherwise.
const LOGS: &str = "info";

/// A command says itself what it found or did.
const COMMAND_LOGS: &str = "off";

/// What is still running when the user ends the program gets this long.
const END: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let args = Args::parse();
    let logs = if args.command.is_some() { COMMAND_LOGS } else { LOGS };
    telemetry::init_readable_logs(Some(ProcessEnvironment.get("RUST_LOG").as_deref().unwrap_or(logs)));
    let ended = match &args.command {
        Some(Command::Doctor(options)) => examine(options),
        Some(Command::ReleaseCheck(options)) => check(options),
        Some(Command::CopyTable(options)) => copy(options).map(|()| ExitCode::SUCCESS),
        None => run(&args).map(|()| ExitCode::SUCCESS),
    };
    ended.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::FAILURE
    })
}

fn examine(options: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let diagnosis = runtime.block_on(doctor::examine(options, &ProcessEnvironment));
    // A look-up of a name cannot be cancelled and may hang in a thread.
    runtime.shutdown_background();
    let colours = io::stdout().is_terminal() && ProcessEnvironment.get("NO_COLOR").is_none();
    say(doctor::render::text(&diagnosis, colours).trim_end());
    Ok(diagnosis.exit_code().into())
}

fn check(options: &ReleaseCheckArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(release_check::check(options));
    say(report.text().trim_end());
    Ok(report.exit_code().into())
}

fn copy(options: &CopyTableArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        let config = account::load(options.region.as_deref(), options.profile.as_deref()).await;
        account::check(&config).await.map_err(|unusable| anyhow!("{unusable}: {}", unusable.advice()))?;
        anyhow::Ok(copy_table::copy(&copy_table::client(&config), &options.from, &options.to).await?)
    })?;
    say(&format!("{} items copied, {} were in {} already", done.copied, done.kept, options.to));
    Ok(())
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

/// Ends with Ctrl-C, or what containers and service managers send. Both are listened for from the call on.
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
    eprintln!("{}", complaint::sentence(error));
}
