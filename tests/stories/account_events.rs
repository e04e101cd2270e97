//! What happens to an account is reported on the bus, even if no push reports it: each change once under one id,
//! numbered without gaps, and never one that did not happen.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use base::ids::{AppId, LinkId};
use base::random::Random;
use futures::future::join_all;
use serde_json::{Value, json};
use simulator::{Fault as WechatFault, Message, paths};
use store::{AccountState, GrantEnd, GrantOrigin, LIST_INDEX, Labels, WriteOutcome};
use stories::browser::Browser;
use stories::business::Business;
use stories::faults::{Fault, Matching};
use stories::schema::Schema;
use stories::world::{COMPONENT, TABLE, World};

/// The events of an account in the order of their numbers; each delivery of a number must have the same content.
fn reported(world: &World, account: &AppId) -> Vec<Value> {
    let mut by_number = BTreeMap::new();
    for event in world.bus.delivered_of("account.") {
        assert_eq!(Schema::read().fits("state_detail", &event.detail), Ok(()), "{}", event.detail);
        assert_eq!(event.detail_type, format!("account.{}", event.detail["change"].as_str().unwrap()));
        if event.detail["authorizer_appid"] == account.as_str() {
            let number = event.detail["sequence"].as_u64().unwrap();
            let before = by_number.insert(number, event.detail.clone());
            assert!(before.is_none_or(|before| before == event.detail), "event {number} was reported in two ways");
        }
    }
    let first = by_number.keys().next().copied().unwrap_or(0);
    assert!(by_number.keys().copied().eq((first..).take(by_number.len())), "{:?}", by_number.keys());
    by_number.into_values().collect()
}

fn changes(world: &World, account: &AppId) -> Vec<String> {
    reported(world, account).iter().map(|detail| detail["change"].as_str().unwrap().to_owned()).collect()
}

/// The number of deliveries of events of an account.
fn deliveries(world: &World) -> usize {
    world.bus.delivered_of("account.").len()
}

async fn ends_unheard(world: &World, account: &AppId) {
    let seq = world.stored(account).await.token.seq;
    let end = GrantEnd::Refused { errcode: Some(61003), rid: None };
    assert_eq!(world.tokens().await.end_grant(account, seq, &end).await.unwrap(), WriteOutcome::Stored);
}

#[tokio::test]
async fn a_merchant_who_comes_leaves_and_returns_is_reported_each_time() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.deliver().await;
    let first = reported(&world, &account).remove(0);
    assert_eq!((&first["change"], &first["sequence"]), (&json!("authorized"), &json!(world.now().unix())));
    assert_eq!(first["permissions"], json!(world.details(&account).await.func_info));
    assert_eq!(first["occurred_at"], json!(world.now().rfc3339()));

    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.simulator.unauthorize(&account).unwrap()).await;
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.merchant_authorizes(&account).push).await;
    world.deliver().await;
    assert_eq!(changes(&world, &account), ["authorized", "unauthorized", "authorized"]);
    world.pass(Duration::from_mins(10));
    world.renew().await;
    assert_eq!(deliveries(&world), 3, "and no more of it");
}

#[tokio::test]
async fn the_labels_of_the_link_are_in_every_event_of_the_account() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({ "reference": "shop 7", "tags": { "plan": "gold" } })).await;
    assert_eq!(business.look(&link).await["tags"], json!({ "plan": "gold" }));
    let page = Browser::on_computer().press(&link).await;
    let account = world.account(0);
    world.push_and_work(&world.confirms(&page, &account).push).await;
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.simulator.unauthorize(&account).unwrap()).await;
    world.deliver().await;
    let events = reported(&world, &account);
    assert_eq!(events.len(), 2);
    for event in events {
        assert_eq!((&event["reference"], &event["tags"]), (&json!("shop 7"), &json!({ "plan": "gold" })), "{event}");
        assert_eq!(event["link_id"], json!(link.id));
    }
    // Another link without labels removes nothing.
    world.pass(Duration::from_mins(10));
    let plain = business.link(json!({})).await;
    let page = Browser::on_computer().press(&plain).await;
    world.push_and_work(&world.confirms(&page, &account).push).await;
    world.deliver().await;
    let last = reported(&world, &account).pop().unwrap();
    assert_eq!((&last["reference"], &last["link_id"]), (&json!("shop 7"), &json!(plain.id)));
}

