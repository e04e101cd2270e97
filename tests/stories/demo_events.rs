//! The events in the folder `events/`, as Lambda passes them to a function: each gets the response that the folder's
//! README lists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use runtime::telemetry::Measure;
use serde_json::Value;
use simulator::paths;
use stories::demo_events::{ACCOUNT, FOLDER, TIME, files, put_what_they_are_about};
use stories::openapi::Contract;
use stories::world::{TABLE, World};
use token_refresher::{EventError, Report, Task};
use tokio::time::Instant;

use crate::template::{functions, template};

/// Files of the folder that are written by hand.
const BY_HAND: [&str; 4] = ["README.md", "answers.json", "env.json", "sam-local.py"];

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

/// The expected responses in `events/answers.json`, event by event.
fn answers() -> Vec<Value> {
    serde_json::from_str(&event("answers.json")).unwrap()
}

/// The expected response to an event.
fn answer_to(path: &str) -> Value {
    answers().into_iter().find(|answer| answer["event"] == path).unwrap()
}

#[test]
fn the_committed_events_are_those_that_are_made() {
    let mut committed = committed();
    let by_hand = BY_HAND.map(|name| committed.remove(name).expect(name));
    let readme = &by_hand[0];
    let made: BTreeMap<String, String> = files(TIME).into_iter().collect();
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&committed), names(&made), "run: cargo run -p stories --example events");
    for (path, content) in &made {
        assert!(committed[path] == *content, "{path} differs; run: cargo run -p stories --example events");
        assert!(readme.contains(&format!("`{path}`")), "events/README.md does not name {path}");
    }
}

#[test]
fn every_event_has_one_answer() {
    let mut events: Vec<_> = files(TIME).into_iter().map(|(path, _)| path).filter(|path| path.contains('/')).collect();
    let mut answered: Vec<_> = answers().iter().map(|answer| answer["event"].as_str().unwrap().to_owned()).collect();
    events.sort();
    answered.sort();
    assert_eq!(answered, events);
}

/// `sam local` passes on only variables that the template names.
#[test]
fn the_variables_for_sam_local_are_named_in_the_template() {
    let template = template();
    let functions = functions(&template).map(|(_, function)| &function["Properties"]);
    let named: BTreeSet<&String> = functions
        .chain([&template["Globals"]["Function"]])
        .filter_map(|properties| properties["Environment"]["Variables"].as_object())
        .flat_map(serde_json::Map::keys)
        .collect();
    let given: Value = serde_json::from_str(&event("env.json")).unwrap();
    for name in given["Parameters"].as_object().unwrap().keys() {
        assert!(named.contains(name), "no function of template.yaml has {name}");
    }
}

/// Sends an HTTP event through every route of the platform behind the gateway, and compares the response with
/// `events/answers.json`.
async fn answered(world: &World, path: &str) -> String {
    let answer = world.gateway().answer(&event(path)).await;
    let expected = answer_to(path);
    assert_eq!(answer.status_code, expected["status"], "{path}");
    let headers = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let sent = serde_json::from_str(&event(path)).unwrap();
    let fits = Contract::get().fits_event(&sent, answer.status_code, headers, &answer.body);
    assert_eq!(fits, Ok(()), "{path}: {}", answer.body);
    let header = |name: &str| answer.headers.get(name);
    for (name, value) in
        [("type", header("content-type")), ("location", header("location")), ("cookie", answer.cookies.first())]
    {
        match expected[name].as_str() {
            Some(start) => {
                let start = start
                    .replace("{WECHAT_MP_BASE_URL}/", world.wechat_url.as_str())
                    .replace("{WECHAT_OPEN_BASE_URL}/", world.wechat_url.as_str());
                assert!(value.is_some_and(|value| value.starts_with(&start)), "{path}: the {name} is {value:?}");
            }
            None => assert!(name != "location" || value.is_none(), "{path} leads to {value:?}"),
        }
    }
    let body = answer.body;
    for part in expected["body"].as_array().into_iter().flatten() {
        assert!(body.contains(part.as_str().unwrap()), "{path} is answered with {body}");
    }
    body
}

/// A world at the time of the events.
async fn then() -> World {
    World::at(Timestamp::from_unix(TIME)).await
}

#[tokio::test]
async fn long_after_its_time_a_push_is_acknowledged_and_has_no_effect() {
    let world = World::start().await;
    put_what_they_are_about(&world.store(), world.now()).await.unwrap();
    let before = world.items().await;
    for path in ["ticket-push/ticket.json", "ticket-push/authorized.json", "account-push/text.json"] {
        answered(&world, path).await;
    }
    assert_eq!((world.items().await, world.bus.delivered().len()), (before, 0));
    assert_eq!(world.metrics.count(Measure::PushStale), 3);
}

