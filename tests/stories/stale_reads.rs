//! What was read before never overwrites what was written since, and what is read now says nothing about the past.

use std::time::Duration;

use base::ids::AppId;
use secrecy::ExposeSecret as _;
use simulator::{Behaviour, Fault, paths};
use store::{AccountState, NewGrant, TokenOwner};
use stories::world::World;
use token_refresher::{Report, Task};
use tokio::task::JoinHandle;
use tokio::time::Instant;

async fn tick(world: &World) -> Report {
    world.pass(Duration::from_mins(5));
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.renew().await
}

/// A run that continues while the story does.
fn in_background(world: &World, task: Task) -> JoinHandle<Report> {
    let refresher = world.refresher.clone();
    tokio::spawn(async move { refresher.run(&task, Instant::now() + Duration::from_mins(2)).await.unwrap() })
}

/// From now on the merchant grants only one permission set.
fn grants_less(world: &World, account: &AppId) -> Vec<u32> {
    let mut fewer = world.simulator.account(account).unwrap();
    fewer.func_ids.truncate(1);
    let left = fewer.func_ids.clone();
    world.simulator.put_account(fewer);
    left
}

#[tokio::test]
async fn a_profile_that_arrives_late_does_not_bring_old_permission_sets_back() {
    let world = World::ready().await;
    let account = world.account(0);
    assert!(world.simulator.send(&world.merchant_authorizes(&account).push).await.is_accepted());
    world.simulator.inject(Fault::Hold.on(paths::GET_AUTHORIZER_INFO).times(1));
    let first = in_background(&world, Task::renew());
    world.simulator.until_held(paths::GET_AUTHORIZER_INFO, 1).await;
    let left = grants_less(&world, &account);
    world.push_and_work(&world.merchant_authorizes(&account).push).await;
    assert_eq!(world.details(&account).await.func_info, left);
    world.simulator.release(paths::GET_AUTHORIZER_INFO);
    first.await.unwrap();
    assert_eq!(world.details(&account).await.func_info, left);
    assert!(world.details(&account).await.profile.is_some());
}

#[tokio::test]
async fn a_profile_is_stored_although_the_account_is_renewed_while_it_is_read() {
    let world = World::ready().await;
    let account = world.account(0);
    assert!(world.simulator.send(&world.merchant_authorizes(&account).push).await.is_accepted());
    world.simulator.inject(Fault::Hold.on(paths::GET_AUTHORIZER_INFO).times(1));
    let run = in_background(&world, Task::renew());
    world.simulator.until_held(paths::GET_AUTHORIZER_INFO, 1).await;
    let owner = TokenOwner::Authorizer(account.clone());
    world.store().tokens.mark_due(&owner, world.now()).await.unwrap();
    world.tokens().await.renew(&account).await.unwrap();
    world.simulator.release(paths::GET_AUTHORIZER_INFO);
    run.await.unwrap();
    assert!(world.details(&account).await.profile.is_some());
    assert!(world.wechat_accepts(&account).await);
}

/// An account whose merchant has left, whose revocation has not arrived yet, and who has returned with fewer permission
/// sets, of which no push has arrived.
async fn returned_unheard() -> (World, AppId, simulator::Push, Vec<u32>) {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(10));
    let revoked = world.simulator.unauthorize(&account).unwrap();
    world.pass(Duration::from_mins(10));
    let left = grants_less(&world, &account);
    drop(world.merchant_authorizes(&account));
    assert!(world.simulator.push_ticket().await.is_accepted());
    (world, account, revoked, left)
}

async fn lives(world: &World, account: &AppId, sets: &[u32]) {
    let stored = world.stored(account).await;
    let func_info = world.details(account).await.func_info;
    assert_eq!((stored.token.state, func_info.as_slice()), (AccountState::Active, sets));
    assert!(world.wechat_accepts(account).await);
}

#[tokio::test]
async fn a_late_revocation_does_not_take_an_account_that_reconciliation_found() {
    let (world, account, revoked, sets) = returned_unheard().await;
    assert_eq!(world.reconcile().await.repaired, 1);
    world.renew().await;
    lives(&world, &account, &sets).await;
    world.push_and_work(&revoked).await;
    lives(&world, &account, &sets).await;
}

