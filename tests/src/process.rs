//! Real processes: started, watched, killed.
//!
//! A child gets exactly the variables that it is given, so that nothing of the developer's AWS set-up reaches it. All
//! its output is kept, to be searched for secrets. Waits poll until a deadline; none is a fixed sleep.

use std::ffi::OsStr;
use std::io::{Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The pause between two polls.
const LOOK: Duration = Duration::from_millis(5);

/// Waits until `condition` holds.
pub async fn eventually(what: &str, within: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {within:?} in vain: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// A program of this machine, for tests that are ignored because it may be missing.
#[must_use]
pub fn on_the_path(name: &str) -> PathBuf {
    let path = variable("PATH");
    let mut programs = std::env::split_paths(&path).map(|folder| folder.join(name));
    programs.find(|program| program.is_file()).unwrap_or_else(|| panic!("{name} is not on the PATH"))
}

/// A variable of the developer's machine; empty if it is not set.
#[expect(clippy::disallowed_methods, reason = "finds a program of the developer's machine: no setting of the product")]
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// The most memory that a process has ever held, in MiB: `process` is its number, or `self`.
#[must_use]
pub fn peak_memory(process: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs, on Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux reports it");
    let kib: u32 = line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number of KiB");
    f64::from(kib) / 1024.0
}

/// A running child process. Dropping the value kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts a program with these arguments and only these variables.
    #[must_use]
    pub fn start<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        arguments: &[&str],
        environment: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let mut command = Command::new(program);
        Self::spawn(command.args(arguments).env_clear().envs(environment).stdin(Stdio::null()))
    }

    /// The same, for a program that reads [lines](Self::say).
    #[must_use]
    pub fn start_and_talk<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        arguments: &[&str],
        environment: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let mut command = Command::new(program);
        Self::spawn(command.args(arguments).env_clear().envs(environment).stdin(Stdio::piped()))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let output = Arc::default();
        let readers = vec![
            keep(child.stdout.take().expect("it is piped"), &output),
            keep(child.stderr.take().expect("it is piped"), &output),
        ];
        Self { child, output, readers }
    }

    /// Writes a line to its standard input.
    pub fn say(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("the program was started to be talked to");
        writeln!(input, "{line}").expect("the program reads");
    }

    /// Standard output and standard error so far.
    #[must_use]
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.output.lock().unwrap()).into_owned()
    }

    /// The output, which grows as the process continues.
    pub(crate) fn output_so_far(&self) -> Arc<Mutex<Vec<u8>>> {
        Arc::clone(&self.output)
    }

    /// Waits until the output contains `text`.
    pub async fn wait_for_output(&mut self, text: &str, within: Duration) {
        let deadline = Instant::now() + within;
        loop {
            let ended = self.child.try_wait().expect("the child can be asked").is_some();
            if ended {
                self.join_readers();
            }
            if self.output().contains(text) {
                return;
            }
            assert!(!ended && Instant::now() < deadline, "no {text:?} within {within:?} in:\n{}", self.output());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until the process has ended on its own; its output is complete then.
    pub async fn wait_for_end(&mut self, within: Duration) -> ExitStatus {
        let mut status = None;
        eventually("the process ends", within, || {
            status = self.child.try_wait().expect("the child can be asked");
            status.is_some()
        })
        .await;
        self.join_readers();
        status.expect("it has ended")
    }

    /// Kills it at once, as `kill -9` does, and waits until it is gone; its output is complete then.
    pub fn kill(&mut self) {
        // It fails only if the process is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
        self.join_readers();
    }

    /// Stops it, as Lambda does between two events.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Continues it.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("/bin/sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(sent.expect("there is a shell").success(), "the process is there");
    }

    fn join_readers(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().expect("reading output does not panic");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Moves everything from a pipe into the output, until the process closes it.
fn keep(mut pipe: impl Read + Send + 'static, output: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = pipe.read(&mut piece) {
            output.lock().unwrap().extend_from_slice(&piece[..length]);
        }
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Process {
        Process::start("/bin/sh", &["-c", script], [("GREETING", "hello")])
    }

    #[tokio::test]
    async fn both_streams_are_kept_and_only_the_given_variables_are_there() {
        let mut process = shell("echo $GREETING; echo oops >&2; echo home=$HOME.; exit 3");
        let status = process.wait_for_end(SOON).await;
        assert_eq!(status.code(), Some(3));
        for line in ["hello\n", "oops\n", "home=.\n"] {
            assert!(process.output().contains(line), "{}", process.output());
        }
    }

    #[tokio::test]
    async fn a_process_reads_what_it_is_told() {
        let mut process = Process::start_and_talk("/bin/cat", &[], [("GREETING", "hello")]);
        process.say("good morning");
        process.wait_for_output("good morning\n", SOON).await;
    }

    #[tokio::test]
    async fn a_killed_process_is_gone_and_what_it_said_stays() {
        let mut process = shell("echo ready; read forever < /dev/zero");
        process.wait_for_output("ready", SOON).await;
        process.kill();
        assert!(process.child.try_wait().unwrap().is_some());
        assert_eq!(process.output(), "ready\n");
    }

    #[tokio::test]
    #[should_panic(expected = "no \"ready\"")]
    async fn waiting_for_output_ends_with_the_process() {
        shell("echo failed").wait_for_output("ready", SOON).await;
    }

    #[tokio::test]
    #[should_panic(expected = "in vain: the impossible")]
    async fn waits_are_bounded() {
        eventually("the impossible", Duration::from_millis(20), || false).await;
    }
}
