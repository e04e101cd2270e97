//! Promise 1 for messages: an acknowledged message is on the bus or waits for it in the table, and any other is
//! delivered when WeChat sends it again. The process is killed without warning.

use std::time::Duration;

use simulator::{Message, SealedPush};
use store::END_OF_TIME;
use stories::bootstrap::{Bootstrap, pushed};
use stories::slow::slow_line;
use stories::world::World;
use tokio::net::TcpListener;

use super::{BINARY, FOLLOWER, texts, world_with_shop};

/// Far longer than a process needs from its response to its death.
const LINE: Duration = Duration::from_millis(150);

/// A process with table and bus at these URLs.
async fn process(world: &World, table: String, bus: String) -> Bootstrap {
    Bootstrap::with(BINARY, world, |variables| {
        variables.insert("AWS_ENDPOINT_URL_DYNAMODB".into(), table);
        variables.insert("AWS_ENDPOINT_URL_EVENTBRIDGE".into(), bus);
    })
    .await
}

/// Has a process receive a message and kills it as soon as it has responded.
async fn answered_and_killed(function: Bootstrap, sealed: &SealedPush) {
    let answer = function.push(sealed).await;
    drop(function.kill());
    assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{answer:?}");
}

#[tokio::test]
async fn a_message_survives_a_kill_right_after_its_response() {
    let (world, shop) = world_with_shop().await;
    let bus = slow_line(world.bus_url.as_str(), LINE, "").await;
    let message = Message::text(&shop, FOLLOWER, "hello");
    // The table is fast: only a process that waits for the bus responds after it.
    let function = process(&world, world.database.endpoint(), bus).await;
    answered_and_killed(function, &world.simulator.seal_message(&message)).await;
    // If this machine was too slow for the bus, the message waits in the table.
    world.renew().await;
    assert_eq!(texts(&world), ["hello"]);

    let again = Bootstrap::start(BINARY, &world).await;
    let answer = again.push(&world.simulator.seal_message(&message)).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""), "WeChat may send it again");
    assert_eq!(texts(&world).len(), 1, "and nothing comes of it");
}

#[tokio::test]
async fn a_message_refused_by_the_bus_survives_a_kill_right_after_its_response() {
    let (world, shop) = world_with_shop().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bus = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let message = Message::text(&shop, FOLLOWER, "hello");
    let table = slow_line(&world.database.endpoint(), LINE, "").await;
    let function = process(&world, table, bus).await;
    answered_and_killed(function, &world.simulator.seal_message(&message)).await;
    assert_eq!((waiting(&world).await, texts(&world).len()), (1, 0));
    world.renew().await;
    assert_eq!(texts(&world), ["hello"]);
}

#[tokio::test]
async fn a_message_whose_process_dies_unanswered_is_delivered_by_wechats_next_try() {
    let (world, shop) = world_with_shop().await;
    // A bus that can be reached but does not respond.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bus = format!("http://{}", silent.local_addr().unwrap());
    let message = Message::text(&shop, FOLLOWER, "hello");
    let sealed = world.simulator.seal_message(&message);
    let function = process(&world, world.database.endpoint(), bus).await;
    let reached = async { drop(silent.accept().await.unwrap()) };
    drop(function.kill_during(pushed(&sealed).body(&sealed.body).build(), reached).await);
    assert!(texts(&world).is_empty());

    assert!(world.simulator.send_message(&message).await.is_empty(), "by another process");
    assert_eq!(texts(&world), ["hello"]);
}

#[tokio::test]
async fn a_message_whose_process_dies_between_bus_and_table_comes_twice_under_one_id() {
    let (world, shop) = world_with_shop().await;
    // The record of the reply takes longer than the process lives.
    let table = slow_line(&world.database.endpoint(), Duration::from_mins(1), "answered_at").await;
    let message = Message::text(&shop, FOLLOWER, "hello");
    let sealed = world.simulator.seal_message(&message);
    let function = process(&world, table, world.bus_url.to_string()).await;
    let delivered = async {
        while texts(&world).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    drop(function.kill_during(pushed(&sealed).body(&sealed.body).build(), delivered).await);

    assert!(world.simulator.send_message(&message).await.is_empty(), "by another process");
    assert_eq!(texts(&world), ["hello", "hello"]);
    let events = world.bus.delivered();
    let ids: Vec<_> = events.iter().rev().take(2).map(|event| &event.detail["id"]).collect();
    assert_eq!(ids[0], ids[1], "its readers know it again");
}

/// The number of messages that wait for the bus.
async fn waiting(world: &World) -> u64 {
    world.store().messages.count_waiting(END_OF_TIME).await.unwrap()
}
