//! The control API, for another process.

use std::time::Duration;

use base::ids::AppId;
use http::StatusCode;
use serde_json::{Value, json};
use simulator::{known_apis, paths};

use crate::account_side::{AccountSide, keyring, reply, sealed};
use crate::harness::{COMPONENT, Harness, SECRET, TOKEN, element, errcode, text, token_body};

async fn control(wechat: &Harness, method: reqwest::Method, route: &str, body: Option<Value>) -> (u16, Value) {
    let mut request = wechat.http.request(method, format!("{}/_simulator/{route}", wechat.base));
    if let Some(body) = body {
        request = request.header("Content-Type", "application/json").body(body.to_string());
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null))
}

async fn get(wechat: &Harness, route: &str) -> Value {
    control(wechat, reqwest::Method::GET, route, None).await.1
}

async fn post(wechat: &Harness, route: &str, body: Value) -> (u16, Value) {
    control(wechat, reqwest::Method::POST, route, Some(body)).await
}

#[tokio::test]
async fn faults_are_injected_held_released_and_cleared() {
    let wechat = Harness::start().await;
    wechat.simulator.push_ticket().await;
    let fault = |fault: Value, times: Value| json!({ "path": paths::COMPONENT_TOKEN, "fault": fault, "times": times });
    let quota =
        json!({ "kind": "errcode", "value": { "errcode": 45009, "errmsg": "reach max api daily quota limit" } });
    assert_eq!(post(&wechat, "faults", fault(quota, json!(1))).await.0, 204);
    assert_eq!(post(&wechat, "faults", fault(json!({ "kind": "hold" }), json!(1))).await.0, 204);
    assert_eq!(post(&wechat, "faults", fault(json!({ "kind": "delay", "value": 1 }), json!(1))).await.0, 204);
    assert_eq!(post(&wechat, "faults", fault(json!({ "kind": "drop-before" }), Value::Null)).await.0, 204);
    assert_eq!(post(&wechat, "faults", fault(json!({ "kind": "invented" }), Value::Null)).await.0, 422);
    let body = token_body(&wechat.receiver.last_ticket());
    let ask = || wechat.call(paths::COMPONENT_TOKEN, None, body.clone());
    assert_eq!(errcode(&ask().await), 45009);
    let release = async {
        wechat.simulator.until_held(paths::COMPONENT_TOKEN, 1).await;
        assert_eq!(get(&wechat, "held").await, json!({ (paths::COMPONENT_TOKEN): 1 }));
        post(&wechat, "release", json!({ "path": paths::COMPONENT_TOKEN })).await;
    };
    let (held, ()) = tokio::join!(ask(), release);
    assert_eq!(errcode(&held), 0);
    assert_eq!(errcode(&ask().await), 0);
    assert!(wechat.post_raw(paths::COMPONENT_TOKEN, "", body.to_string()).await.is_err());
    assert_eq!(control(&wechat, reqwest::Method::DELETE, "faults", None).await.0, 204);
    assert_eq!(errcode(&ask().await), 0);
}

