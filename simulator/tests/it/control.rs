//! The control API: the same powers for another process.

use serde_json::{Value, json};
use simulator::paths;

use crate::harness::{COMPONENT, Harness, SECRET, element, errcode, token_body};

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
async fn merchants_and_tickets_are_driven_from_outside() {
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
async fn counters_calls_secrets_and_behaviour_can_be_read_and_set() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    assert_eq!(get(&wechat, "counters").await["effects"]["component_tokens"], 1);
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
