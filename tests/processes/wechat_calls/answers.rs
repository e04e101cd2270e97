//! The process's responses, and what survives a kill.

use std::time::Duration;

use base::http_client::client_builder;
use base::random::Random;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use simulator::Fault;
use store::{Actor, KeyRequest};
use stories::bootstrap::{Bootstrap, HttpAnswer};
use stories::http_events::HttpEvent;
use stories::world::World;

use super::{BINARY, CALLER, calls, sends};

const SEND: &str = "/cgi-bin/message/custom/send";
const FOLLOWER: &str = "oFollower1";

fn read(answer: &HttpAnswer) -> Value {
    serde_json::from_slice(&answer.bytes).unwrap()
}

#[tokio::test]
async fn text_and_megabytes_of_bytes_pass_through_the_gateways_json() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let account = world.authorized_account().await;
    world.simulator.follow(&account, FOLLOWER);
    let function = Bootstrap::start(BINARY, &world).await;
    let reads = |api: &str| calls("GET", account.as_str(), api);
    let info = function.request(&reads("cgi-bin/user/info").query(&format!("openid={FOLLOWER}"))).await;
    assert_eq!((info.status, &read(&info)["openid"]), (200, &json!(FOLLOWER)));
    let picture = simulator::sample_picture(3_900_000);
    let form = [
        b"--b\r\nContent-Disposition: form-data; name=\"media\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n".as_slice(),
        &picture,
        b"\r\n--b--\r\n",
    ]
    .concat();
    let upload = calls("POST", account.as_str(), "cgi-bin/media/upload")
        .query("type=image")
        .header("content-type", "multipart/form-data; boundary=b")
        .base64_body(&form);
    let uploaded = read(&function.request(&upload).await);
    let media = uploaded["media_id"].as_str().unwrap_or_else(|| panic!("{uploaded}"));
    let down = function.request(&reads("cgi-bin/media/get").query(&format!("media_id={media}"))).await;
    assert_eq!((&down.headers["content-type"], down.bytes == picture), (&json!("image/jpeg"), true));
}

#[tokio::test]
async fn what_is_too_large_for_an_event_goes_through_the_bucket() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let account = world.authorized_account().await;
    let function = Bootstrap::start(BINARY, &world).await;
    let picture = simulator::sample_picture(9_000_000);
    let file = json!({ "content_type": "image/jpeg", "length": picture.len() }).to_string();
    let create = HttpEvent::new("POST", "/files").iam(CALLER).header("content-type", "application/json").body(&file);
    let created = read(&function.request(&create).await);
    let client = client_builder().build().unwrap();
    let put = client.put(created["upload_url"].as_str().unwrap()).header("content-type", "image/jpeg");
    assert_eq!(put.body(picture.clone()).send().await.unwrap().status(), 200);
    let upload = calls("POST", account.as_str(), "cgi-bin/media/upload")
        .query("type=image")
        .header("x-body-file", created["file_id"].as_str().unwrap())
        .header("x-body-part", "media; filename=a.jpg");
    let uploaded = read(&function.request(&upload).await);
    let media = uploaded["media_id"].as_str().unwrap_or_else(|| panic!("{uploaded}"));
    let download = calls("GET", account.as_str(), "cgi-bin/media/get").query(&format!("media_id={media}"));
    let redirected = function.request(&download.header("x-large-answer", "redirect")).await;
    assert_eq!((redirected.status, redirected.bytes.len()), (303, 0));
    let there = client.get(redirected.headers["location"].as_str().unwrap()).send().await.unwrap();
    assert_eq!((there.status().as_u16(), there.headers()["content-type"].as_bytes()), (200, b"image/jpeg".as_slice()));
    assert!(there.bytes().await.unwrap() == picture);
}

