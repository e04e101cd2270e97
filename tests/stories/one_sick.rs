//! Promise 8: one faulty account, code, entry, item, page or API delays nobody else.
//!
//! Each fault lasts as long as the story. The runs have the smallest window, one renewal at a time, so that anything
//! that blocks others shows.

use std::time::Duration;

use base::ids::AppId;
use base::limits::Limits;
use runtime::telemetry::Measure;
use simulator::{Fault, paths};
use store::{DuePart, END_OF_TIME, Messages};
use stories::due::{accepted, due_accounts, narrow, new_account, refused, tick, tick_with};
use stories::faults::{Fault as TableFault, Matching};
use stories::world::{World, short_limits};
use token_refresher::Task;
use tokio::time::Instant;

/// Codes that WeChat has returned for calls about one account or code, known and unknown ones.
const CODES: [i64; 25] = [
    -1, -1000, 40001, 40013, 40014, 40097, 41001, 42001, 42006, 42007, 43007, 45009, 45011, 47001, 48001, 48004, 50002,
    61000, 61003, 61005, 61006, 61007, 61011, 61023, 99999,
];

/// All tokens expire within this many ticks.
const TICKS: usize = 26;

/// The accounts in the order in which a run that begins at the first shard renews them.
async fn in_order_of_the_index(world: &World) -> Vec<AppId> {
    let mut all = Vec::new();
    for shard in DuePart::ALL.shards() {
        all.extend(world.store().accounts.due(shard, END_OF_TIME, None).await.unwrap().0);
    }
    all
}

#[tokio::test]
async fn accounts_that_wechat_refuses_with_any_code_delay_no_other() {
    let world = World::ready().await;
    let all = due_accounts(&world, CODES.len() + 4).await;
    let (well, sick) = all.split_at(4);
    for (account, code) in sick.iter().zip(CODES) {
        world.simulator.inject(refused(code).on(paths::AUTHORIZER_TOKEN).for_authorizer(account));
        world.simulator.inject(refused(code).on(paths::GET_AUTHORIZER_INFO).for_authorizer(account).if_called());
    }
    let refresher = narrow(&world, 1);
    for _ in 0..TICKS {
        let report = tick_with(&world, &refresher).await;
        assert_eq!(report.left_over, 0, "the run came to its end: {report}");
        assert_eq!(accepted(&world, well).await, well.len(), "{report}");
    }
    world.simulator.clear_faults();
    for _ in 0..16 {
        world.pass(Duration::from_mins(25));
        tick(&world).await;
        world.reconcile().await;
    }
    assert_eq!(accepted(&world, &all).await, all.len(), "once WeChat is well, everyone comes back");
}

#[tokio::test]
async fn an_account_that_refuses_every_component_token_uses_up_few_issues() {
    let world = World::ready().await;
    let all = due_accounts(&world, 3).await;
    let (sick, well) = all.split_first().unwrap();
    let before = world.simulator.counters().effects.component_tokens;
    world.simulator.inject(refused(40001).on(paths::AUTHORIZER_TOKEN).for_authorizer(sick));
    for _ in 0..18 {
        tick(&world).await;
        assert_eq!(accepted(&world, well).await, well.len());
    }
    // An hour and a half: one issue of its own, and one because of the account.
    let issued = world.simulator.counters().effects.component_tokens - before;
    assert!(issued <= 2, "{issued} component tokens");
    assert!(world.metrics.sum(Measure::SecondIssuer) < 1.0, "no other server is at work");
}

#[tokio::test]
async fn an_account_whose_calls_hang_break_or_bring_nonsense_delays_no_other() {
    let limits =
        Limits { api: Duration::from_millis(100), least_for_call: Duration::from_millis(50), ..short_limits() };
    let world = World::with(|_| {}, limits).await;
    world.get_ready().await;
    let all = due_accounts(&world, 6).await;
    let (sick, well) = all.split_at(4);
    for (account, fault) in sick.iter().zip([Fault::Hold, Fault::DropBefore, Fault::DropAfter, Fault::BadGateway]) {
        world.simulator.inject(fault.clone().on(paths::AUTHORIZER_TOKEN).for_authorizer(account));
        world.simulator.inject(fault.on(paths::GET_AUTHORIZER_INFO).for_authorizer(account).if_called());
    }
    let refresher = narrow(&world, 1);
    for _ in 0..TICKS {
        tick_with(&world, &refresher).await;
        assert_eq!(accepted(&world, well).await, well.len());
    }
}

