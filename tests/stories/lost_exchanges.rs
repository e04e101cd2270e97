//! A simultaneous exchange and renewal of one account, and lost responses: no dead token stays stored.

use std::sync::Arc;
use std::time::Duration;

use base::clock::{ManualClock, SharedClock};
use base::ids::AppId;
use platform::services::Services;
use platform::tokens::Tokens;
use simulator::{Fault, Push, paths};
use store::TokenOwner;
use stories::faults::{Fault as TableFault, Matching};
use stories::world::World;
use token_refresher::{Report, Task};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::opening::Opening;

async fn tick(world: &World) -> Report {
    world.pass(Duration::from_mins(5));
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.renew().await
}

/// A run that processes the inbox while the story continues.
fn working(world: &World) -> JoinHandle<Report> {
    let refresher = world.refresher.clone();
    tokio::spawn(async move { refresher.run(&Task::renew(), Instant::now() + Duration::from_mins(2)).await.unwrap() })
}

fn owner(account: &AppId) -> TokenOwner {
    TokenOwner::Authorizer(account.clone())
}

/// The time until the stored token is due.
async fn due_in(world: &World, account: &AppId) -> Duration {
    world.stored(account).await.token.due_at.unwrap().since(world.now())
}

/// An account whose merchant has authorized again, while WeChat's response to the exchange of that code is in progress.
async fn exchange_under_way() -> (World, AppId, JoinHandle<Report>) {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(101));
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.component().await.token().await.unwrap();
    assert!(world.simulator.send(&world.merchant_authorizes(&account).push).await.is_accepted());
    world.simulator.inject(Fault::Hold.on(paths::QUERY_AUTH).times(1));
    let run = working(&world);
    world.simulator.until_held(paths::QUERY_AUTH, 1).await;
    (world, account, run)
}

async fn ends(world: &World, account: &AppId, run: JoinHandle<Report>) {
    world.simulator.release(paths::QUERY_AUTH);
    run.await.unwrap();
    tick(world).await;
    let due = due_in(world, account).await;
    assert!(world.wechat_accepts(account).await, "WeChat refuses the stored token, which is due in {due:?}");
}

#[tokio::test]
async fn an_exchange_that_a_renewal_overtook_leaves_no_dead_token() {
    // How much later the renewal was, and how far its machine's clock lags.
    for (later, behind) in
        [(0, 0), (2, 0), (2, 4), (0, 60)].map(|(a, b)| (Duration::from_secs(a), Duration::from_secs(b)))
    {
        let (world, account, run) = Box::pin(exchange_under_way()).await;
        world.pass(later);
        let clock: SharedClock = Arc::new(ManualClock::at(world.now().minus(behind)));
        let other = Services { clock, ..world.services.clone() };
        Tokens::of(&other.open(None).await.unwrap()).renew(&account).await.unwrap();
        assert!(world.wechat_accepts(&account).await, "the renewed token is stored");
        ends(&world, &account, run).await;
    }
}

#[tokio::test]
async fn an_exchange_leaves_no_dead_token_after_a_renewal_whose_answer_was_lost() {
    let (world, account, run) = Box::pin(exchange_under_way()).await;
    world.simulator.inject(Fault::DropAfter.on(paths::AUTHORIZER_TOKEN).times(1));
    world.tokens().await.renew(&account).await.unwrap_err();
    ends(&world, &account, run).await;
}

#[tokio::test]
async fn an_exchange_leaves_no_dead_token_after_a_renewal_that_died_with_its_answer() {
    let (world, account, run) = Box::pin(exchange_under_way()).await;
    world.simulator.inject(Fault::Hold.on(paths::AUTHORIZER_TOKEN).times(1));
    let (tokens, renewed) = (world.tokens().await, account.clone());
    let renewal = tokio::spawn(async move { tokens.renew(&renewed).await });
    world.simulator.until_held(paths::AUTHORIZER_TOKEN, 1).await;
    renewal.abort();
    assert!(renewal.await.unwrap_err().is_cancelled());
    ends(&world, &account, run).await;
}

#[tokio::test]
async fn a_redirect_that_a_renewal_overtook_leaves_no_dead_token() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(101));
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.component().await.token().await.unwrap();
    let Opening { browser, page, .. } = Opening::of(&world).await;
    let back = page.way_back(&world.confirms(&page, &account).redirect_code);
    world.simulator.inject(Fault::Hold.on(paths::QUERY_AUTH).times(1));
    let visit = tokio::spawn(async move { browser.open(&back).await });
    world.simulator.until_held(paths::QUERY_AUTH, 1).await;
    world.tokens().await.renew(&account).await.unwrap();
    world.simulator.release(paths::QUERY_AUTH);
    assert_eq!(visit.await.unwrap().told_status(), "authorized");
    world.renew().await;
    assert!(world.wechat_accepts(&account).await, "due in {:?}", due_in(&world, &account).await);
}

