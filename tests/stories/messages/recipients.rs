//! A captured message is accepted only for the account to which it was sent, and for a day.

use std::time::Duration;

use runtime::telemetry::Measure;
use simulator::{Account, Behaviour, Fault, Message, SealedPush, paths};
use store::Recipient;
use stories::world::World;

use super::{FOLLOWER, delivered, service_for, shop, status, texts};

/// A text message from the follower to `to`, as WeChat writes it.
fn inner_xml(to: &Account, content: &str, at: i64) -> String {
    format!(
        "<xml><ToUserName>{}</ToUserName><FromUserName>{FOLLOWER}</FromUserName><CreateTime>{at}</CreateTime>\
         <MsgType>text</MsgType><Content>{content}</Content><MsgId>5</MsgId></xml>",
        to.user_name
    )
}

/// Posts a captured message to the message URL of `appid`.
async fn replay(world: &World, captured: &SealedPush, appid: &str) -> u16 {
    let mut url = world.public_url.join(&format!("wechat/accounts/{appid}/events")).unwrap();
    url.set_query(Some(&captured.query));
    stories::http_client().post(url).body(captured.body.clone()).send().await.unwrap().status().as_u16()
}

/// Why pushes were refused, each time.
fn refusals(world: &World) -> Vec<String> {
    let metrics = world.metrics.all().into_iter().filter(|metric| metric.measure == Measure::PushRefused);
    metrics.map(|metric| metric.dimension.unwrap().1).collect()
}

/// A second merchant whose grant has taken effect.
async fn other_shop(world: &World) -> Account {
    let other = world.account(1);
    let consent = world.merchant_authorizes(&other);
    world.push_and_work(&consent.push).await;
    world.simulator.account(&other).unwrap()
}

#[tokio::test]
async fn a_message_passed_off_as_another_accounts_is_refused_and_written_nowhere() {
    let world = World::ready().await;
    let (shop, other) = (shop(&world).await, other_shop(&world).await);
    let captured = world.simulator.seal_message(&Message::text(&shop, FOLLOWER, "mine"));
    let before = world.items().await;
    assert_eq!(replay(&world, &captured, other.appid.as_str()).await, 401);
    assert_eq!((refusals(&world), world.items().await), (vec!["foreign-account".to_owned()], before));
    assert_eq!(replay(&world, &captured, shop.appid.as_str()).await, 200);
    assert_eq!(texts(&world), ["mine"]);
    // The other account is not harmed.
    assert!(world.simulator.send_message(&Message::text(&other, FOLLOWER, "mine too")).await.is_empty());
    assert_eq!(texts(&world), ["mine", "mine too"]);
}

#[tokio::test]
async fn a_captured_message_under_made_up_accounts_is_refused_and_written_nowhere() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let captured = world.simulator.seal_message(&Message::text(&shop, FOLLOWER, "mine"));
    let before = world.items().await;
    for number in 0..300 {
        assert_eq!(replay(&world, &captured, &format!("wx{number:016x}")).await, 401, "{number}");
    }
    assert_eq!(replay(&world, &captured, &shop.user_name).await, 401, "a name is no appid");
    assert_eq!((world.items().await, texts(&world).len()), (before, 0));
    // One of them authorizes the platform afterwards: nothing about it had been stored.
    let late = Account::official_account(base::ids::AppId::parse("wx0000000000000007").unwrap(), "late");
    world.simulator.put_account(late.clone());
    let consent = world.merchant_authorizes(&late.appid);
    world.push_and_work(&consent.push).await;
    assert!(world.simulator.send_message(&Message::text(&late, FOLLOWER, "at last")).await.is_empty());
    assert_eq!(texts(&world), ["at last"]);
}

