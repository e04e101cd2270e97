//! Whether messages arrive is noted, for the people who ask, and costs next to nothing.

use std::time::Duration;

use base::clock::Timestamp;
use base::limits::Limits;
use simulator::{Account, Message};
use store::MessagesOf;
use stories::faults::{Fault, Matching};
use stories::world::{World, short_limits};

use super::{FOLLOWER, shop, texts};

const HOUR: Duration = Duration::from_hours(1);

async fn last(world: &World, account: Option<&Account>) -> Option<Timestamp> {
    let of = account.map_or(MessagesOf::Platform, |account| MessagesOf::Account(&account.appid));
    world.store().message_arrivals.last(of, world.now()).await.unwrap()
}

/// Sends a message; the writes that were made for it.
async fn writes(world: &World, shop: &Account) -> usize {
    let before = world.faults.requests("UpdateItem");
    assert!(world.simulator.send_message(&Message::text(shop, FOLLOWER, "hello")).await.is_empty());
    world.faults.requests("UpdateItem") - before
}

#[tokio::test]
async fn arrivals_are_noted_and_most_messages_write_nothing_for_it() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    assert_eq!((last(&world, Some(&shop)).await, last(&world, None).await), (None, None));
    let first = world.now();
    // How it was answered, and the two notes.
    assert_eq!(writes(&world, &shop).await, 3);
    assert_eq!(writes(&world, &shop).await, 1);
    world.pass(MessagesOf::Platform.noted_every());
    assert_eq!(writes(&world, &shop).await, 2);
    assert_eq!((last(&world, Some(&shop)).await, last(&world, None).await), (Some(first), Some(world.now())));

    // Another process asks the table, and learns when the next note is due.
    world.pass(HOUR * 5);
    world.receive_messages_with(account_push::router(world.reception(None))).await;
    assert_eq!(writes(&world, &shop).await, 3);
    assert_eq!(last(&world, Some(&shop)).await, Some(first));
    world.pass(HOUR);
    assert_eq!(writes(&world, &shop).await, 3);
    assert_eq!(last(&world, Some(&shop)).await, Some(world.now()));

    world.pass(Duration::from_hours(24 * 90));
    assert_eq!((last(&world, Some(&shop)).await, last(&world, None).await), (None, None));
}

#[tokio::test]
async fn a_note_that_fails_costs_no_message_and_is_made_with_the_next() {
    for fault in [Fault::Away, Fault::Throttle, Fault::LostReply, Fault::Hang] {
        let world = World::with(|_| {}, Limits { message: Duration::from_secs(2), ..short_limits() }).await;
        world.get_ready().await;
        let shop = shop(&world).await;
        world.faults.always(Matching::setting("last_message_at"), fault);
        let outcome = world.simulator.send_message(&Message::text(&shop, FOLLOWER, "hello")).await;
        assert!(outcome.is_empty(), "{fault:?}: {outcome:?}");
        assert_eq!(texts(&world), ["hello"], "{fault:?}");
        world.faults.clear();
        world.pass(HOUR * 7);
        writes(&world, &shop).await;
        assert_eq!(last(&world, Some(&shop)).await, Some(world.now()), "{fault:?}");
    }
}

#[tokio::test]
async fn a_message_that_is_refused_is_no_arrival() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let stranger = world.simulator.account(&world.account(1)).unwrap();
    let outcome = world.simulator.send_message(&Message::text(&stranger, FOLLOWER, "hello")).await;
    assert!(!outcome.is_empty(), "{outcome:?}");
    assert_eq!((last(&world, Some(&stranger)).await, last(&world, None).await), (None, None));
    assert_eq!(last(&world, Some(&shop)).await, None);
}
