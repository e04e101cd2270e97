//! Promises 2 and 7: two processes on one table get the same event at the same moment. WeChat issues once.
//!
//! Both processes are warm, and WeChat responds slowly, so that the second has begun while the first is working.

use std::time::Duration;

use base::ids::AppId;
use futures::future::join_all;
use serde_json::{Value, json};
use simulator::{Account, Fault, paths};
use stories::bootstrap::Bootstrap;
use stories::refresher_events::{inserts, renew, renew_part};
use stories::slow::slow_line;
use stories::world::World;

use super::{BINARY, TO_EXPIRY};

/// WeChat's response time: many times the lag of one process behind the other.
const ANSWER: Duration = Duration::from_millis(300);

/// The delay of a late process: many times the other's whole run, within one try of the SDK.
const LATE: Duration = Duration::from_millis(700);

/// Gives the same event to two warm processes at once.
async fn both(world: &World, event: Value) -> Vec<Value> {
    at_once(world, vec![event.clone(), event]).await
}

/// Gives each event to a warm process of its own, all at once.
async fn at_once(world: &World, events: Vec<Value>) -> Vec<Value> {
    let mut processes = Vec::new();
    for event in events {
        let process = Bootstrap::start(BINARY, world).await;
        process.invoke(inserts([])).await.unwrap();
        processes.push((process, event));
    }
    let reports = join_all(processes.iter().map(|(process, event)| process.invoke(event.clone()))).await;
    let reports: Vec<Value> = reports.into_iter().map(Result::unwrap).collect();
    for report in &reports {
        assert_eq!(report["failed"], json!({}), "{report}");
    }
    reports
}

fn sum(reports: &[Value], field: &str) -> u64 {
    reports.iter().map(|report| report[field].as_u64().unwrap()).sum()
}

/// A world with this many accounts, all expired, as is the component token.
async fn lapsed(accounts: u32) -> (World, Vec<AppId>) {
    let appids: Vec<AppId> = (0..accounts).map(|number| AppId::parse(&format!("wxace{number:013}")).unwrap()).collect();
    let world = World::beside_processes(TO_EXPIRY, |options| {
        options.accounts = appids.iter().map(|appid| Account::official_account(appid.clone(), "花店")).collect();
    })
    .await;
    world.get_ready().await;
    for account in &appids {
        assert!(world.simulator.send(&world.merchant_authorizes(account).push).await.is_accepted());
    }
    assert_eq!(world.renew().await.inbox_done, u64::from(accounts));
    world.pass(TO_EXPIRY);
    assert!(world.simulator.push_ticket().await.is_accepted());
    (world, appids)
}

/// Two processes get the tick of an undivided run.
fn twice() -> Vec<Value> {
    vec![renew(), renew()]
}

/// Checks that each account is renewed once, and the component token issued once, by simultaneous processes with these
/// events.
async fn renewed_once(accounts: u32, ticks: Vec<Value>) {
    let (world, appids) = lapsed(accounts).await;
    let before = world.simulator.counters().effects;
    world.simulator.inject(Fault::Delay(ANSWER).on(paths::COMPONENT_TOKEN));
    world.simulator.inject(Fault::Delay(ANSWER).on(paths::AUTHORIZER_TOKEN));
    let reports = at_once(&world, ticks).await;
    assert_eq!((sum(&reports, "renewed"), sum(&reports, "left_over")), (u64::from(accounts), 0), "{reports:?}");
    let after = world.simulator.counters().effects;
    assert_eq!(after.component_tokens - before.component_tokens, 1);
    for account in &appids {
        assert_eq!(after.renewals_of(account) - before.renewals_of(account), 1, "{account}");
        assert!(world.wechat_accepts(account).await, "{account}");
    }
}

#[tokio::test]
async fn two_processes_renew_the_component_token_and_one_account_once() {
    renewed_once(1, twice()).await;
}

#[tokio::test]
async fn two_processes_renew_the_component_token_and_each_of_twenty_accounts_once() {
    renewed_once(20, twice()).await;
}

#[tokio::test]
async fn four_processes_that_share_the_accounts_renew_each_once() {
    renewed_once(40, (0..4).map(|part| renew_part(part, 4)).collect()).await;
}

#[tokio::test]
async fn an_undivided_run_and_the_parts_of_another_number_renew_each_account_once() {
    // As while RefresherRuns changes.
    renewed_once(20, vec![renew(), renew_part(0, 2), renew_part(1, 2)]).await;
}

#[tokio::test]
async fn a_process_that_is_late_with_an_account_on_its_list_renews_nothing_again() {
    let (world, appids) = lapsed(1).await;
    world.component().await.token().await.unwrap();
    // Its lists are read in time; its lease, the only request that returns an item, is requested when the other has
    // long finished.
    let slow = slow_line(&world.database.endpoint(), LATE, r#""ReturnValues":"ALL_NEW""#).await;
    let late = Bootstrap::with(BINARY, &world, |variables| {
        variables.insert("AWS_ENDPOINT_URL_DYNAMODB".into(), slow);
    })
    .await;
    let prompt = Bootstrap::start(BINARY, &world).await;
    for warm in [&late, &prompt] {
        warm.invoke(inserts([])).await.unwrap();
    }
    let (first, second) = tokio::join!(late.invoke(renew()), prompt.invoke(renew()));
    let reports = [first.unwrap(), second.unwrap()];
    assert_eq!((&reports[0]["renewed"], &reports[1]["renewed"]), (&json!(0), &json!(1)), "{reports:?}");
    assert_eq!(world.simulator.counters().effects.renewals_of(&appids[0]), 1);
    assert!(world.wechat_accepts(&appids[0]).await);
}

#[tokio::test]
async fn two_processes_issue_the_very_first_component_token_once() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.simulator.inject(Fault::Delay(ANSWER).on(paths::COMPONENT_TOKEN));
    both(&world, renew()).await;
    assert_eq!(world.simulator.counters().effects.component_tokens, 1);
}

#[tokio::test]
async fn two_processes_exchange_a_pushed_code_once() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let account = world.account(0);
    assert!(world.simulator.send(&world.merchant_authorizes(&account).push).await.is_accepted());
    world.simulator.inject(Fault::Delay(ANSWER).on(paths::QUERY_AUTH));
    let reports = both(&world, inserts(&world.inbox_keys().await)).await;
    assert_eq!((sum(&reports, "inbox_done"), sum(&reports, "inbox_postponed")), (1, 1), "{reports:?}");
    assert_eq!(world.simulator.counters().calls.get(paths::QUERY_AUTH), Some(&1));
    assert!(world.wechat_accepts(&account).await);

    world.pass(base::limits::LEASE);
    let later = world.renew().await;
    assert_eq!((later.inbox_done, later.inbox_postponed), (0, 0), "the one that waited has nothing left to do");
    assert_eq!(world.simulator.counters().calls.get(paths::QUERY_AUTH), Some(&1));
}
