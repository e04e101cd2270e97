//! Promises 3 and 7: everything may come twice, late, out of order and at the same time.

use std::time::Duration;

use base::ids::AppId;
use secrecy::ExposeSecret as _;
use simulator::{Account, Push};
use store::AccountState;
use stories::world::World;
use token_refresher::{Refresher, Settings, Task};
use tokio::time::Instant;

/// Every order of `n` things.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let put_in = |order: Vec<usize>| {
        (0..n).map(move |at| {
            let mut longer = order.clone();
            longer.insert(at, n - 1);
            longer
        })
    };
    orders(n - 1).into_iter().flat_map(put_in).collect()
}

/// An account's actions at WeChat, `gap` apart: authorizes, authorizes again, revokes, and comes back or not.
fn history(world: &World, account: &AppId, gap: Duration, comes_back: bool) -> Vec<Push> {
    let mut pushes = vec![world.merchant_authorizes(account).push];
    world.pass(gap);
    pushes.push(world.merchant_authorizes(account).push);
    world.pass(gap);
    pushes.push(world.simulator.unauthorize(account).unwrap());
    if comes_back {
        world.pass(gap);
        pushes.push(world.merchant_authorizes(account).push);
    }
    pushes
}

/// Delivers the history of one account after another, each in another order, and everything once more at its end.
/// Returns the accounts with their last push.
async fn delivered_in_every_order(world: &World, gap: Duration, comes_back: bool) -> Vec<(String, AppId, Push)> {
    let mut accounts = Vec::new();
    for (number, order) in orders(if comes_back { 4 } else { 3 }).into_iter().enumerate() {
        let account = AppId::parse(&format!("wx{number:016}")).unwrap();
        world.simulator.put_account(Account::official_account(account.clone(), "小店"));
        assert!(world.simulator.push_ticket().await.is_accepted());
        let pushes = history(world, &account, gap, comes_back);
        for position in order.iter().chain(order.iter().rev()) {
            world.push_and_work(&pushes[*position]).await;
        }
        accounts.push((format!("{order:?}"), account, pushes.last().unwrap().clone()));
    }
    for _ in 0..3 {
        world.pass(Duration::from_mins(6));
        assert!(world.simulator.push_ticket().await.is_accepted());
        world.renew().await;
    }
    assert_eq!(world.store().inbox.count_waiting(world.now()).await.unwrap(), 0);
    accounts
}

async fn all_come_back(gap: Duration) {
    let world = World::ready().await;
    for (order, account, last) in delivered_in_every_order(&world, gap, true).await {
        let stored = world.stored(&account).await;
        assert_eq!(stored.token.state, AccountState::Active, "{order}");
        assert_eq!(stored.granted_at, Some(last.create_time), "{order}");
        assert!(world.details(&account).await.profile.is_some(), "{order}");
        assert!(world.wechat_accepts(&account).await, "{order}");
        let details = world.component().await.details(&account).await.unwrap();
        let (known, kept) = (details.refresh_token.unwrap(), stored.token.refresh_token.unwrap());
        assert_eq!(known.expose_secret(), kept.expose_secret(), "{order}");
    }
}

async fn none_comes_back(gap: Duration) {
    let world = World::ready().await;
    for (order, account, last) in delivered_in_every_order(&world, gap, false).await {
        let stored = world.stored(&account).await;
        assert_eq!(stored.token.state, AccountState::Unauthorized, "{order}");
        assert!(stored.token.access_token.is_none(), "{order}");
        assert_eq!(stored.revoked_at, Some(last.create_time), "{order}");
    }
}

#[tokio::test]
async fn an_account_that_came_back_is_there_whatever_order_its_pushes_came_in() {
    Box::pin(all_come_back(Duration::from_mins(6))).await;
}

#[tokio::test]
async fn an_account_that_came_back_is_there_even_if_wechats_times_are_too_close() {
    Box::pin(all_come_back(Duration::from_secs(20))).await;
}

#[tokio::test]
async fn an_account_that_left_is_gone_whatever_order_its_pushes_came_in() {
    none_comes_back(Duration::from_mins(6)).await;
}

#[tokio::test]
async fn an_account_that_left_is_gone_even_if_wechats_times_are_too_close() {
    none_comes_back(Duration::from_secs(20)).await;
}

#[tokio::test]
async fn a_revocation_stamped_after_the_return_does_not_take_the_account() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(10));
    let revoked = world.simulator.unauthorize(&account).unwrap().stamped_ahead(Duration::from_mins(2));
    world.pass(Duration::from_secs(30));
    let again = world.merchant_authorizes(&account).push;
    world.push_and_work(&again).await;
    world.push_and_work(&revoked).await;
    assert_eq!(world.stored(&account).await.token.state, AccountState::Active);
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn a_grant_stamped_after_its_revocation_does_not_bring_the_account_back() {
    let world = World::ready().await;
    let account = world.account(0);
    let granted = world.merchant_authorizes(&account).push.stamped_ahead(Duration::from_mins(2));
    world.pass(Duration::from_secs(30));
    let revoked = world.simulator.unauthorize(&account).unwrap();
    world.push_and_work(&revoked).await;
    world.push_and_work(&granted).await;
    assert_eq!(world.stored(&account).await.token.state, AccountState::Unauthorized);
}

#[tokio::test]
async fn two_refreshers_at_once_renew_twenty_accounts_once_each() {
    let world = World::ready().await;
    let mut accounts = Vec::new();
    for number in 0..20 {
        let registration = world.simulator.register_mini_program(&format!("小店 {number}"));
        assert!(world.simulator.send(&registration.push).await.is_accepted());
        accounts.push(registration.appid);
    }
    assert_eq!(world.renew().await.inbox_done, 20);
    world.pass(Duration::from_mins(101));
    assert!(world.simulator.push_ticket().await.is_accepted());

    let second = Refresher::new(
        world.services.clone(),
        world.targets(),
        Settings { per_second: 100_000, ..Settings::default() },
    );
    let deadline = Instant::now() + Duration::from_mins(2);
    let before = world.simulator.counters().effects;
    let task = Task::renew();
    let (one, other) = tokio::join!(world.renew(), second.run(&task, deadline));
    let other = other.unwrap();
    assert_eq!(one.renewed + other.renewed, 20, "{one} / {other}");
    assert!(one.failed.is_empty() && other.failed.is_empty(), "{one} / {other}");
    let after = world.simulator.counters().effects;
    assert!(after.component_tokens - before.component_tokens <= 1);
    for account in &accounts {
        assert_eq!(after.renewals_of(account), 1, "{account}");
        assert!(world.wechat_accepts(account).await);
    }
}
