//! The calls of WeChat's release check by processes that die or overlap: the follower gets the message, at least once.

use std::time::Duration;

use base::limits::LEASE;
use serde_json::json;
use simulator::{Account, Fault, Message, paths};
use stories::bootstrap::Bootstrap;
use stories::refresher_events::inserts;
use stories::world::World;

use super::BINARY;

const CHECKER: &str = "oChecker-0123456789_abcdefgh";

/// A world whose inbox has a message of the check, and the code in it. The account was authorized in the second before.
async fn asked() -> (World, String) {
    asked_after(1).await
}

/// The same with other seconds between WeChat's times of the grant and of the message.
async fn asked_after(seconds: i64) -> (World, String) {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let account = Account::release_check().remove(0);
    world.simulator.put_account(account.clone());
    world.push_and_work(&world.merchant_authorizes(&account.appid).push).await;
    let code = world.simulator.issue_code(&account.appid).unwrap();
    let at = world.stored(&account.appid).await.granted_at.unwrap().unix() + seconds;
    let message = Message::text(&account, CHECKER, &format!("QUERY_AUTH_CODE:{code}"));
    let message = message.with("CreateTime", &at.to_string());
    assert!(world.simulator.send_message(&message).await.is_empty());
    (world, code)
}

/// The customer-service messages: the text, and the code that brought the token with which it was sent.
fn sent(world: &World) -> Vec<(String, Option<String>)> {
    let sent = world.simulator.sent().into_iter().filter(|sent| sent.to == CHECKER);
    sent.map(|sent| (sent.body["text"]["content"].as_str().unwrap().to_owned(), sent.code)).collect()
}

/// The message that the check expects.
fn expected(code: &str) -> (String, Option<String>) {
    (format!("{code}_from_api"), Some(code.to_owned()))
}

/// Kills a process while WeChat's response to a call of this path is in progress; then the dead process's lease expires
/// and an ordinary run follows.
async fn killed_at(world: &World, path: &str) {
    world.simulator.inject(Fault::Hold.on(path).times(1));
    let function = Bootstrap::start(BINARY, world).await;
    let event = inserts(&world.inbox_keys().await);
    drop(function.kill_during(event, world.simulator.until_held(path, 1)).await);
    world.simulator.release(path);
    world.pass(LEASE);
    let report = world.renew().await;
    assert_eq!((report.inbox_done, report.failed.len()), (1, 0), "{report}");
}

#[tokio::test]
async fn a_process_that_dies_after_the_exchange_leaves_the_message_to_the_next() {
    let (world, code) = asked().await;
    // By then the tokens are stored, and the profile is being read.
    killed_at(&world, paths::GET_AUTHORIZER_INFO).await;
    assert_eq!(sent(&world), [expected(&code)], "with the token of that code");
    assert_eq!(world.renew().await.inbox_done, 0);
}

#[tokio::test]
async fn a_message_whose_tokens_died_is_sent_with_the_accounts_next_token() {
    // In the second of the grant too, when WeChat's times do not show that the stored tokens are older than the code.
    for seconds in [0, 1] {
        let (world, code) = asked_after(seconds).await;
        killed_at(&world, paths::QUERY_AUTH).await;
        // The token that the code brought is lost.
        assert_eq!(sent(&world), [(expected(&code).0, None)], "{seconds}");
        assert!(world.wechat_accepts(&Account::release_check()[0].appid).await, "{seconds}");
    }
}

#[tokio::test]
async fn a_message_whose_process_dies_before_it_is_noted_is_sent_again() {
    let (world, code) = asked().await;
    killed_at(&world, paths::CUSTOM_SEND).await;
    assert_eq!(sent(&world), [expected(&code), expected(&code)], "WeChat had it already");
    assert_eq!(world.renew().await.inbox_done, 0, "and then it is done with");
}

#[tokio::test]
async fn two_processes_that_get_the_code_at_once_exchange_and_send_once() {
    let (world, code) = asked().await;
    let calls = world.calls(paths::QUERY_AUTH);
    let (one, other) = (Bootstrap::start(BINARY, &world).await, Bootstrap::start(BINARY, &world).await);
    for warm in [&one, &other] {
        warm.invoke(inserts([])).await.unwrap();
    }
    // Many times the lag of one process behind the other.
    world.simulator.inject(Fault::Delay(Duration::from_millis(300)).on(paths::QUERY_AUTH));
    let event = inserts(&world.inbox_keys().await);
    let (first, second) = tokio::join!(one.invoke(event.clone()), other.invoke(event));
    let reports = [first.unwrap(), second.unwrap()];
    for (field, sum) in [("inbox_done", 1), ("inbox_postponed", 1)] {
        assert_eq!(reports.iter().map(|report| report[field].as_u64().unwrap()).sum::<u64>(), sum, "{reports:?}");
    }
    world.pass(LEASE);
    assert_eq!(world.renew().await.inbox_done, 0, "the one that waited has nothing left to do");
    assert_eq!((world.calls(paths::QUERY_AUTH) - calls, sent(&world)), (1, vec![expected(&code)]));
}

#[tokio::test]
async fn a_second_process_sends_the_message_while_the_first_waits_for_wechat() {
    let (world, code) = asked().await;
    let calls = world.calls(paths::QUERY_AUTH);
    world.simulator.inject(Fault::Hold.on(paths::CUSTOM_SEND).times(1));
    let (one, other) = (Bootstrap::start(BINARY, &world).await, Bootstrap::start(BINARY, &world).await);
    let event = inserts(&world.inbox_keys().await);
    let late = async {
        world.simulator.until_held(paths::CUSTOM_SEND, 1).await;
        let report = other.invoke(event.clone()).await.unwrap();
        world.simulator.release(paths::CUSTOM_SEND);
        report
    };
    let (first, second) = tokio::join!(one.invoke(event.clone()), late);
    for report in [first.unwrap(), second] {
        assert_eq!((&report["inbox_done"], &report["failed"]), (&json!(1), &json!({})), "{report}");
    }
    // A follower can live with the same text twice; the check cannot live with none.
    assert_eq!(sent(&world), [expected(&code), expected(&code)]);
    assert_eq!(world.calls(paths::QUERY_AUTH) - calls, 1, "the code is exchanged once");
    assert_eq!(world.renew().await.inbox_done, 0);
}