#[tokio::test]
async fn good_pushes_are_stored_and_acknowledged() {
    for path in ["ticket-push/ticket.json", "ticket-push/ticket-base64.json"] {
        let world = then().await;
        assert_eq!(answered(&world, path).await, "success", "{path}");
        assert!(world.store().tickets.newest().await.unwrap().is_some(), "{path}");
    }
    let world = then().await;
    assert_eq!(answered(&world, "ticket-push/authorized.json").await, "success");
    assert_eq!(world.store().inbox.count_waiting(world.now()).await.unwrap(), 1);
}

#[tokio::test]
async fn bad_pushes_are_refused_by_reason_and_nothing_is_stored() {
    let world = World::start().await;
    for (path, reason) in [
        ("ticket-push/bad-signature.json", "signature"),
        ("ticket-push/tampered-body.json", "signature"),
        ("ticket-push/wrong-appid.json", "appid"),
        ("ticket-push/malformed-xml.json", "ill-formed"),
        ("ticket-push/oversized-body.json", "too-large"),
    ] {
        answered(&world, path).await;
        let refused = world.metrics.all().into_iter().rfind(|metric| metric.measure == Measure::PushRefused);
        assert_eq!(refused.unwrap().dimension, Some(("reason", reason.to_owned())), "{path}");
    }
    for write in ["PutItem", "UpdateItem", "TransactWriteItems"] {
        assert_eq!(world.faults.requests(write), 0, "{write}");
    }
}

#[tokio::test]
async fn only_messages_of_the_account_itself_are_delivered_and_answered() {
    let world = then().await;
    put_what_they_are_about(&world.store(), world.now()).await.unwrap();
    assert_eq!(answered(&world, "account-push/text.json").await, "");
    assert_eq!(answered(&world, "account-push/subscribe.json").await, "");
    let delivered = || world.bus.delivered().into_iter().map(|event| event.detail_type).collect::<Vec<_>>();
    assert!(!answered(&world, "account-push/release-check.json").await.is_empty());
    assert_eq!(delivered(), ["message.text", "event.subscribe", "message.text"]);
    for path in ["foreign-account", "bad-signature"] {
        answered(&world, &format!("account-push/{path}.json")).await;
    }
    assert_eq!(delivered().len(), 3);
}

/// A world whose table contains what the events about one link and its attempt are about.
async fn world_with_link() -> World {
    let world = World::ready().await;
    put_what_they_are_about(&world.store(), world.now()).await.unwrap();
    world
}

fn calls(world: &World, path: &str) -> u64 {
    world.simulator.counters().calls.get(path).copied().unwrap_or(0)
}

#[tokio::test]
async fn only_a_business_with_an_identity_gets_a_link() {
    let world = World::start().await;
    let made: Value = serde_json::from_str(&answered(&world, "preauth-link/create-link.json").await).unwrap();
    assert!(made["url"].as_str().unwrap().ends_with(made["link_id"].as_str().unwrap()), "{made}");
    answered(&world, "preauth-link/create-link-without-identity.json").await;
}

#[tokio::test]
async fn a_request_for_a_link_with_a_bad_member_is_refused_and_makes_none() {
    let world = World::start().await;
    answered(&world, "preauth-link/create-link-with-hidden-direction.json").await;
    answered(&world, "preauth-link/create-link-with-unknown-member.json").await;
    assert_eq!(world.items().await, 0);
}

#[tokio::test]
async fn a_business_reads_a_link_and_cancels_another_which_nobody_follows_then() {
    let world = world_with_link().await;
    for _ in 0..2 {
        answered(&world, "preauth-link/cancel-link.json").await;
    }
    answered(&world, "preauth-link/page-of-cancelled-link.json").await;
    answered(&world, "preauth-link/read-link.json").await;
}

#[tokio::test]
async fn looking_at_a_link_makes_nothing_and_pressing_its_button_leads_to_wechat() {
    let world = world_with_link().await;
    answered(&world, "preauth-link/page.json").await;
    answered(&world, "preauth-link/page-of-unknown-link.json").await;
    assert_eq!(calls(&world, paths::CREATE_PREAUTHCODE), 0);
    answered(&world, "preauth-link/press-on-computer.json").await;
    answered(&world, "preauth-link/press-in-wechat.json").await;
    assert_eq!(calls(&world, paths::CREATE_PREAUTHCODE), 2);
}

