//! Grants: pushes in every order, exchanges that fail half-way, revocations.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use simulator::{Fault, paths};
use store::{AccountState, TokenOwner};
use stories::faults::{Fault as TableFault, Matching};
use stories::world::World;

#[tokio::test]
async fn a_pushed_grant_brings_tokens_profile_and_a_place_in_the_index() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    let stored = world.stored(&account).await;
    assert!(stored.token.access_token.is_some() && stored.token.refresh_token.is_some());
    assert!(world.details(&account).await.profile.is_some());
    assert!(stored.granted_at.is_some());
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn a_push_that_comes_three_times_is_exchanged_once() {
    let world = World::ready().await;
    let account = world.account(0);
    let consent = world.merchant_authorizes(&account);
    for _ in 0..3 {
        assert!(world.simulator.send(&consent.push).await.is_accepted());
    }
    let report = world.renew().await;
    assert_eq!(report.inbox_done, 1);
    world.push_and_work(&consent.push).await;
    assert_eq!(world.simulator.counters().calls.get(paths::QUERY_AUTH), Some(&1));
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn a_grant_and_its_revocation_end_alike_in_either_order() {
    for reversed in [false, true] {
        let world = World::ready().await;
        let account = world.account(0);
        let granted = world.merchant_authorizes(&account).push;
        world.pass(Duration::from_secs(25));
        let revoked = world.simulator.unauthorize(&account).unwrap();
        let order = if reversed { [&revoked, &granted] } else { [&granted, &revoked] };
        for push in order {
            world.push_and_work(push).await;
        }
        let stored = world.stored(&account).await;
        assert_ne!(stored.token.state, AccountState::Active, "reversed: {reversed}");
        assert!(stored.token.access_token.is_none());
    }
}

#[tokio::test]
async fn a_revocation_that_comes_after_the_account_has_returned_changes_nothing() {
    for pause in [Duration::from_secs(30), Duration::from_mins(30)] {
        let world = World::ready().await;
        let account = world.authorized_account().await;
        world.pass(Duration::from_mins(10));
        let revoked = world.simulator.unauthorize(&account).unwrap();
        world.pass(pause);
        let again = world.merchant_authorizes(&account).push;
        world.push_and_work(&again).await;
        world.push_and_work(&revoked).await;
        assert_eq!(world.stored(&account).await.token.state, AccountState::Active, "{pause:?}");
        assert!(world.wechat_accepts(&account).await);
    }
}

#[tokio::test]
async fn a_revoked_account_is_marked_keeps_its_row_and_comes_back() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(30));
    let revoked = world.simulator.unauthorize(&account).unwrap();
    world.push_and_work(&revoked).await;
    let stored = world.stored(&account).await;
    assert_eq!(stored.token.state, AccountState::Unauthorized);
    assert!(stored.token.access_token.is_none());
    let error = world.tokens().await.valid(&TokenOwner::Authorizer(account.clone())).await.unwrap_err();
    assert!(error.to_string().contains("authorize the platform again"), "{error}");

    world.pass(Duration::from_mins(30));
    let again = world.merchant_authorizes(&account);
    world.push_and_work(&again.push).await;
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn a_code_whose_answer_was_lost_is_recovered_from_the_accounts_details() {
    let world = World::ready().await;
    let account = world.account(0);
    let consent = world.merchant_authorizes(&account);
    world.simulator.inject(Fault::DropAfter.on(paths::QUERY_AUTH).times(1));
    let report = world.push_and_work(&consent.push).await;
    assert_eq!((report.inbox_done, report.inbox_postponed), (0, 1), "{report}");
    world.pass(Duration::from_mins(5));
    world.simulator.push_ticket().await;
    let report = world.renew().await;
    assert_eq!(report.inbox_done, 1, "{report}");
    assert_eq!(world.stored(&account).await.token.state, AccountState::Active);
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn a_grant_whose_write_was_answered_by_nobody_is_stored_once() {
    let world = World::ready().await;
    let account = world.account(0);
    let consent = world.merchant_authorizes(&account);
    world.faults.next(1, Matching::operation("TransactWriteItems"), TableFault::LostReply);
    let report = world.push_and_work(&consent.push).await;
    assert_eq!(report.inbox_done, 1, "{report}");
    assert!(world.faults.all_used());
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn a_fast_registered_mini_program_is_exchanged_like_any_grant() {
    let world = World::ready().await;
    let registration = world.simulator.register_mini_program("小店 🛍️");
    world.push_and_work(&registration.push).await;
    let stored = world.stored(&registration.appid).await;
    assert_eq!(stored.token.state, AccountState::Active);
    let failed = world.simulator.fail_registration("小店", 101, "deregistered");
    assert_eq!(world.push_and_work(&failed).await.inbox_done, 1);
}

#[tokio::test]
async fn a_lost_push_is_found_by_reconciliation() {
    let world = World::ready().await;
    let account = world.account(2);
    drop(world.merchant_authorizes(&account));
    let report = world.reconcile().await;
    assert_eq!(report.added, 1, "{report}");
    assert!(world.wechat_accepts(&account).await);
    assert_eq!(world.details(&account).await.profile.unwrap().nick_name.as_deref().map(str::is_empty), Some(false));
    assert_eq!(world.reconcile().await.added, 0);
}

#[tokio::test]
async fn reconciliation_takes_nothing_out_that_wechat_still_knows() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.simulator.inject(
        Fault::Errcode { errcode: 40013, errmsg: "invalid appid".into() }.on(paths::GET_AUTHORIZER_LIST).times(1),
    );
    world.reconcile().await;
    assert_eq!(world.stored(&account).await.token.state, AccountState::Active);
    drop(world.simulator.unauthorize(&account));
    world.pass(Duration::from_hours(1));
    let report = world.reconcile().await;
    assert_eq!(report.gone, 1, "{report}");
    assert_eq!(world.stored(&account).await.token.state, AccountState::NeedsAuthorization);
}

#[tokio::test]
async fn a_refresh_token_that_was_damaged_is_repaired() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    let seq = world.stored(&account).await.token.seq;
    world
        .store()
        .accounts
        .overwrite_refresh_token(&account, seq, &"refreshtoken@@@damaged".into(), world.now())
        .await
        .unwrap();
    // Until then WeChat's list may be older than the stored row.
    world.pass(Duration::from_mins(16));
    let report = world.reconcile().await;
    assert_eq!(report.repaired, 1, "{report}");
    let stored = world.stored(&account).await;
    assert_ne!(stored.token.refresh_token.unwrap().expose_secret(), "refreshtoken@@@damaged");
}