#[tokio::test]
async fn a_test_account_of_the_release_check_gets_no_other_accounts_message() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let check = Account::release_check().remove(0);
    let before = world.items().await;
    for message in [
        Message::text(&shop, FOLLOWER, "hello"),
        Message::text(&shop, FOLLOWER, "QUERY_AUTH_CODE:queryauthcode@@@x"),
        Message::event(&shop, FOLLOWER, "LOCATION"),
    ] {
        let captured = world.simulator.seal_message(&message);
        assert_eq!(replay(&world, &captured, check.appid.as_str()).await, 401);
    }
    assert_eq!((world.items().await, delivered(&world).len()), (before, 0));
}

#[tokio::test]
async fn a_message_that_overtakes_its_grant_is_delivered_after_the_grant() {
    let world = World::ready().await;
    let account = world.simulator.accounts()[0].clone();
    let message = Message::text(&account, FOLLOWER, "first");
    // Before the push of the grant the account is unknown: WeChat must send the message again.
    assert_eq!(status(&world.simulator.send_message(&message).await), 401);
    let consent = world.merchant_authorizes(&account.appid);
    assert!(world.simulator.send(&consent.push).await.is_accepted());
    // The push has arrived, but the grant has not taken effect yet.
    assert!(world.simulator.send_message(&message).await.is_empty());
    assert!(texts(&world).is_empty(), "whose name it is is not known yet");
    world.renew().await;
    world.pass(Duration::from_mins(2));
    world.renew().await;
    assert_eq!(texts(&world), ["first"]);
    world.pass(Duration::from_mins(2));
    world.renew().await;
    assert_eq!(texts(&world).len(), 1);
}

#[tokio::test]
async fn while_details_cannot_be_read_messages_wait_and_captured_ones_stay_out() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let service = service_for(&world).await;
    world.simulator.inject(Fault::system_error().on(paths::GET_AUTHORIZER_INFO));
    let nameless = other_shop(&world).await;
    assert!(world.store().recipients.check(&nameless.appid, Some("gh_any")).await.unwrap() == Recipient::Unnamed);

    let captured = world.simulator.seal_message(&Message::text(&shop, FOLLOWER, "of the shop"));
    let before = world.items().await;
    assert_eq!(replay(&world, &captured, nameless.appid.as_str()).await, 401, "the name is known to be the shop's");
    assert_eq!(world.items().await, before);

    let stranger = Account { user_name: "gh_ofnobodyknown".to_owned(), ..nameless.clone() };
    let foreign = Message::of(&nameless.appid, inner_xml(&stranger, "foreign", world.now().unix()));
    for message in [Message::text(&nameless, FOLLOWER, "its own"), foreign] {
        assert!(world.simulator.send_message(&message).await.is_empty());
    }
    assert!(texts(&world).is_empty() && service.asked().is_empty());
    world.simulator.clear_faults();
    world.reconcile().await;
    world.pass(Duration::from_mins(5));
    world.renew().await;
    assert_eq!(texts(&world), ["its own"], "now the name is known");
    assert!(world.simulator.send_message(&Message::text(&nameless, FOLLOWER, "later")).await.reply.is_some());
    world.pass(Duration::from_mins(5));
    world.renew().await;
    assert_eq!(texts(&world), ["its own", "later"]);
}

#[tokio::test]
async fn a_message_of_an_account_that_never_gets_a_name_is_delivered_as_unconfirmed() {
    let world = World::ready().await;
    let account = world.simulator.accounts()[0].clone();
    let consent = world.merchant_authorizes(&account.appid);
    assert!(world.simulator.send(&consent.push).await.is_accepted());
    assert!(world.simulator.send_message(&Message::text(&account, FOLLOWER, "too early")).await.is_empty());
    // The merchant withdraws the grant before it has taken effect.
    world.push_and_work(&world.simulator.unauthorize(&account.appid).unwrap()).await;
    world.pass(Duration::from_mins(119));
    world.renew().await;
    assert!(texts(&world).is_empty());
    world.pass(Duration::from_mins(2));
    world.renew().await;
    let detail = delivered(&world).pop().unwrap();
    assert_eq!(
        (&detail["message"]["content"], &detail["unconfirmed"]),
        (&"too early".into(), &serde_json::json!(["authorizer_appid"]))
    );
}

