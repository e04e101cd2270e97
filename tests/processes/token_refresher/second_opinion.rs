//! The function with another implementation of DynamoDB and Secrets Manager than in all other tests.

use secrecy::SecretString;
use serde_json::json;
use simulator::{Behaviour, Fault, Push, paths};
use store::{Store, TokenOwner};
use stories::bootstrap::Bootstrap;
use stories::moto::Moto;
use stories::refresher_events::{reconcile, renew};
use stories::world::World;
use wechat::push::AuthorizationEvent;

use super::BINARY;

async fn receive(store: &Store, world: &World, push: &Push) {
    let event = AuthorizationEvent::parse(SecretString::from(push.message.as_str()));
    store.inbox.put_push(&event, world.now()).await.unwrap();
}

/// Run by hand: `pip install 'moto[server]'`, then `cargo test -p processes -- --ignored moto`.
#[tokio::test]
#[ignore = "needs moto_server on the PATH, a Python program"]
async fn moto_agrees_on_leases_grants_renewals_races_and_reconciliation() {
    let world = World::beside_processes(std::time::Duration::ZERO, |_| {}).await;
    world.simulator.set_behaviour(Behaviour { rotate_refresh_tokens: true, ..Behaviour::default() });
    let moto = Moto::start().await;
    let store = moto.store();
    let start = || Bootstrap::with(BINARY, &world, |variables| moto.redirect(variables));
    let (one, other) = (start().await, start().await);

    let ticket = world.simulator.ticket();
    let event = AuthorizationEvent::parse(SecretString::from(ticket.message.as_str()));
    let wechat::push::Event::ComponentVerifyTicket { ticket: Some(ticket) } = event.event else {
        panic!("it is a ticket")
    };
    assert!(store.tickets.put(&ticket, event.create_time.unwrap(), world.now()).await.unwrap());

    let account = world.account(0);
    receive(&store, &world, &world.merchant_authorizes(&account).push).await;
    let (first, second) = tokio::join!(one.invoke(renew()), other.invoke(renew()));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((&first["failed"], &second["failed"]), (&json!({}), &json!({})), "{first} {second}");
    assert_eq!(world.simulator.counters().effects.component_tokens, 1);
    assert_eq!(world.simulator.counters().calls.get(paths::QUERY_AUTH), Some(&1));

    let owner = TokenOwner::Authorizer(account.clone());
    store.tokens.mark_due(&owner, world.now()).await.unwrap();
    world.simulator.inject(Fault::Delay(std::time::Duration::from_millis(300)).on(paths::AUTHORIZER_TOKEN).times(1));
    let (first, second) = tokio::join!(one.invoke(renew()), other.invoke(renew()));
    let renewed = [first.unwrap(), second.unwrap()].map(|report| report["renewed"].as_u64().unwrap());
    assert_eq!(renewed.iter().sum::<u64>(), 1);
    assert_eq!(world.simulator.counters().effects.renewals_of(&account), 1);

    drop(world.merchant_authorizes(&world.account(1)));
    let report = one.invoke(reconcile()).await.unwrap();
    assert_eq!((&report["added"], &report["failed"]), (&json!(1), &json!({})), "{report}");

    receive(&store, &world, &world.simulator.unauthorize(&account).unwrap()).await;
    assert_eq!(one.invoke(renew()).await.unwrap()["gone"], 1);
    assert!(store.tokens.get(&owner).await.unwrap().unwrap().access_token.is_none());
}