#[tokio::test]
async fn services_see_accounts_and_say_what_they_are_to_them() {
    let world = world_with_link().await;
    for name in [
        "list-accounts",
        "list-accounts-in-use",
        "list-accounts-by-unknown-parameter",
        "list-accounts-without-identity",
        "read-account",
        "read-unknown-account",
        "change-account-of-another-version",
        "change-account-for-operator",
        "list-accounts-for-operator",
        "change-account-with-unknown-member",
        "change-account",
        "change-account",
        "read-unknown-reconciliation",
        "begin-reconciliation",
        "read-description",
        "list-accounts-with-key",
        "change-account-with-key-for-reading",
        "list-keys-with-key",
        "list-accounts-without-key",
    ] {
        answered(&world, &format!("account-api/{name}.json")).await;
    }
}

#[tokio::test]
async fn operators_make_a_key_and_list_those_that_there_are() {
    let world = world_with_link().await;
    for name in ["create-key", "create-key-with-unknown-scope", "list-keys", "revoke-unknown-key"] {
        answered(&world, &format!("account-api/{name}.json")).await;
    }
    assert_eq!(world.store().api_keys.page(10, None, world.now()).await.unwrap().keys.len(), 2);
}

#[tokio::test]
async fn an_operator_of_the_console_is_made_and_listed() {
    let world = world_with_link().await;
    for name in [
        "create-operator",
        "create-operator-with-unknown-rights",
        "list-operators",
        "invite-unknown-operator",
        "end-unknown-operator",
        "end-unknown-browser",
    ] {
        answered(&world, &format!("account-api/{name}.json")).await;
    }
    assert_eq!(world.store().operators.page(10, None, world.now()).await.unwrap().operators.len(), 1);
}

#[tokio::test]
async fn operators_put_a_check_file_and_list_those_that_there_are() {
    let world = world_with_link().await;
    for name in [
        "put-check-file",
        "put-check-file-with-line-break",
        "put-check-file-with-another-name",
        "list-check-files",
        "remove-unknown-check-file",
    ] {
        answered(&world, &format!("account-api/{name}.json")).await;
    }
    assert_eq!(world.store().check_files.page(10, None).await.unwrap().files.len(), 1);
}

#[tokio::test]
async fn services_call_wechat_where_they_cannot() {
    let world = world_with_link().await;
    for name in [
        "call-without-permission",
        "call-of-unknown-account",
        "call-without-identity",
        "call-with-key",
        "call-for-a-token",
        "list-failed-calls",
        "create-file",
        "create-file-that-is-too-large",
    ] {
        answered(&world, &format!("wechat-calls/{name}.json")).await;
    }
}

#[tokio::test]
async fn services_ask_for_tokens_that_there_are_not() {
    let world = world_with_link().await;
    for name in [
        "read-token-without-permission",
        "read-token-of-unknown-account",
        "read-token-without-identity",
        "renew-token-without-id",
        "renew-token-without-permission",
    ] {
        answered(&world, &format!("token-api/{name}.json")).await;
    }
}

#[tokio::test]
async fn a_return_is_taken_in_once_and_only_its_own_browser_goes_on_to_the_business() {
    let world = world_with_link().await;
    // WeChat does not know the code.
    answered(&world, "oauth-callback/return.json").await;
    answered(&world, "oauth-callback/return.json").await;
    assert_stored(&world, 1).await;
    answered(&world, "oauth-callback/replayed-code.json").await;
    assert_eq!(calls(&world, paths::QUERY_AUTH), 1);
}

#[tokio::test]
async fn a_replayed_code_that_comes_first_sends_nobody_on_either() {
    answered(&world_with_link().await, "oauth-callback/replayed-code.json").await;
}

#[tokio::test]
async fn returns_without_one_code_or_a_known_attempt_are_refused_and_not_stored() {
    let world = world_with_link().await;
    world.faults.reset_counts();
    for path in ["missing-code", "duplicate-code", "unknown-attempt"] {
        answered(&world, &format!("oauth-callback/{path}.json")).await;
    }
    assert_eq!(world.faults.requests("PutItem") + world.faults.requests("UpdateItem"), 0);
}

#[tokio::test]
async fn visitors_are_sent_to_wechat_and_shown_what_keeps_them_from_it() {
    let world = world_with_link().await;
    let before = world.items().await;
    for name in [
        "begin",
        "begin-with-button",
        "begin-outside-wechat",
        "begin-without-state",
        "begin-for-another-origin",
        "begin-at-unknown-account",
        "callback-without-attempt",
        "redeem-unknown-code",
        "redeem-without-identity",
        "redeem-with-key-for-other-things",
    ] {
        answered(&world, &format!("web-login/{name}.json")).await;
    }
    assert_eq!((world.items().await, calls(&world, paths::WEB_LOGIN_TOKEN)), (before, 0));
}

