//! The cost of each job at each size of memory: the size determines the share of a core, and so how long a job is
//! billed. This is a table, not a budget: `template.yaml` has the sizes chosen from it, and `docs/performance.md` says
//! why.
//!
//! A job's waits in the cloud are longer than on loopback. They are added as assumed, in [`Job::waits`], and do not
//! depend on the memory.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use base::clock::{Clock as _, SystemClock};
use serde_json::json;
use stories::http_events::HttpEvent;

use crate::http::{Request, answer, serve};
use crate::lambda::Function;
use crate::platform::{Aws, message_event, ticket_event};
use crate::report::{Report, median};
use crate::share::Share;
use crate::{build, messages, renewals};

const SIZES: [u32; 4] = [128, 256, 512, 1024];

/// Events of a job before the measurement, and in it.
const WARM_UP: u32 = 3;
const EVENTS: u32 = 25;

/// Accounts that a run of the refresher renews.
const DUE: u32 = 64;

/// Dollars per GB-second on arm64, and per million requests: `docs/cost.md`.
const GB_SECOND: f64 = 0.000_013_333_4;
const MILLION_REQUESTS: f64 = 0.2;

/// The time of a write or a read of the table, an event for the bus, a call of WeChat's API: within the region, and to
/// WeChat.
const TABLE: Duration = Duration::from_millis(5);
const BUS: Duration = Duration::from_millis(15);
const WECHAT: Duration = Duration::from_millis(100);

struct Job {
    name: &'static str,
    program: PathBuf,
    variables: Vec<(&'static str, String)>,
    event: String,
    /// A part of the answer.
    expected: &'static str,
    /// The time that it waits in the cloud.
    waits: Duration,
}

pub(crate) fn measure(_: &mut Report) {
    if Share::of_memory(SIZES[0]).is_none() {
        Report::not_measured("price by size of memory", Share::NEEDS);
        return;
    }
    let (pushes, renewals) =
        (Aws::start(messages_and_links), Aws::start(|operation, request| renewals::table(DUE, operation, request)));
    let jobs = [
        job("a push", "ticket-push", &pushes, ticket_event(), "success", TABLE),
        job("a message", "account-push", &pushes, message_event(), "\"statusCode\":200", TABLE + BUS),
        job("a page", "preauth-link", &pushes, page_event(), "\"statusCode\":200", TABLE),
        // A lease and a write for each account, all at once, and the queries of the index one after the other.
        job(
            "a run that renews 64",
            "token-refresher",
            &renewals,
            r#"{"task":"renew"}"#.to_owned(),
            "\"renewed\":64",
            WECHAT + 12 * TABLE,
        ),
    ];
    println!("job                        MB  CPU ms  answered ms  billed ms  $ a million");
    for job in &jobs {
        for mb in SIZES {
            job.run(mb);
        }
    }
}

fn job(name: &'static str, function: &str, aws: &Aws, event: String, expected: &'static str, waits: Duration) -> Job {
    let token = renewals::authorizer_token();
    let wechat = serve(move |_| answer("200 OK", &[("content-type", "application/json")], &token));
    let mut variables = aws.variables();
    variables.push(("WECHAT_API_BASE_URL", format!("http://{wechat}")));
    Job { name, program: build::function(function), variables, event, expected, waits }
}

impl Job {
    fn run(&self, mb: u32) {
        let share = Share::of_memory(mb).expect("one was made before");
        let function = Function::start(&self.program, &[], &self.variables);
        function.await_poll();
        let once = || {
            let begun = Instant::now();
            let (answered, answer) = function.invoke(&self.event);
            assert!(answer.contains(self.expected), "{}: {answer}", self.name);
            function.await_poll();
            (answered - begun).as_secs_f64() * 1e3
        };
        for _ in 0..WARM_UP {
            once();
        }
        function.confine(&share);
        let before = function.cpu();
        let answered = median((0..EVENTS).map(|_| once()).collect());
        let cpu = function.cpu().saturating_sub(before).as_secs_f64() * 1e3 / f64::from(EVENTS);
        let billed = (answered + self.waits.as_secs_f64() * 1e3).ceil();
        let price = billed * 1e3 * f64::from(mb) / 1024.0 * GB_SECOND + MILLION_REQUESTS;
        println!("{:<24} {mb:>5} {cpu:>7.2} {answered:>12.1} {billed:>10.0} {price:>12.2}", self.name);
    }
}

/// The table of [`messages`], and a link that can be followed.
fn messages_and_links(operation: &str, request: &Request) -> String {
    if operation == "GetItem" && String::from_utf8_lossy(&request.body).contains("#link#") {
        let in_a_day = SystemClock.now().plus(Duration::from_hours(24)).unix();
        let item =
            json!({ "auth_type": { "N": "3" }, "mints": { "N": "0" }, "valid_until": { "N": in_a_day.to_string() } });
        return json!({ "Item": item }).to_string();
    }
    messages::table(operation, request)
}

/// A merchant's browser, at a link.
fn page_event() -> String {
    HttpEvent::new("GET", "/authorize/demo-link-00000000000A")
        .route("/authorize/{link_id}")
        .header("accept-language", "zh-CN,zh;q=0.9")
        .build()
        .to_string()
}
