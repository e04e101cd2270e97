//! The effects of WeChat, another server or a slow process on renewals, and the recovery.

use std::time::Duration;

use base::ids::AppId;
use base::limits::{LEASE, Limits};
use runtime::telemetry::Measure;
use simulator::{Behaviour, Fault, paths};
use store::{AccountState, TokenOwner};
use stories::world::{World, short_limits};
use token_refresher::Report;

/// Two hours less the margin: every account is due.
const TO_DUE: Duration = Duration::from_mins(101);

async fn tick(world: &World) -> Report {
    world.pass(Duration::from_mins(5));
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.renew().await
}

/// The demo accounts, authorized and due, with a fresh ticket and component token.
async fn due_accounts(world: &World, count: usize) -> Vec<AppId> {
    let accounts: Vec<AppId> = (0..count).map(|number| world.account(number)).collect();
    for account in &accounts {
        world.push_and_work(&world.merchant_authorizes(account).push).await;
    }
    world.pass(TO_DUE);
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.component().await.token().await.unwrap();
    accounts
}

async fn damage_refresh_token(world: &World, account: &AppId) {
    let seq = world.stored(account).await.token.seq;
    let damaged = "refreshtoken@@@damaged".into();
    world.store().accounts.overwrite_refresh_token(account, seq, &damaged, world.now()).await.unwrap();
}

/// Begins a renewal and stops it between WeChat's effect and our write, until the path is released.
async fn renewal_under_way(world: &World, account: &AppId) -> tokio::task::JoinHandle<()> {
    world.simulator.inject(Fault::Hold.on(paths::AUTHORIZER_TOKEN).times(1));
    let (tokens, account) = (world.tokens().await, account.clone());
    let renewal = tokio::spawn(async move { drop(tokens.renew(&account).await.unwrap()) });
    world.simulator.until_held(paths::AUTHORIZER_TOKEN, 1).await;
    renewal
}

#[tokio::test]
async fn a_refresh_token_that_only_the_list_names_is_found_there() {
    let world = World::ready().await;
    let accounts = due_accounts(&world, 3).await;
    for account in &accounts {
        damage_refresh_token(&world, account).await;
    }
    world.simulator.set_behaviour(Behaviour { info_without_refresh_token: true, ..Behaviour::default() });
    let report = world.renew().await;
    assert_eq!((report.renewed, report.repaired, report.gone), (3, 3, 0), "{report}");
    assert_eq!(world.calls(paths::GET_AUTHORIZER_LIST), 1, "one pass for the whole run");
    for account in &accounts {
        assert!(world.wechat_accepts(account).await);
    }
}

#[tokio::test]
async fn a_refresh_token_that_nobody_names_needs_the_merchant() {
    let world = World::ready().await;
    let accounts = due_accounts(&world, 2).await;
    damage_refresh_token(&world, &accounts[0]).await;
    world.simulator.set_behaviour(Behaviour {
        info_without_refresh_token: true,
        list_without_refresh_tokens: true,
        ..Behaviour::default()
    });
    let report = world.renew().await;
    assert_eq!((report.renewed, report.gone), (1, 1), "{report}");
    assert_eq!(world.stored(&accounts[0]).await.token.state, AccountState::NeedsAuthorization);
    assert!(world.wechat_accepts(&accounts[1]).await);
}

#[tokio::test]
async fn a_component_token_refused_once_is_replaced_and_the_call_repeated() {
    let world = World::ready().await;
    world.expect_error("issued a token by somebody else");
    let accounts = due_accounts(&world, 1).await;
    let before = world.simulator.counters().effects.component_tokens;
    world.simulator.inject(
        Fault::Errcode { errcode: 40001, errmsg: "invalid credential".into() }.on(paths::AUTHORIZER_TOKEN).times(1),
    );
    assert_eq!(world.renew().await.renewed, 1);
    assert_eq!(world.calls(paths::AUTHORIZER_TOKEN), 2);
    assert_eq!(world.simulator.counters().effects.component_tokens - before, 1);
    assert!(world.wechat_accepts(&accounts[0]).await);
}

