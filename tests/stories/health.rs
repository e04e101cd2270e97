//! Health as seen from outside: the heartbeat, the measures at the end of a run, and the records of the last runs.

use std::time::Duration;

use runtime::telemetry::Measure;
use simulator::{Fault, paths};
use store::{
    AccountCounts, AccountState, DuePart, FinishedRun, Health, Measured, PastRun, RUNS_KEPT, RunCounts, ScheduledTask,
    TokenOwner, WaitingCounts,
};
use stories::faults::{Fault as TableFault, Matching};
use stories::world::World;
use token_refresher::Task;
use tokio::time::Instant;
use wechat::api::{Api, ErrCode, LastResponses, SUCCESS};

/// A renewal is due, and the component token is still valid.
const TO_DUE: Duration = Duration::from_mins(101);

/// The undivided run.
const RENEW: ScheduledTask = ScheduledTask::Renew(DuePart::ALL);

/// The last measured value, for a value of the dimension if there is one.
fn last(world: &World, measure: Measure, value: Option<&str>) -> Option<f64> {
    let of_value = |dimension: &Option<(&str, String)>| dimension.as_ref().map(|(_, value)| value.as_str()) == value;
    let mut measured = world.metrics.all().into_iter();
    measured.rfind(|metric| metric.measure == measure && of_value(&metric.dimension)).map(|metric| metric.value)
}

fn accounts(world: &World) -> [Option<f64>; 3] {
    AccountState::ALL.map(|state| last(world, Measure::Accounts, Some(state.as_str())))
}

/// The number of finished runs.
fn beats(world: &World) -> usize {
    world.metrics.all().iter().filter(|metric| metric.measure == Measure::RunFinished).count()
}

async fn health(world: &World, task: ScheduledTask) -> Health {
    world.store().health.get(task).await.unwrap().expect("a run has ended")
}

#[tokio::test]
async fn every_run_that_gets_to_its_end_beats() {
    let world = World::ready().await;
    let beats = |task: &str| last(&world, Measure::RunFinished, Some(task));
    assert_eq!((beats("renew"), beats("reconcile"), beats("stream")), (Some(1.0), None, None));
    world.reconcile().await;
    assert_eq!(beats("reconcile"), Some(1.0));
    let inbox = Task::Stream([].into());
    world.refresher.run(&inbox, Instant::now() + Duration::from_mins(1)).await.unwrap();
    assert_eq!(beats("stream"), Some(1.0));
}

#[tokio::test]
async fn a_run_without_a_usable_secret_does_not_beat_and_writes_nothing_down() {
    let world = World::start().await;
    world.secrets.set("".into());
    let run = world.refresher.run(&Task::renew(), Instant::now() + Duration::from_mins(1)).await;
    assert!(run.is_err());
    assert_eq!(last(&world, Measure::RunFinished, Some("renew")), None);
    assert_eq!(world.store().health.get(RENEW).await.unwrap(), None);
}

