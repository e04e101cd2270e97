//! A merchant follows a link to WeChat and comes back: every way there, and who may use it.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::json;
use simulator::{Behaviour, Delivery, paths};
use store::AccountState;
use stories::browser::{AtWechat, Browser, parameter};
use stories::business::Business;
use stories::world::World;

use crate::opening::{DONE, Opening};

#[tokio::test]
async fn a_merchant_goes_through_all_pages_and_the_business_learns_the_account() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let browser = Browser::on_computer();
    let account = world.account(1);
    let link =
        business.link(json!({ "requester_name": "小店 & <Söhne>", "return_url": DONE, "reference": "a-7" })).await;
    assert_eq!(business.look(&link).await["status"], "pending");

    let launch = browser.open(&link.url).await;
    assert!(launch.text.contains("小店 &#38; &#60;Söhne&#62;") && launch.text.contains("<svg"), "{}", launch.text);
    let pressed = browser.submit(&launch, &[]).await;
    assert_eq!((pressed.status, &pressed.headers["referrer-policy"]), (303, &"origin".parse().unwrap()));
    let choose = browser.open_from(&launch, &pressed.location()).await;
    let confirmed = browser.submit(&choose, &[("authorizer_appid", account.as_str()), ("decision", "confirm")]).await;
    let back = browser.open_from(&choose, &confirmed.location()).await;

    assert_eq!(back.location().as_str(), format!("{DONE}&link_id={}&status=authorized", link.id));
    let state = business.look(&link).await;
    assert_eq!((&state["status"], &state["reference"]), (&json!("authorized"), &json!("a-7")));
    assert_eq!(state["authorizer_appid"], account.as_str());
    assert!(state["authorized_at"].is_string());
    assert!(world.wechat_accepts(&account).await);

    // The push of the same consent came at the same time.
    world.simulator.pushes_settled().await;
    world.renew().await;
    assert_eq!(world.calls(paths::QUERY_AUTH), 1);
    let again = browser.open(&link.url).await;
    assert!(again.text.contains("Already authorized"), "{}", again.text);
}

#[tokio::test]
async fn looking_at_a_link_makes_no_code() {
    let world = World::ready().await;
    let link = Business::of(&world).link(json!({})).await;
    for browser in [Browser::on_computer(), Browser::in_wechat(), Browser::on_phone()] {
        assert_eq!(browser.open(&link.url).await.status, 200);
    }
    assert_eq!(world.calls(paths::CREATE_PREAUTHCODE), 0);
}

#[tokio::test]
async fn each_kind_of_browser_is_led_to_the_page_that_works_in_it() {
    let world = World::ready().await;
    let link = Business::of(&world).link(json!({})).await;
    assert_eq!(Browser::on_computer().press(&link).await.0.path(), paths::PC_PAGE);

    let wechat = Browser::in_wechat();
    let launch = wechat.open(&link.url).await;
    assert!(!launch.text.contains("<svg"), "inside WeChat there is nothing to scan");
    let page = wechat.press(&link).await.0;
    assert_eq!((page.path(), page.fragment()), (paths::MOBILE_PAGE, Some("wechat_redirect")));
    assert!(wechat.open_from(&launch, &page).await.text.contains("authorizer_appid"));

    let elsewhere = Browser::on_phone().open(&link.url).await;
    assert!(elsewhere.text.contains("Open this link in WeChat"), "{}", elsewhere.text);
    assert_eq!(world.calls(paths::CREATE_PREAUTHCODE), 2);
}

#[tokio::test]
async fn a_link_for_one_account_offers_no_other() {
    let world = World::ready().await;
    let wanted = world.account(2);
    let link = Business::of(&world).link(json!({ "biz_appid": wanted })).await;
    let browser = Browser::on_computer();
    let launch = browser.open(&link.url).await;
    let pressed = browser.submit(&launch, &[]).await;
    let choose = browser.open_from(&launch, &pressed.location()).await;
    assert!(choose.text.contains(wanted.as_str()));
    assert!(!choose.text.contains(world.account(0).as_str()));
}

#[tokio::test]
async fn a_page_that_is_loaded_again_tells_the_same_and_costs_no_call() {
    let world = World::ready().await;
    let Opening { browser, page, .. } = Opening::of(&world).await;
    let back = page.way_back(&world.confirms(&page, &world.account(0)).redirect_code);
    for _ in 0..3 {
        assert_eq!(browser.open(&back).await.told_status(), "authorized");
    }
    assert_eq!(world.calls(paths::QUERY_AUTH), 1);
}