#[tokio::test]
async fn a_second_server_that_keeps_replacing_the_component_token_ends_the_run() {
    let world = World::ready().await;
    world.expect_error("issued a token by somebody else");
    let accounts = due_accounts(&world, 4).await;
    let before = world.simulator.counters().effects.component_tokens;
    let refused = || Fault::Errcode { errcode: 40001, errmsg: "invalid credential".into() };
    world.simulator.inject(refused().on(paths::AUTHORIZER_TOKEN));
    world.simulator.inject(refused().on(paths::GET_AUTHORIZER_LIST));
    let report = world.renew().await;
    assert_eq!(report.failed, [("40001".to_owned(), 1)].into(), "{report}");
    assert_eq!((report.renewed, report.left_over), (0, 4), "{report}");
    assert!(world.simulator.counters().effects.component_tokens - before <= 2);
    assert!(world.calls(paths::AUTHORIZER_TOKEN) <= 8);
    assert!(world.metrics.sum(Measure::SecondIssuer) >= 1.0);

    world.simulator.clear_faults();
    assert_eq!(tick(&world).await.renewed, 4, "no account was postponed for it");
    assert!(world.wechat_accepts(&accounts[0]).await);
}

#[tokio::test]
async fn everyone_is_renewed_once_a_used_up_quota_is_reset() {
    for errcode in [45009, 45011] {
        let world = World::ready().await;
        if errcode == 45009 {
            world.expect_error("api_authorizer_token is not called any more in this run");
        }
        due_accounts(&world, 3).await;
        world.simulator.inject(
            Fault::Errcode { errcode, errmsg: "reach max api daily quota limit".into() }.on(paths::AUTHORIZER_TOKEN),
        );
        let report = world.renew().await;
        assert_eq!(report.failed, [(errcode.to_string(), 3)].into(), "{report}");
        assert_eq!((report.renewed, report.left_over), (0, 1), "two words are no proof and postpone two: {report}");
        world.simulator.clear_faults();
        assert_eq!(tick(&world).await.renewed, 3);
    }
}

#[tokio::test]
async fn a_call_that_hangs_ends_in_time_and_the_next_tick_repairs_what_it_changed() {
    let world = World::with(|_| {}, Limits { api: Duration::from_millis(500), ..short_limits() }).await;
    world.get_ready().await;
    world.simulator.set_behaviour(Behaviour { rotate_refresh_tokens: true, ..Behaviour::default() });
    let accounts = due_accounts(&world, 2).await;
    world.simulator.inject(Fault::Hold.on(paths::AUTHORIZER_TOKEN).for_authorizer(&accounts[0]).times(1));
    let report = world.renew().await;
    assert_eq!(report.renewed, 1, "{report}");
    assert_eq!(report.failed.values().sum::<u64>(), 1, "{report}");
    let report = tick(&world).await;
    assert_eq!((report.renewed, report.gone), (1, 0), "{report}");
    assert!(world.wechat_accepts(&accounts[0]).await);
}

#[tokio::test]
async fn a_holder_whose_lease_ended_does_not_write_over_its_successor() {
    for rotate_refresh_tokens in [false, true] {
        let world = World::ready().await;
        world.simulator.set_behaviour(Behaviour { rotate_refresh_tokens, ..Behaviour::default() });
        let account = due_accounts(&world, 1).await.remove(0);
        let late = renewal_under_way(&world, &account).await;
        world.pass(LEASE + Duration::from_secs(1));
        assert_eq!(world.renew().await.renewed, 1, "the lease is another's now");
        let newest = world.stored(&account).await.token.seq;
        world.simulator.release(paths::AUTHORIZER_TOKEN);
        late.await.unwrap();

        assert_eq!(world.stored(&account).await.token.seq, newest, "the late result is not written");
        assert!(world.wechat_accepts(&account).await);
        tick(&world).await;
        assert!(world.wechat_accepts(&account).await);
    }
}

