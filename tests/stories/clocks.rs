//! Times that are not credible: a server of WeChat's whose clock is far ahead, and the traces of such a time in the
//! table.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use secrecy::ExposeSecret as _;
use simulator::{Fault, Push, paths};
use store::AccountState;
use stories::world::{TABLE, World};
use token_refresher::Report;

const A_YEAR: Duration = Duration::from_hours(24 * 365);

async fn tick(world: &World) -> Report {
    world.pass(Duration::from_mins(5));
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.renew().await
}

/// Writes a time into an item, as a program that believed every time would have.
async fn leave(world: &World, sort: &str, attribute: &str, at: Timestamp) {
    use aws_sdk_dynamodb::types::AttributeValue;
    let client = world.database.client();
    let items = client.scan().table_name(TABLE).send().await.unwrap().items.unwrap();
    let mut item = items.into_iter().find(|item| item["sk"].as_s().unwrap() == sort).expect("there is such an item");
    item.insert(attribute.to_owned(), AttributeValue::N(at.unix().to_string()));
    client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
}

/// A ticket lives 12 hours.
async fn a_day_with_good_tickets(world: &World, account: &AppId) {
    for _ in 0..13 * 6 {
        world.pass(Duration::from_mins(10));
        assert!(world.simulator.push_ticket().await.is_accepted());
    }
    let report = world.renew().await;
    assert!(world.wechat_accepts(account).await, "13 hours later, with 78 good tickets since: {report}");
}

#[tokio::test]
async fn a_ticket_from_the_future_does_not_hide_those_that_follow() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    assert!(world.simulator.send(&world.simulator.ticket().stamped_ahead(A_YEAR)).await.is_accepted());
    a_day_with_good_tickets(&world, &account).await;
}

#[tokio::test]
async fn a_ticket_from_the_future_that_was_stored_long_ago_gives_way() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    leave(&world, "ticket", "create_time", world.now().plus(A_YEAR)).await;
    a_day_with_good_tickets(&world, &account).await;
}

#[tokio::test]
async fn a_ticket_that_is_a_little_ahead_is_kept_until_a_newer_one_comes() {
    let world = World::start().await;
    let ahead = world.simulator.ticket().stamped_ahead(Duration::from_mins(4));
    let now = world.simulator.ticket();
    world.pass(Duration::from_mins(10));
    let newer = world.simulator.ticket();
    for (push, kept) in [(&ahead, &ahead), (&now, &ahead), (&newer, &newer)] {
        assert!(world.simulator.send(push).await.is_accepted());
        let stored = world.store().tickets.newest().await.unwrap().unwrap();
        assert!(kept.message.contains(stored.ticket.expose_secret()));
    }
}

async fn comes_back(world: &World, account: &AppId) {
    world.pass(Duration::from_mins(10));
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.push_and_work(&world.merchant_authorizes(account).push).await;
    assert_eq!(world.stored(account).await.token.state, AccountState::Active);
    assert!(world.wechat_accepts(account).await);
}

async fn leaves(world: &World, account: &AppId) {
    world.pass(Duration::from_mins(10));
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.push_and_work(&world.simulator.unauthorize(account).unwrap()).await;
    assert_eq!(world.stored(account).await.token.state, AccountState::Unauthorized);
}

#[tokio::test]
async fn a_revocation_from_the_future_does_not_outlive_later_grants() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.simulator.unauthorize(&account).unwrap().stamped_ahead(A_YEAR)).await;
    assert_eq!(world.stored(&account).await.token.state, AccountState::Unauthorized);
    comes_back(&world, &account).await;
    leaves(&world, &account).await;
    comes_back(&world, &account).await;
}

