//! A function's process as Lambda starts it, and the Runtime API that it polls.
//!
//! The measurement begins before the process exists and ends when its response is in. A process gets one event after
//! another; between them it waits in `next`, which is when its peak memory is read.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base::clock::{Clock as _, SystemClock};

use crate::http::{Request, answer, serve};
use crate::share::Share;

/// Longer than any measurement takes: the refresher stops 10 s before it.
pub(crate) const DEADLINE: Duration = Duration::from_mins(14);

/// A running function.
pub(crate) struct Function {
    child: Child,
    started: Instant,
    events: Sender<String>,
    answers: Receiver<(Instant, String)>,
    polls: Receiver<Instant>,
}

impl Function {
    /// Starts a program with these variables and those that Lambda sets.
    pub(crate) fn start(program: &Path, arguments: &[&str], variables: &[(&str, String)]) -> Self {
        let (events, queue) = channel();
        let (report, answers) = channel();
        let (poll, polls) = channel();
        let runtime_api = runtime_api(queue, report, poll);
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", runtime_api.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "budget")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/budget")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]0")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "made-up")
            .env("AWS_SESSION_TOKEN", "made-up")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let started = Instant::now();
        let child = command.spawn().expect("the program starts");
        Self { child, started, events, answers, polls }
    }

    /// Sends an event and waits for its response: when it came, and what it is.
    pub(crate) fn invoke(&self, event: &str) -> (Instant, String) {
        self.events.send(event.to_owned()).expect("the Runtime API runs");
        self.answers.recv_timeout(DEADLINE).expect("the function answers")
    }

    /// Waits until the process asks for its next event, and returns when it did. Must be called once before each event,
    /// or never.
    pub(crate) fn await_poll(&self) -> Instant {
        self.polls.recv_timeout(DEADLINE).expect("the function asks for an event")
    }

    /// Limits the process to a share of a core from now on.
    pub(crate) fn confine(&self, share: &Share) {
        share.hold(self.child.id());
    }

    /// The CPU time of all threads of the process so far. Exact while it waits for an event.
    pub(crate) fn cpu(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        let spent = |thread: PathBuf| {
            let line = std::fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
            line.split_whitespace().next().and_then(|nanoseconds| nanoseconds.parse().ok()).map(Duration::from_nanos)
        };
        threads.flatten().filter_map(|thread| spent(thread.path())).sum()
    }

    /// When the process was started.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// The most memory the process ever held, in MiB.
    pub(crate) fn peak_memory(&self) -> f64 {
        stories::process::peak_memory(&self.child.id().to_string())
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn runtime_api(queue: Receiver<String>, report: Sender<(Instant, String)>, poll: Sender<Instant>) -> SocketAddr {
    let queue = Arc::new(Mutex::new(queue));
    serve(move |request: &Request| {
        let path = request.path();
        if path.ends_with("/invocation/next") {
            if poll.send(Instant::now()).is_err() {
                return answer("410 Gone", &[], "");
            }
            let event = queue.lock().expect("nobody panics").recv();
            // The measurement is over: the process is about to be killed.
            let Ok(event) = event else { return answer("410 Gone", &[], "") };
            let deadline = SystemClock.now().plus(DEADLINE).unix() * 1000;
            let headers = [
                ("content-type", "application/json"),
                ("lambda-runtime-aws-request-id", "00000000-0000-4000-8000-000000000001"),
                ("lambda-runtime-deadline-ms", &deadline.to_string()),
                ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:budget"),
                ("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000;Sampled=0"),
            ];
            return answer("200 OK", &headers, &event);
        }
        let failed = if path.ends_with("/response") { "" } else { "failed: " };
        let text = format!("{failed}{}", String::from_utf8_lossy(&request.body));
        drop(report.send((Instant::now(), text)));
        answer("202 Accepted", &[], "")
    })
}
