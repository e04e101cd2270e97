//! Promise 7: two processes of the function on one table.

use std::time::Duration;

use stories::bootstrap::Bootstrap;
use stories::slow::slow_line;
use stories::world::World;

use super::BINARY;

/// Long enough for both to write at once.
const LINE: Duration = Duration::from_millis(50);

#[tokio::test]
async fn two_processes_that_get_the_same_push_at_once_make_one_inbox_entry() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let slow = slow_line(&world.database.endpoint(), LINE, "").await;
    let start = || {
        Bootstrap::with(BINARY, &world, |variables| {
            variables.insert("AWS_ENDPOINT_URL_DYNAMODB".into(), slow.clone());
        })
    };
    let (one, other) = (start().await, start().await);
    let account = world.account(0);
    let push = world.merchant_authorizes(&account).push;
    let sealed = world.simulator.seal(&push);
    let (first, second) = tokio::join!(one.push(&sealed), other.push(&sealed));
    assert!(first.is_success() && second.is_success());
    // The same message in another envelope, as WeChat would repeat it.
    let resealed = world.simulator.seal(&push);
    let (third, fourth) = tokio::join!(one.push(&resealed), other.push(&resealed));
    assert!(third.is_success() && fourth.is_success());
    assert_eq!(world.inbox_keys().await.len(), 1);

    assert_eq!(world.renew().await.inbox_done, 1);
    assert!(one.push(&sealed).await.is_success(), "a repeat after the effect");
    assert_eq!(world.renew().await.inbox_done, 0, "has none of its own");
}

#[tokio::test]
async fn of_two_tickets_that_two_processes_get_at_once_the_newer_one_stays() {
    let world = World::beside_processes(Duration::from_mins(10), |_| {}).await;
    let slow = slow_line(&world.database.endpoint(), LINE, "").await;
    let start = || {
        Bootstrap::with(BINARY, &world, |variables| {
            variables.insert("AWS_ENDPOINT_URL_DYNAMODB".into(), slow.clone());
        })
    };
    let (one, other) = (start().await, start().await);
    for _ in 0..3 {
        let older = world.simulator.ticket();
        world.pass(Duration::from_mins(1));
        let newer = world.simulator.ticket();
        let (older, sealed) = (world.simulator.seal(&older), world.simulator.seal(&newer));
        let (first, second) = tokio::join!(one.push(&sealed), other.push(&older));
        assert!(first.is_success() && second.is_success());
        assert_eq!(world.store().tickets.newest().await.unwrap().unwrap().create_time, newer.create_time);
        world.pass(Duration::from_mins(1));
    }
}
