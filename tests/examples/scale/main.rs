//! `cargo run --release -p stories --example scale -- --accounts 1000000 --call 330 --runs 4`: the refresher with that
//! many accounts, for as long as it takes to renew each of them twice, with the time between two ticks left out.
//!
//! Each run is a process of its own that polls Lambda's Runtime API, with the function's own settings. The table is the
//! embedded DynamoDB; WeChat only waits for `--call` milliseconds and returns a token. The accounts were authorized at
//! any time within the life of a token, like those of a platform that has been running for a while. At the end all of
//! them are compared with WeChat's list. With `--pages`, a service keeps reading the lists of accounts, page by page,
//! while other accounts come, end and come back between them: each reading must find every account that was there all
//! the time, and none twice.
//!
//! The rules' clock jumps from the end of a tick's runs to the next tick, and advances during the runs. With `--speed
//! 2` it advances twice as fast as the machine's; calls, starts per second and the length of a run are scaled by the
//! same factor, so that everything but the table and the machine is as it would be. A table or a machine that is too
//! slow shows as fewer renewals per second than WeChat would allow: then choose a smaller speed.
//!
//! A million accounts are first put into the table, in memory; then come two million renewals: hours, not minutes.

#![expect(clippy::print_stdout, reason = "it prints its results")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, StreamSpecification, WriteRequest};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::Uri;
use base::clock::{Clock, SharedClock, Timestamp};
use base::ids::{AppId, Digest};
use base::limits::Limits;
use base::random::Random;
use clap::Parser;
use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use lambda_runtime::{LambdaEvent, service_fn};
use platform::bus::Bus;
use platform::schedule;
use platform::services::Services;
use runtime::aws;
use runtime::config::{Origin, ProcessEnvironment};
use serde_json::{Value, json};
use store::DuePart;
use stories::process::{Process, peak_memory};
use stories::runtime_api::LambdaHost;
use stories::world::{COMPONENT, START, TABLE, World, short_limits};
use token_refresher::{Refresher, Settings, Targets, Task};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::pages::Visitors;

mod pages;

/// The first argument that makes this program act as the refresher.
const ROLE: &str = "refresher";

/// The time between two ticks.
const TICK: Duration = Duration::from_mins(5);

/// The time in which a run begins renewals: what Lambda gives it according to the template, less what it reserves at
/// its end.
const RUN: Duration = Duration::from_secs(270);

/// The time that it reserves, which is not scaled with the rest.
const KEPT_FREE: Duration = Duration::from_secs(10);

/// The lifetime of a token.
const LIFETIME: Duration = Duration::from_hours(2);

/// An account is renewed after 90 to 100 minutes, at the next tick. Those of a running platform were last renewed at
/// any time within this.
const CYCLE: Duration = Duration::from_mins(97);

/// More ticks than two cycles need.
const MOST_TICKS: u32 = 100;

/// Longer than any run.
const PATIENCE: Duration = Duration::from_hours(2);

/// The options.
#[derive(Parser, Debug, Clone)]
struct Args {
    /// Accounts, all of them due once in a token's life
    #[arg(long, default_value_t = 100_000)]
    accounts: u32,
    /// The time that WeChat takes for a call, in milliseconds.
    #[arg(long, default_value_t = 100)]
    call: u32,
    /// Runs that share the accounts: `RefresherRuns`.
    #[arg(long, default_value_t = 1)]
    runs: u32,
    /// How often each account is renewed before it ends.
    #[arg(long, default_value_t = 2)]
    cycles: u32,
    /// Renewals in progress at once in a run: `RefresherWindow`.
    #[arg(long, default_value_t = Settings::default().window)]
    window: usize,
    /// Renewals begun per second of a run; with fewer accounts, a lower rate makes the runs as long.
    #[arg(long, default_value_t = Settings::default().per_second)]
    per_second: u32,
    /// The speed, in times the real one.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Whether the lists of accounts are read meanwhile, while other accounts come and go.
    #[arg(long)]
    pages: bool,
}

/// A clock that advances faster than the machine's, from where it was last set.
struct LapseClock {
    speed: f64,
    set_to: AtomicI64,
    set_at: Mutex<Instant>,
}

