//! Rules for every API: methods, tokens, permission sets, bodies.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Account, CallOutcome, TokenKind, known_apis, paths};

use crate::harness::{Harness, errcode, json_of};

const TYPING: &str = "/cgi-bin/message/custom/typing";
const USER_LIST: &str = "/cgi-bin/user/get";

fn typing() -> Value {
    json!({ "touser": "oFollower", "command": "Typing" })
}

async fn post(wechat: &Harness, path: &str, query: &str, body: &str) -> i64 {
    errcode(&json_of(wechat.post_raw(path, query, body.to_owned()).await.unwrap()).await)
}

#[tokio::test]
async fn a_call_by_the_other_method_is_refused() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::account()).await;
    assert_eq!(errcode(&wechat.call(TYPING, Some(&token), typing()).await), 0);
    assert_eq!(errcode(&wechat.get(TYPING, &token, "").await), 43002);
    assert_eq!(errcode(&wechat.get(USER_LIST, &token, "").await), 0);
    assert_eq!(errcode(&wechat.call(USER_LIST, Some(&token), json!({})).await), 43001);
}

#[tokio::test]
async fn every_api_refuses_the_other_method_and_calls_without_its_token() {
    let wechat = Harness::start().await;
    let account = wechat.token_of(&Harness::mini_program()).await;
    let component = wechat.component_token().await;
    let mut paths = BTreeSet::new();
    for api in known_apis() {
        assert!(paths.insert(api.path), "{} is in the table once", api.path);
        let ask = async |method: &str, query: String| {
            let url = format!("{}{}?{query}", wechat.base, api.path);
            let request = wechat.http.request(method.parse().unwrap(), url).body("{}");
            errcode(&json_of(request.send().await.unwrap()).await)
        };
        let (other, refused) = if api.method == "GET" { ("POST", 43001) } else { ("GET", 43002) };
        assert_eq!(ask(other, String::new()).await, refused, "{}", api.path);
        let missing = if api.token == TokenKind::Login { 41021 } else { 41001 };
        let (name, wrong, expected) = match api.token {
            TokenKind::None | TokenKind::Either => continue,
            TokenKind::Login if api.official_account == [4] => ("component_access_token", &account, 48001),
            TokenKind::Component | TokenKind::Login => ("component_access_token", &account, 61014),
            TokenKind::Visitor => ("access_token", &component, 40001),
            TokenKind::Account => ("access_token", &component, 61015),
        };
        assert_eq!(ask(api.method, String::new()).await, missing, "{}", api.path);
        assert_eq!(ask(api.method, format!("{name}={wrong}")).await, expected, "{}", api.path);
    }
    assert_eq!(wechat.simulator.counters().effects.consents, 1, "nothing was done");
}

#[tokio::test]
async fn the_kind_of_token_belongs_to_the_api_and_not_to_the_path() {
    let wechat = Harness::start().await;
    let account = wechat.token_of(&Harness::account()).await;
    let component = wechat.component_token().await;
    assert_eq!(errcode(&wechat.call(TYPING, Some(&component), typing()).await), 61015);
    assert_eq!(errcode(&wechat.component_call(paths::CREATE_PREAUTHCODE, &account, json!({})).await), 61014);
    for token in [&account, &component] {
        let asked = json!({ "cgi_path": "/cgi-bin/message/custom/send" });
        assert_eq!(errcode(&wechat.call("/cgi-bin/openapi/quota/get", Some(token), asked).await), 0);
    }
    assert_eq!(errcode(&wechat.call(TYPING, Some("62_invented"), typing()).await), 40001);
    assert_eq!(errcode(&wechat.call(TYPING, Some("62%2Finvented"), typing()).await), 40014);
    assert_eq!(errcode(&wechat.component_call(paths::CREATE_PREAUTHCODE, "61%2B", json!({})).await), 40014);
    wechat.clock.advance(Duration::from_hours(2));
    assert_eq!(errcode(&wechat.call(TYPING, Some(&account), typing()).await), 42001);
}

#[tokio::test]
async fn the_token_of_a_withdrawn_grant_is_refused_as_such() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::account()).await;
    assert!(wechat.simulator.unauthorize(&Harness::account()).is_some());
    assert_eq!(errcode(&wechat.call(TYPING, Some(&token), typing()).await), 61003);
    let again = wechat.token_of(&Harness::account()).await;
    assert_eq!(errcode(&wechat.call(TYPING, Some(&again), typing()).await), 0);
}

#[tokio::test]
async fn a_token_that_is_missing_or_sent_twice_is_never_right() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::account()).await;
    let body = typing().to_string();
    for query in [
        String::new(),
        format!("component_access_token={token}"),
        format!("access_token={token}&access_token={token}"),
        format!("access_token={token}&cloudbase_access_token=x"),
        format!("access_token={token}&%61ccess_token=x"),
    ] {
        assert_eq!(post(&wechat, TYPING, &query, &body).await, 41001, "{query}");
    }
    let unexpected = wechat.simulator.unexpected_calls();
    assert_eq!(unexpected.len(), 5);
    assert!(unexpected.iter().all(|call| call.outcome == CallOutcome::Refused(41001)));
}

#[tokio::test]
async fn a_services_mistake_is_not_the_platforms_fault() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::account()).await;
    let query = format!("access_token={token}");
    assert_eq!(post(&wechat, TYPING, &query, "").await, 44002);
    assert_eq!(post(&wechat, TYPING, &query, "touser=o1").await, 47001);
    assert_eq!(post(&wechat, TYPING, &query, "[]").await, 47001);
    assert_eq!(post(&wechat, TYPING, &query, "{}").await, 40003);
    assert_eq!(post(&wechat, TYPING, &query, r#"{"touser":"o1","command":"\u4f60"}"#).await, 47002);
    assert_eq!(post(&wechat, TYPING, &query, r#"{"touser":"o1","command":"Typing\\u4f60"}"#).await, 45072);
    assert_eq!(post(&wechat, TYPING, &query, r#"{"touser":"o1","command":"Typing","a":"\u0007"}"#).await, 0);
    assert_eq!(errcode(&wechat.get(TYPING, &token, "").await), 43002);
    assert_eq!(post(&wechat, "/wxa/invented", &query, "{}").await, 40066);
    assert_eq!(wechat.simulator.unexpected_calls(), []);
    assert_eq!(post(&wechat, "/wxa/invented", "", "{}").await, 41001);
    assert_eq!(wechat.simulator.unexpected_calls().len(), 1);
}

#[tokio::test]
async fn an_api_is_refused_to_a_kind_that_lacks_it_and_to_a_grant_without_its_set() {
    let wechat = Harness::start().await;
    let shop = Account { func_ids: vec![3], ..Account::demo().remove(0) };
    wechat.simulator.put_account(shop.clone());
    let token = wechat.token_of(&shop.appid).await;
    assert_eq!(errcode(&wechat.get(USER_LIST, &token, "").await), 61007);
    assert!(wechat.simulator.set_permissions(&shop.appid, &[2]));
    assert_eq!(errcode(&wechat.get(USER_LIST, &token, "").await), 0);
    let token = wechat.token_of(&Harness::mini_program()).await;
    assert_eq!(errcode(&wechat.get(USER_LIST, &token, "").await), 48001);
}