#[tokio::test]
async fn refused_codes_delay_neither_renewals_nor_other_codes() {
    let world = World::ready().await;
    let accounts = due_accounts(&world, 3).await;
    for (number, code) in CODES.into_iter().enumerate() {
        let account = new_account(&world, 100 + number);
        world.simulator.inject(refused(code).on(paths::QUERY_AUTH).for_authorizer(&account));
        world.simulator.inject(refused(code).on(paths::GET_AUTHORIZER_INFO).for_authorizer(&account).if_called());
        assert!(world.simulator.send(&world.merchant_authorizes(&account).push).await.is_accepted());
    }
    let refresher = narrow(&world, 1);
    for number in 0..TICKS {
        let late = new_account(&world, 200 + number);
        assert!(world.simulator.send(&world.merchant_authorizes(&late).push).await.is_accepted());
        let report = tick_with(&world, &refresher).await;
        assert!(world.wechat_accepts(&late).await, "{report}");
        assert_eq!(accepted(&world, &accounts).await, accounts.len(), "{report}");
    }
}

/// The quota of one API is used up for everyone; the accounts' renewals need another API.
async fn a_quota_of(path: &str, prepare: impl AsyncFn(&World)) {
    for code in [45009, 45011] {
        let world = World::ready().await;
        let accounts = due_accounts(&world, 3).await;
        prepare(&world).await;
        world.simulator.inject(refused(code).on(path));
        if (code, path) == (45009, paths::QUERY_AUTH) {
            world.expect_error("api_query_auth is not called any more in this run");
        }
        for _ in 0..TICKS {
            let report = tick(&world).await;
            assert_eq!(accepted(&world, &accounts).await, accounts.len(), "{code} of {path}: {report}");
        }
    }
}

#[tokio::test]
async fn a_used_up_quota_of_the_exchange_leaves_renewals_alone() {
    a_quota_of(paths::QUERY_AUTH, async |world| {
        for number in 0..5 {
            let another = new_account(world, 100 + number);
            assert!(world.simulator.send(&world.merchant_authorizes(&another).push).await.is_accepted());
        }
    })
    .await;
}

