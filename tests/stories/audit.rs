//! Who created or revoked which key, and who read which token: an event for each, and a line in the log, without the
//! key's text and without the token.

use std::time::Duration;

use base::ids::KeyId;
use base::random::Random;
use http::Method;
use local::eventbridge::Delivered;
use ops::args::{KeysCommand, NewKeyArgs, RevokeKeyArgs};
use runtime::config::TokenConfig;
use runtime::telemetry::Measure;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use store::{END_OF_TIME, KeyText, Subject};
use stories::business::{Business, KEYS, PLATFORM_TOKEN, TOKENS};
use stories::faults::{Fault, Matching};
use stories::http_events::HttpEvent;
use stories::schema::Schema;
use stories::world::{self, COMPONENT, TABLE, World};
use token_api::TokenService;
use token_refresher::Task;
use tokio::time::Instant;

use crate::operators_keys::HERE;
use crate::operators_release_check::deployment;

/// The session of [`Business::of`], which distinguishes the people of one role.
const BY: &str = "arn:aws:sts::123456789012:assumed-role/orders/session";

/// The details of the events of keys, in their order on the bus.
fn of_keys(world: &World) -> Vec<Value> {
    let check = |event: Delivered| {
        assert_eq!(Schema::read().fits("key_detail", &event.detail), Ok(()), "{}", event.detail);
        assert_eq!(event.detail_type, format!("key.{}", event.detail["change"].as_str().unwrap()));
        event.detail
    };
    world.bus.delivered_of("key.").into_iter().map(check).collect()
}

fn changes(world: &World) -> Vec<Value> {
    of_keys(world).iter().map(|detail| json!([detail["key_id"], detail["change"]])).collect()
}

/// Creates a key; returns its id and its text.
async fn make(business: &Business, body: Value) -> (KeyId, KeyText) {
    let made = business.ask(Method::POST, KEYS, &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let text = KeyText::parse(made.body["key"].as_str().unwrap()).unwrap();
    (text.id.clone(), text)
}

async fn revoke(business: &Business, id: &KeyId) -> u16 {
    business.ask(Method::DELETE, &format!("{KEYS}/{id}"), &json!({})).await.status
}

/// The number of pending events.
async fn waiting(world: &World) -> u64 {
    world.store().outbox.count_waiting(END_OF_TIME).await.unwrap()
}

/// Has the refresher deliver what the stream names of a key.
async fn wakes(world: &World, id: &KeyId) {
    let pk = world.store().outbox.pk(&Subject::Key(id.clone()));
    world.refresher.run(&Task::Stream([pk].into()), Instant::now() + Duration::from_mins(2)).await.unwrap();
}

#[tokio::test]
async fn who_made_and_who_revoked_a_key_is_an_event_each() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = world.account(0);
    let ends_at = world.now().plus(Duration::from_hours(24)).rfc3339();
    let body = json!({
        "name": "订单 orders", "scopes": ["calls", "accounts:read"], "appids": [account], "expires_at": ends_at, "in_url": true,
    });
    let made_at = world.now().rfc3339();
    let (id, text) = make(&business, body).await;
    wakes(&world, &id).await;
    world.pass(Duration::from_mins(1));
    let another = Business::in_another_session(&world);
    assert_eq!(revoke(&another, &id).await, 204);
    wakes(&world, &id).await;

    let events = of_keys(&world);
    let mut expected = json!({
        "id": events[0]["id"], "component_appid": COMPONENT, "key_id": id, "change": "created", "occurred_at": made_at,
        "by": BY, "name": "订单 orders", "scopes": ["accounts:read", "calls"], "appids": [account], "in_url": true,
        "expires_at": ends_at,
    });
    assert_eq!(events[0], expected);
    let revoked = [
        ("id", events[1]["id"].clone()),
        ("change", json!("revoked")),
        ("occurred_at", json!(world.now().rfc3339())),
        ("by", json!("arn:aws:sts::123456789012:assumed-role/orders/another")),
    ];
    for (name, value) in revoked {
        expected[name] = value;
    }
    assert_eq!(events[1..], [expected]);
    assert_ne!(events[0]["id"], events[1]["id"]);

    let secret = text.secret.expose_secret();
    let items = format!("{:?}", world.database.client().scan().table_name(TABLE).send().await.unwrap());
    for (place, shown) in [("event", json!(events).to_string()), ("log", world.log.text()), ("table", items)] {
        assert!(!shown.contains(secret) && shown.contains(id.as_str()), "{place}");
    }
}