#[tokio::test]
async fn an_old_message_waits_for_its_accounts_name_as_long_as_a_new_one() {
    let world = World::ready().await;
    world.simulator.inject(Fault::system_error().on(paths::GET_AUTHORIZER_INFO));
    let nameless = other_shop(&world).await;
    for age in [0, 3] {
        let written = world.now().unix() - age * 3_600;
        let message = Message::of(&nameless.appid, inner_xml(&nameless, &format!("{age} hours old"), written));
        assert!(world.simulator.send_message(&message).await.is_empty());
    }
    world.pass(Duration::from_mins(5));
    world.renew().await;
    assert!(texts(&world).is_empty(), "neither has waited for two hours");
    world.simulator.clear_faults();
    world.reconcile().await;
    world.pass(Duration::from_mins(5));
    world.renew().await;
    assert!(delivered(&world).iter().all(|detail| detail.get("unconfirmed").is_none()));
    assert_eq!(texts(&world).len(), 2);
}

#[tokio::test]
async fn a_message_that_names_no_account_is_delivered_once_wherever_it_is_sent() {
    let world = World::ready().await;
    let (shop, other) = (shop(&world).await, other_shop(&world).await);
    let nobodys = format!(
        "<xml><FromUserName>{FOLLOWER}</FromUserName><CreateTime>{}</CreateTime><MsgType>text</MsgType>\
         <Content>for whom?</Content><MsgId>7</MsgId></xml>",
        world.now().unix()
    );
    let captured = world.simulator.seal_message(&Message::of(&shop.appid, nobodys));
    for appid in [shop.appid.as_str(), other.appid.as_str(), shop.appid.as_str()] {
        assert_eq!(replay(&world, &captured, appid).await, 200);
    }
    assert_eq!(replay(&world, &captured, "wx00000000000000ff").await, 401);
    let details = delivered(&world);
    assert_eq!((details.len(), details[0]["authorizer_appid"].as_str()), (1, Some(shop.appid.as_str())));
    assert_eq!(details[0]["unconfirmed"], serde_json::json!(["authorizer_appid"]), "only the URL names it");
}

#[tokio::test]
async fn a_message_too_old_to_be_told_from_a_repeat_is_only_acknowledged() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let captured = world.simulator.seal_message(&Message::text(&shop, FOLLOWER, "once"));
    for hours in [0, 23, 1] {
        world.pass(Duration::from_hours(hours));
        assert_eq!(replay(&world, &captured, shop.appid.as_str()).await, 200);
    }
    assert_eq!((texts(&world).len(), world.metrics.count(Measure::MessageRepeated)), (1, 2));
    world.pass(Duration::from_secs(1));
    let before = world.items().await;
    assert_eq!(replay(&world, &captured, shop.appid.as_str()).await, 200);
    assert_eq!((texts(&world).len(), world.items().await), (1, before));
    assert_eq!(world.metrics.count(Measure::PushStale), 1);
}

#[tokio::test]
async fn a_grant_too_old_to_be_told_from_a_repeat_has_no_effect() {
    let world = World::ready().await;
    let account = world.account(0);
    let consent = world.merchant_authorizes(&account);
    let captured = world.simulator.seal(&consent.push);
    world.pass(Duration::from_hours(24 * 30));
    let before = world.items().await;
    assert!(world.simulator.send_sealed(&captured).await.is_accepted());
    assert_eq!((world.items().await, world.metrics.count(Measure::PushStale)), (before, 1));
    assert!(world.store().accounts.get(&account).await.unwrap().is_none());
}

#[tokio::test]
async fn wechats_repeats_of_a_message_find_the_account_as_soon_as_it_is_known() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    world.simulator.set_behaviour(Behaviour { redeliver_pushes: true, ..Behaviour::default() });
    let outcome = world.simulator.send_message(&Message::text(&shop, FOLLOWER, "hello")).await;
    assert_eq!((outcome.attempts, texts(&world).len()), (1, 1));
}