#[tokio::test]
async fn a_code_that_returns_in_another_browser_shows_a_page_and_changes_nothing() {
    let world = World::ready().await;
    let Opening { business, link, browser, page } = Opening::of(&world).await;
    let back = page.way_back(&world.confirms(&page, &world.account(0)).redirect_code);
    browser.open(&back).await;
    let before = business.look(&link).await;

    let other = Browser::on_computer().open(&back).await;
    assert_eq!(other.status, 200);
    assert!(other.text.contains("Authorization received"), "{}", other.text);
    assert_eq!(business.look(&link).await, before);
    assert_eq!(world.calls(paths::QUERY_AUTH), 1);
}

#[tokio::test]
async fn an_attempt_that_returns_in_another_browser_keeps_the_grant_only() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({ "return_url": DONE })).await;
    let page = Browser::in_wechat().press(&link).await;
    let account = world.account(0);
    let consent = world.confirms(&page, &account);

    let back = Browser::in_wechat().open(&page.way_back(&consent.redirect_code)).await;
    assert!(back.text.contains("Authorization received"), "{}", back.text);
    assert!(world.wechat_accepts(&account).await, "the grant is kept");
    assert_eq!(business.status(&link).await, "pending");

    // WeChat's push names the pre-auth code that was created for the link.
    world.push_and_work(&consent.push).await;
    assert_eq!(business.status(&link).await, "authorized");
}

#[tokio::test]
async fn somebody_elses_code_in_a_merchants_attempt_does_not_take_the_link() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let (wanted, own) = (business.link(json!({ "return_url": DONE })).await, business.link(json!({})).await);
    let (merchant, stranger) = (Browser::on_computer(), Browser::on_computer());
    let page = merchant.press(&wanted).await;

    let strangers_page = stranger.press(&own).await;
    let strangers_code = world.confirms(&strangers_page, &world.account(3)).redirect_code;
    let tried = stranger.open(&page.way_back(&strangers_code)).await;
    assert_eq!(tried.status, 200, "{}", tried.text);
    assert_eq!(business.status(&wanted).await, "pending");

    let back = merchant.open(&page.way_back(&world.confirms(&page, &world.account(0)).redirect_code)).await;
    assert_eq!(back.told_status(), "authorized");
    assert_eq!(business.look(&wanted).await["authorizer_appid"], world.account(0).as_str());
}

#[tokio::test]
async fn an_attempt_brings_five_codes_and_no_more() {
    let world = World::ready().await;
    let Opening { link, browser, page, .. } = Opening::of(&world).await;
    for number in 0..5 {
        let made_up = page.way_back(&format!("queryauthcode@@@made-up-{number}"));
        for _ in 0..2 {
            assert_eq!(browser.open(&made_up).await.told_status(), "failed");
        }
    }
    assert_eq!(world.calls(paths::QUERY_AUTH), 5, "a code that WeChat refused is not asked about again");
    assert_eq!(browser.open(&page.way_back("queryauthcode@@@made-up-6")).await.status, 429);

    // A new attempt is a new start.
    let page = browser.press(&link).await;
    let back = browser.open(&page.way_back(&world.confirms(&page, &world.account(0)).redirect_code)).await;
    assert_eq!(back.told_status(), "authorized");
}

#[tokio::test]
async fn a_merchant_who_closes_the_page_is_bound_by_the_push() {
    let world = World::ready().await;
    world.simulator.set_behaviour(Behaviour { delivery: Delivery::PushOnly, ..Behaviour::default() });
    let business = Business::of(&world);
    let link = business.link(json!({ "return_url": DONE })).await;
    let browser = Browser::on_computer();
    let launch = browser.open(&link.url).await;
    let pressed = browser.submit(&launch, &[]).await;
    let choose = browser.open_from(&launch, &pressed.location()).await;
    let account = world.account(0);
    let end = browser.submit(&choose, &[("authorizer_appid", account.as_str()), ("decision", "confirm")]).await;
    assert_eq!(end.status, 200, "no redirect");
    world.simulator.pushes_settled().await;
    world.renew().await;
    assert_eq!(business.look(&link).await["authorizer_appid"], account.as_str());
}

