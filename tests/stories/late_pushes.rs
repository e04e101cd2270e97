//! Pushes that arrive after what followed them: WeChat's response now is about the present grant, whichever push made
//! us ask.

use std::time::Duration;

use base::ids::AppId;
use simulator::{Consent, Fault, Push, paths};
use store::{AccountState, GrantEnd};
use stories::world::World;

use crate::opening::Opening;

async fn ticks(world: &World, count: usize) {
    for _ in 0..count {
        world.pass(Duration::from_mins(5));
        assert!(world.simulator.push_ticket().await.is_accepted());
        world.renew().await;
    }
}

fn not_authorized() -> Fault {
    Fault::Errcode { errcode: 61003, errmsg: "component is not authorized by this account".to_owned() }
}

/// A merchant has authorized, left and come back through a link; none of the pushes has arrived.
async fn returned_through_a_link(gap: Duration) -> (World, Opening, AppId, Push, Push, Consent) {
    let world = World::ready().await;
    let account = world.account(0);
    let first = world.merchant_authorizes(&account).push;
    world.pass(gap);
    let revoked = world.simulator.unauthorize(&account).unwrap();
    world.pass(gap);
    assert!(world.simulator.push_ticket().await.is_accepted());
    let opening = Opening::of(&world).await;
    let consent = world.confirms(&opening.page, &account);
    (world, opening, account, first, revoked, consent)
}

#[tokio::test]
async fn a_redirect_before_its_pushes_keeps_its_grant_in_any_order_of_them() {
    for gap in [Duration::from_mins(20), Duration::from_mins(2)] {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let (world, Opening { business, link, browser, page }, account, first, revoked, consent) =
                returned_through_a_link(gap).await;
            assert_eq!(browser.open(&page.way_back(&consent.redirect_code)).await.told_status(), "authorized");
            for number in order {
                world.push_and_work([&first, &revoked, &consent.push][number]).await;
                assert_eq!(world.stored(&account).await.token.state, AccountState::Active, "{gap:?} {order:?}");
            }
            assert!(world.wechat_accepts(&account).await);
            assert_eq!(business.status(&link).await, "authorized");
        }
    }
}

#[tokio::test]
async fn a_revocation_after_the_late_pushes_still_ends_the_grant() {
    let (world, Opening { browser, page, .. }, account, first, revoked, consent) =
        returned_through_a_link(Duration::from_mins(20)).await;
    browser.open(&page.way_back(&consent.redirect_code)).await;
    for push in [&first, &revoked, &consent.push] {
        world.push_and_work(push).await;
    }
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.simulator.unauthorize(&account).unwrap()).await;
    assert_eq!(world.stored(&account).await.token.state, AccountState::Unauthorized);
}

