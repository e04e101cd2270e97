//! The time from the start of a process to its first response, over plain HTTP and over TLS; and the cost of a push
//! once the process is warm.
//!
//! Lambda starts a function with more CPU than it gives it afterwards. So what is not done before it asks for its first
//! event is paid for at a fraction of a core. This is measured too, where a process can be confined.

use std::path::PathBuf;

use crate::build;
use crate::http::answer;
use crate::lambda::Function;
use crate::line::{Host, Line};
use crate::platform::{Aws, message_event, ticket_event};
use crate::report::{Report, median};
use crate::share::Share;
use crate::{accounts, console, messages, renewals};

/// Starts of each program, alternately, so that other load on the machine affects both.
const STARTS: u32 = 60;

/// Starts of each of the five programs over TLS.
const STARTS_OVER_TLS: u32 = 30;

/// Pushes to a warm function.
const PUSHES: u32 = 20;

/// The memory of the functions in `template.yaml`.
const MEMORY: u32 = 256;

/// The CPU time of ticket-push over TLS, in times that of a function that does nothing.
const CPU_OVER_TLS: f64 = 5.0;

/// Milliseconds from the first event of ticket-push to its response, with [`MEMORY`].
const FIRST_ANSWER: f64 = 12.0;

/// Due accounts in the refresher's first run: one in each shard.
const DUE: u32 = 4;

pub(crate) fn measure(report: &mut Report) {
    over_http(report);
    over_tls(report);
}

