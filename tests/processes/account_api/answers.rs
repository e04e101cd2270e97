//! The process's responses, and what survives a kill.

use std::time::Duration;

use serde_json::{Value, json};
use stories::bootstrap::Bootstrap;
use stories::business::Business;
use stories::http_events::HttpEvent;
use stories::world::World;

use super::{BINARY, asks, makes_a_key, patches, with_key};

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
async fn nobody_else_gets_a_response() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    let function = Bootstrap::start(BINARY, &world).await;
    for (method, path) in [("GET", "/accounts"), ("POST", "/reconciliations"), ("GET", "/accounts/wx1234567890abcdef")]
    {
        let refused = function.request(&HttpEvent::new(method, path)).await;
        assert_eq!((refused.status, refused.problem().as_str()), (403, "no-identity"), "{method} {path}");
    }
}

#[tokio::test]
async fn a_key_is_accepted_until_it_is_revoked() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let (own, other) = (world.account(0), world.account(1));
    for account in [&own, &other] {
        world.push_and_work(&world.merchant_authorizes(account).push).await;
    }
    let function = Bootstrap::start(BINARY, &world).await;
    let made = function.request(&makes_a_key(&own)).await;
    assert_eq!((made.status, &made.headers["cache-control"]), (201, &json!("no-store")), "{made:?}");
    let made = read(&made.body);
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    // What was acknowledged is durable, whatever happens to the process.
    drop(function.kill());
    let function = Bootstrap::start(BINARY, &world).await;

    let seen = function.request(&with_key("GET", "/accounts", key)).await;
    assert_eq!((seen.status, read(&seen.body)["accounts"].as_array().unwrap().len()), (200, 1), "{seen:?}");
    let refused = function.request(&with_key("GET", &format!("/accounts/{other}"), key)).await;
    assert_eq!((refused.status, refused.problem().as_str()), (403, "not-allowed"));
    for (method, path) in [("GET", "/keys"), ("POST", "/keys"), ("DELETE", &*format!("/keys/{id}"))] {
        let refused = function.request(&with_key(method, path, key)).await;
        assert_eq!((refused.status, refused.problem().as_str()), (403, "not-allowed"), "{method} {path}");
    }
    let elsewhere = HttpEvent::new("GET", "/accounts").header("authorization", &format!("Bearer {key}"));
    let refused = function.request(&elsewhere).await;
    assert_eq!((refused.status, refused.problem().as_str()), (403, "no-identity"), "keys are for their door");

    let listed = function.request(&asks("GET", "/keys")).await;
    assert!(!listed.body.contains(key), "{listed:?}");
    let listed = &read(&listed.body)["keys"][0];
    assert_eq!(
        (&listed["id"], &listed["created_by"]),
        (&json!(id), &json!("arn:aws:sts::123456789012:assumed-role/crm"))
    );
    assert!(listed["last_used_on"].is_string(), "{listed}");
    assert_eq!(function.request(&asks("DELETE", &format!("/keys/{id}"))).await.status, 204);
    let another = Bootstrap::start(BINARY, &world).await;
    let refused = another.request(&with_key("GET", "/accounts", key)).await;
    assert_eq!((refused.status, refused.problem().as_str()), (401, "invalid-key"));
    assert_eq!(refused.headers["www-authenticate"], json!("Bearer"));
}

#[tokio::test]
async fn a_patch_survives_a_kill_right_after_its_response() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let account = world.authorized_account().await;
    let function = Bootstrap::start(BINARY, &world).await;
    assert_eq!(function.request(&patches(&account, r#"{"tags":{"plan":"gold"}}"#)).await.status, 200);
    drop(function.kill());
    assert_eq!(Business::of(&world).account(&account).await["tags"], json!({ "plan": "gold" }));
}
