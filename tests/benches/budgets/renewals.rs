//! The refresher with 1,000, 10,000 and 100,000 due accounts, with WeChat at 100 ms per call.
//!
//! The process under test is the refresher as a Lambda bootstrap, except for its cap on calls per second, which spares
//! WeChat and would hide what the refresher can do. So it is built here, from the function's library, and this program
//! starts itself with [`ROLE`] to act as it. The table returns items of a fixed shape.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base::clock::{Clock as _, SystemClock};
use base::limits::Limits;
use lambda_runtime::{LambdaEvent, service_fn};
use platform::bus::Bus;
use platform::services::Services;
use runtime::aws;
use runtime::config::{Origin, ProcessEnvironment};
use serde_json::{Value, json};
use token_refresher::{Refresher, Settings, Targets, Task};

use crate::http::{Request, answer, serve};
use crate::lambda::{DEADLINE, Function};
use crate::platform::{Aws, COMPONENT};
use crate::report::{Report, median};

/// The argument that makes this program act as the refresher.
pub(crate) const ROLE: &str = "refresher";

/// The time that WeChat takes for a call.
const CALL: Duration = Duration::from_millis(100);

/// Renewals in progress at once: the function's own setting.
const WINDOW: u32 = 64;

/// The shards of the index of due accounts.
const SHARDS: u32 = 4;

/// Writes with which the table's own speed is measured.
const PROBES: u32 = 500;

/// The refresher without its rate limit, polling for events as in the cloud.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn serve_as_refresher() -> Result<(), lambda_runtime::Error> {
    let limits = Limits::background();
    let aws = aws::config().await;
    let services = Services::on(&aws, &ProcessEnvironment, limits)?;
    // Nothing is published here.
    let targets = Targets {
        bus: Bus::new(aws::event_bus_client(&aws, &limits), "none"),
        webhook: None,
        public_base: Origin::parse("https://auth.example.com")?,
    };
    let settings = Settings { per_second: u32::MAX, ..Settings::default() };
    let refresher = Arc::new(Refresher::new(services, targets, settings));
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let refresher = Arc::clone(&refresher);
        async move {
            let task = Task::parse(event.payload)?;
            let deadline = tokio::time::Instant::now() + DEADLINE;
            Ok::<_, lambda_runtime::Error>(refresher.run(&task, deadline).await?)
        }
    }))
    .await
}

/// The result of one run.
struct Run {
    accounts: u32,
    per_second: f64,
    /// The time that WeChat took for a call, on average, in seconds.
    call: f64,
    /// The time of a write of the table, in seconds.
    write: f64,
    memory: f64,
    writes: f64,
    reads: f64,
    queries: f64,
}

pub(crate) fn measure(report: &mut Report) {
    let runs = [1_000, 10_000, 100_000].map(run);
    let [small, medium, large] = &runs;

    let ideal = f64::from(WINDOW) / 2.0_f64.mul_add(large.write, large.call);
    let note = format!("of {ideal:.0} a second; with 10,000 accounts {:.0} a second", medium.per_second);
    report.at_least("renewals a second, 100,000 accounts, 64 in flight", 0.85 * ideal, large.per_second, "", &note);
    let note = format!("1,000: {:.1}, 10,000: {:.1}, 100,000: {:.1}", small.memory, medium.memory, large.memory);
    report.at_most("peak memory with 100,000 accounts", 64.0, large.memory, "MiB", &note);
    report.at_most("... to that with 1,000", 1.25, large.memory / small.memory, "x", "");

    // The difference of two runs eliminates what a run costs in addition to its renewals.
    let renewed = f64::from(medium.accounts - small.accounts);
    let note = format!("and {:.4} queries of the index", (medium.queries - small.queries) / renewed);
    report.at_most("one renewal: writes", 2.0, (medium.writes - small.writes) / renewed, "", "");
    report.at_most("one renewal: reads", 0.0, (medium.reads - small.reads) / renewed, "", &note);
}

