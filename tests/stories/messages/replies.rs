//! The business's service replies through the webhook: its replies reach the follower sealed, and its failures do not.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Redirect, Response};
use base::limits::Limits;
use http::StatusCode;
use runtime::telemetry::Measure;
use serde_json::{Value, json};
use simulator::Message;
use stories::webhook::Service;
use stories::world::{World, secret_json, short_limits};

use super::{FOLLOWER, service_for, shop, texts};

#[tokio::test]
async fn every_kind_of_reply_is_one_that_wechat_accepts() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let article =
        json!({ "title": "t", "description": "d", "pic_url": "https://p.example", "url": "https://u.example" });
    for (reply, kind) in [
        (json!({ "type": "text", "content": "a ]]> b 😀 <c>&amp;" }), "text"),
        (json!({ "type": "text", "content": "字".repeat(682) + "a" }), "text"),
        (json!({ "type": "image", "media_id": "m" }), "image"),
        (json!({ "type": "voice", "media_id": "m" }), "voice"),
        (json!({ "type": "video", "media_id": "m", "title": "t" }), "video"),
        (json!({ "type": "music", "title": "t", "music_url": "https://m.example", "thumb_media_id": "m" }), "music"),
        (json!({ "type": "news", "articles": [article, article] }), "news"),
        (json!({ "type": "transfer_customer_service", "kf_account": "k@shop" }), "transfer_customer_service"),
        (json!({ "type": "transfer_customer_service" }), "transfer_customer_service"),
    ] {
        let service = Service::replying(reply.clone()).await;
        world.ask_for_replies(service.url()).await;
        let outcome = world.simulator.send_message(&Message::text(&shop, FOLLOWER, kind)).await;
        let xml = outcome.reply.clone().unwrap_or_else(|| panic!("{kind}: {outcome:?}"));
        assert!(xml.contains(&format!("<MsgType><![CDATA[{kind}]]></MsgType>")), "{xml}");
        if kind == "text" {
            assert_eq!(outcome.reply_text().as_deref(), reply["content"].as_str());
        }
    }
}

#[tokio::test]
async fn the_service_is_told_what_the_bus_is_told() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let service = Service::replying(Value::Null).await;
    world.ask_for_replies(service.url()).await;
    let outcome = world.simulator.send_message(&Message::text(&shop, FOLLOWER, "hello")).await;
    assert!(outcome.is_empty(), "{outcome:?}");
    let event = world.bus.delivered().pop().unwrap();
    let call = service.asked().pop().unwrap();
    assert_eq!(call.body, json!({ "type": "message.text", "timestamp": "2027-01-15T08:00:00Z", "data": event.detail }));
    assert_eq!(call.id, event.detail["id"]);
}

#[tokio::test]
async fn nothing_to_say_is_an_empty_answer() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    for nothing in ["", "null", r#"{"type":"none"}"#] {
        let service = Service::answering(move |_| nothing.into_response()).await;
        world.ask_for_replies(service.url()).await;
        let outcome = world.simulator.send_message(&Message::text(&shop, FOLLOWER, "hello")).await;
        assert!(outcome.is_empty(), "{nothing}: {outcome:?}");
    }
    assert_eq!(world.metrics.count(Measure::WebhookFailed), 0);
}

#[tokio::test]
async fn a_service_that_fails_costs_the_reply_and_nothing_else() {
    type Answer = fn() -> Response;
    let cases: [(&str, Answer); 9] = [
        ("status", || StatusCode::INTERNAL_SERVER_ERROR.into_response()),
        ("status", || Redirect::temporary("http://169.254.169.254/latest/meta-data/").into_response()),
        ("too-large", || vec![b'x'; 10 * 1024 * 1024].into_response()),
        ("malformed", || "<html>".into_response()),
        ("malformed", || r#"{"type":"hologram"}"#.into_response()),
        ("malformed", || axum::Json(json!({ "type": "text", "content": "a".repeat(2_048) })).into_response()),
        ("malformed", || axum::Json(json!({ "type": "text", "content": "a\u{1}b" })).into_response()),
        ("malformed", || axum::Json(json!({ "type": "image", "media_id": "m".repeat(2_048) })).into_response()),
        ("timeout", || Body::from_stream(futures::stream::pending::<Result<&str, std::io::Error>>()).into_response()),
    ];
    for (reason, answer) in cases {
        let limits = Limits { webhook: Duration::from_millis(500), ..short_limits() };
        let world = World::with(|_| {}, limits).await;
        world.get_ready().await;
        let shop = shop(&world).await;
        let service = Service::answering(move |_| answer()).await;
        world.ask_for_replies(service.url()).await;
        let outcome = world.simulator.send_message(&Message::text(&shop, FOLLOWER, "hello")).await;
        assert!(outcome.is_empty(), "{reason}: {outcome:?}");
        assert_eq!((texts(&world).len(), service.asked().len()), (1, 1), "{reason}");
        assert_eq!(failures(&world), [reason]);
    }
}

#[tokio::test]
async fn without_a_key_nobody_is_asked() {
    let world = World::start().await;
    let mut secret: Value = serde_json::from_str(secrecy::ExposeSecret::expose_secret(&secret_json())).unwrap();
    secret.as_object_mut().unwrap().remove("webhook_secret");
    world.secrets.set(secret.to_string().into());
    world.get_ready().await;
    let shop = shop(&world).await;
    let service = service_for(&world).await;
    assert!(world.simulator.send_message(&Message::text(&shop, FOLLOWER, "hello")).await.is_empty());
    assert_eq!((texts(&world).len(), service.asked().len()), (1, 0));
    assert_eq!(failures(&world), ["not-configured"]);
}

#[tokio::test]
async fn a_message_under_the_previous_token_or_key_is_answered_under_it() {
    for (field, new) in
        [("encoding_aes_key", "GFEDCBA9876543210zyxwvutsrqponmlkjihgfedcba"), ("token", "AnotherVerificationToken02")]
    {
        let world = World::ready().await;
        let shop = shop(&world).await;
        service_for(&world).await;
        // The platform has changed it already, but WeChat has not.
        let mut secret: Value = serde_json::from_str(secrecy::ExposeSecret::expose_secret(&secret_json())).unwrap();
        secret[format!("previous_{field}")] = secret[field].take();
        secret[field] = new.into();
        world.secrets.set(secret.to_string().into());
        world.pass(Duration::from_mins(6));
        let outcome = world.simulator.send_message(&Message::text(&shop, FOLLOWER, "hello")).await;
        assert_eq!(outcome.reply_text().as_deref(), Some("hello!"), "{field}: {outcome:?}");
    }
}

/// Why the webhook failed, each time.
fn failures(world: &World) -> Vec<String> {
    let metrics = world.metrics.all().into_iter().filter(|metric| metric.measure == Measure::WebhookFailed);
    metrics.map(|metric| metric.dimension.unwrap().1).collect()
}
