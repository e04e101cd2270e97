//! Since when an account has been in its state.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use store::{AccountState, GrantEnd, Standing};
use stories::world::World;

async fn standing(world: &World, account: &AppId) -> Standing {
    world.store().standings.get(account).await.unwrap().expect("the account has a row")
}

fn since(state: AccountState, at: Timestamp) -> Standing {
    Standing { state, since: Some(at) }
}

#[tokio::test]
async fn each_state_of_an_account_keeps_the_time_when_it_began() {
    let world = World::ready().await;
    let account = world.account(0);
    assert_eq!(world.store().standings.get(&account).await.unwrap(), None, "nobody has authorized");

    let granted = world.now();
    world.push_and_work(&world.merchant_authorizes(&account).push).await;
    assert_eq!(standing(&world, &account).await, since(AccountState::Active, granted));

    world.pass(Duration::from_mins(20));
    world.push_and_work(&world.merchant_authorizes(&account).push).await;
    assert_eq!(standing(&world, &account).await, since(AccountState::Active, granted), "it was active before");
    world.pass(Duration::from_mins(110));
    assert!(world.simulator.push_ticket().await.is_accepted());
    assert_eq!(world.renew().await.renewed, 1);
    assert_eq!(standing(&world, &account).await, since(AccountState::Active, granted), "a renewal changes no state");

    let ended = world.now();
    world.push_and_work(&world.simulator.unauthorize(&account).unwrap()).await;
    assert_eq!(standing(&world, &account).await, since(AccountState::Unauthorized, ended));

    world.pass(Duration::from_mins(20));
    let back = world.now();
    world.push_and_work(&world.merchant_authorizes(&account).push).await;
    assert_eq!(standing(&world, &account).await, since(AccountState::Active, back));
}

#[tokio::test]
async fn a_second_revocation_does_not_move_the_time_of_the_first() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(10));
    let ended = world.now();
    world.push_and_work(&world.simulator.unauthorize(&account).unwrap()).await;
    world.pass(Duration::from_mins(10));
    let seq = world.stored(&account).await.token.seq;
    let later = Some(world.now());
    let left = GrantEnd::TakenBack { at: later };
    world.tokens().await.end_grant(&account, seq, &left).await.unwrap();
    assert_eq!(standing(&world, &account).await, since(AccountState::Unauthorized, ended));
    assert_eq!(world.stored(&account).await.revoked_at, later, "the newer revocation is noted");

    world.pass(Duration::from_mins(10));
    let (seq, refused) = (seq + 1, world.now());
    let gone = GrantEnd::Refused { errcode: None, rid: None };
    world.tokens().await.end_grant(&account, seq, &gone).await.unwrap();
    assert_eq!(standing(&world, &account).await, since(AccountState::NeedsAuthorization, refused));
}
