//! Tickets and the component token that they bring.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use simulator::{Fault, paths};
use stories::faults::Matching;
use stories::world::World;

#[tokio::test]
async fn a_pushed_ticket_buys_the_component_token() {
    let world = World::start().await;
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.component().await.token().await.unwrap();
    assert_eq!(world.simulator.counters().effects.component_tokens, 1);
}

#[tokio::test]
async fn a_ticket_push_costs_one_write_and_no_read() {
    let world = World::ready().await;
    world.faults.reset_counts();
    world.pass(Duration::from_mins(1));
    assert!(world.simulator.push_ticket().await.is_accepted());
    assert_eq!(world.faults.all_requests(), [("UpdateItem".to_owned(), 1)].into());
}

#[tokio::test]
async fn an_older_ticket_that_comes_late_does_not_replace_a_newer_one() {
    let world = World::start().await;
    let older = world.simulator.ticket();
    world.pass(Duration::from_mins(10));
    let newer = world.simulator.ticket();
    for push in [&newer, &older, &newer] {
        assert!(world.simulator.send(push).await.is_accepted());
    }
    let stored = world.store().tickets.newest().await.unwrap().unwrap();
    assert_eq!(stored.create_time, newer.create_time);
    assert!(newer.message.contains(stored.ticket.expose_secret()));
}

/// The function's role refuses requests that would return an item, since the ticket and the codes in it are secrets.
#[tokio::test]
async fn no_write_of_ticket_push_asks_for_the_stored_item() {
    let world = World::ready().await;
    let asks =
        |body: &str| ["ALL_NEW", "ALL_OLD", "UPDATED_NEW", "UPDATED_OLD"].iter().any(|value| body.contains(value));
    world.faults.forbid(Matching::any().whose_body(asks));
    let older = world.simulator.ticket();
    world.pass(Duration::from_mins(10));
    let newer = world.simulator.ticket();
    let granted = world.merchant_authorizes(&world.account(0)).push;
    for push in [&newer, &older, &newer, &granted, &granted] {
        assert!(world.simulator.send(push).await.is_accepted());
    }
}

#[tokio::test]
async fn when_pushes_stop_wechat_is_asked_to_go_on() {
    let world = World::ready().await;
    world.simulator.stop_ticket_pushes();
    world.pass(Duration::from_mins(21));
    let report = world.renew().await;
    assert_eq!(report.ticket_age_seconds, Some(21 * 60));
    world.simulator.pushes_settled().await;
    assert_eq!(world.renew().await.ticket_age_seconds, Some(0), "the push that was asked for has come");
}

#[tokio::test]
async fn without_a_ticket_the_run_asks_for_one_and_ends_in_peace() {
    let world = World::start().await;
    let report = world.renew().await;
    assert_eq!(report.failed, [("no-ticket".to_owned(), 1)].into());
    world.simulator.pushes_settled().await;
}

#[tokio::test]
async fn the_component_token_is_renewed_with_a_quarter_of_an_hour_left() {
    let world = World::ready().await;
    for _ in 0..20 {
        world.pass(Duration::from_mins(5));
        assert!(world.simulator.push_ticket().await.is_accepted());
        world.renew().await;
    }
    assert_eq!(world.simulator.counters().effects.component_tokens, 1, "100 minutes later it is the first one");
    world.pass(Duration::from_mins(5));
    world.renew().await;
    assert_eq!(world.simulator.counters().effects.component_tokens, 2);
}

#[tokio::test]
async fn an_expired_ticket_is_asked_for_anew() {
    let world = World::ready().await;
    world.simulator.inject(
        Fault::Errcode { errcode: 61005, errmsg: "component ticket is expired".into() }
            .on(paths::COMPONENT_TOKEN)
            .times(1),
    );
    world.pass(Duration::from_mins(121));
    let report = world.renew().await;
    assert_eq!(report.failed, [("61005".to_owned(), 1)].into());
    world.simulator.pushes_settled().await;
    world.simulator.push_ticket().await;
    world.pass(Duration::from_mins(5));
    assert!(world.renew().await.failed.is_empty());
}
