//! The points on which WeChat is strict: tokens, tickets, codes and fields.

use std::collections::BTreeSet;
use std::time::Duration;

use base::ids::AppId;
use serde_json::{Value, json};
use simulator::{Behaviour, Codes, Effects, paths};

use crate::harness::{COMPONENT, Harness, SECRET, errcode, text, token_body};

const TWO_HOURS: Duration = Duration::from_hours(2);
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_ticket_leads_to_the_tokens_of_an_account() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let code = wechat.pre_auth_code(&token).await;
    assert!(code.starts_with("preauthcode@@@"));
    let consent = wechat.simulator.confirm(&code, &Harness::account()).unwrap();
    let answer = wechat.exchange(&token, &consent.redirect_code).await;

    let info = &answer["authorization_info"];
    assert_eq!(info["authorizer_appid"], json!(Harness::account()));
    assert_eq!(info["expires_in"], 7200);
    assert_eq!(info["func_info"][0]["funcscope_category"]["id"], 1);
    assert!(answer.get("errcode").is_none());
    let renewed = wechat.renew(&token, &Harness::account(), &text(info, "/authorizer_refresh_token")).await;
    assert_eq!(renewed["authorizer_refresh_token"], info["authorizer_refresh_token"]);
    assert_ne!(renewed["authorizer_access_token"], info["authorizer_access_token"]);

    let once = || [(Harness::account(), 1)].into();
    let expected = Effects {
        tickets: 1,
        component_tokens: 1,
        pre_auth_codes: 1,
        consents: 1,
        exchanges: once(),
        renewals: once(),
        revocations: 0,
    };
    assert_eq!(wechat.simulator.counters().effects, expected);
}

#[tokio::test]
async fn both_names_of_the_token_parameter_are_accepted_and_no_other() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    for (name, expected) in [("access_token", 0), ("component_access_token", 0), ("token", 41001)] {
        let body = json!({ "component_appid": COMPONENT }).to_string();
        let response = wechat.post_raw(paths::CREATE_PREAUTHCODE, &format!("{name}={token}"), body).await.unwrap();
        let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(errcode(&answer), expected, "{name}");
    }
}

#[tokio::test]
async fn only_the_newest_component_token_is_accepted_and_it_expires() {
    let wechat = Harness::start().await;
    let old = wechat.component_token().await;
    let new = wechat.component_token().await;
    let ask = async |token: &str| errcode(&wechat.component_call(paths::CREATE_PREAUTHCODE, token, json!({})).await);
    assert_eq!(ask(&old).await, 40001);
    assert_eq!(ask("").await, 41001);
    assert_eq!(ask("61_invented").await, 40001);
    wechat.clock.advance(TWO_HOURS.checked_sub(SECOND).unwrap());
    assert_eq!(ask(&new).await, 0);
    wechat.clock.advance(SECOND);
    assert_eq!(ask(&new).await, 42001);
}

#[tokio::test]
async fn any_ticket_younger_than_twelve_hours_gives_a_token() {
    let wechat = Harness::start().await;
    wechat.simulator.push_ticket().await;
    let first = wechat.receiver.last_ticket();
    wechat.simulator.push_ticket().await;
    assert_ne!(first, wechat.receiver.last_ticket());
    let ask = async |ticket: &str| errcode(&wechat.call(paths::COMPONENT_TOKEN, None, token_body(ticket)).await);
    wechat.clock.advance(Duration::from_hours(12).checked_sub(SECOND).unwrap());
    assert_eq!(ask(&first).await, 0);
    wechat.clock.advance(SECOND);
    assert_eq!(ask(&first).await, 61005);
    assert_eq!(ask("ticket@@@invented").await, 61006);
    assert_eq!(ask("").await, 61006);
}

