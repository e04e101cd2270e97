//! A merchant comes back while something is wrong: two codes at once, WeChat busy or unavailable, the secret missing.

use std::time::Duration;

use base::ids::AppId;
use base::limits::Limits;
use serde_json::json;
use simulator::{Behaviour, Codes, Consent, Fault, paths};
use stories::browser::Browser;
use stories::business::Business;
use stories::world::{World, short_limits};

use crate::opening::{DONE, Opening};

/// The longest real time until something in the background is done.
const PATIENCE: Duration = Duration::from_secs(20);

/// A world in which waiting for WeChat ends soon.
async fn impatient_world() -> World {
    let world = World::with(|_| {}, Limits { api: Duration::from_millis(500), ..short_limits() }).await;
    world.get_ready().await;
    world
}

/// A merchant has confirmed, push and redirect bring different codes, and WeChat holds the first one that is exchanged.
async fn two_codes_of_one_consent() -> (World, Opening, AppId, Consent) {
    let world = World::ready().await;
    world.simulator.set_behaviour(Behaviour { codes: Codes::Different, ..Behaviour::default() });
    let opening = Opening::of(&world).await;
    let account = world.account(0);
    let consent = world.confirms(&opening.page, &account);
    world.simulator.inject(Fault::Hold.on(paths::QUERY_AUTH).times(1));
    (world, opening, account, consent)
}

#[tokio::test]
async fn two_codes_of_one_consent_bring_one_grant_when_the_redirect_is_first() {
    let (world, Opening { business, link, browser, page }, account, consent) = two_codes_of_one_consent().await;

    let back = page.way_back(&consent.redirect_code);
    let visit = tokio::spawn(async move { browser.open(&back).await });
    world.simulator.until_held(paths::QUERY_AUTH, 1).await;
    let report = world.push_and_work(&consent.push).await;
    assert_eq!(report.inbox_postponed, 2, "the push, and the callback that the visit is working at: {report}");
    world.simulator.release(paths::QUERY_AUTH);
    assert_eq!(visit.await.unwrap().told_status(), "authorized");

    world.pass(Duration::from_mins(1));
    world.renew().await;
    assert_eq!(world.simulator.counters().effects.exchanges[&account], 1);
    assert_eq!(world.calls(paths::QUERY_AUTH), 1);
    assert_eq!(business.look(&link).await["authorizer_appid"], account.as_str());
    assert_eq!(world.store().inbox.count_waiting(world.now()).await.unwrap(), 0);
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn two_different_codes_of_one_consent_bring_one_grant_when_the_push_is_first() {
    let (world, Opening { business, link, browser, page }, account, consent) = two_codes_of_one_consent().await;

    let back = page.way_back(&consent.redirect_code);
    let both = async {
        world.simulator.until_held(paths::QUERY_AUTH, 1).await;
        let visit = tokio::spawn(async move { browser.open(&back).await });
        // The visit has begun when its code is in the inbox.
        while world.store().inbox.count_waiting(world.now()).await.unwrap() < 2 {
            tokio::task::yield_now().await;
        }
        world.simulator.release(paths::QUERY_AUTH);
        visit.await.unwrap()
    };
    let (report, visited) = tokio::join!(world.push_and_work(&consent.push), both);
    assert_eq!(report.inbox_done, 1, "{report}");
    assert_eq!(visited.told_status(), "authorized");
    assert_eq!(world.calls(paths::QUERY_AUTH), 1);
    assert_eq!(business.look(&link).await["authorizer_appid"], account.as_str());
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn while_wechat_is_busy_the_merchant_goes_on_and_the_refresher_finishes() {
    let world = World::ready().await;
    let Opening { business, link, browser, page } = Opening::of(&world).await;
    let back = page.way_back(&world.confirms(&page, &world.account(0)).redirect_code);
    world.simulator.inject(Fault::system_error().on(paths::QUERY_AUTH).times(1));
    assert_eq!(browser.open(&back).await.told_status(), "pending");
    assert_eq!(business.status(&link).await, "pending");
    world.renew().await;
    assert_eq!(business.status(&link).await, "authorized");
    assert_eq!(browser.open(&back).await.told_status(), "authorized");
}

#[tokio::test]
async fn a_wechat_that_hangs_costs_the_merchant_a_press_and_no_grant() {
    let world = impatient_world().await;
    let business = Business::of(&world);
    let link = business.link(json!({ "return_url": DONE })).await;
    let browser = Browser::on_computer();
    let launch = browser.open(&link.url).await;
    world.simulator.inject(Fault::Hold.on(paths::CREATE_PREAUTHCODE).times(1));
    let refused = browser.submit(&launch, &[]).await;
    assert_eq!(refused.status, 503);
    assert!(refused.text.contains("Reference: "), "{}", refused.text);

    let page = browser.press(&link).await;
    let account = world.account(0);
    let consent = world.confirms(&page, &account);
    world.simulator.inject(Fault::Hold.on(paths::QUERY_AUTH).times(1));
    let back = page.way_back(&consent.redirect_code);
    assert_eq!(browser.open(&back).await.told_status(), "pending");

    // WeChat has spent the code and the tokens are lost: the push names the account.
    world.push_and_work(&consent.push).await;
    world.pass(Duration::from_mins(6));
    world.renew().await;
    assert_eq!(business.look(&link).await["authorizer_appid"], account.as_str());
    assert!(world.wechat_accepts(&account).await);
    assert_eq!(browser.open(&back).await.told_status(), "authorized");
}

#[tokio::test]
async fn a_lost_answer_without_a_push_costs_the_merchant_a_press_not_the_grant() {
    let world = World::ready().await;
    let Opening { business, link, browser, page } = Opening::of(&world).await;
    let account = world.account(0);
    let back = page.way_back(&world.confirms(&page, &account).redirect_code);
    world.simulator.inject(Fault::DropAfter.on(paths::QUERY_AUTH).times(1));
    assert_eq!(browser.open(&back).await.told_status(), "pending");
    // The code is spent, and nothing names its account.
    world.renew().await;
    assert_eq!(browser.open(&back).await.told_status(), "failed");
    assert_eq!(world.reconcile().await.added, 1);
    assert!(world.wechat_accepts(&account).await);

    let page = browser.press(&link).await;
    let back = browser.open(&page.way_back(&world.confirms(&page, &account).redirect_code)).await;
    assert_eq!(back.told_status(), "authorized");
    assert_eq!(business.look(&link).await["authorizer_appid"], account.as_str());
}

#[tokio::test]
async fn two_tabs_that_press_at_once_each_get_a_code_of_their_own() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({ "return_url": DONE })).await;
    let browser = Browser::on_computer();
    let (one, other) = tokio::join!(browser.press(&link), browser.press(&link));
    assert_ne!(one.pre_auth_code(), other.pre_auth_code());
    let account = world.account(0);
    for page in [one, other] {
        let back = browser.open(&page.way_back(&world.confirms(&page, &account).redirect_code)).await;
        assert_eq!(back.told_status(), "authorized", "both cookies are kept, and it is the same account");
    }
}

