//! WeChat's automated check before a platform goes live: its fixed messages, and who may not trigger them.

use std::time::Duration;

use simulator::{Account, Fault, Message, SecretKind, paths};
use stories::webhook::Service;
use stories::world::World;

const CHECKER: &str = "oChecker-0123456789_abcdefgh";

/// WeChat has authorized one of its test accounts to the platform.
async fn granted(world: &World, account: &Account) {
    world.simulator.put_account(account.clone());
    let consent = world.merchant_authorizes(&account.appid);
    world.push_and_work(&consent.push).await;
}

/// Sends the code for the api case; WeChat has issued it just now.
async fn ask(world: &World, account: &Account) -> String {
    let code = world.simulator.issue_code(&account.appid).unwrap();
    let message = Message::text(account, CHECKER, &format!("QUERY_AUTH_CODE:{code}"));
    let outcome = world.simulator.send_message(&message).await;
    assert!(outcome.is_empty(), "{}: {outcome:?}", account.nick_name);
    code
}

/// The texts that were sent as customer-service messages, with their receivers, and the codes that brought their
/// tokens.
fn sent(world: &World) -> Vec<(String, String, Option<String>)> {
    let messages = world.simulator.sent().into_iter();
    messages.map(|sent| (sent.to, sent.body["text"]["content"].as_str().unwrap().to_owned(), sent.code)).collect()
}

/// The number of messages on the bus.
fn told(world: &World) -> usize {
    world.bus.delivered().iter().filter(|event| event.detail["message"].is_object()).count()
}

#[tokio::test]
async fn every_test_account_gets_what_the_check_expects_and_the_business_nothing() {
    let world = World::ready().await;
    for account in Account::release_check() {
        let name = &account.nick_name;
        granted(&world, &account).await;
        let text = Message::text(&account, CHECKER, "TESTCOMPONENT_MSG_TYPE_TEXT");
        let answered = world.simulator.send_message(&text).await;
        assert_eq!(answered.reply_text().as_deref(), Some("TESTCOMPONENT_MSG_TYPE_TEXT_callback"), "{name}");
        let event = Message::event(&account, CHECKER, "LOCATION").with("Latitude", "23.1");
        let answered = world.simulator.send_message(&event).await;
        assert_eq!(answered.reply_text().as_deref(), Some("LOCATIONfrom_callback"), "{name}");

        let code = ask(&world, &account).await;
        let keys = world.inbox_keys().await;
        assert!(keys.iter().any(|(pk, _)| pk.ends_with(account.appid.as_str())), "{name}: what the stream shows");
        world.renew().await;
        let expected = (CHECKER.to_owned(), format!("{code}_from_api"), Some(code));
        assert_eq!(sent(&world).last(), Some(&expected), "{name}");
        assert!(world.wechat_accepts(&account.appid).await, "{name}: the account's stored token is the one that lives");
    }
    assert_eq!((sent(&world).len(), told(&world)), (10 + 10, 0), "each once, and our own look at each token");
}

#[tokio::test]
async fn the_check_may_come_before_the_push_of_the_grant() {
    let world = World::ready().await;
    let account = Account::release_check().remove(0);
    world.simulator.put_account(account.clone());
    let consent = world.merchant_authorizes(&account.appid);
    let code = ask(&world, &account).await;
    world.renew().await;
    assert_eq!(sent(&world), [(CHECKER.to_owned(), format!("{code}_from_api"), Some(code))]);
    world.push_and_work(&consent.push).await;
    assert!(world.wechat_accepts(&account.appid).await);
}

#[tokio::test]
async fn a_checks_code_that_a_push_brought_before_is_answered_with_the_live_token() {
    let world = World::ready().await;
    let account = Account::release_check().remove(0);
    world.simulator.put_account(account.clone());
    let consent = world.merchant_authorizes(&account.appid);
    world.push_and_work(&consent.push).await;
    let message = Message::text(&account, CHECKER, &format!("QUERY_AUTH_CODE:{}", consent.redirect_code));
    assert!(world.simulator.send_message(&message).await.is_empty());
    world.renew().await;
    assert_eq!(sent(&world).pop().unwrap().1, format!("{}_from_api", consent.redirect_code));
}

#[tokio::test]
async fn an_ordinary_account_gets_none_of_the_replies_that_are_for_test_accounts() {
    let world = World::ready().await;
    let authorizer = world.authorized_account().await;
    let shop = world.simulator.account(&authorizer).unwrap();
    let calls = world.calls(paths::QUERY_AUTH);
    let code = world.simulator.issue_code(&shop.appid).unwrap();
    for message in [
        Message::event(&shop, CHECKER, "LOCATION"),
        Message::event(&shop, CHECKER, "subscribe"),
        Message::text(&shop, CHECKER, &format!("QUERY_AUTH_CODE:{code}")),
        Message::text(&shop, CHECKER, "TESTCOMPONENT_MSG_TYPE_TEXT "),
    ] {
        let outcome = world.simulator.send_message(&message).await;
        assert!(outcome.is_empty(), "{outcome:?}");
    }
    world.renew().await;
    assert_eq!((world.calls(paths::QUERY_AUTH), sent(&world).len()), (calls, 0), "WeChat is not called");
    assert_eq!(told(&world), 4, "to the business they are messages like any other");
}

