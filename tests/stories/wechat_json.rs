//! WeChat's JSON with merchants' names and from old servers: a damaged part costs only itself.

use std::time::Duration;

use base::ids::AppId;
use simulator::{Behaviour, Fault, paths};
use stories::world::{World, short_limits};

/// A world in which a renewal of this account was lost while WeChat replaced the refresh token, and in which a text of
/// the account's details is garbled: only the details name the new refresh token.
async fn world_with_lost_refresh_token(text: impl Fn(&World, &AppId) -> String, bytes: &[u8]) -> (World, AppId) {
    let world = World::ready().await;
    world.simulator.set_behaviour(Behaviour {
        rotate_refresh_tokens: true,
        list_without_refresh_tokens: true,
        ..Behaviour::default()
    });
    let account = world.authorized_account().await;
    let garbled = Fault::garble(&text(&world, &account), bytes);
    world.simulator.inject(garbled.on(paths::GET_AUTHORIZER_INFO));
    world.simulator.inject(Fault::DropAfter.on(paths::AUTHORIZER_TOKEN).times(1));
    (world, account)
}

fn name_of(world: &World, account: &AppId) -> String {
    world.simulator.account(account).unwrap().nick_name
}

/// The account's token becomes due, and some ticks follow.
async fn two_hours_pass(world: &World) {
    world.pass(Duration::from_mins(95));
    for _ in 0..5 {
        world.pass(Duration::from_mins(5));
        assert!(world.simulator.push_ticket().await.is_accepted());
        world.renew().await;
    }
}

#[tokio::test]
async fn a_lost_refresh_token_is_read_from_details_with_any_merchants_name() {
    for bytes in [&b"Sh\x14op"[..], b"\xcd\xf5\xbe\xfc", br"\ud83d"] {
        let (world, account) = world_with_lost_refresh_token(name_of, bytes).await;
        two_hours_pass(&world).await;
        assert!(world.wechat_accepts(&account).await, "{bytes:x?}");
    }
}

#[tokio::test]
async fn details_without_a_profile_bring_a_lost_refresh_token_back() {
    let key = |_: &World, _: &AppId| "\"authorizer_info\"".to_owned();
    let (world, account) = world_with_lost_refresh_token(key, b"\"somebody_info\"").await;
    two_hours_pass(&world).await;
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn an_account_whose_name_is_not_utf_8_is_granted_with_the_rest_of_its_profile() {
    let world = World::ready().await;
    let garbled = Fault::garble(&name_of(&world, &world.account(0)), b"\xcd\xf5\x14");
    world.simulator.inject(garbled.on(paths::GET_AUTHORIZER_INFO));
    let account = world.authorized_account().await;
    let profile = world.details(&account).await.profile.unwrap();
    assert_eq!(profile.user_name, Some(world.simulator.account(&account).unwrap().user_name));
    assert_eq!(profile.nick_name.as_deref(), Some("\u{fffd}\u{fffd}\u{fffd}"));
}

#[tokio::test]
async fn tokens_whose_lifetime_comes_in_milliseconds_are_renewed_within_two_hours() {
    // 7,200,000 seconds, as the milliseconds of two hours.
    let milliseconds = Duration::from_hours(2000);
    let change = |options: &mut simulator::Options| {
        options.lifetimes.component_token = milliseconds;
        options.lifetimes.authorizer_token = milliseconds;
    };
    let world = World::with(change, short_limits()).await;
    world.get_ready().await;
    let account = world.authorized_account().await;
    let before = world.simulator.counters().effects;
    assert!(world.stored(&account).await.token.due_at.unwrap().since(world.now()) <= Duration::from_hours(2));
    two_hours_pass(&world).await;
    let after = world.simulator.counters().effects;
    assert_eq!(after.renewals_of(&account) - before.renewals_of(&account), 1);
    assert_eq!(after.component_tokens - before.component_tokens, 1);
}

#[tokio::test]
async fn a_token_that_was_damaged_on_its_way_is_not_stored() {
    let world = World::ready().await;
    let account = world.authorized_account().await;
    let stored = world.stored(&account).await.token.refresh_token;
    let kept = |token: Option<secrecy::SecretString>| {
        token.map(|token| secrecy::ExposeSecret::expose_secret(&token).to_owned())
    };
    // WeChat's prefix of every refresh token.
    world.simulator.inject(Fault::garble("refreshtoken@@@", b"refresh\xfftoken@@@").on(paths::AUTHORIZER_TOKEN));
    two_hours_pass(&world).await;
    let now = world.stored(&account).await.token;
    assert_eq!(kept(now.refresh_token), kept(stored));
    assert!(world.wechat_accepts(&account).await, "the access token of the same answer is good");
}