#[tokio::test]
async fn others_are_refused_and_no_path_leads_to_another_route() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let account = world.authorized_account().await;
    let function = Bootstrap::start(BINARY, &world).await;
    let path = "/wechat/wx1234567890abcdef/cgi-bin/user/info";
    let unsigned = function.request(&HttpEvent::new("GET", path)).await;
    assert_eq!((unsigned.status, unsigned.problem().as_str()), (403, "no-identity"));
    // IAM has permitted calls of one account; the path names the platform.
    let disguised = calls("GET", "platform", "wxa/gettemplatelist").route("/wechat/{appid}/{proxy+}");
    let disguised = function.request(&disguised).await;
    assert_eq!((disguised.status, disguised.problem().as_str()), (404, "unknown-route"));
    let encoded = calls("GET", "%70latform", "wxa/gettemplatelist").route("/wechat/{appid}/{proxy+}");
    let encoded = function.request(&encoded).await;
    assert_eq!((encoded.status, encoded.problem().as_str()), (404, "unknown-account"));
    // The gateway passes most paths decoded.
    for decoded in
        ["cgi-bin/../token", "cgi-bin//token", "cgi-bin/token", "cgi-bin/to ken", "cgi-bin\\token", "wxa%2Frelease"]
    {
        let answer = function.request(&calls("GET", account.as_str(), decoded).route("/wechat/{appid}/{proxy+}")).await;
        assert!(answer.status == 400 || answer.status == 403, "{decoded}: {}", answer.status);
    }
    assert!(world.simulator.requests("/cgi-bin/token").is_empty());
}

#[tokio::test]
async fn a_service_outside_of_aws_calls_with_its_key() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let account = world.authorized_account().await;
    world.simulator.follow(&account, FOLLOWER);
    let request = KeyRequest::new("crm", &["calls"]).unwrap();
    let operator =
        Actor { by: "arn:aws:iam::123456789012:role/operators".to_owned(), source_ip: None, request_id: None };
    let (key, text) = request.make(&operator.by, &Random::system(), world.now());
    world.store().api_keys.create(&key, &operator).await.unwrap();
    let function = Bootstrap::start(BINARY, &world).await;
    let bearer = format!("Bearer {}", text.text().expose_secret());
    let call = |owner: &str| {
        HttpEvent::new("GET", &format!("/v1/wechat/{owner}/cgi-bin/user/info")).query(&format!("openid={FOLLOWER}"))
    };
    let info = function.request(&call(account.as_str()).header("authorization", &bearer)).await;
    assert_eq!((info.status, &read(&info)["openid"]), (200, &json!(FOLLOWER)));
    let refused = function.request(&call("platform").header("authorization", &bearer)).await;
    assert_eq!((refused.status, refused.problem().as_str()), (403, "not-allowed"));
    let refused = function.request(&call(account.as_str())).await;
    assert_eq!((refused.status, refused.problem().as_str()), (401, "invalid-key"));
    assert_eq!(world.simulator.requests("/cgi-bin/user/info").len(), 1);
}

#[tokio::test]
async fn of_two_processes_that_get_the_same_call_one_sends_it_and_a_kill_sends_none_again() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let account = world.authorized_account().await;
    world.simulator.follow(&account, FOLLOWER);
    let (first, second) = (Bootstrap::start(BINARY, &world).await, Bootstrap::start(BINARY, &world).await);
    world.simulator.inject(Fault::Hold.on(SEND).times(1));
    let event = sends(&account, "order-4711");
    tokio::select! {
        answer = first.request(&event) => panic!("{} while WeChat holds the message", answer.status),
        () = world.simulator.until_held(SEND, 1) => {}
    }
    let meanwhile = second.request(&event).await;
    assert_eq!((meanwhile.status, meanwhile.problem().as_str()), (409, "call-under-way"));
    drop(first.kill());
    world.simulator.release(SEND);
    let again = second.request(&event).await;
    assert_eq!((again.status, again.problem().as_str()), (409, "call-under-way"), "the dead process may yet answer");
    assert_eq!(world.simulator.requests(SEND).len(), 1);
    let sent = second.request(&sends(&account, "order-4712")).await;
    assert_eq!((sent.status, &read(&sent)["errcode"]), (200, &json!(0)));
    assert_eq!(second.request(&sends(&account, "order-4712")).await.headers["idempotent-replayed"], "true");
    assert_eq!(world.simulator.requests(SEND).len(), 2);
}
