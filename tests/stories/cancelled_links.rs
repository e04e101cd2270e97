//! Cancelled links: nobody can follow them any more, and a consent in progress keeps its grant and nothing else.

use std::time::Duration;

use base::ids::LinkId;
use http::Method;
use serde_json::json;
use simulator::paths;
use store::{LinkStatus, MintCount, MintRefused};
use stories::browser::Browser;
use stories::business::{Business, LINKS};
use stories::faults::{Fault, Matching, Side};
use stories::world::World;

use crate::opening::{DONE, Opening};

#[tokio::test]
async fn a_cancelled_link_says_so_to_business_and_merchant_and_makes_no_code() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({ "reference": "a-7" })).await;
    let browser = Browser::on_computer();
    let launch = browser.open(&link.url).await;
    let then = world.now();
    let answer = business.cancel(&link).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!((&answer.body["status"], &answer.body["reference"]), (&json!("cancelled"), &json!("a-7")));
    assert_eq!(answer.body["cancelled_at"], then.rfc3339());

    world.pass(Duration::from_mins(5));
    let again = business.cancel(&link).await;
    assert_eq!((again.status, &again.body), (200, &answer.body), "again changes nothing");
    assert_eq!(business.look(&link).await, answer.body);

    for page in
        [browser.open(&link.url).await, browser.submit(&launch, &[]).await, Browser::on_phone().open(&link.url).await]
    {
        assert_eq!(page.status, 410);
        assert!(page.text.contains("This link was cancelled"), "{}", page.text);
    }
    let code = business.code(&link).await;
    assert_eq!((code.status, code.problem()), (410, "link-cancelled"));
    assert_eq!(world.calls(paths::CREATE_PREAUTHCODE), 0);

    world.pass(Duration::from_hours(24 * 8));
    assert_eq!(business.status(&link).await, "cancelled", "also when its time is over");
    assert_eq!(business.cancel(&link).await.status, 200);
}

#[tokio::test]
async fn only_a_link_that_is_pending_can_be_cancelled() {
    let world = World::ready().await;
    let Opening { business, link, browser, page } = Opening::of(&world).await;
    let short = business.link(json!({ "expires_in_seconds": 60 })).await;
    let back = browser.open(&page.way_back(&world.confirms(&page, &world.account(0)).redirect_code)).await;
    assert_eq!(back.told_status(), "authorized");
    let before = business.look(&link).await;
    let used = business.cancel(&link).await;
    assert_eq!((used.status, used.problem()), (409, "link-used"));
    assert_eq!(business.look(&link).await, before);

    world.pass(Duration::from_mins(1));
    let expired = business.cancel(&short).await;
    assert_eq!((expired.status, expired.problem()), (410, "link-expired"));
    assert_eq!(business.status(&short).await, "expired");

    let items = world.items().await;
    for id in ["0123456789abcdefABCDE_", "short", "%2e%2e"] {
        let unknown = business.ask(Method::DELETE, &format!("{LINKS}/{id}"), &json!({})).await;
        assert_eq!((unknown.status, unknown.problem()), (404, "unknown-link"), "{id}");
    }
    assert_eq!(world.items().await, items, "no link is made by cancelling it");
    let unsigned = Business::unsigned(&world).cancel(&link).await;
    assert_eq!((unsigned.status, unsigned.problem()), (403, "no-identity"));
}