#[tokio::test]
async fn messages_and_grants_carry_the_labels_of_their_account() {
    let world = World::ready().await;
    let link = Business::of(&world).link(json!({ "reference": "shop 9", "tags": { "city": "杭州" } })).await;
    let browser = Browser::on_computer();
    let (first, second) = (browser.press(&link).await, browser.press(&link).await);
    let (account, other) = (world.account(0), world.account(1));
    world.push_and_work(&world.confirms(&first, &account).push).await;
    // The link is used: its reference is not this account's.
    world.push_and_work(&world.confirms(&second, &other).push).await;
    for appid in [&account, &other] {
        let to = world.simulator.account(appid).unwrap();
        assert!(world.simulator.send_message(&Message::text(&to, "oFollower", "hello")).await.is_empty());
    }
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.simulator.unauthorize(&account).unwrap()).await;
    let of = |family: &str, appid: &AppId| {
        let mut events = world.bus.delivered_of(family).into_iter();
        let last = events.rfind(|event| event.detail["authorizer_appid"] == appid.as_str()).unwrap();
        (last.detail["reference"].clone(), last.detail["tags"].clone())
    };
    let said = (json!("shop 9"), json!({ "city": "杭州" }));
    assert_eq!(of("message.", &account), said);
    assert_eq!(of("grant.unauthorized", &account), said);
    assert_eq!(of("message.", &other), (Value::Null, Value::Null));
    assert_eq!(world.details(&other).await.labels, Labels::default());
}

#[tokio::test]
async fn a_message_is_delivered_although_the_labels_of_its_account_cannot_be_read() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.faults.always(Matching::operation("GetItem").containing(format!("#details#{account}")), Fault::Away);
    let to = world.simulator.account(&account).unwrap();
    assert!(world.simulator.send_message(&Message::text(&to, "oFollower", "hello")).await.is_empty());
    assert_eq!(world.bus.delivered_of("message.").len(), 1);
}

#[tokio::test]
async fn a_link_that_cannot_be_read_costs_no_tokens_and_its_reference_is_set_later() {
    let world = World::ready().await;
    let link = Business::of(&world).link(json!({ "reference": "shop 8" })).await;
    let page = Browser::on_computer().press(&link).await;
    let account = world.account(0);
    let consent = world.confirms(&page, &account);
    world.faults.always(Matching::operation("GetItem").containing(format!("#link#{}", link.id)), Fault::Away);
    world.push_and_work(&consent.push).await;
    assert!(world.wechat_accepts(&account).await);
    world.faults.clear();
    world.pass(Duration::from_mins(6));
    world.renew().await;
    assert_eq!(world.details(&account).await.labels.reference.as_deref(), Some("shop 8"));
    assert_eq!(changes(&world, &account), ["authorized"]);
}

#[tokio::test]
async fn a_loss_and_a_recovery_that_nobody_pushed_are_reported() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    ends_unheard(&world, &account).await;
    world.pass(Duration::from_hours(1));
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.reconcile().await;
    assert_eq!(world.stored(&account).await.token.state, AccountState::Active);
    world.deliver().await;
    assert_eq!(changes(&world, &account), ["authorized", "needs_authorization", "recovered"]);
    assert_eq!(reported(&world, &account)[1]["errcode"], json!(61003));
}

#[tokio::test]
async fn other_permissions_and_another_look_are_reported_once() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    let mut changed = world.simulator.account(&account).unwrap();
    let taken = changed.func_ids.pop().unwrap();
    changed.func_ids.push(99);
    changed.nick_name = "another name".to_owned();
    world.simulator.put_account(changed);
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.merchant_authorizes(&account).push).await;
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.merchant_authorizes(&account).push).await;
    world.deliver().await;
    let events = reported(&world, &account);
    assert_eq!(changes(&world, &account), ["authorized", "permissions_changed", "profile_changed"]);
    assert_eq!((&events[1]["added"], &events[1]["removed"]), (&json!([99]), &json!([taken])));
    assert_eq!(events[2]["members"], json!(["nick_name"]));
}

