//! One pre-auth code, several grants: an exchange for one account, or of one code, says nothing about another.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use base::ids::AppId;
use simulator::{Behaviour, Codes, Fault, Push, paths};
use store::AccountState;
use stories::browser::AtWechat;
use stories::world::{TABLE, World};
use token_refresher::Task;
use tokio::time::Instant;

use crate::opening::Opening;

/// The push as it names the pre-auth code of `page`.
fn under(page: &AtWechat, push: &Push) -> Push {
    let element = format!("<PreAuthCode>{}</PreAuthCode></xml>", page.pre_auth_code());
    Push { message: push.message.replace("</xml>", &element), ..push.clone() }
}

/// The merchant of an authorized account authorizes again, with only one permission set; the push repeats the pre-auth
/// code of `page`.
fn updates(world: &World, page: &AtWechat, account: &AppId) -> (simulator::Consent, Push, Vec<u32>) {
    let mut fewer = world.simulator.account(account).unwrap();
    fewer.func_ids.truncate(1);
    let left = fewer.func_ids.clone();
    world.simulator.put_account(fewer);
    let consent = world.merchant_authorizes(account);
    assert_eq!(consent.push.info_type, "updateauthorized");
    let push = under(page, &consent.push);
    (consent, push, left)
}

async fn has(world: &World, account: &AppId, sets: &[u32]) {
    let stored = world.stored(account).await;
    let func_info = world.details(account).await.func_info;
    assert_eq!((stored.token.state, func_info.as_slice()), (AccountState::Active, sets));
    assert!(world.wechat_accepts(account).await, "due at {:?}, now {}", stored.token.due_at, world.now());
}

#[tokio::test]
async fn an_update_under_the_pre_auth_code_of_the_grant_before_is_exchanged() {
    for (gap, redirect_first) in [(20, false), (20, true), (2, false), (2, true)] {
        let world = World::ready().await;
        let Opening { browser, page, .. } = Opening::of(&world).await;
        let account = world.account(0);
        let consent = world.confirms(&page, &account);
        if redirect_first {
            browser.open(&page.way_back(&consent.redirect_code)).await;
        }
        world.push_and_work(&consent.push).await;
        world.pass(Duration::from_mins(gap));
        let (_, update, left) = updates(&world, &page, &account);
        world.push_and_work(&update).await;
        has(&world, &account, &left).await;
    }
}

#[tokio::test]
async fn an_update_that_comes_before_the_push_of_the_redirects_grant_takes_effect() {
    for gap in [20, 2] {
        let world = World::ready().await;
        let Opening { browser, page, .. } = Opening::of(&world).await;
        let account = world.account(0);
        let consent = world.confirms(&page, &account);
        browser.open(&page.way_back(&consent.redirect_code)).await;
        world.pass(Duration::from_mins(gap));
        let (_, update, left) = updates(&world, &page, &account);
        for push in [&update, &consent.push] {
            world.push_and_work(push).await;
            has(&world, &account, &left).await;
        }
    }
}

#[tokio::test]
async fn an_update_whose_redirect_comes_first_is_exchanged_by_one_of_the_two() {
    let world = World::ready().await;
    let Opening { browser, page, .. } = Opening::of(&world).await;
    let account = world.account(0);
    let consent = world.confirms(&page, &account);
    browser.open(&page.way_back(&consent.redirect_code)).await;
    world.push_and_work(&consent.push).await;
    world.pass(Duration::from_mins(20));
    let (again, update, left) = updates(&world, &page, &account);
    assert_eq!(browser.open(&page.way_back(&again.redirect_code)).await.told_status(), "authorized");
    has(&world, &account, &left).await;
    world.push_and_work(&update).await;
    has(&world, &account, &left).await;
    assert_eq!(world.simulator.counters().effects.exchanges[&account], 2, "once for each consent");
}

#[tokio::test]
async fn an_update_is_exchanged_even_if_its_redirect_passed_for_the_earlier_grants() {
    let world = World::ready().await;
    let Opening { browser, page, .. } = Opening::of(&world).await;
    let account = world.account(0);
    // The first redirect never comes.
    world.push_and_work(&world.confirms(&page, &account).push).await;
    world.pass(Duration::from_mins(2));
    let (again, update, left) = updates(&world, &page, &account);
    assert_eq!(browser.open(&page.way_back(&again.redirect_code)).await.told_status(), "authorized");
    world.push_and_work(&update).await;
    has(&world, &account, &left).await;
}

