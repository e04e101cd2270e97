//! The bus refuses, fails or is unavailable: every message that was acknowledged reaches the business all the same.

use std::collections::BTreeSet;
use std::time::Duration;

use base::limits::Limits;
use futures::StreamExt as _;
use futures::stream;
use runtime::telemetry::Measure;
use serde_json::json;
use simulator::{Behaviour, Message};
use stories::faults::{Fault, Matching};
use stories::schema::Schema;
use stories::world::{World, short_limits};

use super::{FOLLOWER, delivered, service_for, shop, status, texts};

/// Longer than the first pause of an entry that failed.
const LATER: Duration = Duration::from_mins(6);

#[tokio::test]
async fn a_message_that_the_bus_does_not_take_is_delivered_by_the_refresher() {
    for fault in [Fault::Away, Fault::Throttle, Fault::ServerError] {
        let world = World::ready().await;
        if fault != Fault::Throttle {
            world.expect_error("nothing more is delivered in this run");
        }
        let shop = shop(&world).await;
        world.faults.always(Matching::operation("PutEvents"), fault);
        let outcome = world.simulator.send_message(&Message::text(&shop, FOLLOWER, "wait")).await;
        assert!(outcome.is_empty(), "{fault:?}: WeChat has no reason to send it again: {outcome:?}");
        assert_eq!(world.metrics.count(Measure::EventDelayed), 1, "{fault:?}");

        let report = world.renew().await;
        assert_eq!((report.messages_delivered, texts(&world).len()), (0, 0), "{fault:?}: {report}");
        assert_eq!(world.metrics.sum(Measure::MessagesWaiting).to_string(), "1", "{fault:?}");
        world.faults.clear();
        world.pass(LATER);
        assert_eq!(world.renew().await.messages_delivered, 1, "{fault:?}");
        assert_eq!(texts(&world), ["wait"], "{fault:?}");
        world.pass(LATER);
        world.renew().await;
        assert_eq!(texts(&world).len(), 1, "{fault:?}: once it is there, it is done with");
    }
}

#[tokio::test]
async fn an_event_refused_within_a_success_is_delivered_later_with_the_same_id() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    world.bus.refuse_next(1);
    let message = Message::text(&shop, FOLLOWER, "refused").with("MsgId", "3");
    assert!(world.simulator.send_message(&message).await.is_empty());
    assert!(texts(&world).is_empty());
    world.renew().await;
    assert_eq!(texts(&world), ["refused"]);

    // A lost response makes two events of one, which have the same id.
    world.faults.next(1, Matching::operation("PutEvents"), Fault::LostReply);
    world.simulator.send_message(&Message::text(&shop, FOLLOWER, "twice")).await;
    let details = delivered(&world);
    let ids: BTreeSet<&str> = details.iter().map(|detail| detail["id"].as_str().unwrap()).collect();
    assert_eq!((details.len(), ids.len()), (3, 2));
}

#[tokio::test]
async fn waiting_messages_are_delivered_while_wechat_refuses_everything() {
    const WAITING: usize = 60;
    let world = World::ready().await;
    let shop = shop(&world).await;
    world.faults.always(Matching::operation("PutEvents"), Fault::Away);
    for number in 0..WAITING {
        assert!(world.simulator.send_message(&Message::text(&shop, FOLLOWER, &number.to_string())).await.is_empty());
    }
    world.faults.clear();
    // The ticket has expired: nothing can be renewed, no code exchanged.
    world.pass(Duration::from_hours(13));
    let report = world.renew().await;
    assert!(!report.failed.is_empty(), "{report}");
    assert_eq!((report.messages_delivered, texts(&world).len()), (60, WAITING), "{report}");
    assert!(world.inbox_keys().await.len() <= 1, "they are not among the pushes");
}

#[tokio::test]
async fn messages_that_wait_do_not_wait_for_wechat() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    world.faults.always(Matching::operation("PutEvents"), Fault::Away);
    assert!(world.simulator.send_message(&Message::text(&shop, FOLLOWER, "quick")).await.is_empty());
    world.faults.clear();
    world.pass(Duration::from_hours(2));
    world.simulator.push_ticket().await;
    world.simulator.inject(simulator::Fault::Hold.on(simulator::paths::COMPONENT_TOKEN));
    let run = world.renew();
    let seen = async {
        world.simulator.until_held(simulator::paths::COMPONENT_TOKEN, 1).await;
        while texts(&world).is_empty() {
            tokio::task::yield_now().await;
        }
        world.simulator.clear_faults();
        world.simulator.release(simulator::paths::COMPONENT_TOKEN);
    };
    let (report, ()) = tokio::join!(run, seen);
    assert_eq!(report.messages_delivered, 1, "{report}");
}