#[tokio::test]
async fn events_that_the_bus_does_not_accept_come_later_in_their_order() {
    let world = World::ready().await;
    world.expect_error("nothing more is delivered in this run");
    let account = world.authorized_account().await;
    world.faults.always(Matching::operation("PutEvents"), Fault::Away);
    ends_unheard(&world, &account).await;
    world.deliver().await;
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.merchant_authorizes(&account).push).await;
    assert_eq!(deliveries(&world), 1);
    world.faults.clear();
    world.pass(Duration::from_mins(5));
    world.renew().await;
    let order: Vec<String> = world.bus.delivered_of("account.").into_iter().map(|event| event.detail_type).collect();
    assert_eq!(order, ["account.authorized", "account.needs_authorization", "account.authorized"]);
}

#[tokio::test]
async fn an_event_whose_delivery_is_not_recorded_comes_twice_under_one_id() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    ends_unheard(&world, &account).await;
    world.faults.always(Matching::operation("UpdateItem").containing("#details#"), Fault::Away);
    world.deliver().await;
    world.faults.clear();
    world.pass(Duration::from_mins(5));
    world.renew().await;
    assert_eq!(
        (deliveries(&world), changes(&world, &account)),
        (3, ["authorized", "needs_authorization"].map(str::to_owned).into())
    );
}

#[tokio::test]
async fn an_account_whose_events_cannot_be_read_holds_up_no_other() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    ends_unheard(&world, &account).await;
    world.faults.always(Matching::operation("Query").containing(format!("#details#{account}")), Fault::Away);
    let other = world.account(1);
    world.push_and_work(&world.merchant_authorizes(&other).push).await;
    world.pass(Duration::from_mins(5));
    world.renew().await;
    assert_eq!(changes(&world, &other), ["authorized"]);
}

#[tokio::test]
async fn a_change_whose_response_is_lost_is_reported_once() {
    for fault in [Fault::LostReply, Fault::Away, Fault::ServerError, Fault::Throttle] {
        // The SDK tries three times.
        for count in 1..=3 {
            let world = World::ready().await;
            let account = world.authorized_account().await;
            world.faults.next(count, Matching::operation("TransactWriteItems"), fault);
            let seq = world.stored(&account).await.token.seq;
            let end = GrantEnd::TakenBack { at: None };
            let ended = world.tokens().await.end_grant(&account, seq, &end).await;
            world.faults.clear();
            if ended.is_err() {
                let seq = world.stored(&account).await.token.seq;
                world.tokens().await.end_grant(&account, seq, &end).await.unwrap();
            }
            world.deliver().await;
            assert_eq!(changes(&world, &account), ["authorized", "unauthorized"], "{fault:?} {count}");
            assert_eq!(world.details(&account).await.state.unwrap().0, AccountState::Unauthorized);
        }
    }
}

#[tokio::test]
async fn of_two_processes_that_end_a_grant_one_reports_it() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    let seq = world.stored(&account).await.token.seq;
    let tokens = world.tokens().await;
    let (left, refused) = (GrantEnd::TakenBack { at: None }, GrantEnd::Refused { errcode: None, rid: None });
    let (one, other) = tokio::join!(tokens.end_grant(&account, seq, &left), tokens.end_grant(&account, seq, &refused));
    let stored = [one.unwrap(), other.unwrap()].into_iter().filter(|written| *written == WriteOutcome::Stored).count();
    assert_eq!(stored, 1);
    world.deliver().await;
    let is = world.stored(&account).await.token.state;
    let last = changes(&world, &account).pop().unwrap();
    assert_eq!(changes(&world, &account).len(), 2);
    assert_eq!(last, if is == AccountState::Unauthorized { "unauthorized" } else { "needs_authorization" });
}

