//! Simultaneous runs that share the accounts (`RefresherRuns`): each account belongs to one run, and what is done once
//! for the platform is done by the first.

use std::time::Duration;

use base::ids::{AppId, Digest};
use futures::future::join_all;
use runtime::telemetry::Measure;
use simulator::{Fault, paths};
use store::{DuePart, ScheduledTask};
use stories::due::{due_accounts, new_account};
use stories::faults::{Fault as TableFault, Matching};
use stories::world::World;
use token_refresher::{Report, Task};
use tokio::time::Instant;

/// The most runs.
const RUNS: u64 = 4;

fn part(number: u64) -> DuePart {
    DuePart::new(number, RUNS).unwrap()
}

/// The part of an account.
fn number_of(account: &AppId) -> u64 {
    Digest::of(&[account.as_str()]).part(RUNS)
}

/// A simultaneous tick of these parts; returns their reports.
async fn tick(world: &World, numbers: impl IntoIterator<Item = u64>) -> Vec<Report> {
    let run = async |number| {
        let task = Task::Renew(part(number));
        world.refresher.run(&task, Instant::now() + Duration::from_mins(2)).await.unwrap()
    };
    join_all(numbers.into_iter().map(run)).await
}

fn sum(reports: &[Report], field: impl Fn(&Report) -> u64) -> u64 {
    reports.iter().map(field).sum()
}

/// The number of finished runs of a part.
fn beats(world: &World, number: u64) -> usize {
    let task = ScheduledTask::Renew(part(number)).name();
    let is_one = |value: &Option<(&str, String)>| value.as_ref().is_some_and(|(_, value)| *value == task);
    let all = world.metrics.all();
    all.iter().filter(|metric| metric.measure == Measure::RunFinished && is_one(&metric.dimension)).count()
}

#[tokio::test]
async fn four_runs_at_once_renew_each_account_once_and_leave_none() {
    let world = World::ready().await;
    let accounts = due_accounts(&world, 40).await;
    let before = world.simulator.counters().effects;
    let reports = tick(&world, 0..RUNS).await;
    assert_eq!((sum(&reports, |it| it.renewed), sum(&reports, |it| it.left_over)), (40, 0), "{reports:?}");
    assert!(reports.iter().all(|report| report.renewed > 0 && report.failed.is_empty()), "{reports:?}");
    let after = world.simulator.counters().effects;
    for account in &accounts {
        assert_eq!(after.renewals_of(account) - before.renewals_of(account), 1, "{account}");
        assert!(world.wechat_accepts(account).await, "{account}");
    }
}

#[tokio::test]
async fn two_runs_share_the_accounts_too() {
    let world = World::ready().await;
    due_accounts(&world, 20).await;
    let mut renewed = 0;
    for number in 0..2 {
        let task = Task::Renew(DuePart::new(number, 2).unwrap());
        let report = world.refresher.run(&task, Instant::now() + Duration::from_mins(2)).await.unwrap();
        assert!(report.renewed > 0, "{report}");
        renewed += report.renewed;
    }
    assert_eq!(renewed, 20);
}

