//! The function with another implementation of DynamoDB and Secrets Manager than in all other tests.

use std::collections::BTreeSet;
use std::time::Duration;

use base::ids::LinkId;
use serde_json::Value;
use store::MAX_MINTS_PER_HOUR;
use stories::bootstrap::Bootstrap;
use stories::browser::parameter;
use stories::moto::Moto;
use stories::world::World;
use wechat::push::{AuthorizationEvent, Event};

use super::{BINARY, BUSINESS, asks_for_link, at_page};

/// Run by hand: `pip install 'moto[server]'`, then `cargo test -p processes -- --ignored moto`.
#[tokio::test]
#[ignore = "needs moto_server on the PATH, a Python program"]
async fn moto_agrees_on_links_on_attempts_and_on_how_many_codes_a_link_makes() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    let moto = Moto::start().await;
    let store = moto.store();
    let event = AuthorizationEvent::parse(world.simulator.ticket().message.into());
    let Event::ComponentVerifyTicket { ticket: Some(ticket) } = event.event else { panic!("it is a ticket") };
    assert!(store.tickets.put(&ticket, event.create_time.unwrap(), world.now()).await.unwrap());

    let function = Bootstrap::with(BINARY, &world, |variables| moto.redirect(variables)).await;
    let made = function.request(&asks_for_link("{}").iam(BUSINESS)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made: Value = serde_json::from_str(&made.body).unwrap();
    let id = made["link_id"].as_str().unwrap();
    assert_eq!(function.request(&at_page("GET", id)).await.status, 200);

    let mut codes = BTreeSet::new();
    let refused = loop {
        let pressed = function.request(&at_page("POST", id)).await;
        if pressed.status != 303 {
            break pressed;
        }
        assert!(codes.insert(parameter(&pressed.location(), "pre_auth_code")), "each press makes a code of its own");
    };
    assert_eq!((refused.status, codes.len()), (429, MAX_MINTS_PER_HOUR), "{refused:?}");
    assert_eq!(world.simulator.counters().effects.component_tokens, 1);
    let link = store.links.get(&LinkId::parse(id).unwrap(), world.now()).await.unwrap().expect("it is there");
    assert!(link.authorized.is_none());
}