#[tokio::test]
async fn of_two_accounts_that_come_through_one_link_at_once_one_is_the_businesss_customer() {
    for _ in 0..8 {
        let world = World::ready().await;
        let business = Business::of(&world);
        let link = business.link(json!({ "reference": "shop 10" })).await;
        let browser = Browser::on_computer();
        let (first, second) = (browser.press(&link).await, browser.press(&link).await);
        let accounts = [world.account(0), world.account(1)];
        for (page, account) in [&first, &second].into_iter().zip(&accounts) {
            assert!(world.simulator.send(&world.confirms(page, account).push).await.is_accepted());
        }
        world.renew().await;
        world.deliver().await;
        let bound = business.look(&link).await["authorizer_appid"].clone();
        for account in &accounts {
            let details = world.details(account).await;
            let said = details.labels.reference.as_deref();
            let reported = reported(&world, account).remove(0);
            let is_bound = bound == account.as_str();
            assert_eq!((said == Some("shop 10"), details.link.is_some()), (is_bound, is_bound));
            assert_eq!((reported["reference"] == "shop 10", reported["link_id"].is_string()), (is_bound, is_bound));
        }
    }
}

#[tokio::test]
async fn a_grant_without_a_link_is_not_reported_under_the_link_of_the_one_before() {
    let world = World::ready().await;
    let link = Business::of(&world).link(json!({ "reference": "shop 11" })).await;
    let page = Browser::on_computer().press(&link).await;
    let account = world.account(0);
    world.push_and_work(&world.confirms(&page, &account).push).await;
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.simulator.unauthorize(&account).unwrap()).await;
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.merchant_authorizes(&account).push).await;
    world.deliver().await;
    let last = reported(&world, &account).pop().unwrap();
    assert_eq!((&last["reference"], &last["link_id"]), (&json!("shop 11"), &Value::Null));
}

#[tokio::test]
async fn an_account_whose_details_are_lost_goes_on_above_the_numbers_it_had() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    let before = world.details(&account).await.events;
    let key = [("pk", format!("{COMPONENT}#details#{account}")), ("sk", "details".to_owned())];
    let key = key.map(|(name, value)| (name.to_owned(), AttributeValue::S(value)));
    world.database.client().delete_item().table_name(TABLE).set_key(Some(key.into())).send().await.unwrap();
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.simulator.unauthorize(&account).unwrap()).await;
    world.deliver().await;
    assert!(world.details(&account).await.events > before);
    assert_eq!(world.stored(&account).await.token.state, AccountState::Unauthorized);
    let last = world.bus.delivered_of("account.").pop().unwrap();
    assert_eq!(last.detail_type, "account.unauthorized");
}

#[tokio::test]
async fn a_reference_that_meets_another_write_comes_all_the_same() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    let origin = |number: u32| GrantOrigin {
        link: LinkId::generate(&Random::system()),
        labels: Labels::new(Some(format!("shop {number}")), BTreeMap::new()).unwrap(),
        binds: None,
    };
    let origins: Vec<GrantOrigin> = (0..3).map(origin).collect();
    let accounts = world.store().accounts;
    let noted = join_all(origins.iter().map(|origin| accounts.note_origin(&account, origin, world.now()))).await;
    assert!(noted.iter().all(Result::is_ok), "{noted:?}");
    let details = world.details(&account).await;
    let last = origins.iter().find(|origin| Some(&origin.link) == details.link.as_ref()).unwrap();
    assert_eq!(details.labels, last.labels);
    let partition = format!("{COMPONENT}#accounts#reference#{}", last.labels.reference.as_ref().unwrap());
    let query = world.database.client().query().table_name(TABLE).index_name(LIST_INDEX);
    let query = query.key_condition_expression("list_pk = :list");
    let listed = query.expression_attribute_values(":list", AttributeValue::S(partition)).send().await.unwrap();
    assert_eq!(listed.count, 1, "the list agrees with the details");
}

#[tokio::test]
async fn a_grant_that_is_renewed_many_times_reports_nothing() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.deliver().await;
    for _ in 0..3 {
        world.pass(Duration::from_mins(100));
        assert!(world.simulator.push_ticket().await.is_accepted());
        world.renew().await;
    }
    world.simulator.inject(WechatFault::BadGateway.on(paths::AUTHORIZER_TOKEN).times(1));
    world.pass(Duration::from_mins(100));
    world.renew().await;
    assert_eq!((deliveries(&world), changes(&world, &account).len()), (1, 1));
}
