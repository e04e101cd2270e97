//! When messages last arrived is stored, for the operators who ask, and costs next to nothing.

use std::time::Duration;

use base::clock::Timestamp;
use base::limits::Limits;
use simulator::{Account, Message};
use store::{ACCOUNT_ARRIVALS_EVERY, MESSAGE_ARRIVAL_KEPT, PLATFORM_ARRIVALS_EVERY};
use stories::faults::{Fault, Matching};
use stories::world::{World, short_limits};

use super::{FOLLOWER, service_for, shop, texts};

const MINUTE: Duration = Duration::from_mins(1);

async fn last(world: &World, account: Option<&Account>) -> Option<Timestamp> {
    let appid = account.map(|account| &account.appid);
    world.store().message_arrivals.last(appid, world.now()).await.unwrap()
}

/// Sends a message, and returns how many writes that took.
async fn writes(world: &World, shop: &Account) -> usize {
    let before = world.faults.requests("UpdateItem");
    assert!(world.simulator.send_message(&Message::text(shop, FOLLOWER, "hello")).await.is_empty());
    world.faults.requests("UpdateItem") - before
}

#[tokio::test]
async fn arrivals_are_stored_and_most_messages_write_nothing_for_it() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    assert_eq!((last(&world, Some(&shop)).await, last(&world, None).await), (None, None));
    let first = world.now();
    // The response, and the two times.
    assert_eq!(writes(&world, &shop).await, 3);
    let reads = world.faults.requests("GetItem");
    assert_eq!(writes(&world, &shop).await, 1);
    // Whether the message came before.
    assert_eq!(world.faults.requests("GetItem") - reads, 1);
    world.pass(PLATFORM_ARRIVALS_EVERY);
    assert_eq!(writes(&world, &shop).await, 2);
    assert_eq!((last(&world, Some(&shop)).await, last(&world, None).await), (Some(first), Some(world.now())));

    // Another process reads before it writes, and goes on from there.
    world.pass(ACCOUNT_ARRIVALS_EVERY.saturating_sub(PLATFORM_ARRIVALS_EVERY + MINUTE));
    world.receive_messages_with(account_push::router(world.reception(None))).await;
    assert_eq!(writes(&world, &shop).await, 2);
    assert_eq!(last(&world, Some(&shop)).await, Some(first));
    world.pass(MINUTE);
    assert_eq!(writes(&world, &shop).await, 2);
    assert_eq!(last(&world, Some(&shop)).await, Some(world.now()));

    world.pass(MESSAGE_ARRIVAL_KEPT);
    assert_eq!((last(&world, Some(&shop)).await, last(&world, None).await), (None, None));
}

#[tokio::test]
async fn a_time_that_cannot_be_stored_costs_no_message_and_is_stored_a_minute_later() {
    for fault in [Fault::Away, Fault::Throttle, Fault::LostReply] {
        let world = World::ready().await;
        let shop = shop(&world).await;
        let first = world.now();
        world.faults.always(Matching::setting("last_message_at"), fault);
        writes(&world, &shop).await;
        assert_eq!(texts(&world), ["hello"], "{fault:?}");
        world.faults.clear();
        assert_eq!(writes(&world, &shop).await, 1, "{fault:?}: a table in trouble is left alone");
        world.pass(MINUTE);
        writes(&world, &shop).await;
        let expected = if fault == Fault::LostReply { first } else { world.now() };
        assert_eq!(last(&world, Some(&shop)).await, Some(expected), "{fault:?}");
    }
}

#[tokio::test]
async fn a_time_that_hangs_takes_nothing_of_the_webhooks_time() {
    let limits = Limits { message: Duration::from_secs(2), ..short_limits() };
    let world = World::with(|_| {}, limits).await;
    world.get_ready().await;
    let shop = shop(&world).await;
    let service = service_for(&world).await;
    world.faults.always(Matching::operation("GetItem").containing("message-arrival"), Fault::Hang);
    let outcome = world.simulator.send_message(&Message::text(&shop, FOLLOWER, "hello")).await;
    assert_eq!((outcome.reply_text().as_deref(), service.asked().len()), (Some("hello!"), 1), "{outcome:?}");
}

#[tokio::test]
async fn a_clock_that_is_ahead_hides_no_later_arrival() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let ahead = world.now().plus(Duration::from_hours(24));
    world.store().message_arrivals.note(Some(&shop.appid), ahead).await.unwrap();
    writes(&world, &shop).await;
    assert_eq!(last(&world, Some(&shop)).await, Some(world.now()));
}

#[tokio::test]
async fn only_a_message_that_is_certainly_an_accounts_is_an_arrival_of_that_account() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let stranger = world.simulator.account(&world.account(1)).unwrap();
    let outcome = world.simulator.send_message(&Message::text(&stranger, FOLLOWER, "hello")).await;
    assert!(!outcome.is_empty(), "{outcome:?}");
    assert_eq!((last(&world, Some(&stranger)).await, last(&world, None).await), (None, None));

    // Its grant was pushed, and its name is not known yet.
    world.store().introductions.put(&stranger.appid, world.now()).await.unwrap();
    assert!(world.simulator.send_message(&Message::text(&stranger, FOLLOWER, "hello")).await.is_empty());
    assert_eq!((last(&world, Some(&stranger)).await, last(&world, None).await), (None, Some(world.now())));
    assert_eq!(last(&world, Some(&shop)).await, None);
}
