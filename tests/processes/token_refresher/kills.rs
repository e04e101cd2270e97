//! Promise 2: the process is killed between WeChat's response and the write. When its lease has expired, an ordinary
//! run recovers everything.
//!
//! A process uses the machine's time, and a lease lasts half a minute of it. Nobody waits for that: the clocks of the
//! test's process and WeChat's side are advanced by a lease, the dead process has none.

use std::time::Duration;

use base::ids::{AppId, Digest};
use base::limits::LEASE;
use serde_json::json;
use simulator::{Behaviour, Fault, paths};
use store::{AccountState, DuePart, TokenOwner};
use stories::bootstrap::Bootstrap;
use stories::due::new_account;
use stories::process::eventually;
use stories::refresher_events::{inserts, renew, renew_part};
use stories::world::World;
use token_refresher::Task;
use tokio::time::Instant;

use super::{BINARY, TO_EXPIRY};

/// The longest wait for something that takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts a process, sends it the event and kills it while WeChat's response to a call of this path is in progress: the
/// call has taken effect.
async fn kill_after_effect(world: &World, path: &str, event: serde_json::Value) {
    world.simulator.inject(Fault::Hold.on(path).times(1));
    let function = Bootstrap::start(BINARY, world).await;
    drop(function.kill_during(event, world.simulator.until_held(path, 1)).await);
    world.simulator.release(path);
}

/// A world with one due account, and a component token that is not due.
async fn with_due_account() -> (World, base::ids::AppId) {
    let world = World::beside_processes(TO_EXPIRY, |_| {}).await;
    world.get_ready().await;
    world.simulator.set_behaviour(Behaviour { rotate_refresh_tokens: true, ..Behaviour::default() });
    let account = world.authorized_account().await;
    world.pass(TO_EXPIRY);
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.component().await.token().await.unwrap();
    (world, account)
}

#[tokio::test]
async fn an_account_whose_rotated_tokens_were_lost_renews_again_automatically() {
    let (world, account) = with_due_account().await;
    kill_after_effect(&world, paths::AUTHORIZER_TOKEN, renew()).await;
    assert_eq!(world.simulator.counters().effects.renewals_of(&account), 1, "WeChat has answered");
    assert!(!world.wechat_accepts(&account).await, "and nobody has what it answered");

    assert_eq!(world.renew().await.renewed, 0, "the dead process's lease stands");
    world.pass(LEASE);
    let report = world.renew().await;
    assert_eq!((report.renewed, report.gone, report.failed.len()), (1, 0, 0), "{report}");
    assert!(world.wechat_accepts(&account).await);

    let recoveries = world.simulator.counters().calls[paths::GET_AUTHORIZER_INFO];
    world.pass(TO_EXPIRY);
    assert!(world.simulator.push_ticket().await.is_accepted());
    assert_eq!(world.renew().await.renewed, 1, "and so on");
    assert!(world.wechat_accepts(&account).await);
    let later = world.simulator.counters().calls[paths::GET_AUTHORIZER_INFO];
    assert_eq!(later, recoveries, "with the refresh token that came last, not with a recovery at every renewal");
}