#[tokio::test]
async fn an_event_says_from_where_and_in_which_request_a_key_was_made() {
    let world = World::ready().await;
    let body = json!({ "name": "a", "scopes": ["links"] }).to_string();
    let create = HttpEvent::new("POST", KEYS).header("content-type", "application/json").iam(BY).body(&body);
    // A caller cannot choose its address with a header.
    let create = create.header("x-forwarded-for", "203.0.113.66").build().to_string();
    let answer = world.gateway().answer_named(&create, "0e46f1d4-6f5c-4c1b-8f0f-1a9d6f0d7c3e").await;
    assert_eq!(
        (answer.status_code, answer.headers["x-request-id"].as_str()),
        (201, "0e46f1d4-6f5c-4c1b-8f0f-1a9d6f0d7c3e")
    );
    world.renew().await;
    let [event] = &of_keys(&world)[..] else { panic!("one event") };
    assert_eq!(
        (&event["by"], &event["source_ip"], &event["request_id"]),
        (&json!(BY), &json!("192.0.2.1"), &json!(answer.headers["x-request-id"]))
    );
    assert!(world.log.text().contains(r#""source_ip":"192.0.2.1""#), "{}", world.log.text());
}

#[tokio::test]
async fn a_key_that_is_revoked_again_is_reported_once_by_the_first_who_did_it() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let (id, _) = make(&business, json!({ "name": "a", "scopes": ["links"] })).await;
    assert_eq!(revoke(&business, &id).await, 204);
    world.pass(Duration::from_mins(1));
    assert_eq!(revoke(&Business::as_another_service(&world), &id).await, 204);
    world.renew().await;
    world.pass(Duration::from_mins(5));
    world.renew().await;
    assert_eq!(changes(&world), [json!([id, "created"]), json!([id, "revoked"])]);
    assert_eq!(of_keys(&world)[1]["by"], BY);
    assert_eq!(world.log.text().matches("an API key was revoked").count(), 1);
}

#[tokio::test]
async fn two_who_revoke_a_key_at_once_are_one_event() {
    for _ in 0..8 {
        let world = World::ready().await;
        let business = Business::of(&world);
        let (id, _) = make(&business, json!({ "name": "a", "scopes": ["links"] })).await;
        let another = Business::as_another_service(&world);
        let note = async { world.store().api_keys.note_use(&id, "2027-01-15").await.unwrap() };
        let (one, other, ()) = tokio::join!(revoke(&business, &id), revoke(&another, &id), note);
        assert_eq!((one, other), (204, 204));
        world.renew().await;
        assert_eq!(changes(&world), [json!([id, "created"]), json!([id, "revoked"])]);
    }
}

#[tokio::test]
async fn a_key_that_is_not_stored_is_not_reported_and_a_lost_reply_reports_it_once() {
    let world = World::ready().await;
    let business = Business::of(&world);
    world.expect_error("making an API key failed");
    let writes = || Matching::operation("TransactWriteItems").containing("secret_digest");
    world.faults.always(writes(), Fault::Away);
    let refused = business.ask(Method::POST, KEYS, &json!({ "name": "a", "scopes": ["links"] })).await;
    assert_eq!((refused.status, refused.problem()), (503, "unavailable"));
    world.faults.clear();
    world.renew().await;
    assert_eq!(changes(&world), [] as [Value; 0]);

    world.faults.next(1, writes(), Fault::LostReply);
    let (id, _) = make(&business, json!({ "name": "a", "scopes": ["links"] })).await;
    world.faults.next(1, Matching::operation("TransactWriteItems").containing("revoked_at"), Fault::LostReply);
    assert_eq!(revoke(&business, &id).await, 204);
    world.renew().await;
    assert_eq!(changes(&world), [json!([id, "created"]), json!([id, "revoked"])]);
}

#[tokio::test]
async fn a_key_is_created_while_the_bus_is_unavailable_and_reported_when_it_is_back() {
    let world = World::ready().await;
    world.expect_error("nothing more is delivered in this run");
    let business = Business::of(&world);
    world.faults.always(Matching::operation("PutEvents"), Fault::Away);
    let (id, text) = make(&business, json!({ "name": "a", "scopes": ["links"] })).await;
    wakes(&world, &id).await;
    assert_eq!(revoke(&business, &id).await, 204);
    assert_eq!(Business::with_key(&world, &text.text()).get("/authorization-links?reference=r").await.status, 401);
    world.renew().await;
    assert_eq!(waiting(&world).await, 2);
    assert_eq!(changes(&world), [] as [Value; 0]);
    world.faults.clear();
    world.pass(Duration::from_mins(5));
    world.renew().await;
    assert_eq!(changes(&world), [json!([id, "created"]), json!([id, "revoked"])], "in their order");
    assert_eq!(waiting(&world).await, 0);
}

#[tokio::test]
async fn what_the_operator_does_to_keys_in_the_table_is_reported_too() {
    let world = World::ready().await;
    let deployment = deployment(&world);
    let new = NewKeyArgs {
        deployment: HERE,
        name: "by hand".to_owned(),
        scopes: vec!["links".to_owned()],
        appids: Vec::new(),
        expires_at: None,
        in_url: false,
    };
    let printed = deployment.keys(&KeysCommand::Create(new), &Random::system()).await.unwrap();
    let text = KeyText::parse(printed.output.trim_end()).unwrap();
    let again = KeysCommand::Revoke(RevokeKeyArgs { deployment: HERE, id: text.id.clone() });
    for _ in 0..2 {
        deployment.keys(&again, &Random::system()).await.unwrap();
    }
    world.renew().await;
    assert_eq!(changes(&world), [json!([text.id, "created"]), json!([text.id, "revoked"])]);
    for event in of_keys(&world) {
        assert_eq!((&event["by"], &event["name"]), (&json!("cargo ops"), &json!("by hand")));
        assert!(
            ["source_ip", "request_id", "appids", "expires_at"].iter().all(|name| event[name].is_null()),
            "{event}"
        );
        assert!(!event.to_string().contains(text.secret.expose_secret()));
    }
}

#[tokio::test]
async fn a_key_that_is_used_after_its_revocation_is_counted_apart_and_named_in_the_log() {
    let world = World::ready().await;
    let operator = Business::of(&world);
    let (id, text) = make(&operator, json!({ "name": "a", "scopes": ["links"] })).await;
    assert_eq!(revoke(&operator, &id).await, 204);
    let wrong = KeyText { id: id.clone(), secret: "A".repeat(43).into() };
    let service = Business::with_key(&world, &wrong.text());
    assert_eq!(service.get("/openapi.json").await.status, 401);
    let counted = |reason: &str| {
        let metrics = world.metrics.all().into_iter();
        metrics
            .filter(|it| it.measure == Measure::KeyRefused && it.dimension == Some(("reason", reason.to_owned())))
            .count()
    };
    assert_eq!((counted("wrong"), counted("revoked")), (1, 0), "whoever lacks the secret causes no alarm");
    assert_eq!(service.with_another_key(&text.text()).get("/openapi.json").await.status, 401);
    assert_eq!(counted("revoked"), 1);
    let log = world.log.text();
    let line: Value = serde_json::from_str(log.lines().find(|line| line.contains("still in use")).unwrap()).unwrap();
    assert_eq!((&line["level"], &line["key"]), (&json!("WARN"), &json!(id)));
    assert!(!log.contains(text.secret.expose_secret()));
}

/// A service whose readings of tokens are events.
fn watched(world: &World) -> Business {
    let config = TokenConfig { platform_route: true, read_events: true };
    let service = TokenService::new(world.services.clone(), world.event_bus(), config);
    Business::through(world, token_api::router(service, world::KEYS))
}

fn readings(world: &World) -> Vec<Value> {
    let events = world.bus.delivered_of("token.").into_iter();
    events
        .map(|event| {
            assert_eq!(Schema::read().fits("token_read_detail", &event.detail), Ok(()), "{}", event.detail);
            assert_eq!(event.detail_type, "token.read");
            event.detail
        })
        .collect()
}

#[tokio::test]
async fn who_read_which_token_is_in_the_log_and_no_event_unless_that_is_asked_for() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    let given = Business::of(&world).get(&format!("{TOKENS}{account}")).await;
    assert_eq!(given.status, 200);
    let line = world.log.text();
    let line = line.lines().find(|line| line.contains("was read")).unwrap();
    for said in [account.as_str(), given.body["token_id"].as_str().unwrap(), BY] {
        assert!(line.contains(said), "{said}: {line}");
    }
    world.renew().await;
    assert_eq!(readings(&world), [] as [Value; 0]);
}

