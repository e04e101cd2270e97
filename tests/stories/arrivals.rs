//! What has arrived and what waits, for a reader who may know no push, code, message, ticket or token.

use std::time::Duration;

use base::ids::AppId;
use simulator::{Fault as WechatFault, Message, paths};
use store::{
    COMPONENT_STATUS_ATTRIBUTES, ENTRY_STATUS_ATTRIBUTES, EntryPlace, StateChange, Subject, TICKET_TIME_ATTRIBUTES,
    WAITING_MESSAGE_ATTRIBUTES, WaitingCounts,
};
use stories::faults::{Fault, Matching};
use stories::world::World;

/// Attributes with secrets.
const SECRETS: [&str; 9] = [
    "ticket",
    "access_token",
    "refresh_token",
    "push",
    "code",
    "release_check",
    "reply",
    "account_message",
    "secret_digest",
];

/// From now on, no item except events may be read whole.
fn forbid_whole_items(world: &World) {
    for operation in ["GetItem", "BatchGetItem", "Query"] {
        let whole = |body: &str| {
            let names_attributes = body.contains("ProjectionExpression");
            !names_attributes && !body.contains("\"IndexName\"") && !body.contains("event#")
        };
        world.faults.forbid(Matching::operation(operation).whose_body(whole));
    }
}

#[test]
fn what_is_read_of_items_with_secrets_names_none_of_them() {
    let read = [&ENTRY_STATUS_ATTRIBUTES[..], &WAITING_MESSAGE_ATTRIBUTES, &TICKET_TIME_ATTRIBUTES]
        .into_iter()
        .chain([&COMPONENT_STATUS_ATTRIBUTES[..]])
        .flatten();
    for attribute in read {
        assert!(!SECRETS.contains(attribute), "{attribute}");
    }
}

#[tokio::test]
async fn the_ticket_and_the_component_token_are_looked_at_without_either() {
    let world = World::start().await;
    world.renew().await;
    let vitals = &world.store().vitals;
    assert_eq!(vitals.ticket().await.unwrap(), None);
    assert_eq!(vitals.component_token().await.unwrap().expires_at, None, "there is none yet");
    world.get_ready().await;
    let ticket = vitals.ticket().await.unwrap().unwrap();
    assert_eq!((ticket.create_time, ticket.received_at), (world.now(), world.now()));
    let token = vitals.component_token().await.unwrap();
    assert_eq!(token.expires_at, Some(world.now().plus(Duration::from_hours(2))));
    assert_eq!((token.failures, token.last_error), (0, None));

    world.simulator.inject(WechatFault::system_error().on(paths::COMPONENT_TOKEN));
    world.pass(Duration::from_mins(110));
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.renew().await;
    world.pass(Duration::from_mins(5));
    world.renew().await;
    forbid_whole_items(&world);
    let token = vitals.component_token().await.unwrap();
    assert_eq!((token.failures, token.last_error.as_deref()), (2, Some("-1")));
    let failure = token.last_failure.unwrap();
    assert_eq!((failure.at, failure.api.as_deref()), (world.now().unix(), Some("api_component_token")));
}

#[tokio::test]
async fn an_arrival_is_seen_with_its_reason_while_it_waits_and_with_its_outcome_afterwards() {
    let world = World::ready().await;
    let (store, account) = (world.store(), world.account(0));
    let consent = world.merchant_authorizes(&account);
    world.simulator.inject(WechatFault::system_error().on(paths::QUERY_AUTH).times(1));
    let received_at = world.now();
    world.push_and_work(&consent.push).await;
    let waiting = store.arrivals.waiting(10).await.unwrap();
    assert_eq!((waiting.items.len(), waiting.has_more), (1, false));
    let entry = &waiting.items[0];
    assert_eq!((entry.account.as_ref(), entry.info_type.as_str(), entry.tries), (Some(&account), "authorized", 1));
    assert_eq!((entry.received_at, entry.last_error.as_deref()), (Some(received_at), Some("-1")));
    assert!(entry.due_at.unwrap() > world.now() && entry.outcome.is_none() && entry.finished_at.is_none());
    assert_eq!(store.arrivals.of_account(&account, 10, None).await.unwrap(), (waiting.items, false));

    world.pass(Duration::from_mins(10));
    world.renew().await;
    world.push_and_work(&world.simulator.unauthorize(&account).unwrap()).await;
    assert_eq!(store.arrivals.counts().await.unwrap().inbox, 0);
    assert!(store.arrivals.waiting(10).await.unwrap().items.is_empty());
    forbid_whole_items(&world);
    let (newest, has_more) = store.arrivals.of_account(&account, 1, None).await.unwrap();
    assert_eq!((newest[0].info_type.as_str(), has_more), ("unauthorized", true));
    let place = EntryPlace::parse(newest[0].place.as_str()).unwrap();
    let (older, has_more) = store.arrivals.of_account(&account, 1, Some(&place)).await.unwrap();
    assert_eq!((older[0].info_type.as_str(), has_more), ("authorized", false));
    assert_eq!((older[0].due_at, older[0].finished_at), (None, Some(world.now())));
    assert_eq!(older[0].outcome.as_deref(), Some("granted"));
    assert_eq!(store.arrivals.of_account(&world.account(1), 1, None).await.unwrap(), (vec![], false));
}