#[tokio::test]
async fn a_used_up_quota_of_the_details_leaves_renewals_alone() {
    a_quota_of(paths::GET_AUTHORIZER_INFO, async |world| {
        // Merchants change their minds within five minutes: the details must decide.
        for number in 0..5 {
            let another = new_account(world, 100 + number);
            world.push_and_work(&world.merchant_authorizes(&another).push).await;
            world.pass(Duration::from_mins(1));
            let revoked = world.simulator.unauthorize(&another).unwrap();
            assert!(world.simulator.send(&revoked).await.is_accepted());
        }
        let damaged = new_account(world, 0);
        let seq = world.stored(&damaged).await.token.seq;
        let token = "refreshtoken@@@damaged".into();
        world.store().accounts.overwrite_refresh_token(&damaged, seq, &token, world.now()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_used_up_quota_of_renewals_is_probed_rarely_and_leaves_the_inbox_alone() {
    let world = World::ready().await;
    let accounts = due_accounts(&world, 9).await;
    world.simulator.inject(refused(45009).on(paths::AUTHORIZER_TOKEN));
    world.expect_error("api_authorizer_token is not called any more in this run");
    let another = new_account(&world, 100);
    assert!(world.simulator.send(&world.merchant_authorizes(&another).push).await.is_accepted());
    let before = world.calls(paths::AUTHORIZER_TOKEN);
    let report = narrow(&world, 1).run(&Task::renew(), Instant::now() + Duration::from_mins(2)).await.unwrap();
    assert_eq!((report.inbox_done, report.renewed), (1, 0), "{report}");
    assert_eq!(report.failed, [("45009".to_owned(), 3)].into(), "{report}");
    assert_eq!(world.calls(paths::AUTHORIZER_TOKEN) - before, 3);
    assert!(report.left_over >= 7, "{report}");
    world.simulator.clear_faults();
    assert_eq!(tick(&world).await.renewed, u64::try_from(accounts.len()).unwrap());
}

#[tokio::test]
async fn an_item_that_the_table_cannot_write_delays_no_other() {
    for fault in [TableFault::ServerError, TableFault::Throttle] {
        let world = World::ready().await;
        due_accounts(&world, 6).await;
        let order = in_order_of_the_index(&world).await;
        let (sick, others) = order.split_first().unwrap();
        let item = format!("#account#{sick}\"");
        world.faults.always(Matching::operation("UpdateItem").containing(item), fault);
        let refresher = narrow(&world, 1);
        for _ in 0..TICKS {
            let report = tick_with(&world, &refresher).await;
            assert_eq!(accepted(&world, others).await, others.len(), "{report}");
        }
    }
}

#[tokio::test]
async fn an_inbox_entry_that_the_table_cannot_write_delays_no_other() {
    let world = World::ready().await;
    world.expect_error("a part of the inbox could not be processed");
    let sick = new_account(&world, 100);
    assert!(world.simulator.send(&world.merchant_authorizes(&sick).push).await.is_accepted());
    let item = format!("#inbox#{sick}\"");
    world.faults.always(Matching::operation("UpdateItem").containing(item), TableFault::ServerError);
    for number in 0..5 {
        let account = new_account(&world, number);
        let report = world.push_and_work(&world.merchant_authorizes(&account).push).await;
        assert!(world.wechat_accepts(&account).await, "{report}");
    }
}

#[tokio::test]
async fn a_shard_of_the_index_that_cannot_be_read_delays_no_other() {
    let world = World::ready().await;
    due_accounts(&world, 12).await;
    let in_sick_shard = world.store().accounts.due(0, END_OF_TIME, None).await.unwrap().0;
    let others: Vec<AppId> =
        in_order_of_the_index(&world).await.into_iter().filter(|account| !in_sick_shard.contains(account)).collect();
    assert!(!in_sick_shard.is_empty() && !others.is_empty());
    world.faults.always(Matching::operation("Query").containing("#due#0\""), TableFault::ServerError);
    for _ in 0..TICKS {
        tick(&world).await;
        assert_eq!(accepted(&world, &others).await, others.len());
    }
}

#[tokio::test]
async fn an_unreadable_ticket_stops_no_renewal_while_the_component_token_lives() {
    let world = World::ready().await;
    let accounts = due_accounts(&world, 3).await;
    world.faults.always(Matching::operation("GetItem").containing("#ticket\""), TableFault::ServerError);
    let report = world.renew().await;
    assert_eq!(report.renewed, 3, "{report}");
    assert_eq!(accepted(&world, &accounts).await, 3);
    assert!(report.failed.contains_key("table"), "{report}");
}

#[tokio::test]
async fn a_message_that_cannot_be_finished_delays_no_other_message() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    let shop = world.simulator.account(&account).unwrap();
    world.faults.always(Matching::operation("PutEvents"), TableFault::Throttle);
    for text in ["one", "two", "three", "four", "five", "six"] {
        world.simulator.send_message(&simulator::Message::text(&shop, "oFollower", text)).await;
    }
    world.faults.clear();
    // One that is always the first of its shard cannot be read.
    let waiting = world.store().messages.due(0, END_OF_TIME, None).await.unwrap().0;
    let mut all = Vec::new();
    for shard in 0..Messages::WAITING_SHARDS {
        all.extend(world.store().messages.due(shard, END_OF_TIME, None).await.unwrap().0);
    }
    let sick = waiting.first().or(all.first()).unwrap();
    world.faults.always(Matching::operation("GetItem").containing(sick.as_str()), TableFault::ServerError);
    let report = tick(&world).await;
    assert_eq!(report.messages_delivered, 5, "{report}");
}

#[tokio::test]
async fn codes_that_hang_leave_time_for_renewals() {
    let limits = Limits { api: Duration::from_secs(2), ..short_limits() };
    let world = World::with(|_| {}, limits).await;
    world.get_ready().await;
    let accounts = due_accounts(&world, 4).await;
    world.simulator.inject(Fault::Hold.on(paths::QUERY_AUTH));
    for number in 0..64 {
        let another = new_account(&world, 1_000 + number);
        assert!(world.simulator.send(&world.merchant_authorizes(&another).push).await.is_accepted());
    }
    let deadline = Instant::now() + Duration::from_secs(14);
    let report = world.refresher.run(&Task::renew(), deadline).await.unwrap();
    assert_eq!(report.renewed, 4, "{report}");
    assert_eq!(accepted(&world, &accounts).await, accounts.len());
}

#[tokio::test]
async fn reconcile_goes_on_behind_an_account_that_cannot_be_asked_about() {
    let world = World::ready().await;
    let closed = new_account(&world, 0);
    drop(world.merchant_authorizes(&closed));
    for number in 1..=500 {
        let account = new_account(&world, number);
        assert!(world.simulator.send(&world.merchant_authorizes(&account).push).await.is_accepted());
    }
    world.renew().await;
    let last = AppId::parse("wxz").unwrap();
    world.simulator.put_account(simulator::Account::official_account(last.clone(), "last"));
    drop(world.merchant_authorizes(&last));
    world.simulator.inject(refused(40013).on(paths::GET_AUTHORIZER_INFO).for_authorizer(&closed));
    world.pass(Duration::from_hours(1));
    assert!(world.simulator.push_ticket().await.is_accepted());
    let report = world.reconcile().await;
    assert!(world.store().accounts.get(&last).await.unwrap().is_some(), "the account on the second page: {report}");
}
