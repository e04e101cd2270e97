//! Account tokens, renewed on schedule: races, faults, lost responses.

use std::time::Duration;

use futures::future::join_all;
use runtime::telemetry::Measure;
use secrecy::ExposeSecret as _;
use simulator::{Behaviour, Fault, paths};
use store::{AccountState, TokenOwner};
use stories::due::{due_accounts, narrow};
use stories::faults::{Fault as TableFault, Matching};
use stories::world::World;
use token_refresher::Task;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const TO_EXPIRY: Duration = Duration::from_mins(121);

async fn tick_with_ticket(world: &World) -> token_refresher::Report {
    world.pass(Duration::from_mins(5));
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.renew().await
}

#[tokio::test]
async fn an_account_is_renewed_on_schedule_for_a_day_and_never_lapses() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    let mut renewed = 0;
    for tick in 0..24 * 12 {
        renewed += tick_with_ticket(&world).await.renewed;
        if tick % 50 == 0 {
            assert!(world.wechat_accepts(&account).await);
        }
    }
    // Every 90 to 100 minutes, rounded up to the next tick.
    assert!((13..=16).contains(&renewed), "{renewed} renewals in a day");
}

#[tokio::test]
async fn a_renewal_costs_two_writes_and_no_read() {
    let world = World::ready().await;
    world.authorized_account().await;
    world.pass(Duration::from_mins(101));
    world.simulator.push_ticket().await;
    world.component().await.token().await.unwrap();
    world.faults.reset_counts();
    assert_eq!(world.renew().await.renewed, 1);
    // The record of the run, not of the renewal.
    assert_eq!(world.faults.requests("UpdateItem"), 2 + 1, "{:?}", world.faults.all_requests());
    // Those of the run, not of the renewal: the ticket, and the component token, once more at the end.
    assert_eq!(world.faults.requests("GetItem"), 3, "{:?}", world.faults.all_requests());
}

#[tokio::test]
async fn a_run_reads_the_component_token_once_however_many_accounts_are_due() {
    let world = World::ready().await;
    due_accounts(&world, 40).await;
    world.deliver().await;
    world.faults.reset_counts();
    assert_eq!(world.renew().await.renewed, 40);
    assert_eq!(world.faults.requests("GetItem"), 3, "{:?}", world.faults.all_requests());
    assert_eq!(world.faults.requests("UpdateItem"), 2 * 40 + 1, "{:?}", world.faults.all_requests());
}

#[tokio::test]
async fn a_component_token_is_remembered_for_the_length_of_one_event() {
    let world = World::ready().await;
    world.faults.reset_counts();
    for event in 1..3 {
        let component = world.component().await;
        for _ in 0..3 {
            component.token().await.unwrap();
        }
        assert_eq!(world.faults.requests("GetItem"), event, "{:?}", world.faults.all_requests());
    }
}

#[tokio::test]
async fn a_renewal_of_the_component_token_that_hangs_holds_up_no_other_caller_of_its_process() {
    let world = World::ready().await;
    world.pass(Duration::from_mins(106));
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.simulator.inject(Fault::Hold.on(paths::COMPONENT_TOKEN).times(1));
    let component = world.component().await;
    let renewing = tokio::spawn({
        let component = component.clone();
        async move { component.token().await }
    });
    world.simulator.until_held(paths::COMPONENT_TOKEN, 1).await;
    let others = join_all((0..40).map(|_| component.token())).await;
    assert!(!renewing.is_finished(), "the others have waited for it");
    world.simulator.release(paths::COMPONENT_TOKEN);
    let renewed = renewing.await.unwrap().unwrap();
    for other in others {
        assert_ne!(other.unwrap().expose_secret(), renewed.expose_secret(), "they use the old one meanwhile");
    }
}

/// Three accounts that are due one after another, of which the first is being renewed.
async fn in_the_middle_of_a_run(world: &World) -> JoinHandle<token_refresher::Report> {
    due_accounts(world, 3).await;
    world.simulator.inject(Fault::Hold.on(paths::AUTHORIZER_TOKEN).times(1));
    let refresher = narrow(world, 1);
    let run =
        tokio::spawn(
            async move { refresher.run(&Task::renew(), Instant::now() + Duration::from_mins(2)).await.unwrap() },
        );
    world.simulator.until_held(paths::AUTHORIZER_TOKEN, 1).await;
    run
}

