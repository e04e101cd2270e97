//! WeChat sends a message again if our response does not reach it: it gets the same response, and nothing happens
//! twice.

use std::time::Duration;

use base::limits::{Limits, MESSAGE_LEASE};
use base::random::Random;
use futures::future::join_all;
use runtime::telemetry::Measure;
use simulator::{Account, Message};
use store::{LeaseTerm, MessageClaim};
use stories::faults::{Fault, Matching};
use stories::world::{World, short_limits};
use wechat::push::{AccountMessage, MessageId};

use super::{FOLLOWER, delivered, service_for, shop, status, texts};

/// The attribute set by the update that records a reply.
const NOTE: &str = "answered_at";

#[tokio::test]
async fn a_repeat_gets_the_same_reply_and_reaches_nobody_twice() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let service = service_for(&world).await;
    let event = Message::event(&shop, FOLLOWER, "CLICK").with("EventKey", "menu");
    for message in [Message::text(&shop, FOLLOWER, "hello"), event] {
        let first = world.simulator.send_message(&message).await;
        world.pass(Duration::from_secs(5));
        let second = world.simulator.send_message(&message).await;
        assert!(first.reply.is_some(), "{first:?}");
        assert_eq!(first.reply, second.reply);
    }
    assert_eq!((delivered(&world).len(), service.asked().len()), (2, 2));
    assert_eq!(world.metrics.count(Measure::MessageRepeated), 2);

    let another = Message::event(&shop, FOLLOWER, "CLICK").with("EventKey", "other");
    world.simulator.send_message(&another).await;
    assert_eq!((delivered(&world).len(), service.asked().len()), (3, 3), "another event in the same second");
}

/// WeChat's repeat after 5 s, without a webhook: the common case.
#[tokio::test]
async fn without_a_webhook_a_message_is_one_write_and_its_repeat_none() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let message = Message::text(&shop, FOLLOWER, "hello");
    let others = Message::text(&shop, FOLLOWER, "the account's name is looked up once");
    assert!(world.simulator.send_message(&others).await.is_empty());
    for (writes, repeated) in [(1, 0), (0, 1), (0, 2)] {
        let before = world.faults.requests("UpdateItem");
        assert!(world.simulator.send_message(&message).await.is_empty());
        assert_eq!(world.faults.requests("UpdateItem") - before, writes);
        assert_eq!((texts(&world).len(), world.metrics.count(Measure::MessageRepeated)), (2, repeated));
        world.pass(Duration::from_secs(5));
    }
}

#[tokio::test]
async fn without_a_webhook_deliveries_at_the_same_moment_are_all_answered_and_have_one_id() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let message = Message::text(&shop, FOLLOWER, "now");
    let outcomes = join_all((0..10).map(|_| world.simulator.send_message(&message))).await;
    assert!(outcomes.iter().all(simulator::MessageOutcome::is_empty), "{outcomes:?}");
    let details = delivered(&world);
    assert!(!details.is_empty() && details.iter().all(|detail| detail["id"] == details[0]["id"]), "{details:?}");
    world.pass(Duration::from_secs(5));
    assert!(world.simulator.send_message(&message).await.is_empty());
    assert_eq!(delivered(&world).len(), details.len(), "answered once, it is done with");
}

#[tokio::test]
async fn without_a_webhook_a_note_that_is_not_written_costs_a_second_event_under_the_same_id() {
    for (fault, tries, events) in [(Fault::LostReply, 1, 1), (Fault::Away, 3, 2)] {
        let world = World::ready().await;
        if fault == Fault::Away {
            world.expect_error("a message was delivered but not recorded");
        }
        let shop = shop(&world).await;
        world.faults.next(tries, Matching::setting(NOTE), fault);
        let message = Message::text(&shop, FOLLOWER, "hello");
        assert!(world.simulator.send_message(&message).await.is_empty(), "{fault:?}");
        world.faults.clear();
        world.pass(Duration::from_secs(5));
        assert!(world.simulator.send_message(&message).await.is_empty(), "{fault:?}");
        let details = delivered(&world);
        assert_eq!(details.len(), events, "{fault:?}");
        assert_eq!(details[0]["id"], details[events - 1]["id"], "{fault:?}");
    }
}

/// A webhook that is configured between two deliveries is called about messages that have not been answered, and no
/// others.
#[tokio::test]
async fn a_webhook_that_is_set_between_two_deliveries_is_asked_about_what_is_open() {
    let world = World::ready().await;
    world.expect_error("a message was not handled");
    let shop = shop(&world).await;
    let [answered, open] = ["answered", "open"].map(|text| Message::text(&shop, FOLLOWER, text));
    assert!(world.simulator.send_message(&answered).await.is_empty());
    world.faults.always(Matching::operation("PutEvents"), Fault::Away);
    world.faults.always(Matching::setting("due_shard"), Fault::Away);
    assert_eq!(status(&world.simulator.send_message(&open).await), 500);
    world.faults.clear();

    let service = service_for(&world).await;
    world.pass(Duration::from_secs(5));
    assert!(world.simulator.send_message(&answered).await.is_empty());
    assert_eq!(world.simulator.send_message(&open).await.reply_text().as_deref(), Some("open!"));
    assert_eq!((texts(&world), service.asked().len()), (vec!["answered".to_owned(), "open".to_owned()], 1));
}

#[tokio::test]
async fn deliveries_at_the_same_moment_share_one_answer() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let service = service_for(&world).await;
    let message = Message::text(&shop, FOLLOWER, "now");
    let outcomes = join_all((0..10).map(|_| world.simulator.send_message(&message))).await;
    assert!(outcomes[0].reply.is_some(), "{:?}", outcomes[0]);
    assert!(outcomes.iter().all(|outcome| outcome.reply == outcomes[0].reply));
    assert_eq!((texts(&world).len(), service.asked().len()), (1, 1));
}