#[tokio::test]
async fn a_reply_that_could_not_be_given_is_given_to_wechats_next_try() {
    let world = World::ready().await;
    world.expect_error("a message was not handled");
    let shop = shop(&world).await;
    let service = service_for(&world).await;
    world.faults.always(Matching::operation("PutEvents"), Fault::Away);
    world.faults.always(Matching::setting("due_shard"), Fault::Away);
    let message = Message::text(&shop, FOLLOWER, "hello");
    assert_eq!(status(&world.simulator.send_message(&message).await), 500);
    world.faults.clear();
    let outcome = world.simulator.send_message(&message).await;
    assert_eq!((outcome.reply_text().as_deref(), service.asked().len()), (Some("hello!"), 1), "{outcome:?}");
    assert_eq!(texts(&world), ["hello"]);
}

#[tokio::test]
async fn a_message_that_neither_bus_nor_table_takes_is_sent_again_and_not_lost() {
    let world = World::ready().await;
    world.expect_error("a message was not handled");
    let shop = shop(&world).await;
    world.faults.always(Matching::operation("PutEvents"), Fault::Away);
    world.faults.always(Matching::setting("due_shard"), Fault::Away);
    let message = Message::text(&shop, FOLLOWER, "keep me");
    let outcome = world.simulator.send_message(&message).await;
    assert_eq!(status(&outcome), 500, "{outcome:?}");
    world.faults.clear();
    assert!(world.simulator.send_message(&message).await.is_empty());
    assert_eq!(texts(&world), ["keep me"]);
}

#[tokio::test]
async fn whatever_hangs_wechat_has_an_answer_in_time() {
    for (operation, answered, error) in [
        ("PutEvents", 500, "a message was not handled"),
        ("UpdateItem", 200, "a message was delivered but not recorded"),
        ("GetItem", 200, "a message was delivered but not recorded"),
    ] {
        let limits = Limits { message: Duration::from_secs(1), ..short_limits() };
        let world = World::with(|_| {}, limits).await;
        world.get_ready().await;
        let shop = shop(&world).await;
        world.faults.always(Matching::operation(operation), Fault::Hang);
        world.expect_error(error);
        let outcome = world.simulator.send_message(&Message::text(&shop, FOLLOWER, "hello")).await;
        assert_eq!(status(&outcome), answered, "{operation}: {outcome:?}");
        assert_eq!(texts(&world).len(), usize::from(answered == 200), "{operation}");
    }
}

#[tokio::test]
async fn messages_reach_the_bus_without_a_reply_while_only_the_table_is_away() {
    for (operation, is_confirmed) in [("UpdateItem", true), ("GetItem", false)] {
        let world = World::ready().await;
        world.expect_error("a message was delivered but not recorded");
        let shop = shop(&world).await;
        let service = service_for(&world).await;
        world.simulator.set_behaviour(Behaviour { redeliver_pushes: true, ..Behaviour::default() });
        world.faults.always(Matching::operation(operation), Fault::Away);
        let message = Message::text(&shop, FOLLOWER, "now");
        let outcome = world.simulator.send_message(&message).await;
        assert!(outcome.is_empty() && outcome.attempts == 1, "{operation}: {outcome:?}");
        let detail = delivered(&world).pop().unwrap();
        assert_eq!((&detail["message"]["content"], &detail["open_id"]), (&"now".into(), &FOLLOWER.into()));
        assert_eq!(detail.get("unconfirmed").is_none(), is_confirmed, "{operation}");
        Schema::read().fits("message_detail", &detail).unwrap_or_else(|misfit| panic!("{operation}: {misfit}"));
        assert_eq!((world.metrics.count(Measure::MessageNotNoted), service.asked().len()), (1, 0), "{operation}");

        // Delivered again, because no response reached WeChat, it is on the bus again with the same id.
        assert!(world.simulator.send_message(&message).await.is_empty());
        let details = delivered(&world);
        assert_eq!((details.len(), &details[0]["id"]), (2, &details[1]["id"]), "{operation}");
        world.faults.clear();
        let later = world.simulator.send_message(&Message::text(&shop, FOLLOWER, "later")).await;
        assert_eq!(later.reply_text().as_deref(), Some("later!"), "{operation}: {later:?}");
    }
}

/// Reads and writes are refused separately, as when a table's read capacity is used up.
#[tokio::test]
async fn where_only_reads_fail_a_message_is_kept_and_noted_all_the_same() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let text = |text: &str| Message::text(&shop, FOLLOWER, text);
    assert!(world.simulator.send_message(&text("the account's name is looked up once")).await.is_empty());
    world.faults.always(Matching::operation("GetItem"), Fault::Throttle);
    world.faults.always(Matching::operation("PutEvents"), Fault::Away);
    assert!(world.simulator.send_message(&text("kept")).await.is_empty(), "the table takes it");
    world.faults.clear();
    world.faults.always(Matching::operation("GetItem"), Fault::Throttle);
    let noted = text("noted");
    assert!(world.simulator.send_message(&noted).await.is_empty());
    world.faults.clear();
    assert!(world.simulator.send_message(&noted).await.is_empty());
    world.renew().await;
    assert_eq!(texts(&world)[1..], ["noted", "kept"]);
    assert_eq!(world.metrics.count(Measure::MessageNotNoted), 0);
}