#[tokio::test]
async fn a_component_token_that_becomes_due_in_the_middle_of_a_run_is_renewed_in_it() {
    let world = World::ready().await;
    let run = in_the_middle_of_a_run(&world).await;
    let before = world.simulator.counters().effects.component_tokens;
    // 106 minutes after it was issued.
    world.pass(Duration::from_mins(5));
    world.faults.reset_counts();
    world.simulator.release(paths::AUTHORIZER_TOKEN);
    let report = run.await.unwrap();
    assert_eq!((report.renewed, report.failed.len()), (3, 0), "{report}");
    assert_eq!(world.simulator.counters().effects.component_tokens - before, 1);
    // It is read when it has become due, with its ticket, and once more at the end of the run.
    assert_eq!(world.faults.requests("GetItem"), 3, "{:?}", world.faults.all_requests());
}

#[tokio::test]
async fn a_component_token_that_our_own_process_replaces_in_the_middle_of_a_run_is_read_again() {
    let world = World::ready().await;
    let run = in_the_middle_of_a_run(&world).await;
    world.store().tokens.mark_due(&TokenOwner::Component, world.now()).await.unwrap();
    world.component().await.token().await.unwrap();
    let before = world.simulator.counters().effects.component_tokens;
    world.faults.reset_counts();
    world.simulator.release(paths::AUTHORIZER_TOKEN);
    let report = run.await.unwrap();
    assert_eq!((report.renewed, report.failed.len()), (3, 0), "{report}");
    assert_eq!(world.simulator.counters().effects.component_tokens, before, "nobody issues another one");
    assert!(world.metrics.sum(Measure::SecondIssuer).abs() < f64::EPSILON);
    // After WeChat's refusal: whether the token was replaced in vain, and the new one. Then at the end of the run.
    assert_eq!(world.faults.requests("GetItem"), 3, "{:?}", world.faults.all_requests());
}

#[tokio::test]
async fn two_hundred_callers_of_an_expired_token_cause_one_issue() {
    let world = World::for_crowds().await;
    let account = world.authorized_account().await;
    world.pass(TO_EXPIRY);
    world.simulator.push_ticket().await;
    let before = world.simulator.counters().effects;
    let issuing = world.tokens().await;
    let callers = (0..200).map(|_| {
        let (tokens, owner) = (issuing.clone(), TokenOwner::Authorizer(account.clone()));
        tokio::spawn(async move { tokens.valid(&owner).await.map(|found| found.token.expose_secret().to_owned()) })
    });
    let mut tokens = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        tokens.push(caller.await.unwrap().unwrap());
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 1, "all got the same token");
    let after = world.simulator.counters().effects;
    assert_eq!(after.component_tokens - before.component_tokens, 1);
    assert_eq!(after.renewals_of(&account) - before.renewals_of(&account), 1);
}

#[tokio::test]
async fn a_response_that_is_lost_after_a_rotating_renewal_costs_nothing() {
    let world = World::ready().await;
    world.simulator.set_behaviour(Behaviour { rotate_refresh_tokens: true, ..Behaviour::default() });
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(101));
    world.simulator.push_ticket().await;
    world.simulator.inject(Fault::DropAfter.on(paths::AUTHORIZER_TOKEN).times(1));
    let report = world.renew().await;
    assert_eq!(report.renewed, 0);
    assert!(!world.wechat_accepts(&account).await, "WeChat has replaced the token we hold");
    let report = tick_with_ticket(&world).await;
    assert_eq!((report.renewed, report.gone), (1, 0), "{report}");
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn wechat_is_busy_twice_and_then_answers() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(101));
    world.simulator.push_ticket().await;
    world.simulator.inject(Fault::system_error().on(paths::AUTHORIZER_TOKEN).times(2));
    assert_eq!(world.renew().await.failed, [("-1".to_owned(), 1)].into());
    assert_eq!(tick_with_ticket(&world).await.failed, [("-1".to_owned(), 1)].into());
    assert_eq!(tick_with_ticket(&world).await.renewed, 0, "the second failure waits ten minutes");
    assert_eq!(tick_with_ticket(&world).await.renewed, 1);
    assert!(world.wechat_accepts(&account).await, "and the old token never lapsed");
}