#[tokio::test]
async fn a_quiet_exchange_costs_no_renewal() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.merchant_authorizes(&account).push).await;
    assert!(due_in(&world, &account).await >= Duration::from_mins(90));
    assert_eq!(world.simulator.counters().effects.renewals_of(&account), 0);
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn a_lost_exchange_of_a_reconciled_grant_leaves_no_dead_token() {
    let world = World::ready().await;
    let account = world.account(0);
    let push = world.merchant_authorizes(&account).push;
    world.pass(Duration::from_mins(1));
    world.reconcile().await;
    assert!(world.wechat_accepts(&account).await);
    world.simulator.inject(Fault::DropAfter.on(paths::QUERY_AUTH).times(1));
    world.push_and_work(&push).await;
    assert!(world.wechat_accepts(&account).await, "the same run renews it");
    for _ in 0..3 {
        tick(&world).await;
    }
    assert!(world.wechat_accepts(&account).await);
    assert_eq!(world.store().inbox.count_waiting(world.now()).await.unwrap(), 0);
}

/// An account that has authorized again, and the push of that.
async fn updated() -> (World, AppId, Push) {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(10));
    let push = world.merchant_authorizes(&account).push;
    (world, account, push)
}

#[tokio::test]
async fn a_lost_exchange_does_not_wait_for_its_next_try_with_a_dead_token() {
    let (world, account, push) = updated().await;
    world.simulator.inject(Fault::DropAfter.on(paths::QUERY_AUTH).times(1));
    world.push_and_work(&push).await;
    world.simulator.inject(Fault::system_error().on(paths::QUERY_AUTH).times(3));
    for _ in 0..8 {
        assert!(world.wechat_accepts(&account).await);
        tick(&world).await;
    }
}

#[tokio::test]
async fn an_exchange_whose_process_died_leaves_no_dead_token() {
    let (world, account, push) = updated().await;
    assert!(world.simulator.send(&push).await.is_accepted());
    world.simulator.inject(Fault::Hold.on(paths::QUERY_AUTH).times(1));
    let run = working(&world);
    world.simulator.until_held(paths::QUERY_AUTH, 1).await;
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    world.simulator.inject(Fault::BadGateway.on(paths::QUERY_AUTH).times(1));
    tick(&world).await;
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn a_lost_exchange_is_not_hidden_by_a_renewal_that_was_under_way() {
    let (world, account, push) = updated().await;
    world.store().tokens.mark_due(&owner(&account), world.now()).await.unwrap();
    world.simulator.inject(Fault::Hold.on(paths::AUTHORIZER_TOKEN).times(1));
    let (tokens, renewed) = (world.tokens().await, account.clone());
    let renewal = tokio::spawn(async move { tokens.renew(&renewed).await });
    world.simulator.until_held(paths::AUTHORIZER_TOKEN, 1).await;
    world.simulator.inject(Fault::DropAfter.on(paths::QUERY_AUTH).times(1));
    world.push_and_work(&push).await;
    world.simulator.release(paths::AUTHORIZER_TOKEN);
    renewal.await.unwrap().unwrap();
    world.simulator.inject(Fault::system_error().on(paths::QUERY_AUTH).times(1));
    tick(&world).await;
    assert!(world.wechat_accepts(&account).await, "due in {:?}", due_in(&world, &account).await);
}

#[tokio::test]
async fn a_redirect_whose_answer_was_lost_is_made_good_by_the_push() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(10));
    let Opening { business, link, browser, page } = Opening::of(&world).await;
    let consent = world.confirms(&page, &account);
    world.simulator.inject(Fault::DropAfter.on(paths::QUERY_AUTH).times(1));
    assert_eq!(browser.open(&page.way_back(&consent.redirect_code)).await.told_status(), "pending");
    // WeChat is busy for a while when the push arrives.
    world.simulator.inject(Fault::system_error().on(paths::QUERY_AUTH).times(2));
    world.push_and_work(&consent.push).await;
    assert!(world.wechat_accepts(&account).await);
    for _ in 0..4 {
        tick(&world).await;
    }
    assert!(world.wechat_accepts(&account).await);
    assert_eq!(business.status(&link).await, "authorized");
    assert_eq!(browser.open(&page.way_back(&consent.redirect_code)).await.told_status(), "authorized");
}

#[tokio::test]
async fn tokens_in_hand_that_the_table_does_not_take_are_made_good() {
    let (world, account, push) = updated().await;
    world.faults.always(Matching::operation("TransactWriteItems"), TableFault::ServerError);
    world.push_and_work(&push).await;
    world.faults.clear();
    for _ in 0..2 {
        tick(&world).await;
        assert!(world.wechat_accepts(&account).await, "due in {:?}", due_in(&world, &account).await);
    }
    assert_eq!(world.store().inbox.count_waiting(world.now()).await.unwrap(), 0);
}
