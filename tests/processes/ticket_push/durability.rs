//! Promise 1: what was answered with `success` is durable. The process is killed right after its response.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use simulator::Push;
use stories::bootstrap::Bootstrap;
use stories::slow::slow_line;
use stories::world::World;

use super::BINARY;

/// Far longer than a process needs from its response to its death.
const LINE: Duration = Duration::from_millis(150);

/// Has a process with slow writes receive a push, and kills it as soon as it has responded.
async fn acknowledged_and_killed(world: &World, push: &Push) {
    let slow = slow_line(&world.database.endpoint(), LINE, "").await;
    let function = Bootstrap::with(BINARY, world, |variables| {
        variables.insert("AWS_ENDPOINT_URL_DYNAMODB".into(), slow);
    })
    .await;
    let answer = function.push(&world.simulator.seal(push)).await;
    drop(function.kill());
    assert!(answer.is_success(), "{answer:?}");
}

#[tokio::test]
async fn a_ticket_survives_a_kill_right_after_its_success() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    let ticket = world.simulator.ticket();
    acknowledged_and_killed(&world, &ticket).await;
    let stored = world.store().tickets.newest().await.unwrap().expect("it is there");
    assert!(ticket.message.contains(stored.ticket.expose_secret()));

    let again = Bootstrap::start(BINARY, &world).await;
    assert!(again.push(&world.simulator.seal(&ticket)).await.is_success(), "WeChat may send it again");
    assert!(world.renew().await.failed.is_empty());
    assert_eq!(world.simulator.counters().effects.component_tokens, 1);
}

#[tokio::test]
async fn a_grant_survives_a_kill_right_after_its_success_and_takes_effect() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let account = world.account(0);
    let consent = world.merchant_authorizes(&account);
    acknowledged_and_killed(&world, &consent.push).await;
    assert_eq!(world.inbox_keys().await.len(), 1, "it is there");

    let again = Bootstrap::start(BINARY, &world).await;
    assert!(again.push(&world.simulator.seal(&consent.push)).await.is_success(), "WeChat may send it again");
    assert_eq!(world.renew().await.inbox_done, 1);
    assert!(world.wechat_accepts(&account).await);
}