#[tokio::test]
async fn with_table_and_bus_away_wechat_is_made_to_send_again() {
    let world = World::ready().await;
    world.expect_error("a message was not handled");
    let shop = shop(&world).await;
    for operation in ["PutEvents", "GetItem"] {
        world.faults.always(Matching::operation(operation), Fault::Away);
    }
    let message = Message::text(&shop, FOLLOWER, "keep trying");
    assert_eq!(status(&world.simulator.send_message(&message).await), 500);
    world.faults.clear();
    assert!(world.simulator.send_message(&message).await.is_empty());
    assert_eq!(texts(&world), ["keep trying"]);
}

#[tokio::test]
async fn an_event_that_is_too_large_is_delivered_in_part_and_does_not_wait() {
    let world = World::ready().await;
    let shop = shop(&world).await;
    let link = |text: &str| Message::new(&shop, FOLLOWER, "link").with("Title", text).with("Url", "u");
    for (message, omitted) in [
        (Message::text(&shop, FOLLOWER, &"字".repeat(15_000)), None),
        (Message::text(&shop, FOLLOWER, &"\"".repeat(40_000)), None),
        (Message::text(&shop, FOLLOWER, &"\u{1}".repeat(30_000)), Some(json!(["fields"]))),
        (Message::text(&shop, FOLLOWER, &"\u{1}".repeat(47_000)), Some(json!(["fields", "message"]))),
        (link(&"\u{1}".repeat(47_000)), Some(json!(["fields", "message"]))),
        (Message::of(&shop.appid, "\u{1}".repeat(47_000)), Some(json!(["fields"]))),
    ] {
        let before = world.metrics.count(Measure::EventReduced);
        assert!(world.simulator.send_message(&message).await.is_empty());
        let detail = delivered(&world).pop().unwrap();
        assert_eq!(detail.get("omitted"), omitted.as_ref());
        assert_eq!(detail.get("fields").is_none(), omitted.is_some());
        assert_eq!(world.metrics.count(Measure::EventReduced), before + usize::from(omitted.is_some()));
        Schema::read().fits("message_detail", &detail).unwrap();
    }
    assert_eq!((delivered(&world).len(), world.metrics.count(Measure::EventDelayed)), (6, 0));
}

#[tokio::test]
async fn an_event_that_a_bus_finds_too_large_is_put_there_in_part_at_once() {
    let world = World::ready().await;
    world.expect_error("a message will never be delivered");
    let shop = shop(&world).await;
    world.bus.take_at_most(4_096);
    assert!(world.simulator.send_message(&Message::text(&shop, FOLLOWER, &"x".repeat(3_000))).await.is_empty());
    let detail = delivered(&world).pop().unwrap();
    assert_eq!((&detail["omitted"], detail["message"]["content"].as_str().unwrap().len()), (&json!(["fields"]), 3_000));

    // Smaller than any version of it: it is not offered again and again.
    world.bus.take_at_most(100);
    assert!(world.simulator.send_message(&Message::text(&shop, FOLLOWER, "hello")).await.is_empty());
    assert_eq!((world.metrics.count(Measure::EventDropped), world.metrics.count(Measure::EventDelayed)), (1, 0));
    world.bus.take_at_most(256 * 1024);
    world.renew().await;
    assert_eq!(delivered(&world).len(), 1);
}

#[tokio::test]
async fn with_a_failing_bus_no_message_is_lost_and_none_asks_the_webhook_twice() {
    const MESSAGES: usize = 400;
    let world = World::ready().await;
    let shop = shop(&world).await;
    let service = service_for(&world).await;
    world.simulator.set_behaviour(Behaviour { redeliver_pushes: true, ..Behaviour::default() });
    for (every, fault) in [(7, Fault::Away), (11, Fault::LostReply), (13, Fault::Throttle)] {
        world.faults.every(every, Matching::operation("PutEvents"), fault);
    }
    world.faults.every(29, Matching::operation("UpdateItem"), Fault::LostReply);
    let sent = stream::iter(0..MESSAGES).map(async |number| {
        let message = Message::text(&shop, FOLLOWER, &number.to_string());
        let answered = world.simulator.send_message(&message).await;
        // Every tenth comes twice.
        if number % 10 == 0 {
            assert_eq!(world.simulator.send_message(&message).await.reply, answered.reply);
        }
        assert_eq!(answered.reply_text(), Some(format!("{number}!")), "{answered:?}");
    });
    sent.buffer_unordered(20).collect::<Vec<()>>().await;
    world.faults.clear();
    world.pass(LATER);
    world.renew().await;

    let arrived: BTreeSet<String> = texts(&world).into_iter().collect();
    assert_eq!(arrived.len(), MESSAGES, "nothing is lost");
    let asked = service.asked();
    let ids: BTreeSet<&String> = asked.iter().map(|call| &call.id).collect();
    assert_eq!((asked.len(), ids.len()), (MESSAGES, MESSAGES), "each asked once");
}
