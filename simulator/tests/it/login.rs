//! Logins and phone numbers of mini programs' users.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Fault, SecretKind};

use crate::harness::{COMPONENT, Harness, errcode, json_of, text};

const SESSION: &str = "/sns/component/jscode2session";
const PHONE: &str = "/wxa/business/getuserphonenumber";

async fn session(wechat: &Harness, component: &str, code: &str) -> Value {
    let appid = Harness::mini_program();
    let query = format!(
        "appid={appid}&js_code={code}&grant_type=authorization_code&component_appid={COMPONENT}\
         &component_access_token={component}"
    );
    json_of(wechat.get_raw(SESSION, &query).await).await
}

#[tokio::test]
async fn a_login_code_works_once_and_for_five_minutes() {
    let wechat = Harness::start().await;
    wechat.token_of(&Harness::mini_program()).await;
    let component = wechat.component_token().await;
    let code = wechat.simulator.login_code(&Harness::mini_program(), "oUser");
    let answer = session(&wechat, &component, &code).await;
    assert_eq!(answer["openid"], "oUser");
    assert!(answer.get("errcode").is_none());
    let key = text(&answer, "/session_key");
    assert_eq!(key.len(), 24);
    let secrets = wechat.simulator.issued_secrets();
    assert!(secrets.iter().any(|secret| secret.kind == SecretKind::SessionKey && secret.value == key));
    assert!(secrets.iter().any(|secret| secret.kind == SecretKind::LoginCode && secret.value == code));

    assert_eq!(errcode(&session(&wechat, &component, &code).await), 40163);
    assert_eq!(errcode(&session(&wechat, &component, "invented").await), 40029);
    let late = wechat.simulator.login_code(&Harness::mini_program(), "oUser");
    wechat.clock.advance(Duration::from_mins(5));
    assert_eq!(errcode(&session(&wechat, &component, &late).await), 40029);
}

#[tokio::test]
async fn a_login_requires_the_components_token_under_its_literal_name_and_both_appids() {
    let wechat = Harness::start().await;
    let account = wechat.token_of(&Harness::mini_program()).await;
    let component = wechat.component_token().await;
    let appid = Harness::mini_program();
    let code = wechat.simulator.login_code(&appid, "oUser");
    let rest = format!("js_code={code}&grant_type=authorization_code");
    let other = Harness::account();
    for (query, expected) in [
        (format!("{rest}&access_token={component}&component_appid={COMPONENT}&appid={appid}"), 41021),
        (format!("{rest}&component_access_token={account}&component_appid={COMPONENT}&appid={appid}"), 61014),
        (format!("{rest}&component_access_token={component}&appid={appid}"), 41018),
        (format!("{rest}&component_access_token={component}&component_appid={COMPONENT}"), 41002),
        (format!("{rest}&component_access_token={component}&component_appid={COMPONENT}&appid={other}"), 61003),
        (format!("js_code={code}&component_access_token={component}&component_appid={COMPONENT}&appid={appid}"), 40002),
        (format!("{rest}&component_access_token={component}&component_appid={COMPONENT}&appid={appid}"), 0),
    ] {
        assert_eq!(errcode(&json_of(wechat.get_raw(SESSION, &query).await).await), expected, "{query}");
    }
}

#[tokio::test]
async fn one_user_logs_in_a_hundred_times_a_minute_at_most() {
    let wechat = Harness::start().await;
    wechat.token_of(&Harness::mini_program()).await;
    let component = wechat.component_token().await;
    let log_in = async |open_id: &str| {
        let code = wechat.simulator.login_code(&Harness::mini_program(), open_id);
        errcode(&session(&wechat, &component, &code).await)
    };
    for _ in 0..100 {
        assert_eq!(log_in("oBusy").await, 0);
    }
    assert_eq!((log_in("oBusy").await, log_in("oOther").await), (45011, 0));
    wechat.clock.advance(Duration::from_mins(1));
    assert_eq!(log_in("oBusy").await, 0);
}

#[tokio::test]
async fn a_phone_number_comes_for_its_own_code_only() {
    let wechat = Harness::start().await;
    let appid = Harness::mini_program();
    let token = wechat.token_of(&appid).await;
    let ask = async |code: &str| wechat.call(PHONE, Some(&token), json!({ "code": code })).await;
    let code = wechat.simulator.phone_code(&appid, "13800138000");
    let answer = ask(&code).await;
    assert_eq!(answer["phone_info"]["purePhoneNumber"], "13800138000");
    assert_eq!(answer["phone_info"]["watermark"]["appid"], json!(appid));
    assert_eq!(errcode(&ask(&code).await), 40163);
    assert_eq!(errcode(&ask(&wechat.simulator.login_code(&appid, "oUser")).await), 40029);
}

#[tokio::test]
async fn a_fault_of_one_account_acts_on_its_logins() {
    let wechat = Harness::start().await;
    wechat.token_of(&Harness::mini_program()).await;
    let component = wechat.component_token().await;
    wechat.simulator.inject(Fault::errcode(45009).on(SESSION).for_authorizer(&Harness::account()).if_called());
    let log_in = async || {
        let code = wechat.simulator.login_code(&Harness::mini_program(), "oUser");
        errcode(&session(&wechat, &component, &code).await)
    };
    assert_eq!(log_in().await, 0);
    wechat.simulator.inject(Fault::errcode(40226).on(SESSION).for_authorizer(&Harness::mini_program()));
    assert_eq!(log_in().await, 40226);
}