#[tokio::test]
async fn a_redirect_without_any_push_is_enough() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({})).await;
    let browser = Browser::on_computer();
    let page = browser.press(&link).await;
    let account = world.account(0);
    let consent = world.confirms(&page, &account);
    let back = browser.open(&page.way_back(&consent.redirect_code)).await;
    assert!(back.text.contains("You can close this page"), "{}", back.text);
    assert_eq!(business.status(&link).await, "authorized");
    let stored = world.stored(&account).await;
    assert_eq!(stored.token.state, AccountState::Active);
    assert!(world.details(&account).await.profile.is_some());
}

#[tokio::test]
async fn a_link_takes_one_account_and_keeps_the_grant_of_a_second() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({ "return_url": DONE })).await;
    let (first, second) = (Browser::on_computer(), Browser::on_computer());
    let (first_page, second_page) = (first.press(&link).await, second.press(&link).await);
    let (one, two) = (world.account(0), world.account(1));

    let back = first.open(&first_page.way_back(&world.confirms(&first_page, &one).redirect_code)).await;
    assert_eq!(back.told_status(), "authorized");
    let back = second.open(&second_page.way_back(&world.confirms(&second_page, &two).redirect_code)).await;
    assert_eq!(back.told_status(), "failed");
    assert_eq!(business.look(&link).await["authorizer_appid"], one.as_str());
    assert!(world.wechat_accepts(&two).await, "what WeChat granted is kept all the same");
}

#[tokio::test]
async fn a_link_that_expires_during_the_consent_still_takes_the_account() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({ "return_url": DONE, "expires_in_seconds": 60 })).await;
    let browser = Browser::on_computer();
    let page = browser.press(&link).await;
    world.pass(Duration::from_secs(61));
    assert_eq!(business.status(&link).await, "expired");
    let expired = browser.open(&link.url).await;
    assert_eq!(expired.status, 410);
    assert!(expired.text.contains("This link has expired"), "{}", expired.text);
    let code = business.code(&link).await;
    assert_eq!((code.status, code.problem()), (410, "link-expired"));

    let back = browser.open(&page.way_back(&world.confirms(&page, &world.account(0)).redirect_code)).await;
    assert_eq!(back.told_status(), "authorized");
    assert_eq!(business.status(&link).await, "authorized");
}

#[tokio::test]
async fn a_merchant_authorizes_again_through_a_new_link() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let browser = Browser::on_computer();
    let account = world.account(0);
    let mut refresh_tokens = Vec::new();
    for _ in 0..2 {
        let link = business.link(json!({ "return_url": DONE })).await;
        let page = browser.press(&link).await;
        let consent = world.confirms(&page, &account);
        assert_eq!(browser.open(&page.way_back(&consent.redirect_code)).await.told_status(), "authorized");
        assert_eq!(business.look(&link).await["authorizer_appid"], account.as_str());
        assert!(world.wechat_accepts(&account).await, "the new grant's token replaced the dead one");
        refresh_tokens.push(world.stored(&account).await.token.refresh_token.unwrap());
        world.pass(Duration::from_mins(10));
    }
    assert_ne!(refresh_tokens[0].expose_secret(), refresh_tokens[1].expose_secret());
}

#[tokio::test]
async fn a_code_for_a_page_of_the_businesss_own_is_bound_by_the_push_alone() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({ "return_url": DONE })).await;
    let code = business.code(&link).await;
    assert_eq!(code.status, 201, "{}", code.body);
    let address = |name: &str| code.body[name].as_str().unwrap().parse::<url::Url>().unwrap();
    let page = AtWechat(address("pc_url"));
    assert_eq!(code.body["pre_auth_code"], parameter(&address("mobile_url"), "pre_auth_code"));
    assert_eq!(code.body["pre_auth_code"], page.pre_auth_code());
    assert!(code.body["expires_at"].is_string());

    let account = world.account(0);
    let consent = world.confirms(&page, &account);
    let back = Browser::on_computer().open(&page.way_back(&consent.redirect_code)).await;
    assert!(back.text.contains("Authorization received"), "{}", back.text);
    assert_eq!(business.status(&link).await, "pending", "nobody knows whose browser that was");
    world.push_and_work(&consent.push).await;
    assert_eq!(business.look(&link).await["authorizer_appid"], account.as_str());

    let used = business.code(&link).await;
    assert_eq!((used.status, used.problem()), (409, "link-used"));
}
