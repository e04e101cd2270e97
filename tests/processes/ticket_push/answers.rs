//! The process's responses, status by status.

use serde_json::{Value, json};
use stories::bootstrap::{Bootstrap, pushed};
use stories::http_events::HttpEvent;
use stories::world::World;

use super::BINARY;

async fn world() -> World {
    World::beside_processes(std::time::Duration::ZERO, |_| {}).await
}

#[tokio::test]
async fn a_good_push_is_stored_whether_its_body_comes_as_text_or_as_base64() {
    let world = world().await;
    let function = Bootstrap::start(BINARY, &world).await;
    let sealed = world.simulator.seal(&world.simulator.ticket());
    let answer = function.request(&pushed(&sealed).body(&sealed.body)).await;
    assert!(answer.is_success(), "{answer:?}");
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    assert!(world.store().tickets.newest().await.unwrap().is_some());

    let sealed = world.simulator.seal(&world.merchant_authorizes(&world.account(0)).push);
    let answer = function.request(&pushed(&sealed).base64_body(sealed.body.as_bytes())).await;
    assert!(answer.is_success(), "{answer:?}");
    assert_eq!(world.inbox_keys().await.len(), 1);
}

#[tokio::test]
async fn forged_malformed_oversized_and_misdirected_pushes_are_distinguished() {
    let world = world().await;
    let function = Bootstrap::start(BINARY, &world).await;
    let sealed = world.simulator.seal(&world.simulator.ticket());
    let with_query = |query: &str| HttpEvent::new("POST", "/wechat/events").query(query).body(&sealed.body);

    let forged = function.request(&with_query(&sealed.query.replace("nonce=", "nonce=1"))).await;
    assert_eq!((forged.status, forged.body.as_str()), (401, "msg_signature does not match"));
    let malformed = function.request(&pushed(&sealed).body("<xml><Encrypt>")).await;
    assert_eq!(malformed.status, 400, "{malformed:?}");
    let unsigned = function.request(&with_query("timestamp=1&nonce=1")).await;
    assert_eq!((unsigned.status, unsigned.body.as_str()), (400, "the query parameter msg_signature is missing"));
    let large = function.request(&pushed(&sealed).body(&" ".repeat(64 * 1024 + 1))).await;
    assert_eq!((large.status, large.body.as_str()), (413, "the body is too large"));
    let elsewhere = function.request(&HttpEvent::new("POST", "/wechat/other").body(&sealed.body)).await;
    assert_eq!(elsewhere.status, 404, "{elsewhere:?}");
    let read = function.request(&HttpEvent::new("GET", "/wechat/events").query(&sealed.query)).await;
    assert_eq!(read.status, 405, "{read:?}");
    assert!(world.store().tickets.newest().await.unwrap().is_none());

    assert!(function.push(&sealed).await.is_success(), "and the process goes on");
}

#[tokio::test]
async fn what_cannot_be_a_request_is_400_and_not_a_failure_of_the_function() {
    let world = world().await;
    let function = Bootstrap::start(BINARY, &world).await;
    let sealed = world.simulator.seal(&world.simulator.ticket());
    let good = pushed(&sealed).body(&sealed.body).build();
    let with = |place: &str, value: Value| {
        let mut event = good.clone();
        *event.pointer_mut(place).unwrap() = value;
        event
    };
    let odd = [
        with("/rawQueryString", json!("timestamp=<")),
        with("/rawQueryString", json!("x".repeat(65_535))),
        with("/rawPath", json!("no path")),
        with("/isBase64Encoded", json!(true)),
        with("/headers", json!({ "content-type": "\r\n" })),
        with("/requestContext/http/method", json!("P O S T")),
        with("/routeKey", json!("POST /wechat/accounts/{appid}/events")),
        json!({ "task": "renew" }),
        json!(null),
        json!("text"),
    ];
    for event in odd {
        let answer = function.invoke(event.clone()).await.expect("it is answered");
        assert_eq!(answer["statusCode"], 400, "{event:.300}");
    }
    for name in ["host", "x-forwarded-proto", "x y\r\n"] {
        let mut event = good.clone();
        event["headers"][name] = json!("no host \" <\\");
        assert_eq!(function.invoke(event).await.unwrap()["body"], "success", "{name}");
    }
}

#[tokio::test]
async fn a_secret_that_is_still_empty_is_503_until_it_is_filled() {
    let world = world().await;
    world.expect_error("no push can be accepted");
    for empty in ["", "{}"] {
        world.secrets.set(empty.into());
        let function = Bootstrap::start(BINARY, &world).await;
        let answer = function.push(&world.simulator.seal(&world.simulator.ticket())).await;
        assert_eq!((answer.status, answer.body.as_str()), (503, "not-configured"), "{empty:?}");
    }
    let without_value = Bootstrap::with(BINARY, &world, |variables| {
        variables.insert("SECRET_ID".into(), "another".into());
    })
    .await;
    let answer = without_value.push(&world.simulator.seal(&world.simulator.ticket())).await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "not-configured"));

    world.secrets.set(stories::world::secret_json());
    let function = Bootstrap::start(BINARY, &world).await;
    assert!(function.push(&world.simulator.seal(&world.simulator.ticket())).await.is_success());
}

#[tokio::test]
async fn a_missing_variable_ends_the_start_and_is_named() {
    let world = world().await;
    for name in ["TABLE_NAME", "SECRET_ID"] {
        let output = Bootstrap::fails_with(BINARY, &world, name, None).await;
        assert!(output.contains(name), "{output}");
    }
}
