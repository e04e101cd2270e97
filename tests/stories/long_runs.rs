//! Runs end in time, report what they did not do, and the next one continues.

use std::time::Duration;

use base::ids::AppId;
use simulator::{Behaviour, Fault, paths};
use stories::due::{due_accounts, narrow, new_account, tick};
use stories::faults::{Fault as TableFault, Matching};
use stories::proxy::behind_a_proxy;
use stories::world::World;
use token_refresher::{Refresher, Settings, Task};
use tokio::time::Instant;

/// A run of this task in `given` time; its report, once it is certain that it ended in time.
async fn in_time(world: &World, task: Task, given: Duration) -> token_refresher::Report {
    let begun = Instant::now();
    let report = world.refresher.run(&task, begun + given).await.unwrap();
    assert!(begun.elapsed() <= given, "{:?} of {given:?}: {report}", begun.elapsed());
    report
}

#[tokio::test]
async fn a_reconcile_run_over_a_slow_index_ends_before_its_deadline() {
    let world = World::ready().await;
    due_accounts(&world, 8).await;
    let slow = TableFault::Delay(Duration::from_millis(3_500));
    world.faults.always(Matching::operation("Query").containing("#due#"), slow);
    in_time(&world, Task::Reconcile, Duration::from_secs(13)).await;
}

#[tokio::test]
async fn a_renew_run_that_counts_slowly_ends_before_its_deadline() {
    let world = World::ready().await;
    world.expect_error("the run stops here");
    due_accounts(&world, 8).await;
    world.simulator.inject(Fault::ip_not_registered().on(paths::AUTHORIZER_TOKEN));
    let slow = TableFault::Delay(Duration::from_millis(3_500));
    world.faults.always(Matching::operation("Query").containing("COUNT"), slow);
    in_time(&world, Task::renew(), Duration::from_secs(13)).await;
}

#[tokio::test]
async fn accounts_that_a_run_leaves_over_are_not_always_those_of_one_shard() {
    let world = World::ready().await;
    world.expect_error("the run stops here");
    let accounts = due_accounts(&world, 20).await;
    let before = world.simulator.counters().effects;
    let refresher = narrow(&world, 1);
    for _ in 0..100 {
        world.pass(Duration::from_mins(5));
        assert!(world.simulator.push_ticket().await.is_accepted());
        world.component().await.token().await.unwrap();
        // The second renewal of each run, if there is one, gets a refusal of the address.
        world.simulator.clear_faults();
        world.simulator.inject(Fault::Delay(Duration::ZERO).on(paths::AUTHORIZER_TOKEN).times(1));
        world.simulator.inject(Fault::ip_not_registered().on(paths::AUTHORIZER_TOKEN).if_called());
        let report = refresher.run(&Task::renew(), Instant::now() + Duration::from_mins(2)).await.unwrap();
        assert_eq!(report.renewed, 1, "{report}");
    }
    let after = world.simulator.counters().effects;
    let of: Vec<u64> = accounts.iter().map(|a| after.renewals_of(a) - before.renewals_of(a)).collect();
    assert!(of.iter().all(|count| *count > 0), "{of:?}");
}

#[tokio::test]
async fn what_a_run_leaves_over_is_counted_also_when_the_inbox_stops_it() {
    let world = World::ready().await;
    world.expect_error("the run stops here");
    due_accounts(&world, 3).await;
    let another = new_account(&world, 100);
    assert!(world.simulator.send(&world.merchant_authorizes(&another).push).await.is_accepted());
    world.simulator.inject(Fault::ip_not_registered().on(paths::QUERY_AUTH));
    let report = world.renew().await;
    assert_eq!((report.renewed, report.left_over), (0, 3), "{report}");
    assert_eq!(report.failed, [("61004".to_owned(), 1)].into(), "reported once: {report}");
}

#[tokio::test]
async fn an_account_whose_look_up_in_the_list_was_cut_short_is_reported() {
    let world = World::ready().await;
    let account = due_accounts(&world, 1).await.remove(0);
    let seq = world.stored(&account).await.token.seq;
    let damaged = "refreshtoken@@@damaged".into();
    world.store().accounts.overwrite_refresh_token(&account, seq, &damaged, world.now()).await.unwrap();
    world.simulator.set_behaviour(Behaviour { info_without_refresh_token: true, ..Behaviour::default() });
    world.simulator.inject(Fault::BadGateway.on(paths::GET_AUTHORIZER_LIST));
    let report = world.renew().await;
    assert_eq!(report.failed.get("61023"), Some(&1), "{report}");
    world.simulator.clear_faults();
    assert_eq!(tick(&world).await.repaired, 1);
}

#[tokio::test]
async fn reconcile_repairs_a_refused_account_that_no_renew_run_finds() {
    let world = World::ready().await;
    let account = due_accounts(&world, 1).await.remove(0);
    let seq = world.stored(&account).await.token.seq;
    let damaged = "refreshtoken@@@damaged".into();
    world.store().accounts.overwrite_refresh_token(&account, seq, &damaged, world.now()).await.unwrap();
    world.store().accounts.note_asked(&account, seq + 1, world.now()).await.unwrap();
    world.simulator.set_behaviour(Behaviour { info_without_refresh_token: true, ..Behaviour::default() });
    world.simulator.inject(Fault::BadGateway.on(paths::GET_AUTHORIZER_LIST));
    assert_eq!(world.renew().await.renewed, 0);
    world.simulator.clear_faults();
    let report = world.reconcile().await;
    assert_eq!(report.repaired, 1, "{report}");
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn a_throttled_moment_of_the_table_does_not_end_a_pass_over_the_list() {
    let world = World::ready().await;
    let account = world.account(2);
    drop(world.merchant_authorizes(&account));
    world.faults.next(2, Matching::operation("BatchGetItem"), TableFault::Throttle);
    world.faults.next(2, Matching::operation("TransactWriteItems"), TableFault::Throttle);
    let report = world.reconcile().await;
    assert_eq!((report.added, report.failed.len()), (1, 0), "{report}");
}

#[tokio::test]
async fn live_accounts_that_the_list_lacks_are_asked_about_once_a_day() {
    let world = World::ready().await;
    world.expect_error("WeChat's list lacks over 5 accounts");
    let accounts = due_accounts(&world, 8).await;
    world.renew().await;
    let services = behind_a_proxy(&world, |path, body| {
        if path == paths::GET_AUTHORIZER_LIST { br#"{"total_count":0,"list":[]}"#.to_vec() } else { body }
    })
    .await;
    let settings = Settings { per_second: 100_000, gone_checks: 5, ..Settings::default() };
    let refresher = Refresher::new(services, world.targets(), settings);
    let reconcile = async || refresher.run(&Task::Reconcile, Instant::now() + Duration::from_mins(2)).await.unwrap();
    let before = world.calls(paths::GET_AUTHORIZER_INFO);
    for expected in [5, 8, 8] {
        reconcile().await;
        assert_eq!(world.calls(paths::GET_AUTHORIZER_INFO) - before, expected);
    }
    let gone: Vec<&AppId> = accounts.iter().take(2).collect();
    for account in &gone {
        drop(world.simulator.unauthorize(account));
    }
    world.pass(Duration::from_hours(21));
    assert!(world.simulator.push_ticket().await.is_accepted());
    let found = reconcile().await.gone + reconcile().await.gone;
    assert_eq!(found, 2);
}