fn run(accounts: u32) -> Run {
    let aws = Aws::start(move |operation, request| table(accounts, operation, request));
    let (spent, calls) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (spent_there, calls_there) = (Arc::clone(&spent), Arc::clone(&calls));
    let wechat = serve(move |_| {
        let begun = Instant::now();
        std::thread::sleep(CALL);
        let answer = answer("200 OK", &[("content-type", "application/json")], &authorizer_token());
        spent_there.fetch_add(u64::try_from(begun.elapsed().as_micros()).unwrap_or(0), Ordering::Relaxed);
        calls_there.fetch_add(1, Ordering::Relaxed);
        answer
    });
    let write = median((0..PROBES).map(|_| write_once(&aws)).collect());
    aws.counts.clear();

    let mut variables = aws.variables();
    variables.push(("WECHAT_API_BASE_URL", format!("http://{wechat}")));
    variables.push(("RUST_LOG", "error".to_owned()));
    let this = std::env::current_exe().expect("it runs");
    let function = Function::start(&this, &[ROLE], &variables);
    let begun = Instant::now();
    let (ended, answer) = function.invoke(r#"{"task":"renew"}"#);
    let renewed = serde_json::from_str::<Value>(&answer).map(|report| report["renewed"] == accounts);
    assert!(renewed.unwrap_or(false), "{accounts} accounts were due: {answer}");
    let calls = f64::from(u32::try_from(calls.load(Ordering::Relaxed)).unwrap_or(u32::MAX));
    let spent = Duration::from_micros(spent.load(Ordering::Relaxed));
    Run {
        accounts,
        per_second: f64::from(accounts) / (ended - begun).as_secs_f64(),
        call: spent.as_secs_f64() / calls,
        write,
        memory: function.peak_memory(),
        writes: aws.counts.get("UpdateItem"),
        reads: aws.counts.get("GetItem"),
        queries: aws.counts.get("Query"),
    }
}

/// WeChat's response to a renewal.
pub(crate) fn authorizer_token() -> String {
    let token = json!({
        "authorizer_access_token": "a".repeat(136),
        "expires_in": 7200,
        "authorizer_refresh_token": "refreshtoken@@@".to_owned() + &"r".repeat(43),
    });
    token.to_string()
}

/// Seconds for the response to a write on an open connection.
fn write_once(aws: &Aws) -> f64 {
    let mut connection = TcpStream::connect(aws.dynamodb).expect("it listens");
    let request = "POST / HTTP/1.1\r\nx-amz-target: DynamoDB_20120810.UpdateItem\r\ncontent-length: 2\r\n\r\n{}";
    let mut once = || {
        let begun = Instant::now();
        connection.write_all(request.as_bytes()).expect("it reads");
        assert!(connection.read(&mut [0; 4096]).expect("it answers") > 0, "it answers");
        begun.elapsed().as_secs_f64()
    };
    once();
    once()
}

/// The table: a ticket, a valid component token, and `accounts` due accounts.
pub(crate) fn table(accounts: u32, operation: &str, request: &Request) -> String {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let now = SystemClock.now().unix();
    let answer = match operation {
        "Query" => due(accounts, &body),
        "GetItem" if names(&body["Key"]["pk"]["S"], "#ticket") => json!({ "Item": {
            "ticket": { "S": "ticket@@@" }, "create_time": number(now), "received_at": number(now),
        } }),
        "GetItem" => json!({ "Item": {
            "token_seq": number(1), "access_token": { "S": "c".repeat(136) },
            "token_expires_at": number(now + 7200), "due_at": number(now + 6300),
        } }),
        // Only the update that takes a lease returns the item.
        _ if body["ReturnValues"] == "ALL_NEW" => json!({ "Attributes": {
            "pk": body["Key"]["pk"], "sk": body["Key"]["sk"],
            "state": { "S": "active" }, "token_seq": number(7),
            "access_token": { "S": "a".repeat(136) }, "token_expires_at": number(now + 1500), "due_at": number(now),
            "refresh_token": { "S": "refreshtoken@@@".to_owned() + &"r".repeat(43) },
        } }),
        _ => json!({ "Attributes": {} }),
    };
    answer.to_string()
}

fn names(text: &Value, part: &str) -> bool {
    text.as_str().is_some_and(|text| text.contains(part))
}

fn number(value: i64) -> Value {
    json!({ "N": value.to_string() })
}

/// A page of the index: account numbers of a shard, from the one after the last one of the previous page.
fn due(accounts: u32, query: &Value) -> Value {
    let shard = query["ExpressionAttributeValues"][":shard"]["S"].as_str().unwrap_or_default();
    let shard = shard.split_once("#due#").and_then(|(_, number)| number.parse::<u32>().ok());
    let Some(shard) = shard else { return json!({ "Count": 0, "Items": [] }) };
    let begin_of = |shard: u32| (shard * accounts).div_ceil(SHARDS);
    let end = begin_of(shard + 1);
    let after =
        query["ExclusiveStartKey"]["pk"]["S"].as_str().and_then(|pk| pk.rsplit_once("#wx")?.1.parse::<u32>().ok());
    let first = after.map_or(begin_of(shard), |last| last + 1);
    let limit = query["Limit"].as_u64().and_then(|limit| u32::try_from(limit).ok()).unwrap_or(1000);
    let page = first..end.min(first + limit);
    let key = |account: u32| {
        json!({
            "pk": { "S": format!("{COMPONENT}#account#wx{account:016}") },
            "sk": { "S": "account" },
            "due_shard": query["ExpressionAttributeValues"][":shard"],
            "due_at": number(1_700_000_000),
        })
    };
    let mut answer = json!({ "Count": page.len(), "Items": page.clone().map(key).collect::<Vec<_>>() });
    if page.end < end {
        answer["LastEvaluatedKey"] = key(page.end - 1);
    }
    answer
}
