//! A link reports its outcome and the state of its account, however late it is queried.

use std::time::Duration;

use base::clock::Timestamp;
use http::header::RETRY_AFTER;
use serde_json::{Value, json};
use stories::browser::Browser;
use stories::business::{Business, Link};
use stories::world::World;

use crate::opening::{DONE, Opening};

/// A merchant has authorized through a link and is back.
async fn bound(world: &World) -> (Business, Link, Browser) {
    let Opening { business, link, browser, page } = Opening::of(world).await;
    let consent = world.confirms(&page, &world.account(0));
    assert_eq!(browser.open(&page.way_back(&consent.redirect_code)).await.told_status(), "authorized");
    world.push_and_work(&consent.push).await;
    (business, link, browser)
}

fn account_of(state: &Value) -> (&Value, &Value, &Value) {
    (&state["status"], &state["account_state"], &state["state_since"])
}

fn at(time: Timestamp) -> Value {
    json!(time.rfc3339())
}

#[tokio::test]
async fn a_link_says_since_when_its_account_is_active_withdrawn_and_active_again() {
    let world = World::ready().await;
    let granted = world.now();
    let (business, link, _) = bound(&world).await;
    let state = business.look(&link).await;
    assert_eq!(account_of(&state), (&json!("authorized"), &json!("active"), &at(granted)));
    assert_eq!(state["authorized_at"], at(granted));

    world.pass(Duration::from_hours(1));
    let withdrawn = world.now();
    world.push_and_work(&world.simulator.unauthorize(&world.account(0)).unwrap()).await;
    let state = business.look(&link).await;
    assert_eq!(account_of(&state), (&json!("authorized"), &json!("unauthorized"), &at(withdrawn)));
    assert_eq!((&state["authorized_at"], &state["authorizer_appid"]), (&at(granted), &json!(world.account(0))));

    world.pass(Duration::from_mins(20));
    let again = world.now();
    world.push_and_work(&world.merchant_authorizes(&world.account(0)).push).await;
    assert_eq!(account_of(&business.look(&link).await), (&json!("authorized"), &json!("active"), &at(again)));
}

#[tokio::test]
async fn a_link_says_that_its_account_needs_to_authorize_again() {
    let world = World::ready().await;
    let (business, link, _) = bound(&world).await;
    // The push that would say so is lost: the next renewal is refused by WeChat.
    drop(world.simulator.unauthorize(&world.account(0)));
    world.pass(Duration::from_mins(101));
    assert!(world.simulator.push_ticket().await.is_accepted());
    assert_eq!(world.renew().await.gone, 1);
    let state = business.look(&link).await;
    assert_eq!(account_of(&state), (&json!("authorized"), &json!("needs-authorization"), &at(world.now())));
}

#[tokio::test]
async fn a_link_that_was_not_used_says_nothing_of_an_account() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({ "expires_in_seconds": 60 })).await;
    for status in ["pending", "expired"] {
        let state = business.look(&link).await;
        assert_eq!(state["status"], status);
        for member in ["authorizer_appid", "authorized_at", "bound_by", "account_state", "state_since", "cancelled_at"]
        {
            assert!(state.get(member).is_none(), "{member}: {state}");
        }
        world.pass(Duration::from_mins(1));
    }
}

#[tokio::test]
async fn the_page_of_a_used_link_tells_that_the_merchant_has_withdrawn() {
    let world = World::ready().await;
    let (_, link, browser) = bound(&world).await;
    let used = browser.open(&link.url).await;
    assert_eq!(used.status, 200);
    assert!(used.text.contains("nothing left to do"), "{}", used.text);

    world.pass(Duration::from_hours(1));
    world.push_and_work(&world.simulator.unauthorize(&world.account(0)).unwrap()).await;
    let withdrawn = browser.open(&link.url).await;
    assert_eq!(withdrawn.status, 410);
    assert!(
        withdrawn.text.contains("No longer authorized") && withdrawn.text.contains("a new one"),
        "{}",
        withdrawn.text
    );
}

#[tokio::test]
async fn a_second_account_on_a_link_is_authorized_and_told_of_the_first() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({})).await;
    let browser = Browser::on_computer();
    let (first, second) = (browser.press(&link).await, browser.press(&link).await);
    let (one, two) = (world.account(0), world.account(1));

    let back = browser.open(&first.way_back(&world.confirms(&first, &one).redirect_code)).await;
    assert!(back.text.contains("Your account is authorized. You can close"), "{}", back.text);
    let way_back = second.way_back(&world.confirms(&second, &two).redirect_code);
    for _ in 0..2 {
        let back = browser.open(&way_back).await;
        assert_eq!(back.status, 200);
        for said in ["Authorized, but the link was used", "class=\"account\"", "is for one account"] {
            assert!(back.text.contains(said), "{}", back.text);
        }
        assert!(!back.text.contains("expired"), "{}", back.text);
    }
    assert_eq!(business.look(&link).await["authorizer_appid"], one.as_str());
    assert!(world.wechat_accepts(&two).await);
}

#[tokio::test]
async fn a_link_that_was_pressed_too_often_says_when_it_works_again_and_then_does() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({ "return_url": DONE })).await;
    let browser = Browser::on_computer();
    let launch = browser.open(&link.url).await;
    for _ in 0..10 {
        assert_eq!(browser.submit(&launch, &[]).await.status, 303);
        world.pass(Duration::from_mins(1));
    }
    let wait = Duration::from_mins(50);
    let refused = browser.submit(&launch, &[]).await;
    assert_eq!((refused.status, &refused.headers[RETRY_AFTER]), (429, &"3000".parse().unwrap()));
    let clock = world.now().plus(wait).plus(Duration::from_hours(8)).rfc3339();
    // The world's clock may not be at a full minute; the page shows the next one.
    let hour = &clock[11..13];
    assert!(refused.text.contains("in 50 minutes, from ") && refused.text.contains(hour), "{hour}: {}", refused.text);
    for shown in ["Beijing time", "<main class=\"warning\">"] {
        assert!(refused.text.contains(shown), "{shown}: {}", refused.text);
    }
    assert_eq!(refused.link("Try again"), link.url);
    let code = business.code(&link).await;
    assert_eq!((code.status, code.problem()), (429, "too-many-codes"));
    assert!(code.detail().contains(&world.now().plus(wait).rfc3339()), "{}", code.body);

    world.pass(Duration::from_secs(49 * 60 + 59));
    assert_eq!(browser.submit(&launch, &[]).await.status, 429);
    world.pass(Duration::from_secs(1));
    assert!(world.simulator.push_ticket().await.is_accepted());
    assert_eq!(browser.submit(&launch, &[]).await.status, 303);
}