#[tokio::test]
async fn a_refused_address_is_written_down_and_kept_when_wechat_answers_again() {
    let world = World::ready().await;
    world.expect_error("the run stops here");
    world.authorized_account().await;
    world.pass(TO_DUE);
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.simulator.inject(Fault::ip_not_registered().on(paths::ANY));
    let report = world.renew().await;
    assert_eq!(report.failed, [("61004".to_owned(), 1)].into(), "{report}");

    let bad = health(&world, RENEW).await;
    assert_eq!(bad.finished_at, world.now());
    assert_eq!(bad.report, serde_json::to_string(&report).unwrap());
    let answer = bad.last_responses.answer.unwrap();
    assert_eq!((answer.at, answer.api, answer.code.as_str()), (world.now(), Api::AuthorizerToken, "61004"));
    let refused = bad.last_responses.refusal.unwrap();
    assert_eq!((refused.at, refused.refusal.code), (world.now(), ErrCode::ClientIpNotRegistered));
    assert_eq!(refused.refusal.refused_ip.map(|ip| ip.to_string()).as_deref(), Some("203.0.113.9"));
    assert!(refused.refusal.rid.is_some() && refused.refusal.errmsg.contains("not registered"));

    world.simulator.clear_faults();
    world.pass(Duration::from_mins(5));
    assert_eq!(world.renew().await.renewed, 1);
    let good = health(&world, RENEW).await;
    let answer = good.last_responses.answer.unwrap();
    assert_eq!((answer.at, answer.api, answer.code.as_str()), (world.now(), Api::AuthorizerToken, SUCCESS));
    assert_eq!(good.last_responses.refusal.as_ref(), Some(&refused), "the refusal stays to be read");

    world.pass(Duration::from_mins(1));
    world.renew().await;
    let idle = health(&world, RENEW).await;
    assert_eq!(idle.finished_at, world.now());
    assert_eq!(idle.last_responses.answer, Some(answer), "a run without a call leaves WeChat's answer as it was");
    assert_eq!(world.store().health.get(ScheduledTask::Reconcile).await.unwrap(), None, "each task has its own");
}

#[tokio::test]
async fn a_later_refusal_leaves_nothing_of_the_one_before() {
    let world = World::ready().await;
    world.expect_error("the run stops here");
    world.expect_error("api_get_authorizer_list is not called any more in this run");
    world.simulator.inject(Fault::ip_not_registered().on(paths::GET_AUTHORIZER_LIST).times(1));
    world.reconcile().await;
    let quota = Fault::Errcode { errcode: 45009, errmsg: "reach max api daily quota limit".into() };
    world.simulator.inject(quota.on(paths::GET_AUTHORIZER_LIST).times(1));
    world.reconcile().await;
    let refused = health(&world, ScheduledTask::Reconcile).await.last_responses.refusal.unwrap().refusal;
    assert_eq!((refused.api, refused.code.code(), refused.refused_ip), (Api::AuthorizerList, 45009, None));
}

#[tokio::test]
async fn of_two_runs_the_one_that_ended_later_stays() {
    let world = World::start().await;
    let ended = |minutes: u64| Health {
        finished_at: world.now().plus(Duration::from_mins(minutes)),
        report: minutes.to_string(),
        last_responses: LastResponses::default(),
    };
    for minutes in [1, 3, 2, 3] {
        world.store().health.put(RENEW, &ended(minutes)).await.unwrap();
    }
    assert_eq!(health(&world, RENEW).await, ended(3));
}

#[tokio::test]
async fn a_run_that_can_neither_be_measured_nor_written_down_is_done_all_the_same() {
    let world = World::ready().await;
    world.authorized_account().await;
    world.pass(TO_DUE);
    assert!(world.simulator.push_ticket().await.is_accepted());
    let before = (health(&world, RENEW).await, beats(&world));
    world.faults.always(Matching::setting("report"), TableFault::Away);
    world.faults.always(Matching::operation("PutItem").containing("#runs#"), TableFault::Away);
    world.faults.always(Matching::operation("Query").containing("COUNT"), TableFault::Away);
    let report = world.renew().await;
    assert_eq!((report.renewed, report.failed.len()), (1, 0), "{report}");
    assert_eq!(health(&world, RENEW).await, before.0);
    assert_eq!(beats(&world), before.1 + 1);
}

#[tokio::test]
async fn the_component_tokens_end_comes_nearer_while_it_cannot_be_renewed() {
    let world = World::start().await;
    world.renew().await;
    let left = || last(&world, Measure::ComponentTokenLeft, None);
    assert_eq!(left(), Some(0.0), "there is none yet");
    world.get_ready().await;
    assert_eq!(left(), Some(7200.0));

    world.simulator.inject(Fault::system_error().on(paths::COMPONENT_TOKEN));
    world.pass(Duration::from_mins(110));
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.renew().await;
    assert_eq!(left(), Some(600.0));
    world.pass(Duration::from_mins(15));
    world.renew().await;
    assert_eq!(left(), Some(0.0), "it has lapsed");

    world.simulator.clear_faults();
    world.pass(Duration::from_hours(1));
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.renew().await;
    assert_eq!(left(), Some(7200.0));
}

