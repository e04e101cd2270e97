//! The process's responses, and what survives a kill.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use simulator::{Fault, paths};
use stories::bootstrap::Bootstrap;
use stories::business::Business;
use stories::http_events::HttpEvent;
use stories::world::World;

use super::{BINARY, asks, refused};

fn read(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn a_service_gets_a_token_and_another_one_for_one_that_was_refused() {
    let world = World::beside_processes(Duration::from_mins(2), |_| {}).await;
    world.get_ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(2));
    let function = Bootstrap::start(BINARY, &world).await;
    let given = function.request(&asks("GET", &format!("/tokens/{account}"))).await;
    assert_eq!((given.status, &given.headers["cache-control"]), (200, &json!("no-store")), "{}", given.status);
    assert!(!given.headers["x-request-id"].as_str().unwrap().is_empty());
    let id = read(&given.body)["token_id"].as_str().unwrap().to_owned();
    let replaced = function.request(&refused(account.as_str(), &id)).await;
    assert_eq!((replaced.status, &read(&replaced.body)["renewed"]), (200, &json!(true)));
    let again = function.request(&refused(account.as_str(), &id)).await;
    assert_eq!(read(&again.body)["token_id"], read(&replaced.body)["token_id"]);
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn others_are_refused_and_nobody_gets_the_platforms_own_token() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let function = Bootstrap::start(BINARY, &world).await;
    for path in ["/tokens/wx1234567890abcdef", "/tokens/platform"] {
        let unsigned = function.request(&HttpEvent::new("GET", path)).await;
        assert_eq!((unsigned.status, unsigned.problem().as_str()), (403, "no-identity"), "{path}");
    }
    let off = function.request(&asks("GET", "/tokens/platform")).await;
    assert_eq!((off.status, off.problem().as_str()), (404, "unknown-route"));
}

#[tokio::test]
async fn a_kill_between_wechats_answer_and_the_write_costs_the_account_nothing() {
    let world = World::beside_processes(Duration::from_mins(2), |_| {}).await;
    world.get_ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(2));
    let function = Bootstrap::start(BINARY, &world).await;
    let given = function.request(&self::asks("GET", &format!("/tokens/{account}"))).await;
    let id = read(&given.body)["token_id"].as_str().unwrap().to_owned();
    world.simulator.inject(Fault::Hold.on(paths::AUTHORIZER_TOKEN).times(1));
    let asks = refused(account.as_str(), &id);
    tokio::select! {
        answer = function.request(&asks) => panic!("{} while WeChat holds the renewal", answer.status),
        () = world.simulator.until_held(paths::AUTHORIZER_TOKEN, 1) => {}
    }
    drop(function.kill());
    world.simulator.release(paths::AUTHORIZER_TOKEN);
    assert!(!world.wechat_accepts(&account).await, "the stored token has died");
    // The dead process's lease expires, and then somebody asks.
    world.pass(Duration::from_secs(31));
    let path = format!("/tokens/{account}/renewals");
    let replaced = Business::of(&world).ask(Method::POST, &path, &json!({ "token_id": id })).await;
    assert_eq!(replaced.body["renewed"], true, "{}", replaced.status);
    assert!(world.wechat_accepts(&account).await);
}