#[tokio::test]
async fn only_the_first_of_several_runs_does_what_is_done_once_for_the_platform() {
    let world = World::ready().await;
    let account = world.account(0);
    assert!(world.simulator.send(&world.merchant_authorizes(&account).push).await.is_accepted());
    world.pass(Duration::from_mins(25));
    let measured = |world: &World| {
        let once = [Measure::TicketAge, Measure::ComponentTokenLeft, Measure::InboxWaiting, Measure::MessagesWaiting];
        world.metrics.all().iter().filter(|metric| once.contains(&metric.measure)).count()
    };
    let before = measured(&world);
    let reports = tick(&world, 1..RUNS).await;
    assert_eq!(reports, vec![Report::default(); 3]);
    assert_eq!((measured(&world), world.calls(paths::START_PUSH_TICKET)), (before, 0));

    let first = tick(&world, [0]).await.remove(0);
    assert_eq!((first.inbox_done, first.ticket_age_seconds), (1, Some(25 * 60)), "{first}");
    assert_eq!((measured(&world), world.calls(paths::START_PUSH_TICKET)), (before + 4, 1));
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn four_runs_issue_one_component_token() {
    let world = World::ready().await;
    world.pass(Duration::from_mins(106));
    assert!(world.simulator.push_ticket().await.is_accepted());
    let before = world.simulator.counters().effects.component_tokens;
    let reports = tick(&world, 0..RUNS).await;
    assert!(reports.iter().all(|report| report.failed.is_empty()), "{reports:?}");
    assert_eq!(world.simulator.counters().effects.component_tokens - before, 1);
}

#[tokio::test]
async fn what_several_runs_leave_over_is_counted_once() {
    let world = World::ready().await;
    world.expect_error("the run stops here");
    let accounts = due_accounts(&world, 24).await;
    world.simulator.inject(Fault::ip_not_registered().on(paths::AUTHORIZER_TOKEN));
    let reports = tick(&world, 0..RUNS).await;
    assert_eq!(sum(&reports, |it| it.left_over), 24, "{reports:?}");
    for (number, report) in (0..RUNS).zip(&reports) {
        let own = accounts.iter().filter(|account| number_of(account) == number).count();
        assert_eq!(report.left_over, u64::try_from(own).unwrap(), "{number}: {report}");
    }
}

#[tokio::test]
async fn one_run_that_never_starts_misses_its_heartbeat_and_delays_no_other() {
    let world = World::ready().await;
    let accounts = due_accounts(&world, 40).await;
    let before = world.simulator.counters().effects;
    let beaten = [0, 1, 2, 3].map(|number| beats(&world, number));
    let reports = tick(&world, [0, 1, 3]).await;
    assert_eq!(sum(&reports, |it| it.left_over), 0, "{reports:?}");
    let after = world.simulator.counters().effects;
    for account in &accounts {
        let renewed = after.renewals_of(account) - before.renewals_of(account);
        assert_eq!(renewed, u64::from(number_of(account) != 2), "{account}");
    }
    let [first, second, third, fourth] = beaten;
    let now = [0, 1, 2, 3].map(|number| beats(&world, number));
    assert_eq!(now, [first + 1, second + 1, third, fourth + 1], "the alarm sees no heartbeat of the third");

    let late = tick(&world, [2]).await.remove(0);
    assert_eq!(late.renewed, 40 - sum(&reports, |it| it.renewed), "{late}");
    assert_eq!(beats(&world, 2), third + 1);
}

#[tokio::test]
async fn one_run_that_cannot_read_its_accounts_leaves_those_of_the_others_alone() {
    let world = World::ready().await;
    let accounts = due_accounts(&world, 24).await;
    world.faults.always(Matching::operation("Query").containing("#due#1"), TableFault::Away);
    let reports = tick(&world, 0..RUNS).await;
    let own = accounts.iter().filter(|account| number_of(account) == 1).count();
    assert_eq!(sum(&reports, |it| it.renewed), u64::try_from(24 - own).unwrap(), "{reports:?}");
    assert!(reports.iter().zip(0..).all(|(report, number)| report.failed.is_empty() == (number != 1)), "{reports:?}");
}

#[tokio::test]
async fn an_account_keeps_its_run_whatever_becomes_of_it() {
    let world = World::ready().await;
    let account = new_account(&world, 7);
    assert!(world.simulator.send(&world.merchant_authorizes(&account).push).await.is_accepted());
    tick(&world, 0..RUNS).await;
    for _ in 0..3 {
        world.pass(Duration::from_mins(101));
        assert!(world.simulator.push_ticket().await.is_accepted());
        let reports = tick(&world, 0..RUNS).await;
        let renewed: Vec<u64> = reports.iter().map(|report| report.renewed).collect();
        let expected: Vec<u64> = (0..RUNS).map(|number| u64::from(number == number_of(&account))).collect();
        assert_eq!(renewed, expected);
    }
}

#[tokio::test]
async fn the_runs_share_out_how_many_grants_may_end_in_any_case() {
    let world = World::ready().await;
    world.expect_error("their grants are gone");
    let accounts = due_accounts(&world, 24).await;
    let of = |number| accounts.iter().filter(move |account| number_of(account) == number);
    // The pushes that would report it are lost.
    for account in of(1).take(2).chain(of(2).take(1)) {
        drop(world.simulator.unauthorize(account));
    }
    let reports = tick(&world, 0..RUNS).await;
    let gone: Vec<u64> = reports.iter().map(|report| report.gone).collect();
    assert_eq!(gone, [0, 0, 1, 0], "{reports:?}");
    assert_eq!(reports[1].failed.get("mass-loss"), Some(&2), "{reports:?}");
}