#[tokio::test]
async fn entries_that_wait_are_counted_also_while_they_are_put_off() {
    let world = World::ready().await;
    let waiting = || last(&world, Measure::InboxWaiting, None);
    assert_eq!(waiting(), Some(0.0));
    let consent = world.merchant_authorizes(&world.account(0));
    world.simulator.inject(Fault::system_error().on(paths::QUERY_AUTH).times(1));
    world.push_and_work(&consent.push).await;
    assert_eq!(waiting(), Some(1.0), "it is tried again later");
    world.pass(Duration::from_mins(5));
    world.renew().await;
    assert_eq!(waiting(), Some(0.0));
}

#[tokio::test]
async fn accounts_are_counted_by_their_state() {
    let world = World::ready().await;
    world.reconcile().await;
    assert_eq!(accounts(&world), [Some(0.0); 3]);
    for number in 0..3 {
        world.push_and_work(&world.merchant_authorizes(&world.account(number)).push).await;
    }
    world.reconcile().await;
    assert_eq!(accounts(&world), [3.0, 0.0, 0.0].map(Some));

    world.pass(Duration::from_mins(10));
    let revoked = world.simulator.unauthorize(&world.account(0)).unwrap();
    world.push_and_work(&revoked).await;
    // The push about the second is lost: WeChat refuses its renewal with 61003.
    drop(world.simulator.unauthorize(&world.account(1)));
    world.pass(TO_DUE);
    assert!(world.simulator.push_ticket().await.is_accepted());
    assert_eq!(world.renew().await.gone, 1);
    let report = world.reconcile().await;
    assert_eq!(report.gone, 0, "who is out of use is not asked about again: {report}");
    assert_eq!(accounts(&world), [1.0, 1.0, 1.0].map(Some));
}

#[tokio::test]
async fn an_account_out_of_use_is_counted_until_it_comes_back() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(10));
    let revoked = world.simulator.unauthorize(&account).unwrap();
    world.push_and_work(&revoked).await;
    let ended = async |state| world.store().accounts.count(state).await.unwrap();
    assert_eq!(ended(AccountState::Unauthorized).await, 1);
    assert_eq!(ended(AccountState::NeedsAuthorization).await, 0);

    world.pass(Duration::from_mins(200));
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.store().tokens.mark_due(&TokenOwner::Authorizer(account.clone()), world.now()).await.unwrap();
    assert_eq!(world.renew().await.renewed, 0, "nothing is renewed for it");
    assert_eq!(ended(AccountState::Unauthorized).await, 1);

    world.push_and_work(&world.merchant_authorizes(&account).push).await;
    assert_eq!(ended(AccountState::Unauthorized).await, 0);
    assert_eq!(world.store().accounts.count(AccountState::Active).await.unwrap(), 1);
    world.pass(TO_DUE);
    assert!(world.simulator.push_ticket().await.is_accepted());
    assert_eq!(world.renew().await.renewed, 1);
}

#[tokio::test]
async fn what_is_split_always_says_by_what() {
    let world = World::ready().await;
    world.expect_error("the run stops here");
    world.authorized_account().await;
    world.simulator.inject(Fault::ip_not_registered().on(paths::GET_AUTHORIZER_LIST).times(1));
    world.reconcile().await;
    for metric in world.metrics.all() {
        let dimension = metric.dimension.as_ref().map(|(name, _)| *name);
        assert_eq!(dimension, metric.measure.dimension(), "{}", metric.name());
    }
}