#[tokio::test]
async fn each_reading_of_a_token_is_an_event_where_that_is_asked_for() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    let business = watched(&world);
    let mut ids = Vec::new();
    // Also from the cache, and after a renewal.
    let path = format!("{TOKENS}{account}");
    for path in [path.as_str(), &path, PLATFORM_TOKEN] {
        let given = business.get(path).await;
        assert_eq!(given.status, 200, "{}", given.body);
        ids.push(given.body["token_id"].clone());
    }
    world.pass(Duration::from_mins(2));
    let renewed = business.ask(Method::POST, &format!("{path}/renewals"), &json!({ "token_id": ids[0] })).await;
    assert_eq!((renewed.status, &renewed.body["renewed"]), (200, &json!(true)));
    ids.push(renewed.body["token_id"].clone());
    // A refused request is not a reading.
    assert_eq!(business.get(&format!("{TOKENS}{}", world.account(1))).await.status, 404);
    let said: Vec<Value> =
        readings(&world).iter().map(|it| json!([it["by"], it["authorizer_appid"], it["token_id"]])).collect();
    let of = |appid: Value, id: usize| json!([BY, appid, ids[id]]);
    assert_eq!(said, [of(json!(account), 0), of(json!(account), 1), of(Value::Null, 2), of(json!(account), 3)]);
    let mut events: Vec<String> = readings(&world).iter().map(|event| event["id"].to_string()).collect();
    events.sort();
    events.dedup();
    assert_eq!(events.len(), 4, "each is an event of its own");
    let text = json!(readings(&world)).to_string();
    assert!(world.simulator.issued_secrets().iter().all(|secret| !secret.is_in(&text)));
}

#[tokio::test]
async fn a_token_is_returned_although_the_bus_does_not_accept_the_event() {
    for fault in [Fault::Away, Fault::Hang, Fault::ServerError, Fault::Throttle] {
        let world = World::ready().await;
        let account = world.authorized_account().await;
        world.faults.always(Matching::operation("PutEvents"), fault);
        let given = watched(&world).get(&format!("{TOKENS}{account}")).await;
        assert_eq!(given.status, 200, "{fault:?}");
        assert_eq!(world.metrics.count(Measure::EventDropped), 1, "{fault:?}");
        let log = world.log.text();
        assert!(log.contains("was read") && log.contains("a token was read without an event"), "{log}");
        world.faults.clear();
    }
}
