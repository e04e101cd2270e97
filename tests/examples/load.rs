//! `cargo run --release -p stories --example load`: 200 messages a second for a minute, some of them twice, with a bus
//! that fails now and then and is unavailable for seconds; then the refresher delivers what waits.
//!
//! Everything between WeChat and the business is real, with production's limits, on loopback. It ends with an error if
//! a message is lost, gets no valid response within 4 s, or reaches the webhook twice.

#![expect(clippy::print_stdout, reason = "it prints its results")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use aws_sdk_dynamodb::types::StreamSpecification;
use base::limits::Limits;
use runtime::telemetry::Measure;
use simulator::{Account, Behaviour, Message, MessageOutcome};
use stories::faults::{Fault, Matching};
use stories::webhook::Service;
use stories::world::{TABLE, World};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Different messages.
const MESSAGES: usize = 12_000;

/// The time between two of them: 200 a second.
const PACE: Duration = Duration::from_millis(5);

/// One message in this many comes twice, alternately at the same moment and after the first response.
const TWICE: usize = 20;

/// How long the bus is available and how long it is not, in turn.
const THERE: Duration = Duration::from_secs(9);
/// See [`THERE`].
const AWAY: Duration = Duration::from_secs(1);

/// The time within which WeChat must have the response.
const IN_TIME: Duration = Duration::from_secs(4);

/// The runs of the refresher within which everything must have been delivered.
const RUNS: usize = 20;

/// The texts that arrived on the bus, which itself keeps only the last 1,000 events.
#[derive(Default)]
struct Arrived {
    known: BTreeSet<String>,
    texts: BTreeSet<String>,
}

impl Arrived {
    fn look(&mut self, world: &World) -> anyhow::Result<()> {
        let events = world.bus.delivered();
        let gap = self.known.len() > 1_000 && events.iter().all(|event| !self.known.contains(&event.id));
        ensure!(!gap, "events went by uncounted");
        for event in events.into_iter().filter(|event| event.detail_type == "message.text") {
            if self.known.insert(event.id) {
                self.texts.extend(event.detail["message"]["content"].as_str().map(str::to_owned));
            }
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let world = Arc::new(World::with(|_| {}, Limits::interactive()).await);
    world.without_proof();
    without_stream(&world).await?;
    world.get_ready().await;
    world.simulator.set_behaviour(Behaviour { redeliver_pushes: true, ..Behaviour::default() });
    let service = Service::replying_with_texts().await;
    world.ask_for_replies(service.url()).await;

    let arrived = Arc::new(Mutex::new(Arrived::default()));
    let trouble = tokio::spawn(trouble(Arc::clone(&world)));
    let watch = tokio::spawn(watch(Arc::clone(&world), Arc::clone(&arrived)));
    let outcomes = send(&world).await?;
    trouble.abort();
    world.faults.clear();
    let delayed = world.metrics.count(Measure::EventDelayed);
    for _ in 0..RUNS {
        world.renew().await;
        world.pass(Duration::from_mins(6));
    }
    watch.abort();
    let mut arrived = std::mem::take(&mut *arrived.lock().await);
    arrived.look(&world)?;

    let valid = || outcomes.iter().filter(|(_, outcome)| outcome.fault.is_none());
    let answered = valid().map(|(text, _)| text).collect::<BTreeSet<_>>();
    let lost = answered.iter().filter(|text| !arrived.texts.contains(**text)).count();
    let unanswered = outcomes.len() - valid().count();
    let without_reply = valid().filter(|(_, outcome)| outcome.reply.is_none()).count();
    let mut times: Vec<Duration> = outcomes.iter().map(|(_, outcome)| outcome.elapsed).collect();
    times.sort_unstable();
    let (median, slowest) = (times[times.len() / 2], times[times.len() - 1]);
    let asked = service.asked();
    let distinct = asked.iter().map(|call| &call.id).collect::<BTreeSet<_>>().len();
    for (what, found) in [
        ("sent", format!("{MESSAGES} different messages, {} in all", outcomes.len())),
        ("answered", format!("{} different ones; {without_reply} without a reply", answered.len())),
        ("delivered", format!("{} different ones, {} events in all", arrived.texts.len(), arrived.known.len())),
        ("had to wait", delayed.to_string()),
        ("answered and lost", lost.to_string()),
        ("webhook asked", format!("for {distinct} different ones, for {} twice", asked.len() - distinct)),
        ("answers", format!("median {:.1} ms, slowest {:.1} ms", milliseconds(median), milliseconds(slowest))),
    ] {
        println!("{what:<18} {found}");
    }
    ensure!(delayed > 0, "the bus was never away");
    ensure!(unanswered == 0, "{unanswered} messages have no valid answer");
    ensure!(lost == 0, "{lost} messages are lost");
    ensure!(asked.len() == distinct, "the webhook was asked twice");
    ensure!(slowest < IN_TIME, "an answer was too late");
    Ok(())
}

/// The embedded DynamoDB searches all records of its stream at every write: after half a minute that would dominate the
/// measurement. Nobody reads the stream here.
async fn without_stream(world: &World) -> anyhow::Result<()> {
    let off = StreamSpecification::builder().stream_enabled(false).build()?;
    world.database.client().update_table().table_name(TABLE).stream_specification(off).send().await?;
    Ok(())
}

/// Sends all messages at their pace; returns their texts, and the outcome of each and of its repeats.
async fn send(world: &Arc<World>) -> anyhow::Result<Vec<(String, MessageOutcome)>> {
    let accounts = world.simulator.accounts();
    for account in &accounts {
        world.store().user_names.put(&account.appid, &account.user_name).await?;
    }
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sent = JoinSet::new();
    for number in 0..MESSAGES {
        pace.tick().await;
        sent.spawn(send_one(Arc::clone(world), accounts[number % accounts.len()].clone(), number));
    }
    let mut outcomes = Vec::new();
    while let Some(sent) = sent.join_next().await {
        outcomes.extend(sent?);
    }
    Ok(outcomes)
}

async fn send_one(world: Arc<World>, account: Account, number: usize) -> Vec<(String, MessageOutcome)> {
    let message = Message::text(&account, &format!("oFollower-{number:08}"), &number.to_string());
    let send = async || (number.to_string(), world.simulator.send_message(&message).await);
    if !number.is_multiple_of(TWICE) {
        return vec![send().await];
    }
    let (first, second) =
        if number.is_multiple_of(2 * TWICE) { tokio::join!(send(), send()) } else { (send().await, send().await) };
    vec![first, second]
}

/// Makes the bus fail now and then, and be unavailable for a while now and then.
async fn trouble(world: Arc<World>) {
    let put_events = || Matching::operation("PutEvents");
    loop {
        world.faults.clear();
        for (every, fault) in [(7, Fault::ServerError), (11, Fault::LostReply), (13, Fault::Throttle)] {
            world.faults.every(every, put_events(), fault);
        }
        sleep(THERE).await;
        world.faults.clear();
        world.faults.always(put_events(), Fault::Away);
        sleep(AWAY).await;
    }
}

async fn watch(world: Arc<World>, arrived: Arc<Mutex<Arrived>>) -> anyhow::Result<()> {
    loop {
        sleep(Duration::from_millis(500)).await;
        arrived.lock().await.look(&world)?;
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