#[tokio::test]
async fn each_run_of_the_last_days_is_written_down_with_what_it_did_and_left() {
    let world = World::ready().await;
    world.authorized_account().await;
    let since = world.now().plus(Duration::from_secs(1));
    world.simulator.inject(Fault::system_error().on(paths::AUTHORIZER_TOKEN).times(1));
    world.pass(TO_DUE);
    assert!(world.simulator.push_ticket().await.is_accepted());
    let first = (world.renew().await, world.now());
    world.pass(Duration::from_mins(5));
    let second = (world.renew().await, world.now());
    world.reconcile().await;

    let runs = world.store().runs.renewals(since).await.unwrap();
    assert_eq!(runs.iter().map(|run| run.finished_at).collect::<Vec<_>>(), [first.1, second.1]);
    assert_eq!((runs[0].counts.renewed, &runs[0].counts.failed), (0, &first.0.failed));
    assert_eq!((runs[1].counts.renewed, runs[1].counts.failed.len()), (1, 0), "{}", second.0);
    assert_eq!(runs[0].measured, Measured { waiting: Some(WaitingCounts::default()), accounts: None });
    assert!(runs.iter().all(|run| run.task == "renew" && run.counts.ticket_age_seconds.is_some()));
    let [run] = &world.store().runs.reconciliations(since).await.unwrap()[..] else { panic!("one") };
    let accounts = Some(AccountCounts { active: 1, ..AccountCounts::default() });
    assert_eq!((run.task.as_str(), run.measured), ("reconcile", Measured { waiting: None, accounts }));
    assert!(world.store().runs.renewals(world.now().plus(Duration::from_secs(1))).await.unwrap().is_empty());
}

#[tokio::test]
async fn every_count_of_a_run_can_be_read() {
    let report = token_refresher::Report::default();
    let written = serde_json::to_value(&report).unwrap();
    let known = serde_json::json!({
        "renewed": 1, "failed": { "45009": 2 }, "left_over": 3, "inbox_done": 4, "inbox_postponed": 5,
        "messages_delivered": 6, "events_delivered": 7, "events_sent": 8, "added": 9, "repaired": 10, "gone": 11,
        "ticket_age_seconds": 12,
    });
    let names = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&written), names(&known));
    let counts = RunCounts::of(&known.to_string());
    let read = format!("{counts:?}");
    assert!((1..=11).all(|number| read.contains(&format!(": {number}"))) && read.contains("Some(12)"), "{read}");
    assert_eq!(RunCounts::of(&written.to_string()), RunCounts::default());
    assert_eq!(RunCounts::of("nonsense"), RunCounts::default());
}

#[tokio::test]
async fn runs_that_end_in_one_second_are_told_apart_and_a_lost_reply_makes_none_twice() {
    let world = World::start().await;
    let (store, finished_at) = (world.store(), world.now());
    let put = async |task: ScheduledTask, id: &str| {
        let duration = Duration::from_millis(1_500);
        let run = FinishedRun { id, finished_at, duration, report: "{}", measured: Measured::default() };
        store.runs.put(task, &run).await.unwrap();
    };
    world.faults.next(1, Matching::operation("PutItem"), TableFault::LostReply);
    put(RENEW, "a").await;
    put(RENEW, "b").await;
    put(ScheduledTask::Renew(DuePart::new(1, 2).unwrap()), "c").await;
    let runs = store.runs.renewals(finished_at).await.unwrap();
    let task = |run: &PastRun| run.task.clone();
    assert_eq!(runs.iter().map(task).collect::<Vec<_>>(), ["renew", "renew", "renew-1"]);
    assert!(runs.iter().all(|run| run.duration == Duration::from_millis(1_500)));
    assert!(store.runs.reconciliations(finished_at).await.unwrap().is_empty());
    let expires = finished_at.plus(RUNS_KEPT).unix().to_string();
    let scan = world.database.client().scan().table_name(stories::world::TABLE).send().await.unwrap();
    let written = scan.items().iter().filter(|item| item["pk"].as_s().unwrap().contains("#runs#"));
    assert!(written.clone().count() == 3 && written.clone().all(|item| *item["expires_at"].as_n().unwrap() == expires));
}
