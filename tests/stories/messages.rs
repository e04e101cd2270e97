//! Followers write to accounts: every message is answered in time, reaches the business once, and none is lost.

mod arrivals;
mod delivery;
mod hostile;
mod recipients;
mod repeats;
mod replies;
mod samples;

use serde_json::Value;
use simulator::{Account, Message, MessageOutcome, PushAnswer};
use stories::webhook::Service;
use stories::world::World;

/// A follower.
const FOLLOWER: &str = "oFollower-0123456789_abcdefg";

/// An authorized account of a platform that is ready.
async fn shop(world: &World) -> Account {
    let authorizer = world.authorized_account().await;
    world.simulator.account(&authorizer).unwrap()
}

/// A service that replies to the world's messages from now on.
async fn service_for(world: &World) -> Service {
    let service = Service::replying_with_texts().await;
    world.ask_for_replies(service.url()).await;
    service
}

/// The details of the events on the bus that are messages or events, in the order of their arrival.
fn delivered(world: &World) -> Vec<Value> {
    let events = world.bus.delivered().into_iter().filter(|event| event.detail["message"].is_object());
    events.map(|event| event.detail).collect()
}

/// The texts among them.
fn texts(world: &World) -> Vec<String> {
    let details = delivered(world).into_iter();
    details.filter_map(|detail| Some(detail["message"]["content"].as_str()?.to_owned())).collect()
}

fn status(outcome: &MessageOutcome) -> u16 {
    match &outcome.answer {
        PushAnswer::Answered { status, .. } => *status,
        PushAnswer::Unanswered { reason } => panic!("no answer: {reason}"),
    }
}

#[tokio::test]
async fn a_message_reaches_the_business_with_every_field() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let message = Message::text(&shop, FOLLOWER, "你好 ]]> <b>&amp; 😀 ").with("Brand", "new").with("MsgId", "77");
    let outcome = world.simulator.send_message(&message).await;
    assert!(outcome.is_empty(), "{outcome:?}");

    let events = world.bus.delivered();
    let event = events.last().unwrap();
    assert_eq!((event.source.as_str(), event.detail_type.as_str()), ("wechat.platform", "message.text"));
    assert_eq!(event.time, world.now());
    let expected = serde_json::json!({
        "id": event.detail["id"],
        "component_appid": stories::world::COMPONENT,
        "authorizer_appid": shop.appid,
        "create_time": world.now(),
        "user_name": shop.user_name,
        "open_id": FOLLOWER,
        "msg_id": "77",
        "message": { "type": "text", "content": "你好 ]]> <b>&amp; 😀 " },
        "fields": {
            "ToUserName": shop.user_name, "FromUserName": FOLLOWER, "CreateTime": world.now().unix().to_string(),
            "MsgType": "text", "Content": "你好 ]]> <b>&amp; 😀 ", "Brand": "new", "MsgId": "77",
        },
    });
    assert_eq!(event.detail, expected);
}

#[tokio::test]
async fn an_event_and_a_kind_that_nobody_knows_reach_the_business_too() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    for message in [
        Message::event(&shop, FOLLOWER, "subscribe").with("EventKey", "qrscene_7").with("Ticket", "QR"),
        Message::event(&shop, FOLLOWER, "brand_new_event").with("Whatever", "1"),
        Message::new(&shop, FOLLOWER, "hologram").with("Depth", "3"),
    ] {
        assert!(world.simulator.send_message(&message).await.is_empty());
    }
    let types: Vec<String> = world.bus.delivered().into_iter().map(|event| event.detail_type).collect();
    assert_eq!(types[types.len() - 3..], ["event.subscribe", "event.brand_new_event", "message.hologram"]);
    let details = delivered(&world);
    assert_eq!(details[0]["message"]["event_key"], "qrscene_7");
    assert_eq!((&details[1]["fields"]["Whatever"], &details[2]["fields"]["Depth"]), (&"1".into(), &"3".into()));
}

#[tokio::test]
async fn a_message_of_two_kilobytes_and_one_as_long_as_a_push_may_be_arrive_whole() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    for length in [2_048 / 3, 12_000] {
        let text = "字".repeat(length);
        assert!(world.simulator.send_message(&Message::text(&shop, FOLLOWER, &text)).await.is_empty());
        assert_eq!(texts(&world).last().unwrap(), &text);
    }
}

#[tokio::test]
async fn an_account_whose_grant_is_gone_may_still_be_written_to() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let push = world.simulator.unauthorize(&shop.appid).unwrap();
    world.push_and_work(&push).await;
    assert!(world.simulator.send_message(&Message::text(&shop, FOLLOWER, "still there?")).await.is_empty());
    assert_eq!(texts(&world), ["still there?"]);
}
