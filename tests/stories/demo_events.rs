//! The events in the folder `events/`, as Lambda hands them to a function: each gets what the folder's README says.

use std::collections::BTreeMap;
use std::path::Path;

use axum::body::to_bytes;
use lambda_http::request::from_str;
use serde_json::Value;
use shared::ids::AppId;
use stories::demo_events::{ACCOUNT, FOLDER, files};
use stories::world::{TABLE, World};
use token_refresher::{EventError, Report, Task};
use tokio::time::Instant;
use tower::ServiceExt as _;

/// The committed files.
fn committed() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![Path::new(FOLDER).to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(FOLDER).unwrap().to_str().unwrap().replace('\\', "/");
                found.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

fn event(path: &str) -> String {
    std::fs::read_to_string(Path::new(FOLDER).join(path)).unwrap()
}

#[test]
fn the_committed_events_are_those_that_are_made() {
    let mut committed = committed();
    let readme = committed.remove("README.md").unwrap();
    let made: BTreeMap<String, String> = files().into_iter().collect();
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&committed), names(&made), "run: cargo run -p stories --example events");
    for (path, content) in &made {
        assert!(committed[path] == *content, "{path} differs; run: cargo run -p stories --example events");
        assert!(readme.contains(&format!("`{path}`")), "events/README.md does not name {path}");
    }
}

#[test]
fn lambda_http_reads_every_http_event() {
    for (path, content) in files() {
        if ["ticket-push/", "preauth-link/", "oauth-callback/"].iter().any(|folder| path.starts_with(folder)) {
            let event: Value = serde_json::from_str(&content).unwrap();
            let request = from_str(&content).unwrap();
            assert_eq!(request.method().as_str(), event["requestContext"]["http"]["method"], "{path}");
            assert_eq!(request.uri().path(), event["rawPath"], "{path}");
            assert_eq!(request.uri().query().unwrap_or_default(), event["rawQueryString"], "{path}");
        }
    }
}

/// Status and text that an event of ticket-push is answered with.
async fn pushed(world: &World, path: &str) -> (u16, String) {
    let request = from_str(&event(path)).unwrap();
    let response = world.public_router().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1_000).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn good_pushes_are_stored_and_acknowledged() {
    for path in ["ticket-push/ticket.json", "ticket-push/ticket-base64.json"] {
        let world = World::start().await;
        assert_eq!(pushed(&world, path).await, (200, "success".to_owned()), "{path}");
        assert!(world.vault().ticket().await.unwrap().is_some(), "{path}");
    }
    let world = World::start().await;
    assert_eq!(pushed(&world, "ticket-push/authorized.json").await, (200, "success".to_owned()));
    assert_eq!(world.vault().inbox_waiting(world.now()).await.unwrap(), 1);
}

#[tokio::test]
async fn bad_pushes_are_refused_by_reason_and_nothing_is_stored() {
    let world = World::start().await;
    for (path, status, reason) in [
        ("ticket-push/bad-signature.json", 401, "signature"),
        ("ticket-push/tampered-body.json", 401, "signature"),
        ("ticket-push/wrong-appid.json", 401, "appid"),
        ("ticket-push/malformed-xml.json", 400, "ill-formed"),
        ("ticket-push/oversized-body.json", 413, "too-large"),
    ] {
        assert_eq!(pushed(&world, path).await.0, status, "{path}");
        let refused = world.metrics.all().into_iter().rfind(|metric| metric.name == "push_refused");
        assert_eq!(refused.unwrap().dimension, Some(("reason", reason.to_owned())), "{path}");
    }
    for write in ["PutItem", "UpdateItem", "TransactWriteItems"] {
        assert_eq!(world.faults.requests(write), 0, "{write}");
    }
}

async fn worked(world: &World, path: &str) -> Result<Report, EventError> {
    let task = Task::parse(serde_json::from_str(&event(path)).unwrap())?;
    let deadline = Instant::now() + std::time::Duration::from_mins(2);
    Ok(world.refresher.run(&task, deadline).await.unwrap())
}

#[tokio::test]
async fn both_ticks_are_worked_off() {
    let world = World::ready().await;
    let renewed = worked(&world, "token-refresher/renew.json").await.unwrap();
    assert_eq!(renewed, Report { ticket_age_seconds: Some(0), ..Report::default() });
    let reconciled = worked(&world, "token-refresher/reconcile.json").await.unwrap();
    assert_eq!(reconciled, Report::default());
}

#[tokio::test]
async fn a_batch_of_the_stream_makes_the_pushed_entry_take_effect() {
    let world = World::ready().await;
    pushed(&world, "ticket-push/authorized.json").await;
    let batch: Value = serde_json::from_str(&event("token-refresher/stream-batch.json")).unwrap();
    let keys = &batch["Records"][0]["dynamodb"]["Keys"];
    let key = |name: &str| aws_sdk_dynamodb::types::AttributeValue::S(keys[name]["S"].as_str().unwrap().to_owned());
    let item = world.database.client().get_item().table_name(TABLE).key("pk", key("pk")).key("sk", key("sk"));
    assert!(item.send().await.unwrap().item.is_some(), "the record names the entry that the push made");

    // WeChat has never heard of the account, so its grant counts as taken back again.
    let report = worked(&world, "token-refresher/stream-batch.json").await.unwrap();
    assert_eq!(report, Report { inbox_done: 1, ..Report::default() });
    assert!(world.vault().account(&AppId::parse(ACCOUNT).unwrap()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_foreign_event_is_refused_before_anything_is_done() {
    let world = World::start().await;
    assert_eq!(worked(&world, "token-refresher/foreign.json").await, Err(EventError));
    assert!(world.faults.all_requests().is_empty());
}
