//! Promise 9: no grant ends on a single refusal of WeChat's, and one that was ended wrongly comes back automatically.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::ids::AppId;
use secrecy::ExposeSecret as _;
use simulator::{Behaviour, Fault, paths};
use store::{AccountState, GrantEnd, WriteOutcome};
use stories::due::{accepted, due_accounts, new_account, refresher_of, refused, tick};
use stories::proxy::behind_a_proxy;
use stories::world::World;
use token_refresher::{Report, Task};
use tokio::time::Instant;

/// Half an hour passes, with a renew and a reconcile run at its end.
async fn half_an_hour(world: &World) -> Report {
    world.pass(Duration::from_mins(25));
    tick(world).await;
    world.reconcile().await
}

async fn states(world: &World, accounts: &[AppId]) -> Vec<AccountState> {
    let mut states = Vec::new();
    for account in accounts {
        states.push(world.stored(account).await.token.state);
    }
    states
}

/// WeChat refuses every renewal with this code, and every request for details with that one, if any.
fn speaks_falsely(world: &World, renewals: i64, details: Option<i64>) {
    world.simulator.inject(refused(renewals).on(paths::AUTHORIZER_TOKEN));
    if let Some(details) = details {
        world.simulator.inject(refused(details).on(paths::GET_AUTHORIZER_INFO));
    }
}

#[tokio::test]
async fn grants_that_wechat_lists_survive_a_run_in_which_it_denies_them() {
    for (renewals, details) in [(61003, Some(61003)), (61003, None), (61023, None), (42007, None), (43007, Some(-1))] {
        let world = World::ready().await;
        let accounts = due_accounts(&world, 10).await;
        speaks_falsely(&world, renewals, details);
        let report = world.renew().await;
        assert_eq!(report.failed, [(renewals.to_string(), 10)].into(), "{report}");
        assert_eq!(report.gone, 0, "{report}");
        world.simulator.clear_faults();
        assert_eq!(tick(&world).await.renewed, 10, "{renewals} {details:?}");
        assert_eq!(accepted(&world, &accounts).await, 10);
    }
}

#[tokio::test]
async fn grants_that_wechat_has_denied_for_five_hours_come_back_when_it_is_well() {
    for (renewals, details) in [(61003, Some(61003)), (61023, None)] {
        let world = World::ready().await;
        let accounts = due_accounts(&world, 3).await;
        speaks_falsely(&world, renewals, details);
        for _ in 0..10 {
            half_an_hour(&world).await;
        }
        assert_eq!(states(&world, &accounts).await, [AccountState::NeedsAuthorization; 3], "the business is not told");
        world.simulator.clear_faults();
        for _ in 0..24 {
            half_an_hour(&world).await;
        }
        assert_eq!(states(&world, &accounts).await, [AccountState::Active; 3]);
        assert_eq!(accepted(&world, &accounts).await, 3);
    }
}

