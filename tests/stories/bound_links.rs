//! What binds a link: the browser that pressed its button, or WeChat's push alone; and the link in the events of
//! grants.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Behaviour, Codes, paths};
use stories::browser::{AtWechat, Browser};
use stories::business::{Business, Link};
use stories::faults::{Fault, Matching};
use stories::schema::Schema;
use stories::world::World;

use crate::opening::{DONE, Opening};

async fn bound_by(business: &Business, link: &Link) -> Value {
    let state = business.look(link).await;
    assert_eq!(state["status"], "authorized", "{state}");
    state["bound_by"].clone()
}

#[tokio::test]
async fn the_pressing_browser_binds_its_link_whichever_notification_comes_first() {
    for push_first in [false, true] {
        let world = World::ready().await;
        world.simulator.set_behaviour(Behaviour { codes: Codes::Same, ..Behaviour::default() });
        let Opening { business, link, browser, page } = Opening::of(&world).await;
        let consent = world.confirms(&page, &world.account(0));
        if push_first {
            world.push_and_work(&consent.push).await;
            assert_eq!(bound_by(&business, &link).await, "push");
        }
        let authorized_at = world.now();
        world.pass(Duration::from_secs(20));
        assert_eq!(browser.open(&page.way_back(&consent.redirect_code)).await.told_status(), "authorized");
        assert_eq!(bound_by(&business, &link).await, "browser", "push first: {push_first}");
        world.push_and_work(&consent.push).await;
        assert_eq!(bound_by(&business, &link).await, "browser", "a push takes nothing away");
        let at = if push_first { authorized_at } else { world.now() };
        assert_eq!(business.look(&link).await["authorized_at"], at.rfc3339());
    }
}

#[tokio::test]
async fn a_return_that_the_refresher_finishes_is_its_browsers() {
    let world = World::ready().await;
    let Opening { business, link, browser, page } = Opening::of(&world).await;
    let back = page.way_back(&world.confirms(&page, &world.account(0)).redirect_code);
    world.simulator.inject(simulator::Fault::system_error().on(paths::QUERY_AUTH).times(1));
    assert_eq!(browser.open(&back).await.told_status(), "pending");
    world.pass(Duration::from_mins(6));
    world.renew().await;
    assert_eq!(bound_by(&business, &link).await, "browser");
}

#[tokio::test]
async fn a_return_whose_link_was_not_written_is_still_its_browsers_after_the_push() {
    let world = World::ready().await;
    world.expect_error("exchanging an authorization code failed");
    world.simulator.set_behaviour(Behaviour { codes: Codes::Same, ..Behaviour::default() });
    let Opening { business, link, browser, page } = Opening::of(&world).await;
    let consent = world.confirms(&page, &world.account(0));
    let back = page.way_back(&consent.redirect_code);
    world.faults.next(3, Matching::operation("UpdateItem").containing("authorized_at"), Fault::Away);
    assert_eq!(browser.open(&back).await.told_status(), "pending");
    world.push_and_work(&consent.push).await;
    assert_eq!(browser.open(&back).await.told_status(), "authorized");
    assert_eq!(bound_by(&business, &link).await, "browser");
}

#[tokio::test]
async fn a_relaying_browser_cannot_claim_a_link_with_a_made_up_code() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({ "return_url": DONE })).await;
    let (relay, merchant) = (Browser::on_computer(), Browser::in_wechat());
    let page = relay.press(&link).await;
    // Somebody else confirms, and comes back in a browser that has pressed nothing.
    let consent = world.confirms(&page, &world.account(0));
    let back = merchant.open(&page.way_back(&consent.redirect_code)).await;
    assert!(back.text.contains("Authorization received"), "{}", back.text);
    world.push_and_work(&consent.push).await;
    assert_eq!(bound_by(&business, &link).await, "push");

    for made_up in ["queryauthcode@@@made-up", "x"] {
        relay.open(&page.way_back(made_up)).await;
        world.pass(Duration::from_mins(6));
        world.renew().await;
        assert_eq!(bound_by(&business, &link).await, "push");
    }
}

