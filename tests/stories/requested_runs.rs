//! Requested runs of the refresher: a token renewed now, and what waits retried now.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::response::IntoResponse as _;
use base::ids::AppId;
use base::random::Random;
use http::header::RETRY_AFTER;
use http::{Method, StatusCode};
use platform::webhook::AddressPolicy;
use secrecy::SecretString;
use serde_json::json;
use simulator::{Fault as WechatFault, Message, paths};
use store::{Actor, Beginning, DuePart, KeyRequest, NewGrant, RetryOf, ScheduledTask};
use stories::business::{Answer, Business};
use stories::due::refused;
use stories::faults::{Fault, Matching, Side};
use stories::process::eventually;
use stories::schema::Schema;
use stories::webhook::Service;
use stories::world::World;
use token_refresher::{Refresher, Settings, Task};
use tokio::time::Instant;

/// A renewal is due, and the component token is still valid.
const TO_DUE: Duration = Duration::from_mins(101);

/// A deadline that no run may reach.
fn soon() -> Instant {
    Instant::now() + Duration::from_mins(2)
}

async fn asks_to_renew(world: &World, account: &AppId) -> Answer {
    Business::of(world).post(&format!("/accounts/{account}/renewals")).await
}

async fn asks_to_retry(world: &World, account: Option<&AppId>) -> Answer {
    let body = account.map_or(json!({}), |account| json!({ "appid": account }));
    Business::of(world).ask(Method::POST, "/retries", &body).await
}

/// The number of runs that the bus was asked to start.
fn started(world: &World) -> usize {
    world.bus.delivered_of("run.requested").len()
}

/// An account whose last renewal has failed and will be retried much later.
async fn failing_account(world: &World) -> AppId {
    let account = world.authorized_account().await;
    world.pass(TO_DUE);
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.simulator.inject(WechatFault::system_error().on(paths::AUTHORIZER_TOKEN));
    for _ in 0..4 {
        world.renew().await;
        world.pass(Duration::from_mins(20));
        assert!(world.simulator.push_ticket().await.is_accepted());
    }
    world.renew().await;
    world.simulator.clear_faults();
    world.pass(Duration::from_mins(1));
    account
}

#[tokio::test]
async fn a_token_whose_renewal_has_failed_is_renewed_when_somebody_asks() {
    let world = World::ready().await;
    let account = failing_account(&world).await;
    let heartbeat = async || world.store().health.get(ScheduledTask::Renew(DuePart::ALL)).await.unwrap().unwrap();
    let (before, scheduled) = (world.stored(&account).await.token, heartbeat().await);
    assert!(before.failures > 1 && before.due_at.unwrap() > world.now().plus(Duration::from_mins(10)));
    let answer = asks_to_renew(&world, &account).await;
    assert_eq!((answer.status, &answer.body), (202, &json!({ "requested_at": world.now().rfc3339() })));
    let events = world.bus.delivered_of("run.requested");
    assert_eq!(Schema::read().fits("run_detail", &events[0].detail), Ok(()));
    let report = world.run_on_request().await;
    assert_eq!((report.renewed, report.failed.len(), events.len()), (1, 0, 1), "{report}");
    let after = world.stored(&account).await.token;
    assert!(after.seq > before.seq && after.failures == 0 && world.wechat_accepts(&account).await);
    // It is recorded among the last days' runs, but does not prove that the schedule is alive.
    assert_eq!(world.store().runs.renewals(world.now()).await.unwrap().len(), 1);
    assert_eq!(heartbeat().await, scheduled);

    let again = asks_to_renew(&world, &account).await;
    assert_eq!((again.status, again.problem()), (429, "too-soon"));
    assert_eq!(again.headers[RETRY_AFTER], "10");
    world.pass(Duration::from_secs(10));
    assert_eq!(asks_to_renew(&world, &account).await.status, 202);
    assert_eq!(world.run_on_request().await.renewed, 1, "also one that is not old");
}

#[tokio::test]
async fn an_account_that_has_no_token_to_renew_says_what_to_do() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.simulator.unauthorize(&account).unwrap()).await;
    let ended = asks_to_renew(&world, &account).await;
    assert_eq!((ended.status, ended.problem()), (409, "authorization-ended"));
    assert_eq!(ended.body["state"], "unauthorized");
    let unknown = asks_to_renew(&world, &world.account(1)).await;
    assert_eq!((unknown.status, unknown.problem()), (404, "unknown-account"));
    // It has granted no API permission.
    let (bare, now) = (world.account(2), world.now());
    let grant = NewGrant {
        access_token: None,
        refresh_token: None,
        due_at: None,
        granted_at: None,
        func_info: &[],
        origin: None,
        is_recovery: false,
        claim: None,
    };
    world.store().accounts.store_grant(&bare, 0, &grant, now).await.unwrap();
    let refused = asks_to_renew(&world, &bare).await;
    assert_eq!((refused.status, refused.problem()), (409, "no-api-permission"));
    assert_eq!(started(&world), 0);
}

