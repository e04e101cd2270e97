//! What happens to accounts is also sent to the business's own service: signed, in each account's order, until it is
//! accepted. Bus and webhook are independent.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::response::{IntoResponse as _, Redirect, Response};
use base::ids::{AppId, LinkId};
use base::limits::Limits;
use http::StatusCode;
use platform::webhook::AddressPolicy;
use runtime::telemetry::Measure;
use serde_json::{Value, json};
use store::{END_OF_TIME, GrantEnd, GrantOrigin, Labels};
use stories::browser::Browser;
use stories::business::{Business, Link};
use stories::due::due_accounts;
use stories::faults::{Fault, Matching, Side};
use stories::logs::leaks;
use stories::process::eventually;
use stories::schema::Schema;
use stories::webhook::{Call, Service};
use stories::world::{World, secret_json, short_limits};
use tokio::sync::Semaphore;
use url::Url;

/// Limits for calls that will not be answered in time.
const BRIEF: Limits = Limits { webhook: Duration::from_millis(200), ..short_limits() };

/// A platform whose refresher sends the events of accounts to this service.
async fn world_with(service: &Service) -> World {
    let mut world = World::ready().await;
    world.send_events_to(Some(service.url()), AddressPolicy::this_machine_too());
    world
}

/// A merchant authorizes the platform. The next run delivers the events of it.
async fn comes(world: &World, account: &AppId) {
    assert!(world.simulator.send(&world.merchant_authorizes(account).push).await.is_accepted());
    world.renew().await;
}

/// A merchant withdraws the grant, some time later.
async fn leaves(world: &World, account: &AppId) {
    world.pass(Duration::from_mins(10));
    assert!(world.simulator.send(&world.simulator.unauthorize(account).unwrap()).await.is_accepted());
    world.renew().await;
}

/// The types of an account's events, in the order in which they were sent to the service.
fn sent(service: &Service, account: &AppId) -> Vec<String> {
    let calls = service.asked().into_iter().filter(|call| call.body["data"]["authorizer_appid"] == account.as_str());
    calls.map(|call| call.body["type"].as_str().unwrap().to_owned()).collect()
}

/// The types of the events of an account on the bus.
fn on_bus(world: &World, account: &AppId) -> Vec<String> {
    let events = world.bus.delivered_of("account.").into_iter();
    events.filter(|event| event.detail["authorizer_appid"] == account.as_str()).map(|event| event.detail_type).collect()
}

/// The grant of an account ends, and nothing has been published yet.
async fn ends(world: &World, account: &AppId) {
    let seq = world.stored(account).await.token.seq;
    world.tokens().await.end_grant(account, seq, &GrantEnd::TakenBack { at: None }).await.unwrap();
}

async fn waiting(world: &World) -> u64 {
    world.store().outbox.count_waiting(END_OF_TIME).await.unwrap()
}

fn reasons(world: &World) -> Vec<String> {
    let metrics = world.metrics.all().into_iter().filter(|metric| metric.measure == Measure::EventWebhookFailed);
    metrics.map(|metric| metric.dimension.unwrap().1).collect()
}

/// A service that accepts nothing while the switch is off.
async fn switched() -> (Service, Arc<AtomicBool>) {
    let switch = Arc::new(AtomicBool::new(false));
    let takes = Arc::clone(&switch);
    let service = Service::answering(move |_| answer(takes.load(Ordering::SeqCst))).await;
    (service, switch)
}

fn answer(takes: bool) -> Response {
    if takes { StatusCode::ACCEPTED } else { StatusCode::SERVICE_UNAVAILABLE }.into_response()
}

#[tokio::test]
async fn the_webhook_is_sent_what_the_bus_is_told_and_both_are_noted_in_one_write() {
    let service = Service::replying(json!({ "ignored": true })).await;
    let world = world_with(&service).await;
    let account = world.authorized_account().await;
    ends(&world, &account).await;
    world.faults.reset_counts();
    world.deliver().await;
    let (event, call) = (world.bus.delivered_of("account.").pop().unwrap(), service.asked().pop().unwrap());
    assert_eq!(call.id, event.detail["id"]);
    assert_eq!(call.body["data"], event.detail);
    assert_eq!(call.body["type"], event.detail_type);
    assert_eq!(call.body["timestamp"], event.detail["occurred_at"]);
    assert_eq!(Schema::read().fits("event_webhook_request", &call.body), Ok(()), "{}", call.body);
    assert_eq!((world.faults.requests("UpdateItem"), waiting(&world).await), (1, 0));
    assert_eq!(sent(&service, &account), ["account.authorized", "account.unauthorized"]);
    assert_eq!(service.asked().len(), 2, "and neither messages nor grants");
}