#[tokio::test]
async fn a_future_revocation_after_the_return_does_not_take_the_account() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(10));
    let revoked = world.simulator.unauthorize(&account).unwrap().stamped_ahead(A_YEAR);
    comes_back(&world, &account).await;
    world.pass(Duration::from_mins(10));
    world.push_and_work(&revoked).await;
    assert_eq!(world.stored(&account).await.token.state, AccountState::Active);
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn a_future_revocation_does_not_outrank_a_return_that_arrives_later() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(10));
    let revoked = world.simulator.unauthorize(&account).unwrap().stamped_ahead(A_YEAR);
    world.pass(Duration::from_mins(10));
    let again = world.merchant_authorizes(&account).push;
    // Both come half an hour late: when the revocation does, the return's time is long past.
    world.pass(Duration::from_mins(30));
    assert!(world.simulator.push_ticket().await.is_accepted());
    for push in [&revoked, &again] {
        world.push_and_work(push).await;
    }
    for _ in 0..3 {
        tick(&world).await;
    }
    assert_eq!(world.stored(&account).await.token.state, AccountState::Active);
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn a_future_revocation_stored_long_ago_does_not_keep_the_account_out() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    leaves(&world, &account).await;
    leave(&world, "account", "revoked_at", world.now().plus(A_YEAR)).await;
    comes_back(&world, &account).await;
    leaves(&world, &account).await;
    // The list takes precedence over it too.
    leave(&world, "account", "revoked_at", world.now().plus(A_YEAR)).await;
    world.pass(Duration::from_mins(10));
    drop(world.merchant_authorizes(&account));
    assert_eq!(world.reconcile().await.added, 1);
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn a_grant_from_the_future_does_not_outlive_a_later_revocation() {
    for stored_before in [false, true] {
        let world = World::ready().await;
        let account = world.account(0);
        let push = world.merchant_authorizes(&account).push;
        if stored_before {
            world.push_and_work(&push).await;
            leave(&world, "account", "granted_at", world.now().plus(A_YEAR)).await;
        } else {
            world.push_and_work(&push.stamped_ahead(A_YEAR)).await;
        }
        assert!(world.wechat_accepts(&account).await);
        leaves(&world, &account).await;
        comes_back(&world, &account).await;
        leaves(&world, &account).await;
    }
}

/// A merchant leaves and comes back `apart` later; WeChat is busy once when the return's code is exchanged, and the
/// revocation, stamped `ahead`, arrives while that code waits to be retried.
async fn a_code_waits_while_its_revocation_comes(apart: Duration, ahead: Duration) -> (World, AppId) {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(10));
    let revoked: Push = world.simulator.unauthorize(&account).unwrap().stamped_ahead(ahead);
    world.pass(apart);
    let again = world.merchant_authorizes(&account).push;
    world.simulator.inject(Fault::system_error().on(paths::QUERY_AUTH).times(1));
    world.push_and_work(&again).await;
    world.push_and_work(&revoked).await;
    for _ in 0..3 {
        tick(&world).await;
    }
    (world, account)
}

#[tokio::test]
async fn a_code_that_waits_is_not_dropped_for_a_revocation_that_may_be_older() {
    let seconds = Duration::from_secs;
    for (apart, ahead) in [(seconds(30), seconds(120)), (seconds(290), seconds(580)), (seconds(30), A_YEAR)] {
        let (world, account) = a_code_waits_while_its_revocation_comes(apart, ahead).await;
        assert_eq!(world.stored(&account).await.token.state, AccountState::Active, "{apart:?} {ahead:?}");
        assert!(world.wechat_accepts(&account).await);
    }
}

#[tokio::test]
async fn a_code_that_waits_is_dropped_for_a_revocation_that_is_surely_later() {
    let world = World::ready().await;
    let account = world.account(0);
    let granted = world.merchant_authorizes(&account).push;
    world.simulator.inject(Fault::system_error().on(paths::QUERY_AUTH).times(2));
    world.push_and_work(&granted).await;
    tick(&world).await;
    // Tried twice, the code is due again in ten minutes.
    world.pass(Duration::from_mins(1));
    world.push_and_work(&world.simulator.unauthorize(&account).unwrap()).await;
    assert_eq!(world.calls(paths::QUERY_AUTH), 2);
    assert_eq!(world.store().inbox.count_waiting(world.now().plus(A_YEAR)).await.unwrap(), 0);
    assert_eq!(world.stored(&account).await.token.state, AccountState::Unauthorized);
}
