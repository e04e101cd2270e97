//! The operators' tool: `cargo ops`, or `ops` in a release.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use ops::args::{Args, Command, CopyTableArgs};
use ops::domains::Outcome;
use ops::finding::Diagnosis;
use ops::keys::Printed;
use ops::{account, copy_table, doctor, domains, keys, operators, release_check, render};
use runtime::config::{Environment as _, ProcessEnvironment};

fn main() -> ExitCode {
    let args = Args::of_process(&ProcessEnvironment);
    let ended = tokio::runtime::Builder::new_current_thread().enable_all().build().and_then(|runtime| {
        let ended = runtime.block_on(run(&args.command));
        // A DNS look-up cannot be cancelled and may hang in a thread.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(code) => code,
        // The reader has closed the pipe, as with `| head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "{error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(command: &Command) -> io::Result<ExitCode> {
    match command {
        Command::Doctor(options) => show(&doctor::examine(options, &ProcessEnvironment).await),
        Command::ReleaseCheck(options) => show(&release_check::check(options, &ProcessEnvironment).await),
        Command::CopyTable(options) => copy(options).await,
        Command::Domains(options) => {
            match domains::run(&options.command, &ProcessEnvironment).await.map_err(io::Error::other)? {
                Outcome::Text(text) => write!(io::stdout(), "{text}").map(|()| ExitCode::SUCCESS),
                Outcome::Diagnosis(diagnosis) => show(&diagnosis),
            }
        }
        Command::Keys(options) => {
            print(&keys::run(&options.command, &ProcessEnvironment).await.map_err(io::Error::other)?)
        }
        Command::Operators(options) => {
            print(&operators::run(&options.command, &ProcessEnvironment).await.map_err(io::Error::other)?)
        }
    }
}

fn print(printed: &Printed) -> io::Result<ExitCode> {
    // A key or an invitation cannot be shown again: it is written before anything else can fail.
    write!(io::stdout(), "{}", printed.output)?;
    write!(io::stderr(), "{}", printed.note).map(|()| ExitCode::SUCCESS)
}

fn show(diagnosis: &Diagnosis) -> io::Result<ExitCode> {
    let colours = io::stdout().is_terminal() && ProcessEnvironment.get("NO_COLOR").is_none();
    let code = diagnosis.exit_code().into();
    match write!(io::stdout(), "{}", render::text(diagnosis, colours)) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        // The exit status is the same, however much of the text was read.
        _ => Ok(code),
    }
}

async fn copy(options: &CopyTableArgs) -> io::Result<ExitCode> {
    let config = account::load(options.region.as_deref(), options.profile.as_deref()).await;
    account::check(&config, options.profile.as_deref())
        .await
        .map_err(|error| io::Error::other(format!("{error}: {}", error.advice())))?;
    let client = copy_table::client(&config);
    let done = copy_table::copy(&client, &options.from, &options.to).await.map_err(io::Error::other)?;
    writeln!(io::stdout(), "{} items copied, {} were in {} already", done.copied, done.kept, options.to)?;
    Ok(ExitCode::SUCCESS)
}