#[tokio::test]
async fn a_push_of_an_exchanged_code_brings_back_an_account_ended_meanwhile() {
    let world = World::ready().await;
    let Opening { browser, page, .. } = Opening::of(&world).await;
    let account = world.account(0);
    let consent = world.confirms(&page, &account);
    browser.open(&page.way_back(&consent.redirect_code)).await;
    let seq = world.stored(&account).await.token.seq;
    // A wrong belief.
    world
        .tokens()
        .await
        .end_grant(&account, seq, &GrantEnd::Refused { errcode: Some(61003), rid: None })
        .await
        .unwrap();
    world.push_and_work(&consent.push).await;
    assert_eq!(world.stored(&account).await.token.state, AccountState::Active);
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn a_push_of_an_exchanged_code_does_not_bring_back_an_account_that_left() {
    for gap in [Duration::from_mins(20), Duration::from_mins(2)] {
        let world = World::ready().await;
        let Opening { browser, page, .. } = Opening::of(&world).await;
        let account = world.account(0);
        let consent = world.confirms(&page, &account);
        browser.open(&page.way_back(&consent.redirect_code)).await;
        world.pass(gap);
        let revoked = world.simulator.unauthorize(&account).unwrap();
        for push in [&revoked, &consent.push] {
            world.push_and_work(push).await;
            assert_eq!(world.stored(&account).await.token.state, AccountState::Unauthorized, "{gap:?}");
        }
    }
}

#[tokio::test]
async fn a_reloaded_page_says_authorized_if_a_newer_grant_spent_the_code() {
    let world = World::ready().await;
    let Opening { browser, page, .. } = Opening::of(&world).await;
    let account = world.account(0);
    let consent = world.confirms(&page, &account);
    let back = page.way_back(&consent.redirect_code);
    world.simulator.inject(Fault::system_error().on(paths::QUERY_AUTH).times(1));
    assert_eq!(browser.open(&back).await.told_status(), "pending");
    // The merchant authorizes once more, without a link, and that push takes effect first.
    world.pass(Duration::from_mins(6));
    world.push_and_work(&world.merchant_authorizes(&account).push).await;
    world.push_and_work(&consent.push).await;
    assert!(world.wechat_accepts(&account).await);
    assert_eq!(browser.open(&back).await.told_status(), "authorized");
}

#[tokio::test]
async fn a_passing_61003_at_the_exchange_does_not_cost_the_link() {
    let world = World::ready().await;
    let Opening { business, link, page, .. } = Opening::of(&world).await;
    let account = world.account(0);
    let push = world.confirms(&page, &account).push;
    world.simulator.inject(not_authorized().on(paths::QUERY_AUTH).times(1));
    world.push_and_work(&push).await;
    ticks(&world, 2).await;
    assert!(world.wechat_accepts(&account).await);
    assert_eq!(business.status(&link).await, "authorized");
}

#[tokio::test]
async fn a_passing_61003_does_not_cost_a_redirect_its_grant() {
    let world = World::ready().await;
    let Opening { business, link, browser, page } = Opening::of(&world).await;
    let account = world.account(0);
    let back = page.way_back(&world.confirms(&page, &account).redirect_code);
    world.simulator.inject(not_authorized().on(paths::QUERY_AUTH).times(1));
    assert_eq!(browser.open(&back).await.told_status(), "pending");
    ticks(&world, 1).await;
    assert_eq!(business.status(&link).await, "authorized");
    assert!(world.wechat_accepts(&account).await);
    assert_eq!(browser.open(&back).await.told_status(), "authorized");
}

#[tokio::test]
async fn a_61003_beyond_the_codes_life_costs_nothing_while_the_details_answer() {
    let world = World::ready().await;
    let Opening { business, link, page, .. } = Opening::of(&world).await;
    let account = world.account(0);
    let push = world.confirms(&page, &account).push;
    world.simulator.inject(not_authorized().on(paths::QUERY_AUTH));
    world.push_and_work(&push).await;
    ticks(&world, 16).await;
    assert!(world.wechat_accepts(&account).await);
    assert_eq!(business.status(&link).await, "authorized");
    assert_eq!(world.store().inbox.count_waiting(world.now()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_61003_that_the_details_confirm_ends_the_matter_at_once() {
    let world = World::ready().await;
    let account = world.account(0);
    let push = world.merchant_authorizes(&account).push;
    drop(world.simulator.unauthorize(&account));
    let report = world.push_and_work(&push).await;
    assert_eq!((report.inbox_done, report.inbox_postponed), (1, 0), "{report}");
    assert!(world.store().accounts.get(&account).await.unwrap().is_none());
}

#[tokio::test]
async fn a_redirect_of_a_revoked_grant_is_given_up_when_its_code_has_expired() {
    let world = World::ready().await;
    let Opening { browser, page, .. } = Opening::of(&world).await;
    let account = world.account(0);
    let back = page.way_back(&world.confirms(&page, &account).redirect_code);
    drop(world.simulator.unauthorize(&account));
    assert_eq!(browser.open(&back).await.told_status(), "pending");
    ticks(&world, 20).await;
    assert_eq!(world.store().inbox.count_waiting(world.now().plus(Duration::from_hours(24))).await.unwrap(), 0);
    assert_eq!(browser.open(&back).await.told_status(), "failed");
}
