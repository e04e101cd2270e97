//! Promise 7: two processes of the function on one table.

use std::collections::BTreeSet;
use std::time::Duration;

use simulator::Message;
use stories::bootstrap::Bootstrap;
use stories::slow::slow_line;

use super::{BINARY, FOLLOWER, metrics, texts, world_with_shop};

/// Long enough for both to look for the other's reply at once.
const LINE: Duration = Duration::from_millis(50);

#[tokio::test]
async fn two_processes_that_get_the_same_message_at_once_deliver_it_under_one_id() {
    let (world, shop) = world_with_shop().await;
    let slow = slow_line(&world.database.endpoint(), LINE, "").await;
    let start = || {
        Bootstrap::with(BINARY, &world, |variables| {
            variables.insert("AWS_ENDPOINT_URL_DYNAMODB".into(), slow.clone());
        })
    };
    let (one, other) = (start().await, start().await);
    let message = Message::text(&shop, FOLLOWER, "hello");
    let sealed = world.simulator.seal_message(&message);
    let (first, second) = tokio::join!(one.push(&sealed), other.push(&sealed));
    assert_eq!((first.status, second.status), (200, 200));
    let events = world.bus.delivered().into_iter().filter(|event| event.detail_type == "message.text");
    let ids: BTreeSet<String> = events.map(|event| event.detail["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "however often it was delivered");
    // The same message in another envelope, as WeChat would repeat it.
    let delivered = texts(&world).len();
    let resealed = world.simulator.seal_message(&message);
    let (third, fourth) = tokio::join!(one.push(&resealed), other.push(&resealed));
    assert_eq!((third.status, fourth.status), (200, 200));
    assert_eq!(texts(&world).len(), delivered, "it has been answered");

    let output = one.kill() + &other.kill();
    assert_eq!(metrics(&output, "message_repeated").len(), 2);
}