#[tokio::test]
async fn many_who_ask_cause_one_run_and_whoever_asks_while_it_runs_causes_another() {
    let world = World::ready().await;
    for _ in 0..20 {
        assert_eq!(asks_to_retry(&world, None).await.status, 202);
    }
    assert_eq!(started(&world), 1);
    world.run_on_request().await;
    let runs = async || world.store().runs.renewals(world.now()).await.unwrap().len();
    let before = runs().await;
    // The event comes twice.
    world.run_on_request().await;
    assert_eq!(runs().await, before, "nobody has asked since");

    let mut held = world.faults.hold(0, Matching::operation("PutItem").containing("#runs#renew"), Side::Before);
    asks_to_retry(&world, None).await;
    let running = world.run_on_request();
    let asking = async {
        held.until_reached().await;
        asks_to_retry(&world, None).await;
        held.release();
    };
    tokio::join!(running, asking);
    assert_eq!(started(&world), 3);
    assert!(world.store().run_requests.is_requested().await.unwrap());
    // A run whose event is lost is not waited for.
    world.pass(Duration::from_secs(15));
    asks_to_retry(&world, None).await;
    assert_eq!(started(&world), 4);
}

#[tokio::test]
async fn two_runs_that_somebody_asked_for_keep_their_distance() {
    const PAUSE: Duration = Duration::from_secs(5);
    let world = World::ready().await;
    let settings = Settings { per_second: 100_000, requested_pause: PAUSE, ..Settings::default() };
    let refresher = Refresher::new(world.services.clone(), world.targets(), settings);
    asks_to_retry(&world, None).await;
    refresher.run(&Task::Requested, soon()).await.unwrap();
    let begun_at = world.now();
    world.pass(Duration::from_secs(2));
    asks_to_retry(&world, None).await;
    let requests = world.store().run_requests;
    assert_eq!(requests.begin("another", PAUSE, world.now()).await.unwrap(), Beginning::Later(Duration::from_secs(3)));
    let second = async {
        refresher.run(&Task::Requested, soon()).await.unwrap();
        world.now()
    };
    world.faults.reset_counts();
    let looked = || world.faults.requests("UpdateItem") > 0;
    let waiting = async {
        eventually("it has looked", Duration::from_mins(1), looked).await;
        world.pass(Duration::from_secs(3));
    };
    let (ended_at, ()) = tokio::join!(second, waiting);
    assert_eq!(ended_at, begun_at.plus(PAUSE));
}

#[tokio::test]
async fn an_answer_of_the_table_that_is_lost_costs_no_run() {
    let world = World::ready().await;
    let account = failing_account(&world).await;
    let asking = Matching::setting("requested");
    world.faults.next(1, asking, Fault::LostReply);
    assert_eq!(asks_to_renew(&world, &account).await.status, 202);
    assert_eq!(started(&world), 1);
    world.faults.next(1, Matching::operation("UpdateItem").containing("runs#request"), Fault::LostReply);
    assert_eq!(world.run_on_request().await.renewed, 1);
    assert!(!world.store().run_requests.is_requested().await.unwrap());
}

#[tokio::test]
async fn without_the_bus_a_renewal_that_was_asked_for_is_left_to_the_next_run() {
    let world = World::ready().await;
    let account = failing_account(&world).await;
    world.faults.next(3, Matching::operation("PutEvents"), Fault::Away);
    assert_eq!(asks_to_renew(&world, &account).await.status, 202);
    assert_eq!(world.renew().await.renewed, 1);
    // A host without rules polls.
    world.pass(Duration::from_mins(1));
    assert_eq!(asks_to_renew(&world, &account).await.status, 202);
    assert_eq!(world.refresher.poll(soon()).await.unwrap().unwrap().renewed, 1);
    assert!(world.refresher.poll(soon()).await.unwrap().is_none());
}

#[tokio::test]
async fn what_waits_of_an_account_is_tried_again_and_what_waits_of_others_is_not() {
    let world = World::ready().await;
    let (mine, other) = (world.account(0), world.account(1));
    world.simulator.inject(WechatFault::system_error().on(paths::QUERY_AUTH).times(2));
    for account in [&mine, &other] {
        assert!(world.simulator.send(&world.merchant_authorizes(account).push).await.is_accepted());
    }
    world.renew().await;
    assert_eq!(world.store().arrivals.counts().await.unwrap().inbox, 2);
    world.run_on_request().await;
    assert_eq!(asks_to_retry(&world, Some(&mine)).await.status, 202);
    let report = world.run_on_request().await;
    assert_eq!((report.inbox_done, report.failed.len()), (1, 0), "{report}");
    let left = world.store().arrivals.waiting(10).await.unwrap().items;
    assert_eq!((left.len(), left[0].account.as_ref()), (1, Some(&other)));
    assert!(world.store().run_requests.retries().await.unwrap().is_empty());
    asks_to_retry(&world, None).await;
    assert_eq!(world.run_on_request().await.inbox_done, 1);
}

