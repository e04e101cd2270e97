//! The function with another implementation of DynamoDB and Secrets Manager than in all other tests.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::Value;
use simulator::{Fault, paths};
use store::TokenOwner;
use stories::bootstrap::Bootstrap;
use stories::moto::Moto;
use stories::world::World;

use super::{BINARY, asks, refused};

/// Run by hand: `pip install 'moto[server]'`, then `cargo test -p processes -- --ignored moto`.
#[tokio::test]
#[ignore = "needs moto_server on the PATH, a Python program"]
async fn moto_agrees_on_a_token_that_is_given_and_one_that_two_processes_renew() {
    let world = World::beside_processes(Duration::from_mins(2), |_| {}).await;
    world.get_ready().await;
    let account = world.authorized_account().await;
    world.pass(Duration::from_mins(2));
    let moto = Moto::start().await;
    moto.take_over(&world).await;
    let start = || Bootstrap::with(BINARY, &world, |variables| moto.redirect(variables));
    let (one, other) = (start().await, start().await);
    let get = asks("GET", &format!("/tokens/{account}"));
    let read = |body: &str| serde_json::from_str::<Value>(body).unwrap();
    let given = one.request(&get).await;
    assert_eq!(given.status, 200, "{}", given.status);
    let given = read(&given.body);
    let id = given["token_id"].as_str().unwrap();

    world.simulator.inject(Fault::Delay(Duration::from_millis(300)).on(paths::AUTHORIZER_TOKEN).times(1));
    let refusal = refused(account.as_str(), id);
    let (first, second) = tokio::join!(one.request(&refusal), other.request(&refusal));
    assert_eq!((first.status, second.status), (200, 200));
    let (first, second) = (read(&first.body), read(&second.body));
    assert_eq!(first["token_id"], second["token_id"]);
    assert_ne!(first["token_id"], id);
    assert_eq!(world.simulator.counters().effects.renewals_of(&account), 1);
    let stored = moto.store().tokens.get(&TokenOwner::Authorizer(account)).await.unwrap().unwrap();
    let stored = stored.access_token.expect("a renewed token is there");
    for function in [&one, &other] {
        let given = read(&function.request(&get).await.body);
        assert!(given["access_token"] == stored.expose_secret() && given["token_id"] == first["token_id"]);
    }
}