#[tokio::test]
async fn a_refused_address_stops_the_run_and_is_named_once() {
    let world = World::ready().await;
    world.expect_error("the run stops here");
    for number in 0..3 {
        let consent = world.merchant_authorizes(&world.account(number));
        world.push_and_work(&consent.push).await;
    }
    world.pass(Duration::from_mins(101));
    world.simulator.push_ticket().await;
    world.component().await.token().await.unwrap();
    world.simulator.inject(Fault::ip_not_registered().on(paths::AUTHORIZER_TOKEN));
    let report = world.renew().await;
    assert_eq!(report.left_over, 3);
    assert_eq!(report.failed, [("61004".to_owned(), 1)].into());
    let told: Vec<_> =
        world.metrics.all().into_iter().filter(|metric| metric.measure == Measure::WechatRefused).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].note, Some(("ip_to_whitelist", "203.0.113.9".to_owned())));

    world.simulator.clear_faults();
    assert_eq!(tick_with_ticket(&world).await.renewed, 3, "nobody was put off for what was nobody's fault");
}

#[tokio::test]
async fn an_account_whose_grant_is_gone_leaves_the_index_and_starves_nobody() {
    let world = World::ready().await;
    let (gone, alive) = (world.account(0), world.account(1));
    for account in [&gone, &alive] {
        let consent = world.merchant_authorizes(account);
        world.push_and_work(&consent.push).await;
    }
    // The push that would report it is lost.
    drop(world.simulator.unauthorize(&gone));
    world.pass(Duration::from_mins(101));
    world.simulator.push_ticket().await;
    let report = world.renew().await;
    assert_eq!((report.renewed, report.gone), (1, 1), "{report}");
    assert_eq!(world.stored(&gone).await.token.state, AccountState::NeedsAuthorization);
    assert!(world.wechat_accepts(&alive).await);
    world.pass(Duration::from_hours(2));
    world.simulator.push_ticket().await;
    assert_eq!(world.renew().await.gone, 0, "it is not asked about again");
}

#[tokio::test]
async fn a_component_token_that_was_replaced_elsewhere_is_renewed_once_and_told() {
    let world = World::ready().await;
    world.expect_error("issued a token by somebody else");
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(101));
    world.simulator.push_ticket().await;
    world.another_server_issues_a_component_token().await;
    let before = world.simulator.counters().effects.component_tokens;
    let report = world.renew().await;
    assert_eq!(report.renewed, 1, "{report}");
    assert!(world.wechat_accepts(&account).await);
    assert_eq!(world.simulator.counters().effects.component_tokens - before, 1);
    assert!((world.metrics.sum(Measure::SecondIssuer) - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_lease_whose_reply_was_lost_is_recognized_as_ours() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(101));
    world.simulator.push_ticket().await;
    world.component().await.token().await.unwrap();
    let lease = Matching::setting("lease_owner");
    world.faults.next(1, lease, TableFault::LostReply);
    let result = Matching::operation("UpdateItem").containing("token_expires_at");
    world.faults.next(1, result, TableFault::LostReply);
    let report = world.renew().await;
    assert_eq!(report.renewed, 1, "{report}");
    assert!(world.faults.all_used());
    assert!(world.wechat_accepts(&account).await);
    assert_eq!(world.simulator.counters().effects.renewals_of(&account), 1);
}

#[tokio::test]
async fn a_renewals_result_that_comes_after_a_new_grant_is_not_written() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(101));
    world.simulator.push_ticket().await;
    world.component().await.token().await.unwrap();
    world.simulator.inject(Fault::Hold.on(paths::AUTHORIZER_TOKEN).times(1));

    let (tokens, renewed) = (world.tokens().await, account.clone());
    let renewal = tokio::spawn(async move { tokens.renew(&renewed).await.map(|_| ()) });
    world.simulator.until_held(paths::AUTHORIZER_TOKEN, 1).await;
    let consent = world.merchant_authorizes(&account);
    world.push_and_work(&consent.push).await;
    let granted = world.stored(&account).await.token.seq;
    world.simulator.release(paths::AUTHORIZER_TOKEN);
    renewal.await.unwrap().unwrap();

    let stored = world.stored(&account).await;
    assert_eq!(stored.token.seq, granted, "the late result was not written over the grant");
    assert!(stored.token.is_due(world.now()), "and the account is due at once");
    assert_eq!(tick_with_ticket(&world).await.renewed, 1);
    assert!(world.wechat_accepts(&account).await);
}
