//! The process's responses, status by status.

use std::sync::Arc;

use base::ids::AppId;
use serde_json::json;
use simulator::{Account, Message};
use stories::bootstrap::{Bootstrap, HttpAnswer, messages_of, pushed};
use stories::http_events::HttpEvent;

use super::{BINARY, FOLLOWER, metrics, texts, world_with_shop};

fn told(answer: &HttpAnswer) -> (u64, &str) {
    (answer.status, answer.body.as_str())
}

#[tokio::test]
async fn a_text_is_delivered_whether_its_body_comes_as_text_or_as_base64() {
    let (world, shop) = world_with_shop().await;
    let function = Bootstrap::start(BINARY, &world).await;
    let sealed = world.simulator.seal_message(&Message::text(&shop, FOLLOWER, "你好 ]]> 😀"));
    assert_eq!(told(&function.push(&sealed).await), (200, ""));
    let sealed = world.simulator.seal_message(&Message::text(&shop, FOLLOWER, "as Base64"));
    let answer = function.request(&pushed(&sealed).base64_body(sealed.body.as_bytes())).await;
    assert_eq!(told(&answer), (200, ""));

    assert_eq!(texts(&world), ["你好 ]]> 😀", "as Base64"]);
    let event = world.bus.delivered().pop().unwrap();
    assert_eq!((event.source.as_str(), event.detail_type.as_str()), ("wechat.platform", "message.text"));
    assert_eq!(event.detail["authorizer_appid"], shop.appid.as_str());
    drop(function.kill());
}

#[tokio::test]
async fn the_release_check_gets_sealed_replies_that_wechat_accepts() {
    let (world, shop) = world_with_shop().await;
    let added = Account::official_account(AppId::parse("wxadded00000000001").unwrap(), "added");
    let function = Bootstrap::with(BINARY, &world, |variables| {
        variables.insert("RELEASE_CHECK_ACCOUNTS".into(), added.appid.as_str().into());
    });
    world.receive_messages_with(Arc::new(function.await).behind_gateway()).await;
    let reply = async |message: Message| world.simulator.send_message(&message).await.reply_text();

    let text = "TESTCOMPONENT_MSG_TYPE_TEXT";
    for account in [&added, &Account::release_check()[0]] {
        assert_eq!(reply(Message::text(account, FOLLOWER, text)).await.unwrap(), format!("{text}_callback"));
        assert_eq!(reply(Message::event(account, FOLLOWER, "LOCATION")).await.unwrap(), "LOCATIONfrom_callback");
        let code = Message::text(account, FOLLOWER, "QUERY_AUTH_CODE:queryauthcode@@@made-up");
        assert!(world.simulator.send_message(&code).await.is_empty());
    }
    assert!(texts(&world).is_empty(), "none of it is the business's");
    assert_eq!(reply(Message::text(&shop, FOLLOWER, text)).await.unwrap(), format!("{text}_callback"));
    assert_eq!(reply(Message::event(&shop, FOLLOWER, "LOCATION")).await, None, "an ordinary account");
    let last = world.bus.delivered().pop().unwrap();
    assert_eq!(last.detail_type, "event.LOCATION");
}