#[tokio::test]
async fn a_late_revocation_does_not_take_an_account_whose_return_a_renewal_found() {
    let (world, account, revoked, sets) = returned_unheard().await;
    world.pass(Duration::from_mins(90));
    assert_eq!(tick(&world).await.renewed, 1);
    lives(&world, &account, &sets).await;
    world.push_and_work(&revoked).await;
    lives(&world, &account, &sets).await;
}

#[tokio::test]
async fn a_late_revocation_does_not_take_an_account_whose_return_the_list_named() {
    let (world, account, revoked, _) = returned_unheard().await;
    world.simulator.set_behaviour(Behaviour { info_without_refresh_token: true, ..Behaviour::default() });
    world.pass(Duration::from_mins(90));
    assert_eq!(tick(&world).await.renewed, 1);
    assert!(world.wechat_accepts(&account).await);
    world.push_and_work(&revoked).await;
    assert_eq!(world.stored(&account).await.token.state, AccountState::Active);
}

#[tokio::test]
async fn a_push_of_the_grant_before_does_not_date_a_return_that_was_found() {
    let world = World::ready().await;
    let account = world.account(0);
    let first = world.merchant_authorizes(&account);
    world.pass(Duration::from_mins(10));
    let revoked = world.simulator.unauthorize(&account).unwrap();
    world.pass(Duration::from_mins(10));
    drop(world.merchant_authorizes(&account));
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.reconcile().await;
    for push in [&first.push, &revoked] {
        world.push_and_work(push).await;
        assert_eq!(world.stored(&account).await.token.state, AccountState::Active, "{}", push.info_type);
    }
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn a_revocation_after_a_return_that_was_found_still_ends_it() {
    let (world, account, _, _) = returned_unheard().await;
    world.reconcile().await;
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.simulator.unauthorize(&account).unwrap()).await;
    assert_eq!(world.stored(&account).await.token.state, AccountState::Unauthorized);
}

#[tokio::test]
async fn a_refused_renewal_does_not_end_an_account_repaired_meanwhile() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    let good = world.stored(&account).await.token.refresh_token.unwrap();
    let repair = async |refresh_token: &secrecy::SecretString| {
        let seq = world.stored(&account).await.token.seq;
        world.store().accounts.overwrite_refresh_token(&account, seq, refresh_token, world.now()).await.unwrap();
    };
    repair(&"refreshtoken@@@damaged".into()).await;
    // The details say once that the grant is gone, and that response takes long.
    let refused = Fault::Errcode { errcode: 61003, errmsg: "component is not authorized by this account".to_owned() };
    world.simulator.inject(refused.on(paths::GET_AUTHORIZER_INFO).times(1));
    world.simulator.inject(Fault::Hold.on(paths::AUTHORIZER_TOKEN).times(1));
    let run = in_background(&world, Task::renew());
    world.simulator.until_held(paths::AUTHORIZER_TOKEN, 1).await;
    repair(&good).await;
    world.simulator.release(paths::AUTHORIZER_TOKEN);
    run.await.unwrap();
    assert_eq!(world.stored(&account).await.token.state, AccountState::Active);
    for _ in 0..2 {
        tick(&world).await;
    }
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn an_account_that_got_its_permissions_back_unheard_is_renewed_again() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    let stored = world.stored(&account).await;
    // The effect of an exchange without API permission: the previous refresh token stays.
    let without = NewGrant {
        access_token: None,
        refresh_token: None,
        due_at: None,
        granted_at: stored.granted_at,
        func_info: &[],
        origin: None,
        is_recovery: false,
        claim: None,
    };
    world.store().accounts.store_grant(&account, stored.token.seq, &without, world.now()).await.unwrap();
    assert_eq!(world.reconcile().await.repaired, 1);
    tick(&world).await;
    let details = world.component().await.details(&account).await.unwrap();
    let now = world.stored(&account).await;
    assert_eq!(details.refresh_token.unwrap().expose_secret(), now.token.refresh_token.unwrap().expose_secret());
    assert_eq!(world.details(&account).await.func_info, details.func_info);
    assert!(world.wechat_accepts(&account).await);
    assert_eq!(world.reconcile().await.repaired, 0, "and that was all");
}