#[tokio::test]
async fn a_message_whose_handler_died_is_delivered_next_time_without_the_webhook() {
    let limits = Limits { message: Duration::from_secs(1), ..short_limits() };
    let world = World::with(|_| {}, limits).await;
    world.expect_error("a message was not handled: no response within the bound");
    world.get_ready().await;
    let shop = shop(&world).await;
    let service = service_for(&world).await;
    let message = Message::text(&shop, FOLLOWER, "hello").with("MsgId", "9").with("CreateTime", "1800000000");
    // The state left by a process that was stopped right after it had claimed the message.
    let id = id_of(&shop, "9");
    let term = LeaseTerm::new(&Random::system(), world.now(), MESSAGE_LEASE);
    let claimed = world.store().messages.claim(&id, &term).await.unwrap();
    assert!(matches!(claimed, MessageClaim::Ours { first: true, .. }));

    let outcome = world.simulator.send_message(&message).await;
    assert_eq!(status(&outcome), 500, "WeChat is to send it again: {outcome:?}");
    assert!(texts(&world).is_empty());
    world.pass(MESSAGE_LEASE);
    assert!(world.simulator.send_message(&message).await.is_empty());
    assert_eq!(texts(&world), ["hello"]);
    assert_eq!(service.asked().len(), 0, "whoever died may have asked it");
}

#[tokio::test]
async fn an_answer_that_could_not_be_written_down_is_given_all_the_same() {
    for fault in [Fault::Away, Fault::Hang] {
        let world = World::with(|_| {}, Limits { message: Duration::from_secs(1), ..short_limits() }).await;
        world.expect_error("a message was delivered but not recorded");
        world.get_ready().await;
        let shop = shop(&world).await;
        service_for(&world).await;
        world.faults.always(Matching::setting(NOTE), fault);
        let outcome = world.simulator.send_message(&Message::text(&shop, FOLLOWER, "hello")).await;
        assert!(outcome.reply.is_some(), "{fault:?}: {outcome:?}");
        assert_eq!(texts(&world), ["hello"], "{fault:?}");
    }
}

#[tokio::test]
async fn a_lost_reply_of_the_table_makes_nobody_lose_to_himself() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let service = service_for(&world).await;
    for write in ["first_owner", NOTE] {
        world.faults.next(1, Matching::setting(write), Fault::LostReply);
        let message = Message::text(&shop, FOLLOWER, write);
        let outcome = world.simulator.send_message(&message).await;
        assert!(outcome.reply.is_some() && world.faults.all_used(), "{write}: {outcome:?}");
        assert_eq!(world.simulator.send_message(&message).await.reply, outcome.reply, "{write}");
    }
    assert_eq!((texts(&world).len(), service.asked().len()), (2, 2));
}

fn id_of(account: &Account, msg_id: &str) -> MessageId {
    let xml = format!(
        "<xml><ToUserName>{}</ToUserName><FromUserName>{FOLLOWER}</FromUserName><CreateTime>1800000000</CreateTime>\
         <MsgType>text</MsgType><MsgId>{msg_id}</MsgId></xml>",
        account.user_name
    );
    AccountMessage::parse(xml.into()).id(&account.appid)
}

/// Two followers' messages and events that look alike: each is handled, and each follower gets their own reply.
#[tokio::test]
async fn what_two_followers_send_is_never_taken_for_one_message() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let service = service_for(&world).await;
    let voice =
        |follower: &str| Message::new(&shop, follower, "voice").with("MediaId", "m").with("Recognition", "words");
    let event = |follower: &str| Message::event(&shop, follower, "CLICK").with("EventKey", "menu");
    let mut expected = 0;
    for follower in ["oFollowerONE", "oFollowerTWO"] {
        for message in [
            Message::text(&shop, follower, "same words").with("MsgId", "6450000000000000001"),
            Message::text(&shop, follower, "same words").with("MsgId", "0"),
            voice(follower).with("MsgId", "6450000000000000002"),
            event(follower),
            event(follower).with("MsgId", "0"),
            Message::event(&shop, follower, "TEMPLATESENDJOBFINISH").with("MsgID", "77").with("Status", "success"),
        ] {
            let outcome = world.simulator.send_message(&message).await;
            expected += 1;
            let (details, reply) = (delivered(&world), outcome.reply.clone().unwrap_or_default());
            assert_eq!((details.len(), service.asked().len()), (expected, expected), "{follower}");
            assert_eq!(details[expected - 1]["open_id"], follower);
            assert!(reply.contains(follower), "{follower} is given {reply}");
        }
    }
    let details = delivered(&world);
    let ids: std::collections::BTreeSet<&str> = details.iter().map(|detail| detail["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), expected, "as many ids as messages");
}

#[tokio::test]
async fn two_events_of_one_follower_in_one_second_are_told_from_their_repeats() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let event = |name: &str, key: &str| Message::event(&shop, FOLLOWER, name).with("EventKey", key).with("MsgId", "0");
    let finished = |id: &str| Message::event(&shop, FOLLOWER, "TEMPLATESENDJOBFINISH").with("MsgID", id);
    let events = [event("CLICK", "a"), event("CLICK", "b"), event("VIEW", "a"), finished("1"), finished("2")];
    for message in events.iter().chain(&events) {
        assert!(world.simulator.send_message(message).await.is_empty());
    }
    assert_eq!((delivered(&world).len(), world.metrics.count(Measure::MessageRepeated)), (5, 5));
}
