//! The tokens as services get them: one that WeChat accepts now, another one if WeChat refuses it, and never more than
//! one renewal a minute.

use std::time::Duration;

use base::ids::AppId;
use futures::future::join_all;
use http::Method;
use http::header::{CACHE_CONTROL, RETRY_AFTER};
use runtime::telemetry::Measure;
use serde_json::{Value, json};
use simulator::{Fault, paths};
use stories::business::{Answer, Business, PLATFORM_TOKEN, TOKENS};
use stories::world::{World, short_limits};

/// The time when an account's token is certainly due, but still valid.
const TO_DUE: Duration = Duration::from_mins(119);

/// The time when it has expired.
const TO_EXPIRY: Duration = Duration::from_mins(121);

async fn token_of(business: &Business, account: &AppId) -> Answer {
    business.get(&format!("{TOKENS}{account}")).await
}

async fn renewed(business: &Business, account: &AppId, token_id: &Value) -> Answer {
    business.ask(Method::POST, &format!("{TOKENS}{account}/renewals"), &json!({ "token_id": token_id })).await
}

fn renewals(world: &World, account: &AppId) -> u64 {
    world.simulator.counters().effects.renewals_of(account)
}

/// An account whose token has expired while the platform was down, with tickets throughout.
async fn lapsed(world: &World) -> AppId {
    let account = world.authorized_account().await;
    world.pass(TO_EXPIRY);
    world.simulator.push_ticket().await;
    account
}

#[tokio::test]
async fn a_service_gets_the_token_that_wechat_accepts_and_until_when() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = world.authorized_account().await;
    let answer = token_of(&business, &account).await;
    assert_eq!((answer.status, &answer.headers[CACHE_CONTROL]), (200, &"no-store".parse().unwrap()));
    assert_eq!(answer.body["appid"], account.as_str());
    let (expires_in, until) = (answer.body["expires_in"].as_u64().unwrap(), answer.body["use_until"].as_str().unwrap());
    assert!((7_000..=7_200).contains(&expires_in), "{expires_in}");
    assert_eq!(Some(until), business.account(&account).await["token"]["use_until"].as_str());
    let stored = world.stored(&account).await.token;
    assert_eq!(stored.good_until().unwrap().rfc3339(), until);
    assert!(world.wechat_accepts(&account).await);
    world.pass(Duration::from_mins(1));
    assert_eq!(token_of(&business, &account).await.body["expires_in"], expires_in - 60);
}

#[tokio::test]
async fn many_requests_for_one_account_cost_one_read_in_five_seconds() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = world.authorized_account().await;
    world.faults.reset_counts();
    for _ in 0..10 {
        assert_eq!(token_of(&business, &account).await.status, 200);
    }
    assert_eq!(world.faults.all_requests(), [("GetItem".to_owned(), 1)].into());
    world.pass(Duration::from_secs(5));
    assert_eq!(token_of(&business, &account).await.status, 200);
    assert_eq!(world.faults.requests("GetItem"), 2);
}

#[tokio::test]
async fn a_token_that_is_due_is_renewed_for_the_first_that_asks() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = world.authorized_account().await;
    let before = token_of(&business, &account).await.body;
    world.pass(TO_DUE);
    world.simulator.push_ticket().await;
    let after = token_of(&business, &account).await.body;
    assert_ne!(after["token_id"], before["token_id"]);
    assert!(after["expires_in"].as_u64().unwrap() > 7_000);
    assert_eq!(token_of(&business, &account).await.body["token_id"], after["token_id"]);
    assert_eq!(renewals(&world, &account), 1);
}

#[tokio::test]
async fn a_due_token_is_given_as_it_is_while_another_process_renews_it_or_wechat_is_away() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = world.authorized_account().await;
    let before = token_of(&business, &account).await.body;
    world.pass(TO_DUE);
    world.simulator.push_ticket().await;
    world.simulator.inject(Fault::Hold.on(paths::AUTHORIZER_TOKEN).times(1));
    let refresher = async {
        let report = world.renew().await;
        assert_eq!(report.renewed, 1, "{report}");
    };
    let asker = async {
        world.simulator.until_held(paths::AUTHORIZER_TOKEN, 1).await;
        let meanwhile = token_of(&business, &account).await.body;
        assert_eq!(meanwhile["token_id"], before["token_id"]);
        assert_eq!(meanwhile["expires_in"], before["expires_in"].as_u64().unwrap() - TO_DUE.as_secs());
        world.simulator.release(paths::AUTHORIZER_TOKEN);
    };
    tokio::join!(refresher, asker);

    world.pass(TO_DUE);
    world.simulator.push_ticket().await;
    let stored = token_of(&business, &account).await.body["token_id"].clone();
    world.pass(TO_DUE);
    world.simulator.push_ticket().await;
    world.simulator.inject(Fault::system_error().on(paths::AUTHORIZER_TOKEN).times(1));
    for _ in 0..3 {
        assert_eq!(token_of(&business, &account).await.body["token_id"], stored, "WeChat is asked once, then later");
    }
}