impl LapseClock {
    fn new(speed: f64) -> Self {
        Self { speed, set_to: AtomicI64::new(START.unix()), set_at: Mutex::new(Instant::now()) }
    }

    fn set(&self, now: Timestamp) {
        *self.set_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.set_to.store(now.unix(), Ordering::SeqCst);
    }
}

impl Clock for LapseClock {
    fn now(&self) -> Timestamp {
        let passed = self.set_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed().mul_f64(self.speed);
        Timestamp::from_unix(self.set_to.load(Ordering::SeqCst)).plus(passed)
    }
}

fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some(ROLE) {
        let args = Args::parse_from(std::env::args().skip(1));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        return runtime.block_on(serve_as_refresher(args)).map_err(anyhow::Error::from_boxed);
    }
    tokio::runtime::Runtime::new()?.block_on(measure(Args::parse()))
}

/// The refresher, polling for events as in the cloud. An event has the time and the task.
async fn serve_as_refresher(args: Args) -> Result<(), lambda_runtime::Error> {
    let limits = Limits::background();
    let aws = aws::config().await;
    let clock = Arc::new(LapseClock::new(args.speed));
    let services = Services::on(&aws, &ProcessEnvironment, limits)?;
    let services = Services { clock: Arc::clone(&clock) as SharedClock, ..services };
    let targets = Targets {
        bus: Bus::new(aws::event_bus_client(&aws, &limits), "none"),
        webhook: None,
        public_base: Origin::parse("https://auth.example.com")?,
    };
    let settings =
        Settings { window: args.window, per_second: faster(args.per_second, args.speed)?, ..Settings::default() };
    let refresher = Arc::new(Refresher::new(services, targets, settings));
    let length = KEPT_FREE + RUN.div_f64(args.speed);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let (refresher, clock) = (Arc::clone(&refresher), Arc::clone(&clock));
        async move {
            clock.set(serde_json::from_value(event.payload["now"].clone())?);
            let task = Task::parse(event.payload["task"].clone())?;
            let report = refresher.run(&task, Instant::now() + length).await?;
            Ok::<_, lambda_runtime::Error>(json!({ "report": report, "memory": peak_memory("self") }))
        }
    }))
    .await
}

/// A rate per second, scaled by the speed.
fn faster(per_second: u32, speed: f64) -> Result<u32, std::num::ParseIntError> {
    format!("{:.0}", f64::from(per_second) * speed).parse()
}

/// WeChat's side: the tokens that it has issued, by account number.
struct Wechat {
    call: Duration,
    clock: Arc<LapseClock>,
    issued: Mutex<Issued>,
}

/// The state since the last look.
struct Looked {
    /// The age of the oldest token that was replaced since the last look, in seconds.
    oldest: i64,
    /// The age of the oldest current token.
    there: i64,
    /// Tokens that had expired when they were replaced, in all.
    lapsed: u32,
    /// Whether each account was renewed as often as requested.
    all_renewed: bool,
}

struct Issued {
    /// When each account's token was issued.
    at: Vec<i64>,
    /// How often each was renewed.
    times: Vec<u32>,
    /// The age of the oldest token that was replaced since the last look, in seconds.
    oldest: i64,
    /// Tokens that had expired when they were replaced.
    lapsed: u32,
}

impl Wechat {
    fn issued(&self) -> std::sync::MutexGuard<'_, Issued> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, account: usize) {
        let now = self.clock.now().unix();
        let mut issued = self.issued();
        let age = now - issued.at[account];
        issued.at[account] = now;
        issued.times[account] += 1;
        issued.oldest = issued.oldest.max(age);
        issued.lapsed += u32::from(age > lifetime());
    }

    /// What has happened from the last look until `now`.
    fn look(&self, now: i64, cycles: u32) -> Looked {
        let mut issued = self.issued();
        Looked {
            oldest: std::mem::take(&mut issued.oldest),
            there: issued.at.iter().map(|at| now - at).max().unwrap_or(0),
            lapsed: issued.lapsed,
            all_renewed: issued.times.iter().all(|times| *times >= cycles),
        }
    }

    /// The accounts at the requested offset, all of which agree with the table.
    fn page_of_list(&self, asked: &Value) -> Value {
        let total = self.issued().times.len();
        let number = |name: &str| asked[name].as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
        let end = total.min(number("offset") + number("count"));
        let list = (number("offset")..end).map(|account| {
            json!({ "authorizer_appid": appid(account), "refresh_token": refresh_token(), "auth_time": START.unix() })
        });
        json!({ "total_count": total, "list": list.collect::<Vec<_>>() })
    }
}