#[tokio::test]
async fn a_code_without_an_account_and_the_longest_overdue_come_first() {
    let world = World::ready().await;
    let store = world.store();
    let accounts: Vec<AppId> = (0..3).map(|number| world.account(number)).collect();
    for account in accounts.iter().rev() {
        assert!(world.simulator.send(&world.merchant_authorizes(account).push).await.is_accepted());
        world.pass(Duration::from_secs(1));
    }
    store.inbox.put_code(&"queryauthcode@@@secret".into(), world.now()).await.unwrap();
    forbid_whole_items(&world);
    let first = store.arrivals.waiting(2).await.unwrap();
    let of: Vec<_> = first.items.iter().map(|entry| entry.account.as_ref()).collect();
    assert_eq!((of, first.has_more), (vec![Some(&accounts[2]), Some(&accounts[1])], true));
    let all = store.arrivals.waiting(4).await.unwrap();
    assert_eq!((all.items.len(), all.has_more), (4, false));
    assert_eq!((all.items[3].account.as_ref(), all.items[3].info_type.as_str()), (None, "redirect"));
}

#[tokio::test]
async fn messages_and_events_that_wait_are_seen_without_what_followers_wrote() {
    let world = World::ready().await;
    world.expect_error("nothing more is delivered in this run");
    let (store, account) = (world.store(), world.authorized_account().await);
    world.faults.always(Matching::operation("PutEvents"), Fault::Away);
    let (kept_at, shop) = (world.now(), world.simulator.account(&account).unwrap());
    for text in ["one", "two", "three"] {
        assert!(world.simulator.send_message(&Message::text(&shop, "follower", text)).await.is_empty());
    }
    world.push_and_work(&world.simulator.unauthorize(&account).unwrap()).await;
    let counts = store.arrivals.counts().await.unwrap();
    assert_eq!(counts, WaitingCounts { inbox: 1, messages: 3, events: 1 });
    let entry = &store.arrivals.waiting(10).await.unwrap().items[0];
    assert!(
        entry.outcome.is_some() && entry.due_at.is_some(),
        "it has taken effect, and is to be published: {entry:?}"
    );
    assert_eq!(entry.last_error.as_deref(), Some("bus"));

    forbid_whole_items(&world);
    let messages = store.arrivals.messages(2).await.unwrap();
    assert_eq!((messages.items.len(), messages.has_more), (2, true));
    for message in messages.items {
        assert_eq!((&message.account, message.kept_at, message.is_confirmed), (&account, Some(kept_at), true));
    }
    let events = store.arrivals.events(10).await.unwrap();
    assert_eq!((events.items.len(), events.has_more), (1, false));
    assert_eq!(events.items[0].subject, Subject::Account(account.clone()));
    assert!(!events.items[0].event.bus.is_done());

    let (history, has_more) = store.outbox.history(&account, 1, None).await.unwrap();
    assert!(has_more && history[0].is_waiting);
    assert_eq!(history[0].event.as_ref().unwrap().change, StateChange::Unauthorized);
    let before = Some(history[0].sequence);
    let (history, has_more) = store.outbox.history(&account, 10, before).await.unwrap();
    assert!(!has_more && !history[0].is_waiting, "{history:?}");
    assert!(matches!(history[0].event.as_ref().unwrap().change, StateChange::Authorized { .. }));
    assert_eq!(history.len(), 1);
}