#[tokio::test]
async fn a_code_for_a_page_of_the_businesss_own_is_bound_by_push() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({})).await;
    let code = business.code(&link).await;
    let page = AtWechat(code.body["pc_url"].as_str().unwrap().parse().unwrap());
    world.push_and_work(&world.confirms(&page, &world.account(0)).push).await;
    assert_eq!(bound_by(&business, &link).await, "push");
}

/// Detail-type, account, link and reference of each event of a grant.
fn told(world: &World) -> Vec<(String, Value, Value, Value)> {
    let events = world.bus.delivered_of("grant.").into_iter();
    events
        .map(|event| {
            let [account, link, reference] =
                ["authorizer_appid", "link_id", "reference"].map(|name| event.detail[name].clone());
            (event.detail_type, account, link, reference)
        })
        .collect()
}

#[tokio::test]
async fn a_grants_event_names_its_link_even_if_that_is_bound_to_another_account() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({ "reference": "order 7" })).await;
    let browser = Browser::on_computer();
    let (first, second) = (browser.press(&link).await, browser.press(&link).await);
    let accounts = [world.account(0), world.account(1)];
    for (page, account) in [&first, &second].into_iter().zip(&accounts) {
        let consent = world.confirms(page, account);
        browser.open(&page.way_back(&consent.redirect_code)).await;
        world.push_and_work(&consent.push).await;
    }
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.simulator.unauthorize(&accounts[1]).unwrap()).await;
    let of =
        |account: usize| ("grant.authorized".to_owned(), json!(accounts[account]), json!(link.id), json!("order 7"));
    for event in world.bus.delivered_of("grant.") {
        assert_eq!(Schema::read().fits("grant_detail", &event.detail), Ok(()), "{}", event.detail);
    }
    let told = told(&world);
    assert_eq!(told[..2], [of(0), of(1)]);
    assert_eq!((told[2].0.as_str(), &told[2].2), ("grant.unauthorized", &Value::Null), "no code leads to a link");
    assert_eq!(business.look(&link).await["authorizer_appid"], accounts[0].as_str());
}

#[tokio::test]
async fn a_grants_event_names_its_own_link_even_if_cancelled_or_without_reference() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let plain = business.link(json!({})).await;
    let cancelled = business.link(json!({ "reference": "order 8" })).await;
    for (number, link) in [&plain, &cancelled].into_iter().enumerate() {
        let page = Browser::on_computer().press(link).await;
        let consent = world.confirms(&page, &world.account(number));
        if number == 1 {
            assert_eq!(business.cancel(link).await.status, 200);
        }
        world.push_and_work(&consent.push).await;
    }
    // On WeChat's own page, without a link of ours.
    world.push_and_work(&world.merchant_authorizes(&world.account(2)).push).await;
    let links: Vec<(Value, Value)> =
        told(&world).into_iter().map(|(_, _, link, reference)| (link, reference)).collect();
    assert_eq!(
        links,
        [(json!(plain.id), Value::Null), (json!(cancelled.id), json!("order 8")), (Value::Null, Value::Null)]
    );
}

#[tokio::test]
async fn an_event_waits_for_its_link_while_the_table_does_not_give_it() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({ "reference": "order 9" })).await;
    let page = Browser::on_computer().press(&link).await;
    let consent = world.confirms(&page, &world.account(0));
    world.faults.always(Matching::operation("GetItem").containing(format!("#link#{}", link.id)), Fault::Away);
    world.push_and_work(&consent.push).await;
    assert!(told(&world).is_empty());
    assert!(world.wechat_accepts(&world.account(0)).await, "the grant has taken effect meanwhile");
    world.faults.clear();
    let exchanges = world.calls(paths::QUERY_AUTH);
    for _ in 0..2 {
        world.pass(Duration::from_mins(6));
        world.renew().await;
    }
    let told = told(&world);
    assert_eq!((told.len(), &told[0].2, &told[0].3), (1, &json!(link.id), &json!("order 9")));
    assert_eq!(world.calls(paths::QUERY_AUTH), exchanges);
}