#[tokio::test]
async fn a_consent_under_way_when_its_link_is_cancelled_keeps_only_the_grant() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let (ours, theirs) = (business.link(json!({})).await, business.link(json!({ "return_url": DONE })).await);
    for (number, link) in [&ours, &theirs].into_iter().enumerate() {
        let browser = Browser::on_computer();
        let page = browser.press(link).await;
        let account = world.account(number);
        let consent = world.confirms(&page, &account);
        assert_eq!(business.cancel(link).await.status, 200);
        let way_back = page.way_back(&consent.redirect_code);
        // The page is loaded again, and the push arrives: the result is the same.
        for _ in 0..2 {
            let back = browser.open(&way_back).await;
            if number == 0 {
                assert_eq!(back.status, 200);
                assert!(back.text.contains("Authorized, but the link was cancelled"), "{}", back.text);
            } else {
                assert_eq!(back.told_status(), "failed");
            }
            world.push_and_work(&consent.push).await;
        }
        assert!(world.wechat_accepts(&account).await, "the grant is kept");
        let state = business.look(link).await;
        assert_eq!(state["status"], "cancelled");
        assert!(state.get("authorizer_appid").is_none(), "{state}");
        assert_eq!(world.store().inbox.count_waiting(world.now()).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_push_that_comes_after_its_link_was_cancelled_does_not_bind_it() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({})).await;
    let page = Browser::in_wechat().press(&link).await;
    let consent = world.confirms(&page, &world.account(0));
    business.cancel(&link).await;
    let report = world.push_and_work(&consent.push).await;
    assert!(report.failed.is_empty(), "{report}");
    assert!(world.wechat_accepts(&world.account(0)).await);
    assert_eq!(business.status(&link).await, "cancelled");
}

#[tokio::test]
async fn of_a_simultaneous_cancellation_and_return_one_wins_and_all_agree() {
    let world = World::ready().await;
    for _ in 0..8 {
        let Opening { business, link, browser, page } = Opening::of(&world).await;
        let way_back = page.way_back(&world.confirms(&page, &world.account(0)).redirect_code);
        let (back, cancelled) = tokio::join!(browser.open(&way_back), business.cancel(&link));
        let status = business.status(&link).await;
        match cancelled.status {
            200 => assert_eq!((back.told_status().as_str(), &status), ("failed", &json!("cancelled"))),
            409 => assert_eq!((back.told_status().as_str(), &status), ("authorized", &json!("authorized"))),
            other => panic!("{other}: {}", cancelled.body),
        }
        world.pass(Duration::from_mins(10));
    }
}

#[tokio::test]
async fn a_press_while_the_merchant_finishes_on_another_device_leads_to_what_was_authorized() {
    let world = World::ready().await;
    let Opening { link, browser, page, .. } = Opening::of(&world).await;
    let other = Browser::on_computer();
    let launch = other.open(&link.url).await;
    let mut held = world.faults.hold(0, Matching::setting("mint_times"), Side::Before);
    let finish = async {
        held.until_reached().await;
        let back = browser.open(&page.way_back(&world.confirms(&page, &world.account(0)).redirect_code)).await;
        held.release();
        back.told_status()
    };
    let (pressed, status) = tokio::join!(other.submit(&launch, &[]), finish);
    assert_eq!((status.as_str(), pressed.status), ("authorized", 303));
    assert_eq!(pressed.headers["location"], link.url.as_str());
    let shown = other.open(&link.url).await;
    assert_eq!(shown.status, 200, "{}", shown.text);
}

#[tokio::test]
async fn a_press_that_has_seen_the_link_before_it_was_cancelled_makes_no_code() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({})).await;
    let (store, id) = (world.store(), LinkId::parse(&link.id).unwrap());
    let seen = store.links.get(&id, world.now()).await.unwrap().unwrap();
    business.cancel(&link).await;
    let counted = store.links.count_mint(&seen, world.now()).await.unwrap();
    assert_eq!(counted, MintCount::Refused(MintRefused::Ended(LinkStatus::Cancelled)));

    let Opening { business, link, browser, page } = Opening::of(&world).await;
    let id = LinkId::parse(&link.id).unwrap();
    let seen = store.links.get(&id, world.now()).await.unwrap().unwrap();
    browser.open(&page.way_back(&world.confirms(&page, &world.account(0)).redirect_code)).await;
    assert_eq!(business.status(&link).await, "authorized");
    let counted = store.links.count_mint(&seen, world.now()).await.unwrap();
    assert_eq!(
        counted,
        MintCount::Refused(MintRefused::Ended(LinkStatus::Authorized)),
        "nor does one that was used meanwhile"
    );
}

#[tokio::test]
async fn a_cancellation_whose_reply_the_table_lost_is_answered_as_what_it_was() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({})).await;
    world.faults.next(1, Matching::operation("UpdateItem").containing("cancelled_at"), Fault::LostReply);
    let answer = business.cancel(&link).await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("cancelled")));
    assert_eq!(answer.body["cancelled_at"], world.now().rfc3339());
}