#[tokio::test]
async fn what_the_webhook_does_not_accept_is_sent_again_with_the_same_id_and_bytes() {
    let (service, takes) = switched().await;
    let world = world_with(&service).await;
    let account = world.account(0);
    comes(&world, &account).await;
    world.deliver().await;
    world.deliver().await;
    assert_eq!((service.asked().len(), waiting(&world).await), (1, 1), "not again within a minute");
    takes.store(true, Ordering::SeqCst);
    world.pass(Duration::from_mins(5));
    world.renew().await;
    let [first, second] = &service.asked()[..] else { panic!("two calls") };
    assert_eq!((&first.id, &first.bytes), (&second.id, &second.bytes));
    assert_eq!((on_bus(&world, &account).len(), waiting(&world).await), (1, 0));
    assert_eq!(reasons(&world), ["status"]);
}

#[tokio::test]
async fn whatever_is_wrong_with_the_webhook_the_bus_gets_all_and_nobody_else_is_called() {
    let hanging = Service::hanging().await;
    let refusing = Service::answering(|_| answer(false)).await;
    let redirecting = Service::answering(|_| Redirect::temporary("/replies").into_response()).await;
    let witness = TcpListener::bind("127.0.0.1:0").unwrap();
    witness.set_nonblocking(true).unwrap();
    let private: Url = format!("https://{}/?key=hush-hush", witness.local_addr().unwrap()).parse().unwrap();
    let closed: Url = {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/?key=hush-hush", gone.local_addr().unwrap()).parse().unwrap()
    };
    let here = AddressPolicy::this_machine_too();
    for (url, policy, limits, reason) in [
        (hanging.url(), here, BRIEF, "timeout"),
        (refusing.url(), here, short_limits(), "status"),
        (redirecting.url(), here, short_limits(), "status"),
        (closed, here, short_limits(), "connect"),
        (private, AddressPolicy::public_only(), short_limits(), "address"),
    ] {
        let mut world = World::with(|_| {}, limits).await;
        world.get_ready().await;
        world.send_events_to(Some(url), policy);
        let account = world.account(0);
        comes(&world, &account).await;
        leaves(&world, &account).await;
        world.deliver().await;
        assert_eq!(on_bus(&world, &account), ["account.authorized", "account.unauthorized"], "{reason}");
        assert_eq!(waiting(&world).await, 2, "{reason}");
        assert!(reasons(&world).iter().all(|word| word == reason) && !reasons(&world).is_empty(), "{reason}");
        assert!(!world.log.text().contains("hush-hush"), "no address is logged");
        assert!(world.log.text().contains("will be sent to the event webhook later"));
    }
    assert_eq!(witness.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(redirecting.asked().iter().all(|call| call.body["type"] == "account.authorized"), "not followed");
}

#[tokio::test]
async fn without_a_key_nothing_is_sent_and_nothing_is_lost() {
    let service = Service::replying(Value::Null).await;
    let mut world = World::start().await;
    let mut secret: Value = serde_json::from_str(secrecy::ExposeSecret::expose_secret(&secret_json())).unwrap();
    secret.as_object_mut().unwrap().remove("webhook_secret");
    world.secrets.set(secret.to_string().into());
    world.get_ready().await;
    world.send_events_to(Some(service.url()), AddressPolicy::this_machine_too());
    let account = world.account(0);
    comes(&world, &account).await;
    world.deliver().await;
    assert_eq!((service.asked().len(), on_bus(&world, &account).len(), waiting(&world).await), (0, 1, 1));
    assert_eq!(reasons(&world), ["not-configured"]);
    world.secrets.set(secret_json());
    world.pass(Duration::from_mins(6));
    world.renew().await;
    assert_eq!((sent(&service, &account).len(), waiting(&world).await), (1, 0));
}

#[tokio::test]
async fn an_event_that_is_refused_holds_up_those_of_its_account_and_of_no_other() {
    let refused = Arc::new(Mutex::new(String::new()));
    let appid = Arc::clone(&refused);
    let is_refused = move |call: &Call| call.body["data"]["authorizer_appid"] == appid.lock().unwrap().as_str();
    let service = Service::answering(move |call| answer(!is_refused(call))).await;
    let world = world_with(&service).await;
    let (account, other) = (world.account(0), world.account(1));
    *refused.lock().unwrap() = account.to_string();
    comes(&world, &account).await;
    comes(&world, &other).await;
    leaves(&world, &account).await;
    leaves(&world, &other).await;
    world.deliver().await;
    let both = ["account.authorized", "account.unauthorized"];
    assert_eq!(
        (on_bus(&world, &account), on_bus(&world, &other)),
        (both.map(Into::into).into(), both.map(Into::into).into())
    );
    assert_eq!(sent(&service, &other), both);
    assert!(sent(&service, &account).iter().all(|kind| kind == "account.authorized"), "one after the other");

    refused.lock().unwrap().clear();
    world.pass(Duration::from_hours(1));
    world.deliver().await;
    let mut calls = sent(&service, &account);
    calls.dedup();
    assert_eq!((calls, waiting(&world).await), (both.map(Into::into).into(), 0));
}

#[tokio::test]
async fn after_a_day_an_event_is_given_up_and_the_next_one_goes_on() {
    let service = Service::answering(|call| answer(call.body["type"] != "account.authorized")).await;
    let world = world_with(&service).await;
    let account = world.account(0);
    comes(&world, &account).await;
    leaves(&world, &account).await;
    // Until ten minutes before the first one's day is over.
    for _ in 0..6 * 23 + 4 {
        world.pass(Duration::from_mins(10));
        world.deliver().await;
    }
    let tries = service.asked().len();
    assert!((26..=32).contains(&tries), "rarer and rarer: {tries}");
    assert_eq!((world.metrics.count(Measure::EventGivenUp), waiting(&world).await), (0, 2));

    world.expect_error("is not sent to the event webhook any more");
    world.pass(Duration::from_mins(20));
    world.deliver().await;
    assert_eq!(service.asked().len(), tries + 2, "the first one for the last time, and the next");
    assert_eq!((world.metrics.count(Measure::EventGivenUp), waiting(&world).await), (1, 0));
    assert_eq!(sent(&service, &account).pop().unwrap(), "account.unauthorized");
}

#[tokio::test]
async fn a_bus_that_is_away_keeps_nothing_from_the_webhook() {
    let service = Service::replying(Value::Null).await;
    let world = world_with(&service).await;
    world.expect_error("nothing more is delivered in this run");
    let (account, other) = (world.account(0), world.account(1));
    world.faults.always(Matching::operation("PutEvents"), Fault::Away);
    for account in [&account, &other] {
        comes(&world, account).await;
        leaves(&world, account).await;
    }
    world.deliver().await;
    for account in [&account, &other] {
        assert_eq!(sent(&service, account), ["account.authorized", "account.unauthorized"]);
        assert_eq!(on_bus(&world, account).len(), 0);
    }
    world.faults.clear();
    world.pass(Duration::from_mins(5));
    world.renew().await;
    assert_eq!(on_bus(&world, &account), ["account.authorized", "account.unauthorized"]);
    assert_eq!((service.asked().len(), waiting(&world).await), (4, 0), "the webhook is not sent them again");
}

#[tokio::test]
async fn a_webhook_that_hangs_costs_a_run_little_and_runs_of_the_stream_nothing() {
    let service = Service::hanging().await;
    let mut world = World::with(|_| {}, BRIEF).await;
    world.get_ready().await;
    let accounts = due_accounts(&world, 40).await;
    world.deliver().await;
    world.send_events_to(Some(service.url()), AddressPolicy::this_machine_too());
    world.pass(Duration::from_mins(1));
    for account in &accounts {
        assert!(world.simulator.send(&world.simulator.unauthorize(account).unwrap()).await.is_accepted());
    }
    world.renew().await;
    world.renew().await;
    for account in &accounts {
        assert_eq!(on_bus(&world, account).last().unwrap(), "account.unauthorized");
    }
    let asked = service.asked().len();
    assert!((3..=38).contains(&asked), "those under way at once, twice at most: {asked}");
    world.pass(Duration::from_mins(2));
    world.deliver().await;
    assert_eq!(service.asked().len(), asked, "it has just not answered, and the next pushes wait");
    assert_eq!(waiting(&world).await, 40);
}

/// A platform with accounts that have just been lost, and a service that responds once per permit.
async fn losses_and_a_thinking_service(accounts: usize) -> (World, Vec<AppId>, Service, Arc<Semaphore>) {
    let mut world = World::with(|_| {}, Limits { webhook: Duration::from_mins(1), ..short_limits() }).await;
    world.get_ready().await;
    let accounts = due_accounts(&world, accounts).await;
    world.deliver().await;
    let goes_on = Arc::new(Semaphore::new(0));
    let service = Service::waiting_for(Arc::clone(&goes_on)).await;
    world.send_events_to(Some(service.url()), AddressPolicy::this_machine_too());
    for account in &accounts {
        ends(&world, account).await;
    }
    (world, accounts, service, goes_on)
}

#[tokio::test]
async fn a_webhook_that_thinks_keeps_the_bus_waiting_for_nothing() {
    let (world, accounts, service, goes_on) = losses_and_a_thinking_service(40).await;
    let released = async {
        let has_all = || accounts.iter().all(|account| on_bus(&world, account).len() == 2);
        eventually("the bus has all", Duration::from_mins(1), has_all).await;
        assert!(service.asked().len() < 40, "more than are called at once");
        goes_on.add_permits(1_000);
    };
    let (report, ()) = tokio::join!(world.deliver(), released);
    assert_eq!((report.events_delivered, report.events_sent), (40, 40), "{report}");
    assert!(accounts.iter().all(|account| sent(&service, account) == ["account.unauthorized"]));
    assert_eq!(waiting(&world).await, 0);
}

#[tokio::test]
async fn a_run_that_dies_while_the_webhook_thinks_puts_nothing_on_the_bus_again() {
    let (world, accounts, service, goes_on) = losses_and_a_thinking_service(1).await;
    let mut note = world.faults.hold(0, Matching::operation("UpdateItem").containing("#details#"), Side::After);
    tokio::select! {
        _ = world.deliver() => panic!("the run has ended"),
        () = note.until_reached() => {}
    }
    drop(note);
    world.pass(Duration::from_mins(1));
    goes_on.add_permits(1_000);
    world.deliver().await;
    assert_eq!((on_bus(&world, &accounts[0]).len(), sent(&service, &accounts[0]).len()), (2, 2));
    assert_eq!(waiting(&world).await, 0);
}

#[tokio::test]
async fn a_run_that_dies_before_it_has_noted_a_call_sends_the_same_again() {
    let service = Service::replying(Value::Null).await;
    let world = world_with(&service).await;
    let account = world.authorized_account().await;
    ends(&world, &account).await;
    let mut note = world.faults.hold(0, Matching::operation("UpdateItem").containing("#details#"), Side::Before);
    tokio::select! {
        _ = world.deliver() => panic!("the run has ended"),
        () = note.until_reached() => {}
    }
    drop(note);
    world.pass(Duration::from_mins(1));
    world.deliver().await;
    let [_, first, second] = &service.asked()[..] else { panic!("two calls, behind that of the beginning") };
    assert_eq!((&first.id, &first.bytes), (&second.id, &second.bytes));
    assert_eq!(waiting(&world).await, 0);
}

#[tokio::test]
async fn a_webhook_that_is_set_later_gets_no_history_and_one_that_is_taken_away_keeps_nothing_waiting() {
    let (service, _) = switched().await;
    let mut world = World::ready().await;
    let account = world.account(0);
    comes(&world, &account).await;
    world.deliver().await;
    world.send_events_to(Some(service.url()), AddressPolicy::this_machine_too());
    world.pass(Duration::from_mins(5));
    world.renew().await;
    assert_eq!(service.asked().len(), 0);
    leaves(&world, &account).await;
    world.deliver().await;
    assert_eq!((sent(&service, &account), waiting(&world).await), (vec!["account.unauthorized".to_owned()], 1));

    world.send_events_to(None, AddressPolicy::this_machine_too());
    world.pass(Duration::from_hours(1));
    world.deliver().await;
    assert_eq!((service.asked().len(), waiting(&world).await), (1, 0));
    assert_eq!(on_bus(&world, &account).len(), 2, "and the bus gets nothing twice");
}

#[tokio::test]
async fn a_loss_comes_with_a_link_through_which_the_account_is_back_as_it_was() {
    let service = Service::replying(Value::Null).await;
    let world = world_with(&service).await;
    let business = Business::of(&world);
    let first = business.link(json!({ "reference": "shop 12", "tags": { "plan": "gold" } })).await;
    let account = world.account(0);
    let page = Browser::on_computer().press(&first).await;
    world.push_and_work(&world.confirms(&page, &account).push).await;
    // The push of it is lost: reconcile finds out.
    world.pass(Duration::from_hours(1));
    drop(world.simulator.unauthorize(&account).unwrap());
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.reconcile().await;
    world.deliver().await;

    let lost = service.asked().pop().unwrap().body;
    assert_eq!(lost["type"], "account.needs_authorization");
    assert_eq!(Schema::read().fits("event_webhook_request", &lost), Ok(()), "{lost}");
    let lost = &lost["data"];
    assert_eq!((&lost["errcode"], &lost["reference"]), (&json!(61003), &json!("shop 12")));
    assert!(lost["rid"].as_str().is_some_and(|rid| rid.len() > 10), "WeChat's id of the call: {lost}");
    assert_eq!(lost["link_id"], json!(first.id), "of the grant that is lost");
    let again = Link {
        id: lost["authorization_link_id"].as_str().unwrap().to_owned(),
        url: lost["authorization_url"].as_str().unwrap().parse().unwrap(),
    };
    let made = business.look(&again).await;
    assert_eq!((&made["status"], &made["reference"]), (&json!("pending"), &json!("shop 12")));
    assert_eq!(made["expires_at"], world.now().plus(Duration::from_hours(24 * 30)).rfc3339());

    // It is for this account only.
    let page = Browser::on_computer().press(&again).await;
    assert!(page.0.query_pairs().any(|(name, value)| name == "biz_appid" && value == account.as_str()), "{}", page.0);
    // The business's labels of the account stay meanwhile.
    let later = business.link(json!({ "reference": "shop 13" })).await;
    let origin = GrantOrigin {
        link: LinkId::parse(&later.id).unwrap(),
        labels: Labels::new(Some("shop 13".to_owned()), [].into()).unwrap(),
        binds: None,
    };
    world.store().accounts.note_origin(&account, &origin, world.now()).await.unwrap();
    world.pass(Duration::from_mins(10));
    world.push_and_work(&world.confirms(&page, &account).push).await;
    world.deliver().await;
    assert!(world.wechat_accepts(&account).await);
    let back = service.asked().pop().unwrap().body;
    assert_eq!(back["type"], "account.authorized");
    assert_eq!((&back["data"]["link_id"], &back["data"]["reference"]), (&json!(again.id), &json!("shop 13")));
    assert_eq!(back["data"]["tags"], json!({ "plan": "gold" }));
    assert_eq!(business.look(&again).await["authorizer_appid"], account.as_str());

    let secrets = world.simulator.issued_secrets();
    let secrets: Vec<_> = secrets.iter().map(|secret| (format!("{:?}", secret.kind), secret.value.as_str())).collect();
    let all: String = service.asked().iter().map(|call| String::from_utf8_lossy(&call.bytes)).collect();
    let found = leaks(&all, secrets.iter().map(|(kind, value)| (kind.as_str(), *value)));
    assert!(found.is_empty(), "no event has a secret: {found:?}");
}

#[tokio::test]
async fn a_grant_whose_end_is_written_twice_has_one_link() {
    let service = Service::replying(Value::Null).await;
    let world = world_with(&service).await;
    let account = world.account(0);
    comes(&world, &account).await;
    world.faults.next(1, Matching::operation("TransactWriteItems"), Fault::LostReply);
    let end = GrantEnd::Refused { errcode: Some(61003), rid: Some("62bc0b4a-0b2d5f9a-1c2d3e4f".to_owned()) };
    let seq = world.stored(&account).await.token.seq;
    let before = world.items().await;
    world.tokens().await.end_grant(&account, seq, &end).await.unwrap();
    assert_eq!(world.items().await - before, 3, "the event, the link, and its entry in the list of links");
    world.deliver().await;
    assert_eq!(service.asked().pop().unwrap().body["data"]["rid"], "62bc0b4a-0b2d5f9a-1c2d3e4f");
}