fn appid(account: usize) -> String {
    format!("wx{account:016}")
}

fn lifetime() -> i64 {
    i64::try_from(LIFETIME.as_secs()).unwrap_or(i64::MAX)
}

async fn answer(State(wechat): State<Arc<Wechat>>, uri: Uri, body: Bytes) -> Json<Value> {
    tokio::time::sleep(wechat.call).await;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if uri.path().ends_with("api_get_authorizer_list") {
        return Json(wechat.page_of_list(&body));
    }
    if !uri.path().ends_with("api_authorizer_token") {
        return Json(json!({ "component_access_token": "c".repeat(160), "expires_in": LIFETIME.as_secs() }));
    }
    let account = body["authorizer_appid"].as_str().and_then(|appid| appid.strip_prefix("wx")?.parse().ok());
    if let Some(account) = account {
        wechat.note(account);
    }
    Json(json!({
        "authorizer_access_token": "a".repeat(160),
        "expires_in": LIFETIME.as_secs(),
        "authorizer_refresh_token": refresh_token(),
    }))
}

fn refresh_token() -> String {
    "refreshtoken@@@".to_owned() + &"r".repeat(55)
}

async fn measure(args: Args) -> anyhow::Result<()> {
    println!("{args:?}");
    let world = World::with(|_| {}, short_limits()).await;
    world.without_proof();
    // The embedded DynamoDB searches all records of its stream at every write.
    let off = StreamSpecification::builder().stream_enabled(false).build()?;
    world.database.client().update_table().table_name(TABLE).stream_specification(off).send().await?;
    let begun = Instant::now();
    let at = put_accounts(&world, args.accounts).await?;
    println!("{} accounts put into the table within {:.0} s", args.accounts, begun.elapsed().as_secs_f64());

    let clock = Arc::new(LapseClock::new(args.speed));
    let times = vec![0; at.len()];
    let wechat = Arc::new(Wechat {
        call: Duration::from_millis(args.call.into()).div_f64(args.speed),
        clock: Arc::clone(&clock),
        issued: Mutex::new(Issued { at, times, oldest: 0, lapsed: 0 }),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let wechat_url = format!("http://{}", listener.local_addr()?);
    let router = axum::Router::new().fallback(answer).with_state(Arc::clone(&wechat));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let renewals = Box::pin(ticks(&world, &args, &wechat, &clock, &wechat_url));
    if !args.pages {
        renewals.await?;
        return reconcile(&world, &args, &wechat_url, &clock).await;
    }
    let visitors = Visitors::new(&world, &clock, args.accounts);
    let is_over = AtomicBool::new(false);
    let renewals = async {
        let ended = renewals.await;
        is_over.store(true, Ordering::Relaxed);
        ended
    };
    let all = async {
        tokio::try_join!(renewals, visitors.come_and_go(&is_over))?;
        reconcile(&world, &args, &wechat_url, &clock).await
    };
    tokio::select! {
        ended = Box::pin(all) => ended,
        failed = Box::pin(pages::read(&world, &visitors)) => failed,
    }
}

/// Runs ticks until every account was renewed as often as requested.
async fn ticks(
    world: &World,
    args: &Args,
    wechat: &Wechat,
    clock: &LapseClock,
    wechat_url: &str,
) -> anyhow::Result<()> {
    let mut runs = Vec::new();
    for part in 0..args.runs {
        runs.push(Part::start(world, part, args, wechat_url).await?);
    }
    println!("tick renewed left-over longest-run a-second oldest-replaced oldest-there lapsed memory");
    let mut memory = 0.0_f64;
    let mut oldest = 0;
    for tick in 0..MOST_TICKS {
        let now = START.plus(TICK * tick);
        world.store().tickets.put(&"ticket@@@".into(), now, now).await?;
        clock.set(now);
        let begun = Instant::now();
        let done = try_join_all(runs.iter().map(|run| run.tick(now))).await?;
        let took = begun.elapsed().mul_f64(args.speed).as_secs_f64();
        let sum = |field: &str| done.iter().filter_map(|done| done["report"][field].as_u64()).sum::<u64>();
        for failed in done.iter().map(|done| &done["report"]["failed"]).filter(|failed| **failed != json!({})) {
            println!("failed: {failed}");
        }
        memory = done.iter().filter_map(|done| done["memory"].as_f64()).fold(memory, f64::max);
        let ended = clock.now().unix();
        let Looked { oldest: replaced, there, lapsed, all_renewed } = wechat.look(ended, args.cycles);
        oldest = oldest.max(replaced).max(there);
        let renewed = sum("renewed");
        let a_second = f64::from(u32::try_from(renewed)?) / took;
        println!(
            "{tick:4} {renewed:7} {:9} {took:9.0} s {a_second:8.0} {:>11} min {:>8} min {lapsed:6} {:4.1} MiB",
            sum("left_over"),
            minutes(replaced),
            minutes(there),
            memory,
        );
        if all_renewed {
            println!(
                "{lapsed} tokens lapsed; the oldest was {} min old, of {}; memory {:.1} MiB at most",
                minutes(oldest),
                minutes(lifetime()),
                memory
            );
            return Ok(());
        }
    }
    anyhow::bail!("not all accounts were renewed {} times within {MOST_TICKS} ticks", args.cycles)
}

/// Compares all accounts with WeChat's list, in a process of its own.
async fn reconcile(world: &World, args: &Args, wechat: &str, clock: &LapseClock) -> anyhow::Result<()> {
    let run = Part::start(world, 0, args, wechat).await?;
    for hour in 1..=MOST_TICKS {
        let now = clock.now();
        let begun = Instant::now();
        let done = run.run(now, json!({ "task": "reconcile" })).await?;
        let took = begun.elapsed().mul_f64(args.speed);
        let memory = done["memory"].as_f64().unwrap_or(0.0);
        println!("reconcile, run {hour}: {:.0} s, memory {memory:.1} MiB, {}", took.as_secs_f64(), done["report"]);
        if took < RUN {
            return Ok(());
        }
    }
    anyhow::bail!("the pass over WeChat's list did not end within {MOST_TICKS} runs")
}

fn minutes(seconds: i64) -> String {
    format!("{:.1}", Duration::from_secs(seconds.unsigned_abs()).as_secs_f64() / 60.0)
}

/// The process that renews a part of the accounts.
struct Part {
    number: u32,
    of: u32,
    host: LambdaHost,
    _process: Process,
}

impl Part {
    async fn start(world: &World, part: u32, args: &Args, wechat: &str) -> anyhow::Result<Self> {
        let host = LambdaHost::start(PATIENCE).await;
        let mut variables = host.environment();
        variables.extend(world.variables().into_iter().filter(|(name, _)| name != "WECHAT_API_BASE_URL"));
        variables.push(("WECHAT_API_BASE_URL".to_owned(), wechat.to_owned()));
        let [window, per_second, speed] =
            [args.window.to_string(), args.per_second.to_string(), args.speed.to_string()];
        let given = [ROLE, "--window", &window, "--per-second", &per_second, "--speed", &speed];
        let process = Process::start(std::env::current_exe()?, &given, variables);
        Ok(Self { number: part, of: args.runs, host, _process: process })
    }

    async fn tick(&self, now: Timestamp) -> anyhow::Result<Value> {
        self.run(now, json!({ "task": "renew", "part": self.number, "of": self.of })).await
    }

    async fn run(&self, now: Timestamp, task: Value) -> anyhow::Result<Value> {
        let done = self.host.invoke(json!({ "now": now, "task": task })).await?;
        ensure!(done["report"].is_object(), "the run of part {} failed: {done}", self.number);
        Ok(done)
    }
}

/// Puts the accounts into the table; returns when the token of each was issued.
async fn put_accounts(world: &World, accounts: u32) -> anyhow::Result<Vec<i64>> {
    let random = Random::system();
    let cycle = i64::try_from(CYCLE.as_secs())?;
    let at: Vec<i64> =
        (0..accounts).map(|_| START.unix() - i64::try_from(random.up_to(CYCLE.as_secs())).unwrap_or(cycle)).collect();
    let client = world.database.client();
    let numbers: Vec<(u32, i64)> = (0..accounts).zip(at.iter().copied()).collect();
    let put = |batch: &[(u32, i64)]| {
        let items =
            batch.iter().flat_map(|(number, at)| [row(*number, *at, &random), details(*number, *at), entry(*number)]);
        let writes = items.map(|item| {
            let put = PutRequest::builder().set_item(Some(item?)).build()?;
            Ok(WriteRequest::builder().put_request(put).build())
        });
        let writes = writes.collect::<anyhow::Result<Vec<_>>>();
        let client = client.clone();
        async move {
            let written = client.batch_write_item().request_items(TABLE, writes?).send().await;
            let left = written.context("a batch is written")?.unprocessed_items.unwrap_or_default();
            ensure!(left.is_empty(), "the embedded DynamoDB leaves nothing out");
            Ok(())
        }
    };
    let batches: Vec<_> = numbers.chunks(8).map(put).collect();
    stream::iter(batches).buffer_unordered(8).try_collect::<()>().await?;
    Ok(at)
}

/// An account's row, as the platform writes it.
fn row(number: u32, issued: i64, random: &Random) -> anyhow::Result<HashMap<String, AttributeValue>> {
    let appid = AppId::parse(&appid(usize::try_from(number)?))?;
    let issued = Timestamp::from_unix(issued);
    let due = schedule::due_at(issued, LIFETIME, schedule::authorizer_margin(random));
    let shards = u64::try_from(DuePart::ALL.shards().count())?;
    let shard = Digest::of(&[appid.as_str()]).part(shards);
    let text = |value: String| AttributeValue::S(value);
    let number = |value: i64| AttributeValue::N(value.to_string());
    let row = [
        ("pk", text(format!("{COMPONENT}#account#{appid}"))),
        ("sk", text("account".to_owned())),
        ("state", text("active".to_owned())),
        ("active_since", number(issued.unix())),
        ("token_seq", number(7)),
        ("access_token", text("a".repeat(160))),
        ("refresh_token", text(refresh_token())),
        ("token_expires_at", number(issued.plus(LIFETIME).unix())),
        ("stored_at", number(issued.unix())),
        ("due_at", number(due.unix())),
        ("due_shard", text(format!("{COMPONENT}#due#{shard}"))),
        ("details_state", text("active".to_owned())),
        ("name_owned", AttributeValue::Bool(true)),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    Ok(row.into())
}

/// The details of an account.
fn details(number: u32, issued: i64) -> anyhow::Result<HashMap<String, AttributeValue>> {
    let appid = appid(usize::try_from(number)?);
    let text = |value: String| AttributeValue::S(value);
    let details = [
        ("pk", text(format!("{COMPONENT}#details#{appid}"))),
        ("sk", text("details".to_owned())),
        ("list_pk", text(format!("{COMPONENT}#accounts"))),
        ("list_sk", text(appid)),
        ("state", text("active".to_owned())),
        ("state_since", AttributeValue::N(issued.to_string())),
        ("events", AttributeValue::N(issued.to_string())),
        ("version", AttributeValue::N("1".to_owned())),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    Ok(details.into())
}

/// The entry of an account in the list of the active ones.
fn entry(number: u32) -> anyhow::Result<HashMap<String, AttributeValue>> {
    let appid = appid(usize::try_from(number)?);
    let entry = [
        ("pk", format!("{COMPONENT}#details#{appid}")),
        ("sk", "state".to_owned()),
        ("list_pk", format!("{COMPONENT}#accounts#state#active")),
        ("list_sk", appid),
    ];
    Ok(entry.map(|(name, value)| (name.to_owned(), AttributeValue::S(value))).into())
}
