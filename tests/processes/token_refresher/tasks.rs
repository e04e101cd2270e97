//! The process's four kinds of events and its reports.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};
use stories::bootstrap::Bootstrap;
use stories::refresher_events::{inserts, reconcile, renew};
use stories::world::World;

use super::{BINARY, TO_EXPIRY};

#[tokio::test]
async fn a_renewal_tick_processes_the_inbox_renews_what_is_due_and_reports_it() {
    let world = World::beside_processes(TO_EXPIRY, |_| {}).await;
    world.get_ready().await;
    let account = world.authorized_account().await;
    world.pass(TO_EXPIRY);
    assert!(world.simulator.push_ticket().await.is_accepted());
    let other = world.account(1);
    assert!(world.simulator.send(&world.merchant_authorizes(&other).push).await.is_accepted());

    let function = Bootstrap::start(BINARY, &world).await;
    let mut report = function.invoke(renew()).await.unwrap();
    let age = report["ticket_age_seconds"].take();
    assert!(age.as_u64().is_some_and(|age| age < 60), "{age}");
    assert_eq!(
        report,
        json!({
            "renewed": 1, "failed": {}, "left_over": 0,
            "messages_delivered": 0, "events_delivered": 0, "events_sent": 0, "inbox_done": 1, "inbox_postponed": 0,
            "added": 0, "repaired": 0, "gone": 0, "ticket_age_seconds": null,
        })
    );
    for account in [&account, &other] {
        assert!(world.wechat_accepts(account).await);
    }
    let again = function.invoke(renew()).await.unwrap();
    assert_eq!((&again["renewed"], &again["inbox_done"]), (&json!(0), &json!(0)), "nothing is left");
}

#[tokio::test]
async fn a_reconciliation_tick_adds_what_a_lost_push_left_out() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let account = world.account(2);
    drop(world.merchant_authorizes(&account));
    let function = Bootstrap::start(BINARY, &world).await;
    let report = function.invoke(reconcile()).await.unwrap();
    assert_eq!((&report["added"], &report["ticket_age_seconds"]), (&json!(1), &json!(null)), "{report}");
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn a_batch_of_the_stream_processes_its_entries_and_nothing_else() {
    let world = World::beside_processes(TO_EXPIRY, |_| {}).await;
    world.get_ready().await;
    let due = world.authorized_account().await;
    let old = world.inbox_keys().await;
    world.pass(TO_EXPIRY);
    assert!(world.simulator.push_ticket().await.is_accepted());
    let account = world.account(1);
    assert!(world.simulator.send(&world.merchant_authorizes(&account).push).await.is_accepted());

    let function = Bootstrap::start(BINARY, &world).await;
    let nothing = function.invoke(inserts(&old)).await.unwrap();
    assert_eq!(nothing["inbox_done"], 0, "what has taken effect stays so");
    let keys = world.inbox_keys().await;
    let report = function.invoke(inserts(&keys)).await.unwrap();
    assert_eq!((&report["inbox_done"], &report["renewed"]), (&json!(1), &json!(0)), "{report}");
    assert!(world.wechat_accepts(&account).await);
    assert_eq!(world.simulator.counters().effects.renewals_of(&due), 0, "what is due waits for the tick");
}

#[tokio::test]
async fn a_foreign_event_is_an_error_that_does_not_quote_it() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.expect_error("the event is neither");
    let function = Bootstrap::start(BINARY, &world).await;
    for foreign in [
        json!({ "task": "s3cr3t-task" }),
        json!({ "password": "s3cr3t-word" }),
        json!({ "Records": [{ "body": "s3cr3t-body" }] }),
        json!(["s3cr3t-list"]),
    ] {
        let error = function.invoke(foreign).await.unwrap_err();
        assert!(error.message.contains("neither"), "{error}");
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
    }
    let report = function.invoke(renew()).await.unwrap();
    assert_eq!(report["failed"], json!({ "no-ticket": 1 }));
    assert!(!function.kill().contains("s3cr3t"));
}

#[tokio::test]
async fn without_a_usable_secret_an_event_is_an_error_and_the_process_goes_on() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.expect_error("the platform's secret lacks component_appid");
    world.secrets.set(r#"{"token":"StoryVerificationToken01"}"#.into());
    let function = Bootstrap::start(BINARY, &world).await;
    let error = function.invoke(renew()).await.unwrap_err();
    assert!(error.message.contains("component_appid"), "{error}");
    assert!(function.invoke(renew()).await.is_err());
}

#[tokio::test]
async fn before_the_secret_has_a_value_a_run_does_nothing_and_does_not_fail() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.expect_error("the platform's secret is still empty");
    world.secrets.set("".into());
    let function = Bootstrap::start(BINARY, &world).await;
    assert_eq!(function.invoke(renew()).await.unwrap(), Value::Null);
    let output = function.kill();
    assert!(output.contains("still empty"), "{output}");
    assert!(!output.contains("run_finished"), "no heartbeat: {output}");
}

#[tokio::test]
async fn a_missing_or_malformed_variable_ends_the_start_and_is_named() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    for name in ["TABLE_NAME", "SECRET_ID", "EVENT_BUS_NAME", "PUBLIC_BASE_URL"] {
        let output = Bootstrap::fails_with(BINARY, &world, name, None).await;
        assert!(output.contains(name), "{output}");
    }
    for (name, bad) in [
        ("WECHAT_API_BASE_URL", "no address"),
        ("REFRESHER_WINDOW", "257"),
        ("METRICS_NAMESPACE", "AWS/Lambda"),
        ("EVENT_WEBHOOK_URL", "app.example.com/s3cr3t"),
        ("EVENT_WEBHOOK_URL", "https://user:s3cr3t@app.example.com/hook"),
        // Not even on this machine.
        ("EVENT_WEBHOOK_URL", "http://127.0.0.1:9/hook?key=s3cr3t"),
    ] {
        let output = Bootstrap::fails_with(BINARY, &world, name, Some(bad)).await;
        assert!(output.contains(name) && !output.contains("s3cr3t"), "{output}");
    }
}

#[tokio::test]
async fn an_event_webhook_on_this_machine_is_not_connected_to() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let witness = TcpListener::bind("127.0.0.1:0").unwrap();
    witness.set_nonblocking(true).unwrap();
    for host in ["127.0.0.1", "localhost"] {
        let account = world.account(usize::from(host == "localhost"));
        assert!(world.simulator.send(&world.merchant_authorizes(&account).push).await.is_accepted());
        world.renew().await;
        let url = format!("https://{host}:{}/hook", witness.local_addr().unwrap().port());
        let function = Bootstrap::with(BINARY, &world, |all| drop(all.insert("EVENT_WEBHOOK_URL".into(), url))).await;
        let report = function.invoke(renew()).await.unwrap();
        assert_eq!((&report["events_delivered"], &report["events_sent"]), (&json!(1), &json!(0)), "{report}");
        let output = function.kill();
        assert!(output.contains("\"reason\":\"address\"") && output.contains("event_webhook_failed"), "{output}");
    }
    assert_eq!(witness.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}
