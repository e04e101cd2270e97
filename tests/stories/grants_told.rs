//! The business is notified of grants on the bus: each push once it has taken effect, never a code.

use std::time::Duration;

use base::ids::AppId;
use serde_json::Value;
use simulator::{Account, Push, SecretKind, paths};
use store::AccountState;
use stories::faults::{Fault, Matching};
use stories::world::World;

/// Longer than the first pause of an entry that failed.
const LATER: Duration = Duration::from_mins(6);

/// The next run that retries what failed.
async fn later(world: &World) {
    world.pass(LATER);
    world.renew().await;
}

/// Detail-types and details of the grants on the bus.
fn told(world: &World) -> Vec<(String, Value)> {
    world.bus.delivered_of("grant.").into_iter().map(|event| (event.detail_type, event.detail)).collect()
}

fn types(world: &World) -> Vec<String> {
    told(world).into_iter().map(|(detail_type, _)| detail_type).collect()
}

#[tokio::test]
async fn every_change_of_a_grant_is_told_and_no_ticket() {
    let world = World::ready().await;
    let account = world.account(0);
    let consent = world.merchant_authorizes(&account);
    world.push_and_work(&consent.push).await;
    let again = world.merchant_authorizes(&account);
    world.push_and_work(&again.push).await;
    let unauthorized = world.simulator.unauthorize(&account).unwrap();
    world.push_and_work(&unauthorized).await;
    world.push_and_work(&world.simulator.register_mini_program("Demo").push).await;
    world.push_and_work(&world.simulator.fail_registration("Demo", 101, "deregistered")).await;
    let unknown =
        notice(&world, "notify_something_new", "<auth_code>queryauthcode@@@secret</auth_code><level>3</level>");
    world.push_and_work(&unknown).await;

    let told = told(&world);
    let types: Vec<&str> = told.iter().map(|(detail_type, _)| detail_type.as_str()).collect();
    let second = format!("grant.{}", again.push.info_type);
    assert_eq!(
        types,
        [
            "grant.authorized",
            &second,
            "grant.unauthorized",
            "grant.notify_third_fasteregister",
            "grant.notify_third_fasteregister",
            "grant.notify_something_new",
        ]
    );
    assert_eq!(told[0].1["authorizer_appid"], account.as_str());
    assert_eq!(told[4].1["fields"]["status"], "101");
    assert_eq!(told[5].1["fields"]["level"], "3");
    // Nothing that was issued in this story is on the bus.
    let all = serde_json::to_string(&told.iter().map(|(_, detail)| detail).collect::<Vec<_>>()).unwrap();
    let issued = world.simulator.issued_secrets();
    assert!(issued.iter().any(|secret| secret.kind == SecretKind::AuthorizationCode));
    for secret in issued {
        assert!(!all.contains(&secret.value), "a {:?} is on the bus", secret.kind);
    }
    assert!(!all.contains("@@@"), "{all}");
}

#[tokio::test]
async fn a_grant_and_its_end_in_one_run_are_told_once_each() {
    let world = World::ready().await;
    let account = world.account(0);
    let consent = world.merchant_authorizes(&account);
    assert!(world.simulator.send(&consent.push).await.is_accepted());
    world.pass(Duration::from_mins(8));
    let unauthorized = world.simulator.unauthorize(&account).unwrap();
    world.push_and_work(&unauthorized).await;
    assert_eq!(types(&world), ["grant.authorized", "grant.unauthorized"]);
}

#[tokio::test]
async fn a_code_that_is_spent_is_not_tried_again_while_the_bus_is_away() {
    let world = World::ready().await;
    world.expect_error("nothing more is delivered in this run");
    let spent = notice(
        &world,
        "notify_third_fasteregister",
        "<appid>wx00000000000000ff</appid><status>0</status><auth_code>queryauthcode@@@spent</auth_code>",
    );
    world.faults.always(Matching::operation("PutEvents"), Fault::Away);
    world.push_and_work(&spent).await;
    let calls = world.calls(paths::QUERY_AUTH);
    for _ in 0..3 {
        later(&world).await;
    }
    assert_eq!(world.calls(paths::QUERY_AUTH), calls);
    world.faults.clear();
    later(&world).await;
    assert_eq!(types(&world), ["grant.notify_third_fasteregister"]);
}