#[tokio::test]
async fn the_checks_text_to_an_ordinary_account_reaches_the_business_as_well() {
    let world = World::ready().await;
    let authorizer = world.authorized_account().await;
    let shop = world.simulator.account(&authorizer).unwrap();
    let service = Service::replying_with_texts().await;
    world.ask_for_replies(service.url()).await;
    let text = Message::text(&shop, CHECKER, "TESTCOMPONENT_MSG_TYPE_TEXT");
    for _ in 0..2 {
        let answered = world.simulator.send_message(&text).await;
        assert_eq!(answered.reply_text().as_deref(), Some("TESTCOMPONENT_MSG_TYPE_TEXT_callback"));
    }
    assert_eq!((told(&world), service.asked().len()), (1, 0));
}

#[tokio::test]
async fn a_test_account_that_was_authorized_an_hour_ago_has_nothing_exchanged() {
    let world = World::ready().await;
    let account = Account::release_check().remove(0);
    granted(&world, &account).await;
    world.pass(Duration::from_mins(61));
    world.get_ready().await;
    let calls = world.calls(paths::QUERY_AUTH);
    ask(&world, &account).await;
    let report = world.renew().await;
    assert_eq!((report.inbox_done, world.calls(paths::QUERY_AUTH), sent(&world).len()), (1, calls, 0), "{report}");
}

#[tokio::test]
async fn a_made_up_code_gets_nothing_and_makes_no_grant_look_newer() {
    let world = World::ready().await;
    let account = Account::release_check().remove(0);
    granted(&world, &account).await;
    let granted_at = world.stored(&account.appid).await.granted_at;
    let issued = world.simulator.issued_secrets().len();
    for minutes in [30, 60, 90] {
        world.pass(Duration::from_mins(30));
        let message = Message::text(&account, CHECKER, &format!("QUERY_AUTH_CODE:queryauthcode@@@made-up-{minutes}"));
        assert!(world.simulator.send_message(&message).await.is_empty());
        world.simulator.push_ticket().await;
        assert_eq!(world.renew().await.inbox_done, 1);
    }
    assert_eq!((sent(&world).len(), world.stored(&account.appid).await.granted_at), (0, granted_at));
    let tokens = world.simulator.issued_secrets().into_iter().skip(issued);
    let tokens = tokens.filter(|secret| secret.kind == SecretKind::AuthorizerToken).count();
    assert!(tokens <= 1, "only what was due was renewed: {tokens}");
}

#[tokio::test]
async fn a_hiccup_of_wechats_at_the_exchange_costs_no_run() {
    let world = World::ready().await;
    let account = Account::release_check().remove(0);
    granted(&world, &account).await;
    world.simulator.inject(Fault::system_error().on(paths::QUERY_AUTH).times(1));
    ask(&world, &account).await;
    let report = world.renew().await;
    assert_eq!((report.inbox_done, report.inbox_postponed, sent(&world).len()), (1, 0, 1), "{report}");
}

#[tokio::test]
async fn more_than_three_codes_a_minute_are_not_exchanged_and_a_repeat_counts_once() {
    let world = World::ready().await;
    let accounts = Account::release_check();
    granted(&world, &accounts[0]).await;
    granted(&world, &accounts[1]).await;
    let code = world.simulator.issue_code(&accounts[0].appid).unwrap();
    let repeated = Message::text(&accounts[0], CHECKER, &format!("QUERY_AUTH_CODE:{code}"));
    for _ in 0..5 {
        assert!(world.simulator.send_message(&repeated).await.is_empty());
    }
    for _ in 0..4 {
        ask(&world, &accounts[0]).await;
    }
    ask(&world, &accounts[1]).await;
    world.renew().await;
    assert_eq!(sent(&world).len(), 3 + 1, "three of the one account, and the other is not held up");

    world.pass(Duration::from_secs(59));
    ask(&world, &accounts[0]).await;
    world.renew().await;
    assert_eq!(sent(&world).len(), 4, "in any minute");
    world.pass(Duration::from_secs(1));
    ask(&world, &accounts[0]).await;
    world.renew().await;
    assert_eq!(sent(&world).len(), 5);
}

#[tokio::test]
async fn a_hiccup_of_wechats_costs_the_check_one_more_try() {
    let world = World::ready().await;
    let account = Account::release_check().remove(0);
    granted(&world, &account).await;
    let hiccup = Fault::Errcode { errcode: -1000, errmsg: "system error".to_owned() };
    world.simulator.inject(hiccup.on(paths::CUSTOM_SEND).times(1));
    ask(&world, &account).await;
    world.renew().await;
    assert_eq!(sent(&world).len(), 1);

    let calls = world.calls(paths::QUERY_AUTH);
    ask(&world, &account).await;
    world.pass(Duration::from_mins(11));
    world.renew().await;
    assert_eq!((world.calls(paths::QUERY_AUTH), sent(&world).len()), (calls, 1), "nobody waits for it any more");
}

#[tokio::test]
async fn the_check_needs_no_tenant_and_no_original_id() {
    let world = World::ready().await;
    let account = Account { user_name: "gh_somethingelse".to_owned(), ..Account::release_check().remove(0) };
    let text = Message::text(&account, CHECKER, "TESTCOMPONENT_MSG_TYPE_TEXT");
    let before = world.items().await;
    assert!(world.simulator.send_message(&text).await.reply.is_some());
    assert_eq!(world.items().await, before, "nothing is kept of it");
}
