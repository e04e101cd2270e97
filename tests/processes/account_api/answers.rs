//! What the process answers, also when it is killed.

use std::time::Duration;

use serde_json::{Value, json};
use stories::bootstrap::Bootstrap;
use stories::business::Business;
use stories::http_events::HttpEvent;
use stories::world::World;

use super::{BINARY, asks, patches};

fn read(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn a_service_finds_an_account_changes_it_and_asks_for_a_reconciliation() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let account = world.authorized_account().await;
    let function = Bootstrap::start(BINARY, &world).await;
    let listed = function.request(&asks("GET", "/accounts").query("state=active")).await;
    assert_eq!(listed.status, 200, "{listed:?}");
    assert_eq!(read(&listed.body)["accounts"][0]["appid"], json!(account));
    assert_eq!(listed.headers["cache-control"], json!("no-store"));
    assert!(!listed.headers["x-request-id"].as_str().unwrap().is_empty());
    let shown = function.request(&asks("GET", &format!("/accounts/{account}"))).await;
    let tag = shown.headers["etag"].as_str().unwrap();
    assert_eq!(read(&shown.body)["missing_permissions"].as_array().map(Vec::len), Some(1));
    let changed = function.request(&patches(&account, r#"{"reference":"shop 7"}"#).header("If-Match", tag)).await;
    assert_eq!((changed.status, &read(&changed.body)["reference"]), (200, &json!("shop 7")), "{changed:?}");
    let late = function.request(&patches(&account, r#"{"reference":"shop 8"}"#).header("If-Match", tag)).await;
    assert_eq!((late.status, late.problem().as_str()), (412, "version-mismatch"));
    let reading = function.request(&asks("POST", &format!("/accounts/{account}/profile-readings"))).await;
    assert_eq!(reading.status, 200, "{reading:?}");
    let begun = function.request(&asks("POST", "/reconciliations")).await;
    assert_eq!(begun.status, 202, "{begun:?}");
    assert_eq!(world.bus.delivered_of("reconciliation.requested").len(), 1);
    let followed = function.request(&asks("GET", begun.headers["location"].as_str().unwrap())).await;
    assert_eq!(read(&followed.body)["status"], json!("running"));
}

#[tokio::test]
async fn nobody_else_is_answered() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    let function = Bootstrap::start(BINARY, &world).await;
    for (method, path) in [("GET", "/accounts"), ("POST", "/reconciliations"), ("GET", "/accounts/wx1234567890abcdef")]
    {
        let refused = function.request(&HttpEvent::new(method, path)).await;
        assert_eq!((refused.status, refused.problem().as_str()), (403, "no-identity"), "{method} {path}");
    }
}

#[tokio::test]
async fn a_patch_is_there_after_a_kill_right_behind_its_answer() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let account = world.authorized_account().await;
    let function = Bootstrap::start(BINARY, &world).await;
    assert_eq!(function.request(&patches(&account, r#"{"tags":{"plan":"gold"}}"#)).await.status, 200);
    drop(function.kill());
    assert_eq!(Business::of(&world).account(&account).await["tags"], json!({ "plan": "gold" }));
}