#[tokio::test]
async fn messages_and_events_that_wait_for_bus_and_webhook_are_tried_again() {
    let mut world = World::ready().await;
    let is_well = Arc::new(AtomicBool::new(false));
    let status = Arc::clone(&is_well);
    let answer = move || if status.load(Ordering::Relaxed) { StatusCode::NO_CONTENT } else { StatusCode::BAD_GATEWAY };
    let service = Service::answering(move |_| answer().into_response()).await;
    world.send_events_to(Some(service.url()), AddressPolicy::this_machine_too());
    let account = world.authorized_account().await;
    world.bus.refuse_next(100);
    let shop = world.simulator.account(&account).unwrap();
    assert!(world.simulator.send_message(&Message::text(&shop, "follower", "waits")).await.is_empty());
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.simulator.unauthorize(&account).unwrap()).await;
    let counts = world.store().arrivals.counts().await.unwrap();
    assert_eq!((counts.messages, counts.inbox), (1, 1));
    assert!(counts.events >= 1);
    world.bus.refuse_next(0);
    is_well.store(true, Ordering::Relaxed);
    asks_to_retry(&world, Some(&account)).await;
    let report = world.run_on_request().await;
    assert_eq!((report.messages_delivered, report.inbox_done), (1, 1), "{report}");
    assert!(report.events_sent >= 1 && report.events_delivered >= 1, "{report}");
    assert_eq!(world.store().arrivals.counts().await.unwrap(), store::WaitingCounts::default());
}

#[tokio::test]
async fn one_sick_account_holds_up_nobody_who_is_tried_again() {
    let world = World::ready().await;
    let accounts: Vec<AppId> = (0..3).map(|number| world.account(number)).collect();
    world.simulator.inject(WechatFault::system_error().on(paths::QUERY_AUTH).times(3));
    for account in &accounts {
        assert!(world.simulator.send(&world.merchant_authorizes(account).push).await.is_accepted());
    }
    world.renew().await;
    world.simulator.inject(refused(61005).on(paths::QUERY_AUTH).times(1));
    for account in &accounts {
        asks_to_retry(&world, Some(account)).await;
    }
    let report = world.run_on_request().await;
    assert_eq!((report.inbox_done, report.failed.values().sum::<u64>()), (2, 1), "{report}");
    asks_to_retry(&world, None).await;
    let report = world.run_on_request().await;
    assert_eq!(report.inbox_done, 1, "{report}");
}

#[tokio::test]
async fn what_cannot_be_read_stays_to_be_tried_again() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    asks_to_retry(&world, Some(&account)).await;
    let own = format!("#inbox#{account}");
    world.faults.always(Matching::operation("Query").containing(own), Fault::ServerError);
    let report = world.run_on_request().await;
    assert_eq!(report.failed.len(), 1, "{report}");
    world.faults.clear();
    let retries = world.store().run_requests.retries().await.unwrap();
    assert_eq!(retries.iter().map(|retry| &retry.of).collect::<Vec<_>>(), [&RetryOf::Account(account)]);
    asks_to_retry(&world, None).await;
    world.run_on_request().await;
    assert!(world.store().run_requests.retries().await.unwrap().is_empty());
}

/// A key for some accounts, with every scope that changes accounts.
async fn key_for(world: &World, account: &AppId) -> SecretString {
    let request = KeyRequest::new("crm", &["accounts:write"]).unwrap().limited_to(&[account.to_string()]).unwrap();
    let (key, text) = request.make("somebody", &Random::system(), world.now());
    let actor = Actor { by: "somebody".to_owned(), source_ip: None, request_id: None };
    world.store().api_keys.create(&key, &actor).await.unwrap();
    text.text()
}

#[tokio::test]
async fn a_key_for_some_accounts_has_nothing_of_others_tried_again() {
    let world = World::ready().await;
    let (own, other) = (world.authorized_account().await, world.account(1));
    let business = Business::with_key(&world, &key_for(&world, &own).await);
    for body in [json!({}), json!({ "appid": other })] {
        let answer = business.ask(Method::POST, "/retries", &body).await;
        assert_eq!((answer.status, answer.problem()), (403, "not-allowed"), "{body}");
    }
    assert_eq!(business.post("/retries").await.problem(), "not-allowed");
    assert_eq!(business.ask(Method::POST, "/retries", &json!({ "appid": own })).await.status, 202);
    let odd = business.ask(Method::POST, "/retries", &json!({ "appids": [own] })).await;
    assert_eq!((odd.status, odd.problem()), (400, "malformed"));
    let odd = business.ask(Method::POST, "/retries", &json!({ "appid": "a b" })).await;
    assert_eq!((odd.status, odd.problem()), (404, "unknown-account"));
}