#[tokio::test]
async fn two_hundred_that_ask_two_processes_for_a_lapsed_token_cause_one_renewal() {
    let world = World::for_crowds().await;
    let processes = [Business::of(&world), Business::of(&world)];
    let account = lapsed(&world).await;
    let asked = (0..200).map(|number: usize| token_of(&processes[number % 2], &account));
    let answers = join_all(asked).await;
    let ids: Vec<&Value> = answers.iter().map(|answer| &answer.body["token_id"]).collect();
    assert!(answers.iter().all(|answer| answer.status == 200) && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(renewals(&world, &account), 1);
}

#[tokio::test]
async fn who_cannot_wait_for_a_renewal_is_told_to_ask_again_and_gets_the_token_then() {
    let limits = base::limits::Limits { token_wait: Duration::from_millis(100), ..short_limits() };
    let world = World::with(|_| {}, limits).await;
    world.get_ready().await;
    let business = Business::of(&world);
    let account = lapsed(&world).await;
    world.simulator.inject(Fault::Hold.on(paths::AUTHORIZER_TOKEN).times(1));
    let first = token_of(&business, &account);
    let second = async {
        world.simulator.until_held(paths::AUTHORIZER_TOKEN, 1).await;
        let early = token_of(&business, &account).await;
        assert_eq!((early.status, early.problem()), (503, "token-being-renewed"));
        assert_eq!(early.headers[RETRY_AFTER], "1");
        world.simulator.release(paths::AUTHORIZER_TOKEN);
    };
    let (first, ()) = tokio::join!(first, second);
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(token_of(&business, &account).await.body, first.body);
    assert_eq!(renewals(&world, &account), 1);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_and_whoever_names_it_later_gets_the_new_one() {
    let world = World::ready().await;
    let (business, another) = (Business::of(&world), Business::of(&world));
    let account = world.authorized_account().await;
    let refused = token_of(&business, &account).await.body["token_id"].clone();
    token_of(&another, &account).await;
    world.pass(Duration::from_mins(2));
    let answer = renewed(&business, &account, &refused).await;
    assert_eq!((answer.status, &answer.body["renewed"]), (200, &json!(true)), "{}", answer.body);
    assert!(world.wechat_accepts(&account).await);
    let again = renewed(&another, &account, &refused).await;
    assert_eq!((&again.body["token_id"], &again.body["renewed"]), (&answer.body["token_id"], &json!(false)));
    for business in [&business, &another] {
        assert_eq!(token_of(business, &account).await.body["token_id"], answer.body["token_id"], "nothing old is kept");
    }
    assert_eq!(renewals(&world, &account), 1);
}

#[tokio::test]
async fn a_token_is_renewed_once_a_minute_however_often_it_is_called_refused() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = world.authorized_account().await;
    let granted = token_of(&business, &account).await.body["token_id"].clone();
    let early = renewed(&business, &account, &granted).await;
    assert_eq!((early.status, early.problem()), (429, "too-soon"), "it was granted a moment ago");
    assert_eq!(early.headers[RETRY_AFTER], "60");
    world.pass(Duration::from_mins(1));
    let id = renewed(&business, &account, &granted).await.body["token_id"].clone();
    for _ in 0..5 {
        let again = renewed(&business, &account, &id).await;
        assert_eq!((again.status, again.problem()), (429, "too-soon"));
        world.pass(Duration::from_secs(10));
    }
    world.pass(Duration::from_secs(10));
    assert_eq!(renewed(&business, &account, &id).await.body["renewed"], true);
    assert_eq!(renewals(&world, &account), 2);
}

#[tokio::test]
async fn two_hundred_that_were_refused_the_same_token_cause_one_renewal() {
    let world = World::for_crowds().await;
    let processes = [Business::of(&world), Business::of(&world)];
    let account = world.authorized_account().await;
    let refused = token_of(&processes[0], &account).await.body["token_id"].clone();
    world.pass(Duration::from_mins(2));
    let asked = (0..200).map(|number: usize| renewed(&processes[number % 2], &account, &refused));
    let answers = join_all(asked).await;
    assert!(answers.iter().all(|answer| answer.body["token_id"] == answers[0].body["token_id"]));
    let renewed = answers.iter().filter(|answer| answer.body["renewed"] == true).count();
    assert_eq!((renewed, renewals(&world, &account)), (1, 1));
    assert!(world.metrics.sum(Measure::TokenRefused) >= 1.0);
}

#[tokio::test]
async fn an_account_that_gives_no_token_is_told_apart_from_one_that_nobody_knows() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = world.authorized_account().await;
    let unknown = token_of(&business, &AppId::parse("wx00000000000000ff").unwrap()).await;
    assert_eq!((unknown.status, unknown.problem()), (404, "unknown-account"));
    let ended_at = world.now().rfc3339();
    let withdrawn = world.simulator.unauthorize(&account).unwrap();
    world.push_and_work(&withdrawn).await;
    for answer in [token_of(&business, &account).await, renewed(&business, &account, &json!("0123456789abcdef")).await]
    {
        assert_eq!((answer.status, answer.problem()), (409, "authorization-ended"));
        let said = (&answer.body["errcode"], &answer.body["state"], &answer.body["since"]);
        assert_eq!(said, (&json!(61_003), &json!("unauthorized"), &json!(ended_at)));
    }
}