#[tokio::test]
async fn a_merchant_who_disconnects_in_mid_exchange_is_authorized_all_the_same() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({})).await;
    let browser = Browser::on_computer();
    let page = browser.press(&link).await;
    let account = world.account(0);
    let back = page.way_back(&world.confirms(&page, &account).redirect_code);
    world.simulator.inject(Fault::Hold.on(paths::QUERY_AUTH).times(1));
    let visit = tokio::spawn(async move { browser.open(&back).await });
    world.simulator.until_held(paths::QUERY_AUTH, 1).await;
    visit.abort();
    assert!(visit.await.unwrap_err().is_cancelled());
    world.simulator.release(paths::QUERY_AUTH);

    let bound = async { while business.status(&link).await != "authorized" {} };
    tokio::time::timeout(PATIENCE, bound).await.expect("the exchange goes on without its browser");
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn before_the_secret_is_filled_in_everything_says_so_and_nothing_crashes() {
    let world = World::start().await;
    world.allow_error("no push can be accepted");
    world.expect_error("making a link failed");
    world.expect_error("showing a link's page failed");
    world.secrets.set("{}".into());
    let made = Business::of(&world).ask(http::Method::POST, stories::business::LINKS, &json!({})).await;
    assert_eq!((made.status, made.problem()), (503, "not-configured"));

    let link = world.public_url.join("authorize/0123456789abcdefABCDE_").unwrap();
    let page = Browser::on_computer().open(&link).await;
    assert_eq!(page.status, 503);
    assert!(page.text.contains("Reference: "), "{}", page.text);
    assert!(!world.simulator.push_ticket().await.is_accepted());

    world.secrets.set(stories::world::secret_json());
    world.pass(Duration::from_secs(6));
    world.get_ready().await;
    Business::of(&world).link(json!({})).await;
}