#[tokio::test]
async fn two_accounts_under_one_pre_auth_code_are_both_granted() {
    for together in [false, true] {
        let world = World::ready().await;
        let Opening { business, link, page, .. } = Opening::of(&world).await;
        let (one, other) = (world.account(0), world.account(1));
        let first = world.confirms(&page, &one).push;
        let second = under(&page, &world.merchant_authorizes(&other).push);
        if together {
            for push in [&first, &second] {
                assert!(world.simulator.send(push).await.is_accepted());
            }
            world.renew().await;
            world.pass(Duration::from_mins(1));
            world.renew().await;
        } else {
            world.push_and_work(&first).await;
            world.push_and_work(&second).await;
        }
        for account in [&one, &other] {
            assert!(world.wechat_accepts(account).await, "together: {together}");
        }
        let bound = business.look(&link).await["authorizer_appid"].clone();
        assert!(together || bound == one.as_str(), "the link is that of the first: {bound}");
        assert_eq!(world.store().inbox.count_waiting(world.now()).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_second_accounts_redirect_in_the_same_attempt_is_exchanged() {
    for first_push in [false, true] {
        let world = World::ready().await;
        let Opening { business, link, browser, page } = Opening::of(&world).await;
        let (one, other) = (world.account(0), world.account(1));
        let consent = world.confirms(&page, &one);
        if first_push {
            world.push_and_work(&consent.push).await;
        }
        let back = page.way_back(&consent.redirect_code);
        assert_eq!(browser.open(&back).await.told_status(), "authorized");
        let second = page.way_back(&world.merchant_authorizes(&other).redirect_code);
        assert_eq!(browser.open(&second).await.told_status(), "failed", "the link is the first account's");
        assert!(world.wechat_accepts(&other).await);
        assert_eq!(business.look(&link).await["authorizer_appid"], one.as_str());
        // Loaded again, both show the same, at no cost.
        let calls = world.calls(paths::QUERY_AUTH);
        assert_eq!(browser.open(&back).await.told_status(), "authorized");
        assert_eq!(browser.open(&second).await.told_status(), "failed");
        assert_eq!(world.calls(paths::QUERY_AUTH), calls);
    }
}

#[tokio::test]
async fn one_accounts_redirect_does_not_stop_the_exchange_of_anothers_push() {
    let world = World::ready().await;
    let Opening { browser, page, .. } = Opening::of(&world).await;
    let (one, other) = (world.account(0), world.account(1));
    let consent = world.confirms(&page, &one);
    browser.open(&page.way_back(&consent.redirect_code)).await;
    for push in [under(&page, &world.merchant_authorizes(&other).push), consent.push] {
        world.push_and_work(&push).await;
    }
    for account in [&one, &other] {
        assert!(world.wechat_accepts(account).await);
        assert!(world.stored(account).await.granted_at.is_some());
    }
}

#[tokio::test]
async fn two_processes_with_the_pushes_of_two_accounts_grant_both() {
    let world = World::ready().await;
    let Opening { page, .. } = Opening::of(&world).await;
    let (one, other) = (world.account(0), world.account(1));
    for push in [world.confirms(&page, &one).push, under(&page, &world.merchant_authorizes(&other).push)] {
        assert!(world.simulator.send(&push).await.is_accepted());
    }
    let deadline = Instant::now() + Duration::from_mins(2);
    let again = world.refresher.clone();
    let task = Task::renew();
    let (first, second) = tokio::join!(world.renew(), again.run(&task, deadline));
    assert!(first.failed.is_empty() && second.unwrap().failed.is_empty());
    world.pass(Duration::from_mins(1));
    world.renew().await;
    for account in [&one, &other] {
        assert!(world.wechat_accepts(account).await);
        assert_eq!(world.simulator.counters().effects.exchanges[account], 1);
    }
}

#[tokio::test]
async fn a_process_that_died_at_one_accounts_code_does_not_keep_the_other_out() {
    let world = World::ready().await;
    let Opening { page, .. } = Opening::of(&world).await;
    let (one, other) = (world.account(0), world.account(1));
    assert!(world.simulator.send(&world.confirms(&page, &one).push).await.is_accepted());
    world.simulator.inject(Fault::Hold.on(paths::QUERY_AUTH).times(1));
    let refresher = world.refresher.clone();
    let deadline = Instant::now() + Duration::from_mins(2);
    let run = tokio::spawn(async move { refresher.run(&Task::renew(), deadline).await });
    world.simulator.until_held(paths::QUERY_AUTH, 1).await;
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    world.push_and_work(&under(&page, &world.merchant_authorizes(&other).push)).await;
    for _ in 0..2 {
        world.pass(Duration::from_mins(1));
        world.renew().await;
    }
    for account in [&one, &other] {
        assert!(world.wechat_accepts(account).await);
    }
}

#[tokio::test]
async fn codes_that_differ_still_bring_an_update_and_a_second_account() {
    let world = World::ready().await;
    world.simulator.set_behaviour(Behaviour { codes: Codes::Different, ..Behaviour::default() });
    let Opening { browser, page, .. } = Opening::of(&world).await;
    let (one, other) = (world.account(0), world.account(1));
    let consent = world.confirms(&page, &one);
    world.push_and_work(&consent.push).await;
    assert_eq!(browser.open(&page.way_back(&consent.redirect_code)).await.told_status(), "authorized");
    assert_eq!(world.calls(paths::QUERY_AUTH), 1, "both codes are of one consent");
    world.push_and_work(&under(&page, &world.merchant_authorizes(&other).push)).await;
    assert!(world.wechat_accepts(&other).await);
    world.pass(Duration::from_mins(20));
    let (again, update, left) = updates(&world, &page, &one);
    world.push_and_work(&update).await;
    has(&world, &one, &left).await;
    browser.open(&page.way_back(&again.redirect_code)).await;
    has(&world, &one, &left).await;
}

/// Turns the item of the exchanged claim into the form of earlier versions: one account, whichever the code.
async fn of_an_earlier_version(world: &World) {
    let client = world.database.client();
    let items = client.scan().table_name(TABLE).send().await.unwrap().items.unwrap();
    let is_claim = |item: &HashMap<String, AttributeValue>| item["sk"].as_s().unwrap() == "claim";
    let mut item = items.into_iter().find(|item| is_claim(item) && item.contains_key("link")).unwrap();
    let name = item.keys().find(|name| name.starts_with("exchanged#")).unwrap().clone();
    let result = item.remove(&name).unwrap();
    let result = result.as_m().unwrap();
    item.retain(|name, _| !name.starts_with("returned#"));
    item.insert("authorizer".to_owned(), result["authorizer"].clone());
    item.insert("finished_at".to_owned(), result["at"].clone());
    client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
}

#[tokio::test]
async fn a_claim_that_an_earlier_version_finished_stands_for_its_own_grant_only() {
    let world = World::ready().await;
    let Opening { browser, page, .. } = Opening::of(&world).await;
    let (one, other) = (world.account(0), world.account(1));
    let consent = world.confirms(&page, &one);
    let back = page.way_back(&consent.redirect_code);
    browser.open(&back).await;
    of_an_earlier_version(&world).await;
    // A page that is loaded again, and the push of the same grant.
    assert_eq!(browser.open(&back).await.told_status(), "authorized");
    world.push_and_work(&consent.push).await;
    assert_eq!(browser.open(&back).await.told_status(), "authorized");
    assert_eq!(world.calls(paths::QUERY_AUTH), 1);
    assert!(world.wechat_accepts(&one).await);

    world.push_and_work(&under(&page, &world.merchant_authorizes(&other).push)).await;
    assert!(world.wechat_accepts(&other).await);
    world.pass(Duration::from_mins(20));
    let (_, update, left) = updates(&world, &page, &one);
    world.push_and_work(&update).await;
    has(&world, &one, &left).await;
}

#[tokio::test]
async fn an_update_under_a_known_pre_auth_code_is_exchanged_without_its_claim() {
    let world = World::ready().await;
    let Opening { page, .. } = Opening::of(&world).await;
    let account = world.account(0);
    let first = world.confirms(&page, &account).push;
    world.push_and_work(&first).await;
    // DynamoDB has deleted items that are more than 30 days old.
    world.pass(Duration::from_hours(24 * 31));
    let client = world.database.client();
    let items = client.scan().table_name(TABLE).send().await.unwrap().items.unwrap();
    for item in items.into_iter().filter(|item| item.contains_key("expires_at")) {
        let key = HashMap::from([("pk".to_owned(), item["pk"].clone()), ("sk".to_owned(), item["sk"].clone())]);
        client.delete_item().table_name(TABLE).set_key(Some(key)).send().await.unwrap();
    }
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.renew().await;
    let (_, update, left) = updates(&world, &page, &account);
    for push in [&update, &first] {
        world.push_and_work(push).await;
        has(&world, &account, &left).await;
    }
}