#[tokio::test]
async fn an_account_whose_recovery_is_killed_too_is_recovered_by_the_next_run() {
    let (world, account) = with_due_account().await;
    let renewals = |world: &World| world.simulator.counters().effects.renewals_of(&account);
    kill_after_effect(&world, paths::AUTHORIZER_TOKEN, renew()).await;
    assert_eq!(renewals(&world), 1);
    world.pass(LEASE);
    // The recovering run is cut off at its second call of this path: the first is the one that WeChat refuses.
    world.simulator.inject(Fault::Delay(Duration::ZERO).on(paths::AUTHORIZER_TOKEN).times(1));
    world.simulator.inject(Fault::Hold.on(paths::AUTHORIZER_TOKEN).times(1));
    tokio::select! {
        report = world.renew() => panic!("it was to be cut off: {report}"),
        () = eventually("WeChat has renewed again", PATIENCE, || renewals(&world) == 2) => {}
    }

    world.pass(LEASE);
    let report = world.renew().await;
    assert_eq!((report.renewed, report.gone), (1, 0), "{report}");
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn one_of_four_runs_is_killed_in_the_middle_and_the_others_come_to_their_end() {
    let world = World::beside_processes(TO_EXPIRY, |_| {}).await;
    let accounts: Vec<AppId> = (0..12).map(|number| new_account(&world, number)).collect();
    world.get_ready().await;
    world.simulator.set_behaviour(Behaviour { rotate_refresh_tokens: true, ..Behaviour::default() });
    for account in &accounts {
        assert!(world.simulator.send(&world.merchant_authorizes(account).push).await.is_accepted());
    }
    world.renew().await;
    world.pass(TO_EXPIRY);
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.component().await.token().await.unwrap();

    // The first to call: it is killed when WeChat has renewed one of its accounts and it has not recorded that.
    kill_after_effect(&world, paths::AUTHORIZER_TOKEN, renew_part(2, 4)).await;
    let mut renewed = 0;
    for part in [0, 1, 3] {
        let report = Bootstrap::start(BINARY, &world).await.invoke(renew_part(part, 4)).await.unwrap();
        assert_eq!((&report["left_over"], &report["failed"]), (&json!(0), &json!({})), "{report}");
        renewed += report["renewed"].as_u64().unwrap();
    }
    let own = accounts.iter().filter(|account| Digest::of(&[account.as_str()]).part(4) == 2).count();
    assert_eq!(renewed, u64::try_from(accounts.len() - own).unwrap());

    world.pass(LEASE);
    let again =
        world.refresher.run(&Task::Renew(DuePart::new(2, 4).unwrap()), Instant::now() + PATIENCE).await.unwrap();
    assert_eq!((again.renewed, again.gone), (u64::try_from(own).unwrap(), 0), "{again}");
    for account in &accounts {
        assert!(world.wechat_accepts(account).await, "{account}");
    }
}

#[tokio::test]
async fn a_grant_whose_tokens_were_lost_is_recovered_from_its_inbox_entry() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let account = world.account(0);
    assert!(world.simulator.send(&world.merchant_authorizes(&account).push).await.is_accepted());
    kill_after_effect(&world, paths::QUERY_AUTH, inserts(&world.inbox_keys().await)).await;
    assert_eq!(world.simulator.counters().effects.exchanges.get(&account), Some(&1), "the code is spent");
    assert!(world.store().accounts.get(&account).await.unwrap().is_none(), "and nothing is stored");

    world.pass(LEASE);
    let report = world.renew().await;
    assert_eq!((report.inbox_done, report.inbox_postponed), (1, 0), "{report}");
    let stored = world.stored(&account).await;
    assert_eq!(stored.token.state, AccountState::Active);
    assert!(world.details(&account).await.profile.is_some());
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn a_component_token_that_died_with_the_process_is_issued_again_for_all() {
    let (world, account) = {
        let world = World::beside_processes(TO_EXPIRY, |_| {}).await;
        world.get_ready().await;
        let account = world.authorized_account().await;
        world.pass(TO_EXPIRY);
        assert!(world.simulator.push_ticket().await.is_accepted());
        (world, account)
    };
    let before = world.simulator.counters().effects.component_tokens;
    kill_after_effect(&world, paths::COMPONENT_TOKEN, renew()).await;
    assert_eq!(world.simulator.counters().effects.component_tokens - before, 1, "WeChat has issued one");
    assert!(world.store().tokens.get(&TokenOwner::Component).await.unwrap().unwrap().live_token(world.now()).is_none());

    world.pass(LEASE);
    let report = world.renew().await;
    assert_eq!((report.renewed, report.failed.len()), (1, 0), "{report}");
    assert_eq!(world.simulator.counters().effects.component_tokens - before, 2);
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn the_very_first_component_token_that_died_with_the_process_is_issued_again() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    assert!(world.simulator.push_ticket().await.is_accepted());
    kill_after_effect(&world, paths::COMPONENT_TOKEN, renew()).await;
    world.pass(LEASE);
    assert!(world.renew().await.failed.is_empty());
    assert_eq!(world.simulator.counters().effects.component_tokens, 2);
}