#[tokio::test]
async fn a_grant_is_told_when_its_tokens_are_there_and_not_before() {
    let world = World::ready().await;
    let account = world.account(0);
    let consent = world.merchant_authorizes(&account);
    world.simulator.inject(simulator::Fault::BadGateway.on(paths::QUERY_AUTH).times(1));
    world.push_and_work(&consent.push).await;
    assert!(types(&world).is_empty());
    later(&world).await;
    assert_eq!(types(&world), ["grant.authorized"]);
    assert_eq!(world.stored(&account).await.token.state, AccountState::Active);
}

#[tokio::test]
async fn an_event_that_the_bus_refuses_is_delivered_later_without_a_new_exchange() {
    let world = World::ready().await;
    world.expect_error("nothing more is delivered in this run");
    let account = world.account(0);
    let consent = world.merchant_authorizes(&account);
    world.faults.always(Matching::operation("PutEvents"), Fault::Away);
    let report = world.push_and_work(&consent.push).await;
    assert_eq!(report.inbox_postponed, 1, "{report}");
    assert!(world.wechat_accepts(&account).await, "the account works meanwhile");
    let exchanges = world.calls(paths::QUERY_AUTH);
    world.faults.clear();
    later(&world).await;
    assert_eq!((types(&world).len(), world.calls(paths::QUERY_AUTH)), (1, exchanges));
    later(&world).await;
    assert_eq!(types(&world).len(), 1);
}

#[tokio::test]
async fn a_bus_that_is_away_is_not_asked_again_in_the_run_and_holds_nobody_up() {
    const GRANTS: u64 = 40;
    let world = World::ready().await;
    world.expect_error("nothing more is delivered in this run");
    for number in 0..GRANTS {
        let appid = AppId::parse(&format!("wx{number:016x}")).unwrap();
        world.simulator.put_account(Account::mini_program(appid.clone(), "one of many"));
        let consent = world.merchant_authorizes(&appid);
        assert!(world.simulator.send(&consent.push).await.is_accepted());
    }
    world.faults.always(Matching::operation("PutEvents"), Fault::Away);
    let report = world.renew().await;
    assert_eq!(report.inbox_postponed, GRANTS, "{report}");
    // Sixteen are in progress at once, and the SDK tries three times.
    let tries = world.faults.requests("PutEvents");
    assert!((1..=3 * 16).contains(&tries), "{tries}");
    world.faults.clear();
    later(&world).await;
    assert_eq!(types(&world).len(), 40);
}

#[tokio::test]
async fn a_grant_that_was_not_told_before_it_was_taken_back_is_told_all_the_same() {
    let world = World::ready().await;
    world.expect_error("nothing more is delivered in this run");
    let account = world.account(0);
    let consent = world.merchant_authorizes(&account);
    world.faults.always(Matching::operation("PutEvents"), Fault::Away);
    world.push_and_work(&consent.push).await;
    // More than the five minutes by which WeChat's times may differ.
    world.pass(Duration::from_mins(8));
    let unauthorized = world.simulator.unauthorize(&account).unwrap();
    world.push_and_work(&unauthorized).await;
    assert_eq!(world.stored(&account).await.token.state, AccountState::Unauthorized);
    world.faults.clear();
    for _ in 0..3 {
        world.pass(Duration::from_mins(30));
        world.renew().await;
    }
    let mut types = types(&world);
    types.sort();
    assert_eq!(types, ["grant.authorized", "grant.unauthorized"]);
    assert_eq!(world.stored(&account).await.token.state, AccountState::Unauthorized);
}

#[tokio::test]
async fn a_run_that_dies_between_effect_and_event_leaves_the_event_to_the_next() {
    let world = World::ready().await;
    world.expect_error("a part of the inbox could not be processed");
    let account = world.account(0);
    let consent = world.merchant_authorizes(&account);
    // The event is out, but the table does not record it: published twice, with one id.
    world.faults.next(3, Matching::setting("finished_at"), Fault::Away);
    world.push_and_work(&consent.push).await;
    world.renew().await;
    let told = told(&world);
    assert_eq!((told.len(), &told[0].1["id"]), (2, &told[1].1["id"]));
}

fn notice(world: &World, info_type: &str, inner: &str) -> Push {
    let message = format!(
        "<xml><AppId>{}</AppId><CreateTime>{}</CreateTime><InfoType>{info_type}</InfoType>{inner}</xml>",
        stories::world::COMPONENT,
        world.now().unix()
    );
    Push { info_type: info_type.to_owned(), create_time: world.now(), message }
}