#[tokio::test]
async fn a_browser_that_was_not_invited_sees_nothing_of_the_console() {
    let world = world_with_link().await;
    let before = world.items().await;
    for name in [
        "page-without-cookie",
        "page-with-unknown-cookie",
        "form-without-cookie",
        "invitation-that-is-over",
        "unknown-asset",
    ] {
        answered(&world, &format!("console/{name}.json")).await;
    }
    assert_eq!(world.items().await, before);
}

/// Checks that the table has the inbox entry that a record of the stream's batch names.
async fn assert_stored(world: &World, record: usize) {
    let batch: Value = serde_json::from_str(&event("token-refresher/stream-batch.json")).unwrap();
    let keys = &batch["Records"][record]["dynamodb"]["Keys"];
    let key = |name: &str| aws_sdk_dynamodb::types::AttributeValue::S(keys[name]["S"].as_str().unwrap().to_owned());
    let item = world.database.client().get_item().table_name(TABLE).key("pk", key("pk")).key("sk", key("sk"));
    assert!(item.send().await.unwrap().item.is_some(), "there is no entry at {keys}");
}

/// Sends an event to the refresher and compares its result with `events/answers.json`.
async fn worked(world: &World, path: &str) -> Result<Report, EventError> {
    let expected = answer_to(path);
    let task = match Task::parse(serde_json::from_str(&event(path)).unwrap()) {
        Ok(task) => task,
        Err(error) => {
            assert_eq!(error.to_string(), expected["error"], "{path}");
            return Err(error);
        }
    };
    let report = world.refresher.run(&task, Instant::now() + Duration::from_mins(2)).await.unwrap();
    let told = serde_json::to_value(&report).unwrap();
    for (field, value) in expected["report"].as_object().unwrap() {
        assert_eq!(told[field], *value, "{path}: {field}");
    }
    Ok(report)
}

#[tokio::test]
async fn the_renew_and_the_reconcile_tick_are_processed() {
    let world = World::ready().await;
    let renewed = worked(&world, "token-refresher/renew.json").await.unwrap();
    assert_eq!(renewed, Report { ticket_age_seconds: Some(0), ..Report::default() });
    let part = worked(&world, "token-refresher/renew-part.json").await.unwrap();
    assert_eq!(part, Report::default(), "it does not look at the ticket");
    let reconciled = worked(&world, "token-refresher/reconcile.json").await.unwrap();
    assert_eq!(reconciled, Report::default());
}

#[tokio::test]
async fn a_batch_of_the_stream_makes_the_pushed_entry_take_effect() {
    let world = then().await;
    world.get_ready().await;
    answered(&world, "ticket-push/authorized.json").await;
    assert_stored(&world, 0).await;
    // WeChat does not know the account, so its grant counts as revoked.
    let report = worked(&world, "token-refresher/stream-batch.json").await.unwrap();
    assert_eq!(report, Report { inbox_done: 1, ..Report::default() });
    assert!(world.store().accounts.get(&AppId::parse(ACCOUNT).unwrap()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_foreign_event_is_refused_before_anything_is_done() {
    let world = World::start().await;
    assert_eq!(worked(&world, "token-refresher/foreign.json").await, Err(EventError::Foreign));
    assert_eq!(worked(&world, "token-refresher/renew-odd-part.json").await, Err(EventError::Part));
    assert!(world.faults.all_requests().is_empty());
}

#[tokio::test]
async fn requests_that_no_router_understands_are_refused_and_change_nothing() {
    let world = world_with_link().await;
    let before = world.items().await;
    for path in [
        "ticket-push/odd-query.json",
        "ticket-push/oversized-query.json",
        "ticket-push/broken-base64.json",
        "account-push/odd-appid.json",
        "preauth-link/hash-in-path.json",
        "preauth-link/backslash-in-path.json",
        "preauth-link/another-route.json",
        "preauth-link/odd-query-of-a-business.json",
        "oauth-callback/odd-query.json",
    ] {
        answered(&world, path).await;
    }
    assert_eq!(world.items().await, before);
    assert_eq!(calls(&world, paths::CREATE_PREAUTHCODE), 0);
}

#[tokio::test]
async fn headers_that_no_handler_reads_cannot_cost_a_push() {
    let world = then().await;
    assert_eq!(answered(&world, "ticket-push/odd-headers.json").await, "success");
    assert!(world.store().tickets.newest().await.unwrap().is_some());
}