#[tokio::test]
async fn merchants_and_tickets_are_controlled_from_outside() {
    let wechat = Harness::start().await;
    let (_, outcome) = post(&wechat, "ticket", json!({})).await;
    assert_eq!(outcome["answer"], json!({ "kind": "answered", "status": 200, "body": "success" }));

    let account = Harness::account();
    let (_, consent) = post(&wechat, "authorize", json!({ "authorizer_appid": account })).await;
    assert_eq!(element(&wechat.receiver.last(), "AuthorizationCode").unwrap(), consent["redirect_code"]);
    assert_eq!(get(&wechat, "accounts").await[0]["authorized"], true);
    let unknown = json!({ "authorizer_appid": account, "pre_auth_code": "invented" });
    assert_eq!(post(&wechat, "authorize", unknown).await.0, 422);

    assert_eq!(post(&wechat, "unauthorize", json!({ "authorizer_appid": account })).await.0, 200);
    assert_eq!(element(&wechat.receiver.last(), "InfoType").as_deref(), Some("unauthorized"));
    assert_eq!(post(&wechat, "unauthorize", json!({ "authorizer_appid": account })).await.0, 404);

    let (_, registered) = post(&wechat, "registrations", json!({ "name": "茶馆" })).await;
    assert_eq!(element(&wechat.receiver.last(), "appid").unwrap(), registered["appid"]);
    let failed = json!({ "name": "茶馆", "status": -1, "msg": "check fail" });
    assert_eq!(post(&wechat, "registrations", failed).await.1["appid"], Value::Null);
    assert_eq!(get(&wechat, "pushes").await.as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn requests_are_read_to_the_byte() {
    let wechat = Harness::start().await;
    let sent = wechat.http.post(format!("{}/wxa/any?a=%2F&a=", wechat.base)).header("x-one", "1");
    sent.body(vec![0xFF, 0x00]).send().await.unwrap();
    let (_, requests) = control(&wechat, reqwest::Method::GET, "requests?path=/wxa/any", None).await;
    let request = &requests[0];
    assert_eq!((&request["method"], &request["path"]), (&json!("POST"), &json!("/wxa/any")));
    assert_eq!((&request["query"], &request["body"]), (&json!("a=%2F&a="), &json!("/wA=")));
    assert_eq!(request["authorizer_appid"], Value::Null);
    assert!(request["headers"].as_array().unwrap().contains(&json!(["x-one", "1"])));
    assert_eq!(control(&wechat, reqwest::Method::GET, "requests?path=/other", None).await.1, json!([]));
}

#[tokio::test]
async fn counters_calls_secrets_and_behaviour_can_be_read_and_set() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    assert_eq!(get(&wechat, "counters").await["effects"]["component_tokens"], 1);
    assert_eq!(get(&wechat, "apis").await.as_array().unwrap().len(), known_apis().count());
    assert_eq!(get(&wechat, "calls").await[0]["outcome"], "done");
    let secrets = get(&wechat, "secrets").await;
    assert!(secrets.as_array().unwrap().contains(&json!({ "kind": "component-token", "value": token })));

    let put = |body| control(&wechat, reqwest::Method::PUT, "behaviour", Some(body));
    assert_eq!(put(json!({ "rotate_refresh_tokens": true, "delivery": "redirect-only" })).await.0, 200);
    assert!(wechat.simulator.behaviour().rotate_refresh_tokens);
    assert_eq!(get(&wechat, "behaviour").await["delivery"], "redirect-only");
    assert_eq!(put(json!({ "invented": true })).await.0, 422);

    assert_eq!(post(&wechat, "stop-tickets", json!({})).await.0, 204);
    let body = json!({ "component_appid": COMPONENT, "component_secret": SECRET });
    assert_eq!(wechat.call(paths::START_PUSH_TICKET, None, body).await["errmsg"], "ok");
    wechat.simulator.pushes_settled().await;
}

#[tokio::test]
async fn messages_are_sent_from_outside_and_their_outcome_is_returned() {
    let wechat = Harness::start().await;
    let platform = AccountSide::start(&wechat.simulator).await;
    let shop = json!({ "appid": "wxshop", "kind": "official-account", "nick_name": "茶馆", "user_name": "gh_shop" });
    assert_eq!(post(&wechat, "accounts", shop).await.0, 204);
    let account = wechat.simulator.account(&AppId::parse("wxshop").unwrap()).unwrap();
    assert_eq!((account.user_name.as_str(), account.nick_name.as_str()), ("gh_shop", "茶馆"));
    assert_eq!(post(&wechat, "accounts", json!({ "appid": "wxshop", "kind": "newspaper" })).await.0, 422);

    let inner = reply(&account, "o1", "text", "<Content>hi</Content>");
    platform.answer_next(StatusCode::OK, sealed(&keyring(COMPONENT, TOKEN), &inner));
    let text = json!({ "MsgType": "text", "Content": "hello <b>", "MsgId": 1_234_567_890_123_456_789_u64 });
    let message = json!({ "authorizer_appid": "wxshop", "open_id": "o1", "fields": text });
    let (status, outcome) = post(&wechat, "messages", message.clone()).await;
    assert_eq!((status, &outcome["reply"], &outcome["attempts"]), (200, &json!(inner), &json!(1)));
    assert!(outcome["elapsed_ms"].is_u64() && outcome["fault"].is_null(), "{outcome}");
    assert_eq!(platform.last().field("Content").as_deref(), Some("hello <b>"));
    assert_eq!(platform.last().field("MsgId").as_deref(), Some("1234567890123456789"));

    platform.answer_next(StatusCode::OK, "garbage");
    let xml = "<xml><ToUserName>gh_shop</ToUserName></xml>";
    let (_, outcome) = post(&wechat, "messages", json!({ "authorizer_appid": "wxshop", "xml": xml })).await;
    assert_eq!((&outcome["reply"], &outcome["fault"]), (&Value::Null, &json!("not-sealed")));
    assert_eq!(outcome["answer"]["body"], "garbage");
    assert_eq!(platform.last().message, xml);

    let with = |pointer: &str, value: Value| {
        let mut changed = message.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        changed
    };
    for (body, expected) in [
        (with("/authorizer_appid", json!("wxnobody")), 404),
        (with("/fields", json!({ "Content": "hello" })), 422),
        (with("/fields", json!({ "MsgType": "text", "A><B": "x" })), 422),
        (with("/fields/Content", json!({})), 422),
        (json!({ "authorizer_appid": "wxshop" }), 422),
    ] {
        assert_eq!(post(&wechat, "messages", body.clone()).await.0, expected, "{body}");
    }
    assert_eq!(platform.arrived().len(), 2);
}

#[tokio::test]
async fn codes_are_issued_and_sent_messages_listed_from_outside() {
    let wechat = Harness::start().await;
    let component = wechat.component_token().await;
    let account = json!({ "authorizer_appid": Harness::account() });
    assert_eq!(post(&wechat, "code", account.clone()).await.0, 404);
    post(&wechat, "authorize", account.clone()).await;
    let (_, issued) = post(&wechat, "code", account).await;
    let answer = wechat.exchange(&component, issued["code"].as_str().unwrap()).await;
    let token = text(&answer, "/authorization_info/authorizer_access_token");
    let body = json!({ "touser": "o1", "msgtype": "text", "text": { "content": "你好" } });
    wechat.call(paths::CUSTOM_SEND, Some(&token), body.clone()).await;
    let expected = json!([{
        "authorizer": Harness::account(),
        "to": "o1",
        "body": body,
        "at": 1_700_000_000,
        "code": issued["code"],
    }]);
    assert_eq!(get(&wechat, "sent").await, expected);
}

#[tokio::test]
async fn users_developers_and_auditors_are_controlled_from_outside() {
    let wechat = Harness::start().await;
    let (shop, program) = (Harness::account(), Harness::mini_program());
    let (one, two) = (wechat.token_of(&shop).await, wechat.token_of(&program).await);
    let follow = |follows: bool| json!({ "authorizer_appid": shop, "open_id": "o1", "follows": follows });
    for follows in [true, false] {
        assert_eq!(post(&wechat, "followers", follow(follows)).await.0, 204);
        let info = wechat.get("/cgi-bin/user/info", &one, "&openid=o1").await;
        assert_eq!(info["subscribe"], u64::from(follows));
    }
    let used = json!({ "authorizer_appid": shop, "path": "/cgi-bin/user/info" });
    assert_eq!(post(&wechat, "used-quotas", used).await.0, 204);
    assert_eq!(errcode(&wechat.get("/cgi-bin/user/info", &one, "&openid=o1").await), 45009);

    let (_, code) = post(&wechat, "phone-codes", json!({ "authorizer_appid": program, "number": "13800138000" })).await;
    assert_eq!(errcode(&wechat.call("/wxa/business/getuserphonenumber", Some(&two), code).await), 0);
    let (_, code) = post(&wechat, "login-codes", json!({ "authorizer_appid": program, "open_id": "o1" })).await;
    let secrets = wechat.simulator.issued_secrets();
    assert!(secrets.iter().any(|secret| json!(secret.value) == code["code"]));

    let added = json!({ "tid": "401", "kidList": [1] });
    let added = wechat.call("/wxaapi/newtmpl/addtemplate", Some(&two), added).await;
    let id = text(&added, "/priTmplId");
    let consent = json!({ "authorizer_appid": program, "open_id": "o1", "template_id": id });
    assert_eq!(post(&wechat, "subscriptions", consent).await.0, 204);
    let message = json!({ "touser": "o1", "template_id": id, "data": { "thing1": { "value": "剪发" } } });
    assert_eq!(errcode(&wechat.call("/cgi-bin/message/subscribe/send", Some(&two), message).await), 0);

    let draft = post(&wechat, "drafts", json!({ "user_version": "2", "user_desc": "" })).await.1;
    assert_eq!(draft, json!({ "draft_id": 1 }));
    let decision = json!({ "authorizer_appid": program, "result": "refused", "reason": "类目不符" });
    assert_eq!(post(&wechat, "audits", decision.clone()).await.0, 404);
    let version = json!({ "template_id": 0, "ext_json": "{}", "user_version": "1", "user_desc": "" });
    assert_eq!(errcode(&wechat.call("/wxa/commit", Some(&two), version).await), 0);
    wechat.clock.advance(Duration::from_mins(1));
    assert_eq!(errcode(&wechat.call("/wxa/submit_audit", Some(&two), json!({})).await), 0);
    assert_eq!(post(&wechat, "audits", json!({ "authorizer_appid": program, "result": "other" })).await.0, 422);
    let (status, outcome) = post(&wechat, "audits", decision).await;
    assert_eq!((status, &outcome["answer"]["kind"]), (200, &json!("unanswered")));
    assert!(!wechat.simulator.is_in_audit(&program));
}

#[tokio::test]
async fn a_grant_that_is_lost_on_the_page_of_the_console_is_not_pushed() {
    let wechat = Harness::start().await;
    let account = Harness::account();
    wechat.token_of(&account).await;
    let pushes = get(&wechat, "pushes").await.as_array().unwrap().len();
    let lose = wechat.http.post(format!("{}/console/{account}", wechat.base));
    let lose = lose.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(lose.body("nick_name=a&func_ids=1+2&action=lose_grant").send().await.unwrap().status(), 303);
    assert!(!wechat.simulator.is_authorized(&account));
    wechat.simulator.pushes_settled().await;
    assert_eq!(get(&wechat, "pushes").await.as_array().unwrap().len(), pushes);
}