#[tokio::test]
async fn wrong_fields_are_refused_with_the_documented_code() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let ticket = wechat.receiver.last_ticket();
    let with = |mut body: Value, name: &str, value: Value| {
        body[name] = value;
        body
    };
    let good = token_body(&ticket);
    let swapped =
        json!({ "component_appid": COMPONENT, "component_secret": SECRET, "component_verify_ticket": ticket });
    let start = json!({ "component_appid": COMPONENT, "component_appsecret": SECRET });
    let account = json!({ "component_appid": COMPONENT, "authorizer_appid": Harness::account() });
    let list = |offset: Value, count: Value| json!({ "component_appid": COMPONENT, "offset": offset, "count": count });
    for (path, body, expected) in [
        (paths::COMPONENT_TOKEN, with(good.clone(), "component_appid", json!("wxother")), 40013),
        (paths::COMPONENT_TOKEN, with(good.clone(), "component_appid", Value::Null), 41018),
        (paths::COMPONENT_TOKEN, with(good.clone(), "component_appsecret", json!("wrong")), 40001),
        (paths::COMPONENT_TOKEN, with(good.clone(), "component_appid", json!(1)), 47001),
        (paths::COMPONENT_TOKEN, json!([]), 47001),
        (paths::COMPONENT_TOKEN, swapped, 41004),
        (paths::START_PUSH_TICKET, start, 41004),
        (paths::CREATE_PREAUTHCODE, json!({ "component_appid": "wxother" }), 40013),
        (paths::QUERY_AUTH, json!({ "component_appid": COMPONENT, "auth_code": "x" }), 40097),
        (paths::QUERY_AUTH, json!({ "component_appid": COMPONENT, "authorization_code": "x" }), 61009),
        (paths::AUTHORIZER_TOKEN, account.clone(), 61003),
        (paths::AUTHORIZER_TOKEN, json!({ "component_appid": COMPONENT }), 40013),
        (paths::GET_AUTHORIZER_INFO, account, 61003),
        (paths::GET_AUTHORIZER_LIST, list(json!(0), json!(501)), 40170),
        (paths::GET_AUTHORIZER_LIST, list(json!(0), json!(500)), 0),
        (paths::GET_AUTHORIZER_LIST, list(json!("0"), json!(500)), 47001),
        (paths::GET_AUTHORIZER_LIST, list(json!(0), Value::Null), 40097),
        ("/cgi-bin/component/invented", good, 40066),
    ] {
        let answer = wechat.call(path, Some(&token), body.clone()).await;
        assert_eq!(errcode(&answer), expected, "{path} {body}");
        assert_eq!(expected != 0, text(&json!({ "m": answer["errmsg"].to_string() }), "/m").contains(" rid: "));
    }
    for (body, expected) in [("", 44002), ("{", 47001)] {
        let response = wechat.post_raw(paths::COMPONENT_TOKEN, "", body.to_owned()).await.unwrap();
        assert!(response.text().await.unwrap().contains(&expected.to_string()));
    }
    let got = wechat.http.get(format!("{}{}", wechat.base, paths::COMPONENT_TOKEN)).send().await.unwrap();
    assert!(got.text().await.unwrap().contains("43002"));
}

#[tokio::test]
async fn codes_work_once_and_expire() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let code = wechat.pre_auth_code(&token).await;
    let consent = wechat.simulator.confirm(&code, &Harness::account()).unwrap();
    assert_eq!(consent.redirect_code, consent.push_code);
    assert_eq!(wechat.simulator.confirm(&code, &Harness::account()).err().map(|error| error.number()), Some(-110));
    assert_eq!(errcode(&wechat.exchange(&token, &consent.push_code).await), 0);
    assert_eq!(errcode(&wechat.exchange(&token, &consent.push_code).await), 61009);

    let late = wechat.pre_auth_code(&token).await;
    let consent = wechat.simulator.authorize_without_link(&Harness::account()).unwrap();
    wechat.clock.advance(Duration::from_mins(10));
    assert_eq!(errcode(&wechat.exchange(&token, &consent.push_code).await), 61010);
    wechat.clock.advance(Duration::from_mins(20));
    assert_eq!(wechat.simulator.confirm(&late, &Harness::account()).err().map(|error| error.number()), Some(-101));
}

#[tokio::test]
async fn one_consent_may_carry_two_codes_that_both_work() {
    let wechat = Harness::start().await;
    wechat.simulator.set_behaviour(Behaviour { codes: Codes::Different, ..Behaviour::default() });
    let token = wechat.component_token().await;
    let consent = wechat.simulator.authorize_without_link(&Harness::account()).unwrap();
    assert_ne!(consent.redirect_code, consent.push_code);
    let first = wechat.exchange(&token, &consent.redirect_code).await;
    let second = wechat.exchange(&token, &consent.push_code).await;
    let refresh = "/authorization_info/authorizer_refresh_token";
    assert_eq!(text(&first, refresh), text(&second, refresh));
}

#[tokio::test]
async fn a_new_consent_replaces_the_earlier_grant() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let account = Harness::account();
    let first = wechat.simulator.authorize_without_link(&account).unwrap();
    assert_eq!(first.push.info_type, "authorized");
    let old = wechat.exchange(&token, &first.push_code).await;
    let stale = wechat.simulator.authorize_without_link(&account).unwrap();
    assert_eq!(stale.push.info_type, "updateauthorized");
    let newest = wechat.simulator.authorize_without_link(&account).unwrap();

    assert_eq!(errcode(&wechat.exchange(&token, &stale.push_code).await), 61009);
    let old_refresh = text(&old, "/authorization_info/authorizer_refresh_token");
    assert_eq!(errcode(&wechat.renew(&token, &account, &old_refresh).await), 61023);
    let old_access = text(&old, "/authorization_info/authorizer_access_token");
    assert_eq!(errcode(&send_message(&wechat, &old_access).await), 40001);
    assert_eq!(errcode(&wechat.exchange(&token, &newest.push_code).await), 0);
}