#[tokio::test]
async fn forged_malformed_oversized_and_misdirected_messages_are_distinguished() {
    let (world, shop) = world_with_shop().await;
    let function = Bootstrap::start(BINARY, &world).await;
    let sealed = world.simulator.seal_message(&Message::text(&shop, FOLLOWER, "hello"));
    let to = |appid: &str, query: &str| messages_of(appid).query(query).body(&sealed.body);
    let with_query = |query: &str| to(shop.appid.as_str(), query);

    let forged = function.request(&with_query(&sealed.query.replace("nonce=", "nonce=1"))).await;
    assert_eq!(told(&forged), (401, "msg_signature does not match"));
    let malformed = function.request(&pushed(&sealed).body("<xml><Encrypt>")).await;
    assert_eq!(malformed.status, 400, "{malformed:?}");
    let unsigned = function.request(&with_query("timestamp=1&nonce=1")).await;
    assert_eq!(told(&unsigned), (400, "the query parameter msg_signature is missing"));
    let large = function.request(&pushed(&sealed).body(&" ".repeat(64 * 1024 + 1))).await;
    assert_eq!(told(&large), (413, "the body is too large"));
    let no_appid = function.request(&to("not-an-appid%20", &sealed.query)).await;
    assert_eq!(no_appid.status, 404, "{no_appid:?}");
    let elsewhere = function.request(&HttpEvent::new("POST", "/wechat/events").body(&sealed.body)).await;
    assert_eq!(elsewhere.status, 404, "{elsewhere:?}");
    let path = format!("/wechat/accounts/{}/events", shop.appid);
    let read = function.request(&HttpEvent::new("GET", &path).query(&sealed.query)).await;
    assert_eq!(read.status, 405, "{read:?}");
    assert!(texts(&world).is_empty());

    assert_eq!(told(&function.push(&sealed).await), (200, ""), "and the process goes on");
    assert_eq!(texts(&world), ["hello"]);
    let no_message = world.simulator.seal_message(&Message::of(&shop.appid, "no message"));
    assert_eq!(told(&function.push(&no_message).await), (200, ""), "WeChat has signed it");
    assert_eq!(world.bus.delivered().pop().unwrap().detail["raw"], "no message");
}

#[tokio::test]
async fn a_message_at_the_path_of_another_account_is_refused() {
    let (world, shop) = world_with_shop().await;
    let other = world.account(1);
    world.push_and_work(&world.merchant_authorizes(&other).push).await;
    let function = Bootstrap::start(BINARY, &world).await;
    let sealed = world.simulator.seal_message(&Message::text(&shop, FOLLOWER, "mine"));
    let answer = function.request(&messages_of(other.as_str()).query(&sealed.query).body(&sealed.body)).await;
    assert_eq!(told(&answer), (401, "the message is for another account"));
    assert!(texts(&world).is_empty());
    assert_eq!(told(&function.push(&sealed).await), (200, ""));
    assert_eq!(texts(&world), ["mine"]);
    assert_eq!(metrics(&function.kill(), "push_refused")[0]["reason"], json!("foreign-account"));
}

#[tokio::test]
async fn without_secret_or_without_table_and_bus_a_message_is_not_acknowledged() {
    let (world, shop) = world_with_shop().await;
    world.expect_error("a message was not handled");
    world.expect_error("no push can be accepted");
    world.expect_error("a message was delivered but not recorded");
    let message = Message::text(&shop, FOLLOWER, "hello");
    let with_neither = Bootstrap::with(BINARY, &world, |variables| {
        variables.insert("TABLE_NAME".into(), "another".into());
        variables.insert("EVENT_BUS_NAME".into(), "another".into());
    });
    let answer = with_neither.await.push(&world.simulator.seal_message(&message)).await;
    assert_eq!(told(&answer), (500, "not handled: send it again"));
    world.secrets.set("{}".into());
    let function = Bootstrap::start(BINARY, &world).await;
    assert_eq!(told(&function.push(&world.simulator.seal_message(&message)).await), (503, "not-configured"));
    assert!(texts(&world).is_empty());

    world.secrets.set(stories::world::secret_json());
    let tableless = Bootstrap::with(BINARY, &world, |variables| {
        variables.insert("TABLE_NAME".into(), "another".into());
    });
    assert_eq!(told(&tableless.await.push(&world.simulator.seal_message(&message)).await), (200, ""));
    let function = Bootstrap::start(BINARY, &world).await;
    assert_eq!(told(&function.push(&world.simulator.seal_message(&message)).await), (200, ""));
    assert_eq!(texts(&world), ["hello", "hello"]);
    let events = world.bus.delivered();
    let (without, with) = (&events[events.len() - 2].detail, &events[events.len() - 1].detail);
    assert_eq!((&without["unconfirmed"], without["id"] == with["id"]), (&json!(["authorizer_appid"]), true));
}
