//! The log of a story's functions, in this process and in those that it starts.
//!
//! A log belongs to a process, and `cargo test` runs many stories in one. They share one global subscriber, the
//! product's own at `trace`, whose lines go to the worlds that were opened on the writing thread: a story's runtime has
//! one thread only, and everything that the functions do is done there. A subscriber per thread would not work: a call
//! site that a thread without one reaches first is disabled for all.

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Mutex, Once, Weak};

use serde_json::Value;
use tokio::runtime::{Handle, RuntimeFlavor};
use tracing_subscriber::fmt::MakeWriter;

use crate::process::Process;

type Bytes = Arc<Mutex<Vec<u8>>>;

thread_local! {
    /// The logs of the worlds of this thread.
    static OPEN: RefCell<Vec<Weak<Mutex<Vec<u8>>>>> = const { RefCell::new(Vec::new()) };
}

/// The log of a story, and the story's expectations of it; clones share it.
#[derive(Debug, Clone)]
pub struct StoryLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lines: Bytes,
    /// Whether everything was logged on one thread.
    is_whole: bool,
    processes: Mutex<Vec<Bytes>>,
    expected: Mutex<Vec<Expected>>,
}

/// A text that a line of the level `error` is expected to contain.
#[derive(Debug)]
struct Expected {
    part: String,
    has_to_come: bool,
}

impl StoryLog {
    /// Records what this thread logs from now on, as a deployed function with `RUST_LOG=trace` would print it.
    pub(crate) fn open() -> Self {
        static GLOBAL: Once = Once::new();
        GLOBAL.call_once(|| {
            let subscriber = runtime::telemetry::subscriber(Some("trace"), ToThread);
            tracing::subscriber::set_global_default(subscriber).expect("nothing logs in this process yet");
        });
        let lines = Bytes::default();
        OPEN.with_borrow_mut(|open| {
            open.retain(|lines| lines.strong_count() > 0);
            open.push(Arc::downgrade(&lines));
        });
        let is_whole = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
        Self(Arc::new(Inner { lines, is_whole, processes: Mutex::default(), expected: Mutex::default() }))
    }

    /// Records the output of a process as well.
    pub(crate) fn include(&self, process: &Process) {
        self.0.processes.lock().unwrap().push(process.output_so_far());
    }

    /// Expects a line of the level `error` that contains `part`, any number of times, and at least once if it
    /// `has_to_come`.
    pub(crate) fn expect_error(&self, part: &str, has_to_come: bool) {
        self.0.expected.lock().unwrap().push(Expected { part: part.to_owned(), has_to_come });
    }

    /// Everything so far, including the processes' output.
    #[must_use]
    pub fn text(&self) -> String {
        let processes = self.0.processes.lock().unwrap();
        let texts = std::iter::once(&self.0.lines).chain(&*processes);
        texts.map(|bytes| String::from_utf8_lossy(&bytes.lock().unwrap()).into_owned()).collect()
    }

    /// The lines of the level `error` that were not expected, and the expectations that were not fulfilled.
    pub(crate) fn surprises(&self) -> Vec<String> {
        let expected = self.0.expected.lock().unwrap();
        let text = self.text();
        let errors: Vec<&str> = text.lines().filter(|line| is_error(line)).collect();
        let unexpected = errors.iter().filter(|line| !expected.iter().any(|expected| line.contains(&expected.part)));
        let is_missing = |part: &str| !errors.iter().any(|line| line.contains(part));
        let missing = expected.iter().filter(|expected| expected.has_to_come && is_missing(&expected.part));
        let unexpected = unexpected.map(|line| format!("an unexpected error was logged: {line}"));
        let missed = (!self.0.is_whole).then(|| "lines are missed: the runtime has several threads".to_owned());
        let missing = missing.map(|expected| format!("no error was logged with {:?}", expected.part));
        unexpected.chain(missing).chain(missed).collect()
    }
}

/// The SDK complains here that a failed response came over no connection: those of [`crate::faults`] do not.
const OF_OUR_FAULTS: &str = "aws_smithy_runtime::client::http::connection_poisoning";

/// Whether a line of the log, or of a process's output, is of the level `error`.
fn is_error(line: &str) -> bool {
    let is_error = |line: Value| line["level"] == "ERROR" && line["target"] != OF_OUR_FAULTS;
    line.contains("ERROR") && serde_json::from_str(line).is_ok_and(is_error)
}

/// The writer of the global subscriber.
struct ToThread;

/// One line, for the worlds of the thread it is written on.
struct Line(Vec<Bytes>);

impl MakeWriter<'_> for ToThread {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        // What is logged while a thread ends belongs to no story.
        let open = OPEN.try_with(|open| open.borrow().iter().filter_map(Weak::upgrade).collect());
        Line(open.unwrap_or_default())
    }
}

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for lines in &self.0 {
            lines.lock().unwrap().extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