#[tokio::test]
async fn revocation_invalidates_tokens_and_codes() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let account = Harness::account();
    let consent = wechat.simulator.authorize_without_link(&account).unwrap();
    let tokens = wechat.exchange(&token, &consent.push_code).await;
    let open = wechat.simulator.authorize_without_link(&account).unwrap();
    assert!(wechat.simulator.unauthorize(&account).is_some());
    assert!(wechat.simulator.unauthorize(&account).is_none());
    assert!(!wechat.simulator.is_authorized(&account));
    assert_eq!(errcode(&wechat.exchange(&token, &open.push_code).await), 61003);
    let refresh = text(&tokens, "/authorization_info/authorizer_refresh_token");
    assert_eq!(errcode(&wechat.renew(&token, &account, &refresh).await), 61003);
}

#[tokio::test]
async fn a_refresh_token_stays_or_rotates_as_configured() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let account = Harness::account();
    let consent = wechat.simulator.authorize_without_link(&account).unwrap();
    let tokens = wechat.exchange(&token, &consent.push_code).await;
    let refresh = text(&tokens, "/authorization_info/authorizer_refresh_token");
    assert_eq!(text(&wechat.renew(&token, &account, &refresh).await, "/authorizer_refresh_token"), refresh);
    assert_eq!(errcode(&wechat.renew(&token, &account, "").await), 61023);

    wechat.simulator.set_behaviour(Behaviour { rotate_refresh_tokens: true, ..Behaviour::default() });
    let rotated = text(&wechat.renew(&token, &account, &refresh).await, "/authorizer_refresh_token");
    assert_ne!(rotated, refresh);
    assert_eq!(errcode(&wechat.renew(&token, &account, &refresh).await), 61023);
    assert_eq!(errcode(&wechat.renew(&token, &account, &rotated).await), 0);
    assert_eq!(wechat.simulator.counters().effects.renewals[&account], 3);
}

#[tokio::test]
async fn tokens_of_the_wrong_kind_are_distinguished() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let consent = wechat.simulator.authorize_without_link(&Harness::account()).unwrap();
    let tokens = wechat.exchange(&token, &consent.push_code).await;
    let authorizer = text(&tokens, "/authorization_info/authorizer_access_token");
    assert_eq!(errcode(&wechat.component_call(paths::CREATE_PREAUTHCODE, &authorizer, json!({})).await), 61014);
    assert_eq!(errcode(&send_message(&wechat, &token).await), 61015);
    assert_eq!(errcode(&send_message(&wechat, &authorizer).await), 0);
    wechat.clock.advance(TWO_HOURS);
    assert_eq!(errcode(&send_message(&wechat, &authorizer).await), 42001);
}

async fn send_message(wechat: &Harness, token: &str) -> Value {
    wechat
        .call(
            paths::CUSTOM_SEND,
            Some(token),
            json!({ "touser": "o1", "msgtype": "text", "text": { "content": "hello" } }),
        )
        .await
}

#[tokio::test]
async fn details_and_list_show_the_grant() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let accounts: Vec<AppId> = wechat.simulator.accounts().into_iter().map(|account| account.appid).collect();
    for account in &accounts {
        wechat.simulator.authorize_without_link(account).unwrap();
    }
    let kinds = async |account: &AppId| {
        let body = json!({ "authorizer_appid": account });
        let answer = wechat.component_call(paths::GET_AUTHORIZER_INFO, &token, body).await;
        assert!(!text(&answer, "/authorization_info/authorizer_refresh_token").is_empty());
        answer["authorizer_info"].get("MiniProgramInfo").is_some()
    };
    assert!(!kinds(&accounts[0]).await);
    assert!(kinds(&accounts[3]).await);

    let mut listed = BTreeSet::new();
    for offset in [0, 3] {
        let body = json!({ "offset": offset, "count": 3 });
        let answer = wechat.component_call(paths::GET_AUTHORIZER_LIST, &token, body).await;
        assert_eq!(answer["total_count"], 4);
        for entry in answer["list"].as_array().unwrap() {
            assert_eq!(entry["auth_time"], 1_700_000_000);
            assert!(!text(entry, "/refresh_token").is_empty());
            listed.insert(text(entry, "/authorizer_appid"));
        }
    }
    assert_eq!(listed.len(), 4);
    wechat.simulator.set_behaviour(Behaviour { list_without_refresh_tokens: true, ..Behaviour::default() });
    let answer = wechat.component_call(paths::GET_AUTHORIZER_LIST, &token, json!({ "offset": 0, "count": 1 })).await;
    assert_eq!(text(&answer, "/list/0/refresh_token"), "");
}
