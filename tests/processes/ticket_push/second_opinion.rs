//! The function with another implementation of DynamoDB and Secrets Manager than in all other tests.

use std::time::Duration;

use stories::bootstrap::Bootstrap;
use stories::moto::Moto;
use stories::world::World;

use super::BINARY;

/// Run by hand: `pip install 'moto[server]'`, then `cargo test -p processes -- --ignored moto`.
#[tokio::test]
#[ignore = "needs moto_server on the PATH, a Python program"]
async fn moto_agrees_on_tickets_and_on_inbox_entries_that_come_twice() {
    let world = World::beside_processes(Duration::from_mins(10), |_| {}).await;
    let moto = Moto::start().await;
    let start = || Bootstrap::with(BINARY, &world, |variables| moto.redirect(variables));
    let (one, other) = (start().await, start().await);

    let older = world.simulator.ticket();
    world.pass(Duration::from_mins(10));
    let newer = world.simulator.ticket();
    for push in [&older, &newer, &older] {
        assert!(one.push(&world.simulator.seal(push)).await.is_success());
    }
    assert_eq!(moto.store().tickets.newest().await.unwrap().unwrap().create_time, newer.create_time);

    let granted = world.simulator.seal(&world.merchant_authorizes(&world.account(0)).push);
    let (first, second) = tokio::join!(one.push(&granted), other.push(&granted));
    assert!(first.is_success() && second.is_success());
    assert_eq!(moto.store().inbox.count_waiting(world.now()).await.unwrap(), 1);
}
