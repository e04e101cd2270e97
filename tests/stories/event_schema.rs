//! docs/events.schema.json covers what is published: every event on the bus matches it, every request to the webhook,
//! and the webhook's responses that are used.

use serde_json::{Value, json};
use simulator::Message;
use stories::schema::Schema;
use stories::webhook::Service;
use stories::world::World;
use wechat::push::Reply;

const FOLLOWER: &str = "oAbCdEfGhIjKlMnOpQrStUvWxYz0";

/// A message of each kind, with the elements that WeChat sends in it, and one of an unknown kind.
fn messages(world: &World) -> Vec<Message> {
    let to = &world.simulator.accounts()[0];
    let of = |kind: &str, fields: &[(&str, &str)]| {
        fields.iter().fold(Message::new(to, FOLLOWER, kind), |message, (name, text)| message.with(name, text))
    };
    let picture = [("PicUrl", "http://mmbiz.qpic.cn/p"), ("MediaId", "media")];
    let nested = "<xml><ToUserName>GH</ToUserName><FromUserName>o1</FromUserName><CreateTime>NOW</CreateTime>\
                  <MsgType>event</MsgType><Event>pic_weixin</Event><SendPicsInfo><Count>1</Count><PicList><item>\
                  <PicMd5Sum>5a75aaca956d97be686719218f275c6b</PicMd5Sum></item></PicList></SendPicsInfo></xml>";
    vec![
        Message::text(to, FOLLOWER, "你好 😀 ]]>"),
        of("image", &picture),
        of("voice", &[("MediaId", "media"), ("Format", "amr"), ("Recognition", "你好")]),
        of("video", &[("MediaId", "media"), ("ThumbMediaId", "thumb")]),
        of("shortvideo", &[("MediaId", "media"), ("ThumbMediaId", "thumb")]),
        of("location", &[("Location_X", "23.13"), ("Location_Y", "113.35"), ("Scale", "20"), ("Label", "here")]),
        of("link", &[("Title", "t"), ("Description", "d"), ("Url", "https://example.com/")]),
        of("event", &[("Event", "LOCATION"), ("Latitude", "23.1"), ("Longitude", "113.3"), ("Precision", "119.3")]),
        of(
            "event",
            &[("Event", "weapp_audit_fail"), ("Reason", "r"), ("FailTime", "1700000001"), ("ScreenShot", "a|b")],
        ),
        of("notsure", &[]),
        Message::of(&to.appid, nested.replace("GH", &to.user_name).replace("NOW", &world.now().unix().to_string())),
    ]
}

async fn handed_on() -> Vec<Value> {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    for message in messages(&world) {
        let outcome = world.simulator.send_message(&message).await;
        assert!(outcome.is_empty(), "{outcome:?}");
    }
    let revoked = world.simulator.unauthorize(&account).unwrap();
    world.push_and_work(&revoked).await;
    world.renew().await;
    world.bus.delivered().into_iter().map(|event| event.detail).collect()
}

#[tokio::test]
async fn every_event_fits_the_schema_and_none_that_lacks_something() {
    let schema = Schema::read();
    let details = handed_on().await;
    let (mut messages, mut grants, mut states) = (0, 0, 0);
    for detail in details {
        let (shape, count) = if detail["message"].is_object() {
            ("message_detail", &mut messages)
        } else if detail["change"].is_string() {
            ("state_detail", &mut states)
        } else {
            ("grant_detail", &mut grants)
        };
        *count += 1;
        assert_eq!(schema.fits(shape, &detail), Ok(()), "{detail}");
        let optional: &[&str] = match shape {
            "grant_detail" => &["authorizer_appid", "create_time"],
            "state_detail" => &["permissions"],
            _ => &["msg_id"],
        };
        for name in detail.as_object().unwrap().keys().filter(|name| !optional.contains(&name.as_str())) {
            let mut less = detail.clone();
            less.as_object_mut().unwrap().remove(name);
            assert!(schema.fits(shape, &less).is_err(), "{shape} without {name}");
        }
    }
    assert_eq!((messages, grants, states), (11, 2, 2));
}

#[tokio::test]
async fn what_the_webhook_is_sent_fits_the_schema_and_says_the_same_as_the_bus() {
    let world = World::ready().await;
    world.authorized_account().await;
    let service = Service::replying(Value::Null).await;
    world.ask_for_replies(service.url()).await;
    for message in messages(&world) {
        assert!(world.simulator.send_message(&message).await.is_empty());
        let (request, event) = (service.asked().pop().unwrap().body, world.bus.delivered().pop().unwrap());
        assert_eq!(Schema::read().fits("webhook_request", &request), Ok(()), "{request}");
        assert_eq!((&request["type"], &request["data"]), (&json!(event.detail_type), &event.detail));
    }
}

#[test]
fn the_schema_takes_those_answers_of_a_webhook_that_become_replies() {
    let schema = Schema::read();
    let article = json!({ "title": "t", "description": "d", "pic_url": "p", "url": "u" });
    let good = [
        json!(null),
        json!({ "type": "none" }),
        json!({ "type": "text", "content": "hello" }),
        json!({ "type": "text", "content": "a".repeat(2_047) }),
        json!({ "type": "text", "content": "two\r\n\tlines" }),
        json!({ "type": "image", "media_id": "m" }),
        json!({ "type": "voice", "media_id": "m" }),
        json!({ "type": "video", "media_id": "m", "title": "t", "description": null }),
        json!({ "type": "music", "thumb_media_id": "m", "music_url": "u" }),
        json!({ "type": "news", "articles": [article, { "title": "t", "url": "u" }] }),
        json!({ "type": "transfer_customer_service" }),
        json!({ "type": "transfer_customer_service", "kf_account": "a@b" }),
    ];
    let bad = [
        json!({}),
        json!([]),
        json!("hello"),
        json!({ "type": "card" }),
        json!({ "type": "text" }),
        json!({ "type": "text", "content": " " }),
        json!({ "type": "text", "content": 5 }),
        json!({ "type": "text", "content": "a".repeat(2_048) }),
        json!({ "type": "text", "content": "a\u{1}b" }),
        json!({ "type": "image", "media_id": "a b" }),
        json!({ "type": "image", "media_id": "" }),
        json!({ "type": "music", "music_url": "u" }),
        json!({ "type": "news", "articles": [] }),
        json!({ "type": "news", "articles": [article, article, article, article, article, article, article, article, article] }),
        json!({ "type": "news", "articles": [{ "title": "t" }] }),
    ];
    for (answers, fine) in [(&good[..], true), (&bad[..], false)] {
        for answer in answers {
            assert_eq!(schema.fits("webhook_answer", answer).is_ok(), fine, "{answer}");
            assert_eq!(Reply::parse(answer.to_string().as_bytes()).is_ok(), fine, "{answer}");
        }
    }
}