#[tokio::test]
async fn a_revocation_in_mid_renewal_is_not_undone_by_the_result() {
    let world = World::ready().await;
    let account = due_accounts(&world, 1).await.remove(0);
    let renewal = renewal_under_way(&world, &account).await;
    let revoked = world.simulator.unauthorize(&account).unwrap();
    world.push_and_work(&revoked).await;
    world.simulator.release(paths::AUTHORIZER_TOKEN);
    renewal.await.unwrap();

    let stored = world.stored(&account).await;
    assert_eq!(stored.token.state, AccountState::Unauthorized);
    assert!(stored.token.access_token.is_none());
    assert_eq!(tick(&world).await.renewed, 0);
    let again = world.merchant_authorizes(&account);
    world.push_and_work(&again.push).await;
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn a_pass_over_the_list_that_fails_at_its_end_is_finished_by_the_next_run() {
    let world = World::ready().await;
    let accounts = due_accounts(&world, 2).await;
    drop(world.simulator.unauthorize(&accounts[0]));
    let refused = Fault::Errcode { errcode: 45009, errmsg: "reach max api daily quota limit".into() };
    world.simulator.inject(refused.on(paths::GET_AUTHORIZER_INFO).times(2));
    for _ in 0..2 {
        assert_eq!(world.reconcile().await.failed, [("45009".to_owned(), 1)].into());
    }
    let report = world.reconcile().await;
    assert_eq!((report.gone, report.failed.len()), (1, 0), "{report}");
    drop(world.merchant_authorizes(&world.account(2)));
    assert_eq!(world.reconcile().await.added, 1, "and a new pass has begun");
}

#[tokio::test]
async fn an_account_that_cannot_be_asked_about_does_not_hide_the_next() {
    let world = World::ready().await;
    let accounts = due_accounts(&world, 2).await;
    for account in &accounts {
        drop(world.simulator.unauthorize(account));
    }
    world.simulator.inject(Fault::DropBefore.on(paths::GET_AUTHORIZER_INFO).times(1));
    let report = world.reconcile().await;
    assert_eq!((report.gone, report.failed.len()), (1, 1), "{report}");
}

#[tokio::test]
async fn a_merchant_who_returns_while_the_list_is_searched_keeps_the_new_grant() {
    let world = World::ready().await;
    let accounts = due_accounts(&world, 1).await;
    let account = &accounts[0];
    damage_refresh_token(&world, account).await;
    world.simulator.set_behaviour(Behaviour {
        info_without_refresh_token: true,
        list_without_refresh_tokens: true,
        ..Behaviour::default()
    });
    world.simulator.inject(Fault::Hold.on(paths::GET_AUTHORIZER_LIST).times(1));
    let refresher = world.refresher.clone();
    let deadline = tokio::time::Instant::now() + Duration::from_mins(2);
    let run = tokio::spawn(async move { refresher.run(&token_refresher::Task::renew(), deadline).await.unwrap() });
    world.simulator.until_held(paths::GET_AUTHORIZER_LIST, 1).await;
    world.push_and_work(&world.merchant_authorizes(account).push).await;
    world.simulator.release(paths::GET_AUTHORIZER_LIST);
    let report = run.await.unwrap();
    assert_eq!(report.gone, 0, "{report}");
    assert_eq!(world.stored(account).await.token.state, AccountState::Active);
    assert!(world.wechat_accepts(account).await);
}

#[tokio::test]
async fn a_component_token_that_cannot_be_renewed_costs_one_try_and_no_account() {
    let world = World::ready().await;
    world.expect_error("the run stops here");
    let accounts = due_accounts(&world, 3).await;
    world.another_server_issues_a_component_token().await;
    let refused = Fault::Errcode { errcode: 40125, errmsg: "invalid appsecret".into() };
    world.simulator.inject(refused.on(paths::COMPONENT_TOKEN));
    let tries = world.calls(paths::COMPONENT_TOKEN);
    let report = world.renew().await;
    assert_eq!((report.left_over, report.renewed), (3, 0), "{report}");
    for _ in 0..20 {
        world.component().await.call(|_| async { Ok(()) }).await.ok();
        let owner = TokenOwner::Authorizer(accounts[0].clone());
        assert!(world.tokens().await.valid(&owner).await.is_ok(), "the old token lives");
    }
    assert_eq!(world.calls(paths::COMPONENT_TOKEN) - tries, 1, "until the wait is over, nobody tries again");
    for account in &accounts {
        assert_eq!(world.stored(account).await.token.failures, 0, "nobody was put off");
    }
    world.simulator.clear_faults();
    assert_eq!(tick(&world).await.renewed, 3);
}