#[tokio::test]
async fn one_refusal_after_hours_without_an_answer_ends_no_grant() {
    let world = World::ready().await;
    let account = due_accounts(&world, 1).await.remove(0);
    world.simulator.inject(refused(-1).on(paths::AUTHORIZER_TOKEN));
    for _ in 0..8 {
        half_an_hour(&world).await;
    }
    world.simulator.clear_faults();
    world.simulator.inject(refused(61023).on(paths::AUTHORIZER_TOKEN).times(1));
    for _ in 0..8 {
        half_an_hour(&world).await;
        assert_eq!(world.stored(&account).await.token.state, AccountState::Active);
    }
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn an_empty_refresh_token_in_the_list_ends_no_grant_whose_details_name_ours() {
    let world = World::ready().await;
    let account = due_accounts(&world, 1).await.remove(0);
    world.simulator.set_behaviour(Behaviour { list_without_refresh_tokens: true, ..Behaviour::default() });
    world.simulator.inject(refused(61023).on(paths::AUTHORIZER_TOKEN).times(1));
    let report = world.renew().await;
    assert_eq!((report.gone, report.failed.get("61023")), (0, Some(&1)), "{report}");
    assert_eq!(tick(&world).await.renewed, 1);
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn an_account_taken_for_gone_is_asked_about_less_and_less() {
    let world = World::ready().await;
    let account = due_accounts(&world, 1).await.remove(0);
    let seq = world.stored(&account).await.token.seq;
    let end = GrantEnd::Refused { errcode: Some(61023), rid: None };
    assert_eq!(world.tokens().await.end_grant(&account, seq, &end).await.unwrap(), WriteOutcome::Stored);
    world.simulator.inject(refused(61023).on(paths::AUTHORIZER_TOKEN));
    let mut asked = Vec::new();
    for _ in 0..3 {
        let before = world.calls(paths::AUTHORIZER_TOKEN);
        for _ in 0..24 {
            world.pass(Duration::from_hours(1));
            assert!(world.simulator.push_ticket().await.is_accepted());
            world.reconcile().await;
        }
        asked.push(world.calls(paths::AUTHORIZER_TOKEN) - before);
    }
    assert!((3..=7).contains(&asked[0]) && asked[1] <= 2 && (1..=2).contains(&asked[2]), "{asked:?}");
    world.simulator.clear_faults();
    for _ in 0..21 {
        world.pass(Duration::from_hours(1));
        assert!(world.simulator.push_ticket().await.is_accepted());
        world.reconcile().await;
    }
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn a_run_in_which_unusually_many_grants_look_gone_ends_none_and_reports_it() {
    let world = World::ready().await;
    world.expect_error("their grants are gone");
    let accounts = due_accounts(&world, 20).await;
    for account in &accounts[..10] {
        drop(world.simulator.unauthorize(account));
    }
    let report = world.renew().await;
    assert_eq!((report.renewed, report.gone), (10, 0), "{report}");
    assert_eq!(report.failed.get("mass-loss"), Some(&10), "{report}");
    assert_eq!(states(&world, &accounts[..10]).await, [AccountState::Active; 10]);
    let report = world.reconcile().await;
    assert_eq!((report.gone, report.failed.get("mass-loss")), (0, Some(&10)), "{report}");
}

#[tokio::test]
async fn a_few_grants_that_are_gone_end_in_the_run_that_finds_them() {
    let world = World::ready().await;
    let accounts = due_accounts(&world, 5).await;
    for account in &accounts[..2] {
        drop(world.simulator.unauthorize(account));
    }
    let report = world.renew().await;
    assert_eq!((report.renewed, report.gone), (3, 2), "{report}");
    assert_eq!(states(&world, &accounts[..2]).await, [AccountState::NeedsAuthorization; 2]);
}

#[tokio::test]
async fn a_grant_that_only_the_details_deny_is_renewed_as_ever() {
    let world = World::ready().await;
    let accounts = due_accounts(&world, 2).await;
    world.simulator.inject(refused(61003).on(paths::GET_AUTHORIZER_INFO).if_called());
    assert_eq!(world.renew().await.renewed, 2);
    assert_eq!(world.reconcile().await.gone, 0);
    assert_eq!(states(&world, &accounts).await, [AccountState::Active; 2]);
}

#[tokio::test]
async fn where_the_details_cannot_be_read_the_list_is_the_way_round() {
    for fault in [refused(-1), refused(99999), Fault::BadGateway, refused(40013)] {
        let world = World::ready().await;
        world.simulator.set_behaviour(Behaviour { rotate_refresh_tokens: true, ..Behaviour::default() });
        let account = due_accounts(&world, 1).await.remove(0);
        world.simulator.inject(Fault::DropAfter.on(paths::AUTHORIZER_TOKEN).times(1));
        assert_eq!(world.renew().await.renewed, 0);
        world.simulator.inject(fault.clone().on(paths::GET_AUTHORIZER_INFO));
        let report = tick(&world).await;
        assert_eq!((report.renewed, report.repaired), (1, 1), "{fault:?}: {report}");
        assert!(world.wechat_accepts(&account).await, "{fault:?}");
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_mins(2)
}

#[tokio::test]
async fn a_lagging_list_does_not_cost_a_live_account_its_rotated_refresh_token() {
    for lag in [Duration::from_mins(1), Duration::from_hours(1)] {
        let world = World::ready().await;
        world.simulator.set_behaviour(Behaviour { rotate_refresh_tokens: true, ..Behaviour::default() });
        let account = due_accounts(&world, 1).await.remove(0);
        let stale: Arc<Mutex<Option<(String, String)>>> = Arc::default();
        let known = Arc::clone(&stale);
        let services = behind_a_proxy(&world, move |path, body| {
            if path != paths::GET_AUTHORIZER_LIST && path != paths::GET_AUTHORIZER_INFO {
                return body;
            }
            match &*known.lock().unwrap() {
                Some((is, was)) => String::from_utf8(body).unwrap().replace(is, was).into_bytes(),
                None => body,
            }
        })
        .await;
        let refresher = refresher_of(&world, services);
        let refresh_token =
            async || world.stored(&account).await.token.refresh_token.unwrap().expose_secret().to_owned();
        let was = refresh_token().await;
        assert_eq!(refresher.run(&Task::renew(), soon()).await.unwrap().renewed, 1);
        *stale.lock().unwrap() = Some((refresh_token().await, was));
        world.pass(lag);
        assert!(world.simulator.push_ticket().await.is_accepted());
        println!("{}", refresher.run(&Task::Reconcile, soon()).await.unwrap());
        for _ in 0..3 {
            world.pass(Duration::from_mins(5));
            assert!(world.simulator.push_ticket().await.is_accepted());
            println!("{}", refresher.run(&Task::renew(), soon()).await.unwrap());
            assert!(world.wechat_accepts(&account).await, "{lag:?}");
        }
        assert_eq!(world.stored(&account).await.token.state, AccountState::Active);
    }
}

#[tokio::test]
async fn a_list_that_names_an_account_twice_hides_no_other() {
    let world = World::ready().await;
    world.authorized_account().await;
    let missing = new_account(&world, 7);
    drop(world.merchant_authorizes(&missing));
    let services = behind_a_proxy(&world, |path, body| {
        if path != paths::GET_AUTHORIZER_LIST {
            return body;
        }
        let mut answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let list = answer["list"].as_array_mut().unwrap();
        list.extend(list.first().cloned());
        answer["total_count"] = list.len().into();
        answer.to_string().into_bytes()
    })
    .await;
    let report = refresher_of(&world, services).run(&Task::Reconcile, soon()).await.unwrap();
    assert!(report.failed.is_empty(), "{report}");
    assert!(world.store().accounts.get(&missing).await.unwrap().is_some());
}

#[tokio::test]
async fn a_page_of_the_list_that_one_entry_spoils_hides_only_that_entry() {
    let world = World::ready().await;
    world.expect_error("cannot be read and is skipped");
    let accounts: Vec<AppId> = (0..8).map(|number| new_account(&world, number)).collect();
    for account in &accounts {
        drop(world.merchant_authorizes(account));
    }
    let spoiler = accounts[3].to_string();
    let services = behind_a_proxy(&world, move |path, body| {
        let spoils = path == paths::GET_AUTHORIZER_LIST && String::from_utf8_lossy(&body).contains(&spoiler);
        if spoils { b"{\"total_count\":8,\"list\":[".to_vec() } else { body }
    })
    .await;
    let report = refresher_of(&world, services).run(&Task::Reconcile, soon()).await.unwrap();
    assert_eq!(report.added, 7, "{report}");
    assert_eq!(report.failed.get("malformed"), Some(&1), "{report}");
}
