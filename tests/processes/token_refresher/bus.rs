//! Events on the bus from processes that die or overlap: at least once, and repeats have the same id.

use std::collections::BTreeSet;
use std::time::Duration;

use base::ids::AppId;
use serde_json::{Value, json};
use simulator::Message;
use stories::bootstrap::Bootstrap;
use stories::faults::{Fault, Matching};
use stories::process::eventually;
use stories::refresher_events::{inserts, renew};
use stories::slow::slow_line;
use stories::world::World;
use token_refresher::Report;

use super::BINARY;

/// The longest wait for something that takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longer than a process lives on, within one try of the SDK.
const LINE: Duration = Duration::from_millis(700);

/// Long enough for two processes to be at the same entry at once.
const BUS: Duration = Duration::from_millis(200);

/// The ids of the events on the bus, in the order of their arrival.
fn ids(world: &World) -> Vec<String> {
    // The following run also reports what happened to the account.
    let events = world.bus.delivered().into_iter().filter(|event| !event.detail_type.starts_with("account."));
    events.map(|event| event.detail["id"].as_str().unwrap().to_owned()).collect()
}

/// A world with a grant in its inbox that has not taken effect.
async fn with_grant() -> World {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    assert!(world.simulator.send(&world.merchant_authorizes(&world.account(0)).push).await.is_accepted());
    world
}

/// A world with a message that the bus did not accept when it arrived.
async fn with_message() -> World {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    // Without a grant, whose event would be on the bus too.
    world.store().user_names.put(&world.account(0), &world.simulator.accounts()[0].user_name).await.unwrap();
    world.faults.always(Matching::operation("PutEvents"), Fault::Away);
    let message = Message::text(&world.simulator.accounts()[0], "oFollower-0123456789_abcdefg", "hello");
    assert!(world.simulator.send_message(&message).await.is_empty());
    world.faults.clear();
    world
}

/// Has a process that gets `event` publish on the bus, and kills it before it has recorded that with the update that
/// contains `note`; then a run follows.
async fn told_twice(world: &World, event: Value, note: &'static str) -> Report {
    let slow = slow_line(&world.database.endpoint(), LINE, note).await;
    let function = Bootstrap::with(BINARY, world, |variables| {
        variables.insert("AWS_ENDPOINT_URL_DYNAMODB".into(), slow);
    });
    let told = eventually("the event is on the bus", PATIENCE, || !ids(world).is_empty());
    drop(function.await.kill_during(event, told).await);
    let report = world.renew().await;
    assert_eq!(report.failed.len(), 0, "{report}");
    let ids = ids(world);
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "told again, with the same id");
    report
}

#[tokio::test]
async fn a_kept_message_whose_process_dies_after_its_event_is_delivered_again() {
    let world = with_message().await;
    let report = told_twice(&world, renew(), "account_message").await;
    assert_eq!(report.messages_delivered, 1, "{report}");
    assert_eq!(world.renew().await.messages_delivered, 0, "and then it is done with");
}

#[tokio::test]
async fn a_grant_whose_process_dies_after_its_event_is_published_again_not_exchanged() {
    let world = with_grant().await;
    let event = inserts(&world.inbox_keys().await);
    let report = told_twice(&world, event, "finished_at").await;
    assert_eq!((report.inbox_done, world.renew().await.inbox_done), (1, 0), "and then it is done with");
    let account = world.account(0);
    assert_eq!(world.simulator.counters().effects.exchanges.get::<AppId>(&account), Some(&1));
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn two_processes_at_once_publish_a_kept_message_once_or_twice_with_one_id() {
    let world = with_message().await;
    let slow = slow_line(world.bus_url.as_str(), BUS, "").await;
    let start = || {
        Bootstrap::with(BINARY, &world, |variables| {
            variables.insert("AWS_ENDPOINT_URL_EVENTBRIDGE".into(), slow.clone());
        })
    };
    let (one, other) = (start().await, start().await);
    for warm in [&one, &other] {
        warm.invoke(inserts([])).await.unwrap();
    }
    let event = renew();
    let (first, second) = tokio::join!(one.invoke(event.clone()), other.invoke(event));
    for report in [first.unwrap(), second.unwrap()] {
        assert_eq!(report["failed"], json!({}), "{report}");
    }
    let ids = ids(&world);
    assert!((1..=2).contains(&ids.len()) && BTreeSet::from_iter(&ids).len() == 1, "{ids:?}");
    assert_eq!(world.renew().await.messages_delivered, 0, "and then it is done with");
}