fn over_http(report: &mut Report) {
    let (nothing, ticket_push) = (build::nothing(), build::function("ticket-push"));
    let aws = Aws::start(|_, _| "{}".to_owned());
    let (variables, event) = (aws.variables(), ticket_event());

    let (mut bare, mut ours, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..STARTS {
        for (program, times) in [(&nothing, &mut bare), (&ticket_push, &mut ours)] {
            let function = Function::start(program, &[], &variables);
            let (answered, answer) = function.invoke(&event);
            times.push((answered - function.started()).as_secs_f64() * 1e3);
            if program == &ticket_push {
                assert!(answer.contains("\"body\":\"success\""), "{answer}");
                memory.push(function.peak_memory());
            }
        }
    }
    let (bare, ours) = (median(bare), median(ours));
    let note = format!("{ours:.2} ms to {bare:.2} ms of a function that does nothing");
    report.at_most("cold start of ticket-push", 3.0, ours / bare, "x", &note);
    report.at_most("peak memory of ticket-push", 12.0, median(memory), "MiB", "");

    let function = Function::start(&ticket_push, &[], &variables);
    function.invoke(&event);
    aws.counts.clear();
    for _ in 0..PUSHES {
        function.invoke(&event);
    }
    let per_push = |operations: &[&str]| {
        operations.iter().map(|operation| aws.counts.get(operation)).sum::<f64>() / f64::from(PUSHES)
    };
    let writes = per_push(&["UpdateItem", "PutItem", "TransactWriteItems"]);
    assert!(writes > 0.0, "a push is stored");
    report.at_most("one ticket push: writes", 1.0, writes, "", "");
    report.at_most("one ticket push: reads", 0.0, per_push(&["GetItem", "Query", "GetSecretValue"]), "", "");
}

/// A function, its environment and its first event.
struct Candidate {
    name: &'static str,
    program: PathBuf,
    variables: Vec<(&'static str, String)>,
    event: String,
    /// A part of its response.
    expected: &'static str,
    measured: Vec<Start>,
}

/// The times of one start, in seconds.
struct Start {
    /// The time until it asks for an event.
    init: f64,
    /// The CPU time until then.
    init_cpu: f64,
    /// The time from the first event to its response, confined.
    first: f64,
    /// CPU time of the first event, until the function asks for the next.
    first_cpu: f64,
}

impl Candidate {
    fn start_once(&mut self) {
        let share = Share::of_memory(MEMORY);
        let function = Function::start(&self.program, &[], &self.variables);
        let polled = function.await_poll();
        let init_cpu = function.cpu().as_secs_f64();
        if let Some(share) = &share {
            function.confine(share);
        }
        let begun = std::time::Instant::now();
        let (answered, answer) = function.invoke(&self.event);
        assert!(answer.contains(self.expected), "{}: {answer}", self.name);
        function.await_poll();
        let start = Start {
            init: (polled - function.started()).as_secs_f64(),
            init_cpu,
            first: (answered - begun).as_secs_f64(),
            first_cpu: function.cpu().as_secs_f64() - init_cpu,
        };
        self.measured.push(start);
    }

    fn median(&self, of: impl Fn(&Start) -> f64) -> f64 {
        median(self.measured.iter().map(of).collect()) * 1e3
    }

    fn cpu(&self) -> f64 {
        self.median(|start| start.init_cpu + start.first_cpu)
    }
}

fn over_tls(report: &mut Report) {
    let line = Line::encrypted();
    let (pushes, pages, looks, renewals) = (
        Aws::start_as(&line, messages::table),
        Aws::start_as(&line, accounts::table),
        Aws::start_as(&line, console::table),
        Aws::start_as(&line, |operation, request| renewals::table(DUE, operation, request)),
    );
    let token = renewals::authorizer_token();
    let wechat = line.serve(Host::Address, move |_| answer("200 OK", &[("content-type", "application/json")], &token));
    let candidate = |name, program, mut variables: Vec<_>, event: String, expected| {
        variables.push(("WECHAT_API_BASE_URL", line.url(Host::Address, wechat)));
        variables.push(("RUST_LOG", "error".to_owned()));
        Candidate { name, program, variables, event, expected, measured: Vec::new() }
    };
    let refresh = r#"{"task":"renew"}"#.to_owned();
    let mut candidates = [
        candidate("nothing", build::nothing(), pushes.variables(), ticket_event(), "wechat/events"),
        candidate(
            "ticket-push",
            build::function("ticket-push"),
            pushes.variables(),
            ticket_event(),
            "\"body\":\"success\"",
        ),
        candidate(
            "account-push",
            build::function("account-push"),
            pushes.variables(),
            message_event(),
            "\"statusCode\":200",
        ),
        candidate(
            "account-api",
            build::function("account-api"),
            pages.variables(),
            accounts::page_event(),
            "\"statusCode\":200",
        ),
        candidate(
            "token-refresher",
            build::function("token-refresher"),
            renewals.variables(),
            refresh,
            "\"renewed\":4",
        ),
        candidate(
            "console",
            build::function("console"),
            console::variables(&line, &looks),
            console::overview_event(),
            "\"statusCode\":200",
        ),
    ];
    for _ in 0..STARTS_OVER_TLS {
        for candidate in &mut candidates {
            candidate.start_once();
        }
    }
    let confined = Share::of_memory(MEMORY).is_some();
    for candidate in &candidates {
        println!(
            "      {:<20} over TLS: {:.2} ms of CPU to the first answer; asks for an event after {:.2} ms, {:.2} of them CPU; \
             first event {:.2} ms of CPU{}",
            candidate.name,
            candidate.cpu(),
            candidate.median(|start| start.init),
            candidate.median(|start| start.init_cpu),
            candidate.median(|start| start.first_cpu),
            if confined {
                format!(", answered after {:.1} ms with {MEMORY} MB", candidate.median(|start| start.first))
            } else {
                String::new()
            },
        );
    }
    let [nothing, ticket_push, ..] = &candidates;
    let note = format!("{:.2} ms to {:.2} ms of a function that does nothing", ticket_push.cpu(), nothing.cpu());
    report.at_most("... its CPU time over TLS", CPU_OVER_TLS, ticket_push.cpu() / nothing.cpu(), "x", &note);
    let what = format!("... its first answer over TLS, with {MEMORY} MB");
    if confined {
        report.at_most(&what, FIRST_ANSWER, ticket_push.median(|start| start.first), "ms", "");
    } else {
        Report::not_measured(&what, Share::NEEDS);
    }
}
