//! The function with another implementation of DynamoDB, Secrets Manager and S3 than in all other tests.

use std::time::Duration;

use base::http_client::client_builder;
use base::ids::AppId;
use serde_json::{Value, json};
use simulator::Fault;
use stories::bootstrap::{Bootstrap, HttpAnswer};
use stories::http_events::HttpEvent;
use stories::moto::Moto;
use stories::world::World;

use super::{BINARY, CALLER, calls, sends};

const SEND: &str = "/cgi-bin/message/custom/send";

fn read(answer: &HttpAnswer) -> Value {
    serde_json::from_slice(&answer.bytes).unwrap()
}

/// An authorized account with a follower, in moto's table.
async fn stage() -> (World, AppId, Moto) {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let account = world.authorized_account().await;
    world.simulator.follow(&account, "oFollower1");
    let moto = Moto::start().await;
    moto.take_over(&world).await;
    (world, account, moto)
}

/// Run by hand: `pip install 'moto[server]'`, then `cargo test -p processes -- --ignored moto`.
#[tokio::test]
#[ignore = "needs moto_server on the PATH, a Python program"]
async fn moto_agrees_on_calls_their_keys_and_the_list_of_those_that_failed() {
    let (world, account, moto) = stage().await;
    let start = || Bootstrap::with(BINARY, &world, |variables| moto.redirect(variables));
    let (one, other) = (start().await, start().await);
    let get = |api: &str, query: &str| calls("GET", account.as_str(), api).query(query);
    let follower = one.request(&get("cgi-bin/user/info", "openid=oFollower1")).await;
    assert_eq!((follower.status, &read(&follower)["openid"]), (200, &json!("oFollower1")));

    let keyed = sends(&account, "order-4711");
    world.simulator.inject(Fault::Hold.on(SEND).times(1));
    let meanwhile = async {
        world.simulator.until_held(SEND, 1).await;
        let under_way = other.request(&keyed).await;
        world.simulator.release(SEND);
        under_way
    };
    let (first, under_way) = tokio::join!(one.request(&keyed), meanwhile);
    assert_eq!((first.status, &read(&first)["errcode"]), (200, &json!(0)));
    assert_eq!((under_way.status, under_way.problem().as_str()), (409, "call-under-way"));
    let again = other.request(&keyed).await;
    assert_eq!((&again.bytes, &again.headers["idempotent-replayed"]), (&first.bytes, &json!("true")));
    assert_eq!(other.request(&keyed.clone().body("{}")).await.problem(), "key-reused");
    assert_eq!(world.simulator.requests(SEND).len(), 1);

    for function in [&one, &other] {
        assert_eq!(read(&function.request(&get("cgi-bin/user/info", "openid=oNobody")).await)["errcode"], 40_003);
    }
    one.request(&get("wxa/no_such_api", "")).await;
    for filter in [String::new(), format!("&appid={account}")] {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let list = HttpEvent::new("GET", "/calls").iam(CALLER).query(&format!("limit=1{filter}{cursor}"));
            let page = read(&other.request(&list).await);
            found.extend(
                page["calls"].as_array().unwrap().iter().map(|call| (call["path"].clone(), call["count"].clone())),
            );
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let count = |path: &str| -> u64 {
            found.iter().filter(|(found, _)| found == path).map(|(_, count)| count.as_u64().unwrap()).sum()
        };
        // Two within a minute are one entry.
        assert_eq!((count("cgi-bin/user/info"), count("wxa/no_such_api")), (2, 1), "{filter}: {found:?}");
    }
    let of_platform = other.request(&HttpEvent::new("GET", "/calls").iam(CALLER).query("appid=platform")).await;
    assert_eq!(read(&of_platform)["calls"], json!([]));
}

/// Run by hand, like the one above.
#[tokio::test]
#[ignore = "needs moto_server on the PATH, a Python program"]
async fn moto_agrees_on_a_file_that_goes_up_and_comes_back_through_its_bucket() {
    let (world, account, moto) = stage().await;
    let function = Bootstrap::with(BINARY, &world, |variables| moto.redirect(variables)).await;
    let picture = simulator::sample_picture(6_000_000);
    let file = json!({ "content_type": "image/jpeg", "length": picture.len() }).to_string();
    let create = HttpEvent::new("POST", "/files").iam(CALLER).header("content-type", "application/json").body(&file);
    let created = read(&function.request(&create).await);
    let upload = calls("POST", account.as_str(), "cgi-bin/media/upload")
        .query("type=image")
        .header("x-body-file", created["file_id"].as_str().unwrap())
        .header("x-body-part", "media; filename=a.jpg");
    assert_eq!(function.request(&upload).await.problem(), "unknown-file", "it has not been put yet");
    let client = client_builder().build().unwrap();
    let put = client.put(created["upload_url"].as_str().unwrap()).header("content-type", "image/jpeg");
    assert_eq!(put.body(picture.clone()).send().await.unwrap().status(), 200);
    let uploaded = read(&function.request(&upload).await);
    let media = uploaded["media_id"].as_str().unwrap_or_else(|| panic!("{uploaded}"));
    let download = calls("GET", account.as_str(), "cgi-bin/media/get").query(&format!("media_id={media}"));
    let redirected = function.request(&download.header("x-large-answer", "redirect")).await;
    let there = client.get(redirected.location()).send().await.unwrap();
    let header = |name: &str| there.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!((there.status().as_u16(), header("content-type")), (200, "image/jpeg"));
    assert!(header("content-disposition").starts_with("attachment"), "{:?}", there.headers());
    assert!(there.bytes().await.unwrap() == picture);
    assert_eq!(world.files.count(), 0, "nothing went through the bucket of the other tests");
}
