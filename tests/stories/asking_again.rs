//! The link that asks a merchant to authorize again, when an account is lost more than once.

use std::time::Duration;

use base::ids::{AppId, LinkId};
use serde_json::{Value, json};
use store::{Bound, BoundBy, GrantEnd, WriteOutcome};
use stories::browser::Browser;
use stories::business::{Business, LINKS, Link};
use stories::faults::{Matching, Side};
use stories::world::World;

const REFUSED: GrantEnd = GrantEnd::Refused { errcode: Some(61003), rid: None };

fn another_id() -> LinkId {
    LinkId::parse("Zk3vQ0c8SgWqT1n2yXb4aA").unwrap()
}

/// WeChat refuses the account's grant. Returns the link in the event of it.
async fn is_lost(world: &World, account: &AppId) -> Link {
    world.pass(Duration::from_mins(10));
    let seq = world.stored(account).await.token.seq;
    world.tokens().await.end_grant(account, seq, &REFUSED).await.unwrap();
    world.deliver().await;
    asking(world, account)
}

/// The link in the last event of a loss.
fn asking(world: &World, account: &AppId) -> Link {
    let lost = world.bus.delivered_of("account.needs_authorization").pop().unwrap().detail;
    assert_eq!(lost["authorizer_appid"], account.as_str());
    let text = |member: &str| lost[member].as_str().unwrap().to_owned();
    Link { id: text("authorization_link_id"), url: text("authorization_url").parse().unwrap() }
}

/// The merchant authorizes the platform elsewhere.
async fn comes_back(world: &World, account: &AppId) {
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.merchant_authorizes(account).push).await;
    assert!(world.wechat_accepts(account).await);
}

#[tokio::test]
async fn an_account_that_is_lost_again_asks_through_the_link_in_hand() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = world.authorized_account().await;
    let first = is_lost(&world, &account).await;
    comes_back(&world, &account).await;
    business.patch(&account, &json!({ "reference": "shop 12" }), None).await;
    // Weeks later, after the link would have expired.
    world.pass(Duration::from_hours(24 * 40));
    assert_eq!(business.look(&first).await["status"], "expired");
    assert!(world.simulator.push_ticket().await.is_accepted());
    assert_eq!(is_lost(&world, &account).await.id, first.id);
    let asks = business.look(&first).await;
    assert_eq!((&asks["status"], &asks["reference"]), (&json!("pending"), &json!("shop 12")));
    assert_eq!(asks["expires_at"], world.now().plus(Duration::from_hours(24 * 30)).rfc3339());
    let listed = business.get(&format!("{LINKS}?reference=shop%2012")).await;
    let listed: Vec<&Value> = listed.body["links"].as_array().unwrap().iter().map(|link| &link["link_id"]).collect();
    assert_eq!(listed, [&json!(first.id)]);

    // The first link that the merchant got brings the account back.
    let page = Browser::on_computer().press(&first).await;
    world.push_and_work(&world.confirms(&page, &account).push).await;
    assert_eq!(business.look(&first).await["authorizer_appid"], account.as_str());
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn a_link_that_was_used_or_cancelled_asks_no_more() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = world.authorized_account().await;
    let used = is_lost(&world, &account).await;
    let page = Browser::on_computer().press(&used).await;
    world.push_and_work(&world.confirms(&page, &account).push).await;

    let cancelled = is_lost(&world, &account).await;
    assert_ne!(cancelled.id, used.id);
    assert_eq!(business.look(&used).await["status"], "authorized");
    comes_back(&world, &account).await;
    let answer = business.cancel(&cancelled).await;
    assert_eq!(answer.status, 200);

    let last = is_lost(&world, &account).await;
    assert_ne!(last.id, cancelled.id);
    assert_eq!(business.look(&cancelled).await["status"], "cancelled");
    assert_eq!(business.look(&last).await["status"], "pending");
}

#[tokio::test]
async fn a_link_that_is_used_while_the_account_is_lost_again_stays_used() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = world.authorized_account().await;
    let first = is_lost(&world, &account).await;
    comes_back(&world, &account).await;
    world.pass(Duration::from_mins(10));
    // The end of the grant is about to be written, with that link.
    let mut held = world.faults.hold(0, Matching::operation("TransactWriteItems"), Side::Before);
    let ending = {
        let (accounts, account, now) = (world.store().accounts, account.clone(), world.now());
        let seq = world.stored(&account).await.token.seq;
        tokio::spawn(async move { accounts.end_grant(&account, seq, &REFUSED, &another_id(), now).await })
    };
    held.until_reached().await;
    let id = LinkId::parse(&first.id).unwrap();
    let bound = world.store().links.bind(&id, &account, BoundBy::Push, world.now()).await.unwrap();
    assert_eq!(bound, Bound::Yes);
    held.release();
    assert_eq!(ending.await.unwrap().unwrap(), WriteOutcome::Stored);
    world.deliver().await;
    assert_eq!(asking(&world, &account).id, another_id().as_str());
    assert_eq!(business.look(&first).await["status"], "authorized");
}