#[tokio::test]
async fn where_wechat_refuses_a_lapsed_token_its_words_are_passed_on() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let account = lapsed(&world).await;
    let refusal = Fault::Errcode { errcode: 48_001, errmsg: "api unauthorized".to_owned() };
    world.simulator.inject(refusal.on(paths::AUTHORIZER_TOKEN).times(1));
    let refused = token_of(&business, &account).await;
    assert_eq!((refused.status, refused.problem()), (503, "token-unavailable"));
    assert_eq!(refused.body["errcode"], 48_001);
    assert!(refused.body["errmsg"].as_str().unwrap().starts_with("api unauthorized"), "{}", refused.body);
    let later = token_of(&business, &account).await;
    assert_eq!((later.status, &later.body["last_error"]), (503, &json!("48001")), "WeChat is not asked each time");
    let wait: u64 = later.headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
    world.pass(Duration::from_secs(wait));
    assert_eq!(token_of(&business, &account).await.status, 200);
}

#[tokio::test]
async fn without_a_ticket_a_lapsed_token_cannot_be_had_and_the_answer_says_why() {
    let world = World::start().await;
    let answer = Business::of(&world).get(PLATFORM_TOKEN).await;
    assert_eq!((answer.status, answer.problem()), (503, "token-unavailable"));
    assert!(answer.detail().contains("component_verify_ticket"), "{}", answer.detail());
    world.expect_error("WeChat has not pushed a component_verify_ticket yet");
}

#[tokio::test]
async fn the_platforms_own_token_is_given_and_renewed_in_the_same_way() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let answer = business.get(PLATFORM_TOKEN).await;
    assert_eq!((answer.status, &answer.body["appid"]), (200, &Value::Null));
    let renewal = format!("{PLATFORM_TOKEN}/renewals");
    let body = json!({ "token_id": answer.body["token_id"] });
    let early = business.ask(Method::POST, &renewal, &body).await;
    assert_eq!((early.status, early.problem()), (429, "too-soon"));
    world.pass(Duration::from_mins(1));
    let in_vain = business.ask(Method::POST, &renewal, &body).await;
    assert_eq!((in_vain.status, in_vain.problem()), (429, "too-soon"), "WeChat accepts it");
    world.expect_error("issued a token by somebody else");
    world.another_server_issues_a_component_token().await;
    let replaced = business.ask(Method::POST, &renewal, &body).await;
    assert_eq!((replaced.status, &replaced.body["renewed"]), (200, &json!(true)));
    assert_ne!(replaced.body["token_id"], body["token_id"]);
    assert_eq!(business.get(PLATFORM_TOKEN).await.body["token_id"], replaced.body["token_id"]);
}
