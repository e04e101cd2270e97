//! The events in the folder `events/`, as Lambda hands them to a function: each gets what the folder's README says.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use axum::body::to_bytes;
use axum::http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lambda_http::request::from_str;
use preauth_link::with_gateway_identity;
use serde_json::Value;
use shared::ids::{AppId, AttemptId, LinkId};
use shared::random::Random;
use shared::telemetry::Measure;
use shared::vault::LinkRequest;
use shared::web::AttemptCookie;
use simulator::paths;
use stories::demo_events::{ACCOUNT, ATTEMPT, COOKIE, FOLDER, LINK, PRE_AUTH_CODE, files};
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

/// What an HTTP event is answered with, by every route of the platform behind the gateway.
async fn answered(world: &World, path: &str) -> Response {
    let router = with_gateway_identity(world.public_router().merge(world.business_router()));
    router.oneshot(from_str(&event(path)).unwrap()).await.unwrap()
}

async fn text_of(response: Response) -> String {
    let body = to_bytes(response.into_body(), 100_000).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

/// Status and text that an event of ticket-push is answered with.
async fn pushed(world: &World, path: &str) -> (u16, String) {
    let response = answered(world, path).await;
    (response.status().as_u16(), text_of(response).await)
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
        let refused = world.metrics.all().into_iter().rfind(|metric| metric.measure == Measure::PushRefused);
        assert_eq!(refused.unwrap().dimension, Some(("reason", reason.to_owned())), "{path}");
    }
    for write in ["PutItem", "UpdateItem", "TransactWriteItems"] {
        assert_eq!(world.faults.requests(write), 0, "{write}");
    }
}

/// Puts the link and the attempt into the table that the events are about.
async fn put_link_and_attempt(world: &World) {
    let (vault, now) = (world.vault(), world.now());
    let (link, attempt) = (LinkId::parse(LINK).unwrap(), AttemptId::parse(ATTEMPT).unwrap());
    let request = LinkRequest {
        auth_type: 3,
        biz_appid: None,
        category_ids: Vec::new(),
        return_url: Some("https://app.example.com/done".to_owned()),
        requester_name: None,
        reference: None,
    };
    vault.put_link(&link, &request, now.plus(Duration::from_hours(1)), now).await.unwrap();
    let cookie = URL_SAFE_NO_PAD.decode(COOKIE).unwrap();
    let cookie = AttemptCookie::generate(&Random::from_fn(move |bytes| bytes.copy_from_slice(&cookie)));
    vault.put_attempt(&link, &attempt, &PRE_AUTH_CODE.into(), Some(&cookie.digest()), now).await.unwrap();
}

fn location(response: &Response) -> &str {
    response.headers()[LOCATION].to_str().unwrap()
}

fn calls(world: &World, path: &str) -> u64 {
    world.simulator.counters().calls.get(path).copied().unwrap_or(0)
}

#[tokio::test]
async fn only_a_business_with_an_identity_gets_a_link() {
    let world = World::start().await;
    let made = answered(&world, "preauth-link/create-link.json").await;
    assert_eq!(made.status(), 201);
    let made: Value = serde_json::from_str(&text_of(made).await).unwrap();
    assert!(made["url"].as_str().unwrap().ends_with(made["link_id"].as_str().unwrap()), "{made}");
    let refused = answered(&world, "preauth-link/create-link-without-identity.json").await;
    assert_eq!(refused.status(), 403);
    assert!(text_of(refused).await.contains("no-identity"));
}

#[tokio::test]
async fn looking_at_a_link_makes_nothing_and_pressing_its_button_leads_to_wechat() {
    let world = World::ready().await;
    put_link_and_attempt(&world).await;
    let page = answered(&world, "preauth-link/page.json").await;
    assert_eq!(page.status(), 200);
    assert!(page.headers()[CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
    assert_eq!(answered(&world, "preauth-link/page-of-unknown-link.json").await.status(), 404);
    assert_eq!(calls(&world, paths::CREATE_PREAUTHCODE), 0);
    for (path, wechat) in [
        ("preauth-link/press-on-computer.json", "cgi-bin/componentloginpage"),
        ("preauth-link/press-in-wechat.json", "wxaopen/safe/bindcomponent"),
    ] {
        let response = answered(&world, path).await;
        assert_eq!(response.status(), 303, "{path}");
        assert!(location(&response).starts_with(world.wechat_url.join(wechat).unwrap().as_str()), "{path}");
        assert!(response.headers()[SET_COOKIE].to_str().unwrap().starts_with("attempt-"), "{path}");
    }
    assert_eq!(calls(&world, paths::CREATE_PREAUTHCODE), 2);
}

#[tokio::test]
async fn a_return_is_taken_in_once_and_only_its_own_browser_goes_on_to_the_business() {
    let world = World::ready().await;
    put_link_and_attempt(&world).await;
    for _ in 0..2 {
        let response = answered(&world, "oauth-callback/return.json").await;
        assert_eq!(response.status(), 303);
        // WeChat has never heard of the code.
        assert_eq!(location(&response), format!("https://app.example.com/done?link_id={LINK}&status=failed"));
    }
    assert_stored(&world, 1).await;
    let replayed = answered(&world, "oauth-callback/replayed-code.json").await;
    assert_eq!(replayed.status(), 200);
    assert!(replayed.headers().get(LOCATION).is_none());
    assert_eq!(calls(&world, paths::QUERY_AUTH), 1);
}

#[tokio::test]
async fn a_replayed_code_that_comes_first_sends_nobody_on_either() {
    let world = World::ready().await;
    put_link_and_attempt(&world).await;
    let replayed = answered(&world, "oauth-callback/replayed-code.json").await;
    assert_eq!(replayed.status(), 200);
    assert!(replayed.headers().get(LOCATION).is_none());
}

#[tokio::test]
async fn returns_without_one_code_or_a_known_attempt_are_refused_and_not_stored() {
    let world = World::ready().await;
    put_link_and_attempt(&world).await;
    world.faults.reset_counts();
    for (path, status) in [
        ("oauth-callback/missing-code.json", 400),
        ("oauth-callback/duplicate-code.json", 400),
        ("oauth-callback/unknown-attempt.json", 404),
    ] {
        assert_eq!(answered(&world, path).await.status(), status, "{path}");
    }
    assert_eq!(world.faults.requests("PutItem") + world.faults.requests("UpdateItem"), 0);
}

/// The table has the inbox entry that a record of the stream's batch names.
async fn assert_stored(world: &World, record: usize) {
    let batch: Value = serde_json::from_str(&event("token-refresher/stream-batch.json")).unwrap();
    let keys = &batch["Records"][record]["dynamodb"]["Keys"];
    let key = |name: &str| aws_sdk_dynamodb::types::AttributeValue::S(keys[name]["S"].as_str().unwrap().to_owned());
    let item = world.database.client().get_item().table_name(TABLE).key("pk", key("pk")).key("sk", key("sk"));
    assert!(item.send().await.unwrap().item.is_some(), "no entry stands at {keys}");
}

async fn worked(world: &World, path: &str) -> Result<Report, EventError> {
    let task = Task::parse(serde_json::from_str(&event(path)).unwrap())?;
    let deadline = Instant::now() + Duration::from_mins(2);
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
    assert_stored(&world, 0).await;
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
