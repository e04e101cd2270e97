//! Registration of mini programs, as of 2026-04-30.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Account, SecretKind};

use crate::harness::{Harness, element, errcode, json_of, text};

const ENTERPRISE: &str = "fastregisterenterpriseweapp";
const PERSON: &str = "fastregisterpersonalweapp";

async fn call(wechat: &Harness, token: &str, name: &str, action: &str, body: Value) -> Value {
    let query = format!("component_access_token={token}&action={action}");
    let path = format!("/wxa/component/{name}");
    json_of(wechat.post_raw(&path, &query, body.to_string()).await.unwrap()).await
}

fn company() -> Value {
    json!({ "name": "茶馆", "code": "91310000MA1K00000X", "component_phone": "1", "new_version": true })
}

async fn status(wechat: &Harness, token: &str, task: &str) -> Value {
    let body = json!({ "taskid": task, "new_version": true });
    call(wechat, token, ENTERPRISE, "query", body).await["status"].clone()
}

#[tokio::test]
async fn a_company_confirms_at_the_url_and_the_platform_is_notified() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let answer = call(&wechat, &token, ENTERPRISE, "create", company()).await;
    let task = text(&answer, "/taskid");
    assert_eq!(status(&wechat, &token, &task).await, 1);
    let url = text(&answer, "/authorize_url");
    let page = wechat.http.get(&url).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("茶馆"), "{page}");
    let confirm = || wechat.http.post(&url).header("content-type", "application/x-www-form-urlencoded");
    let page = confirm().body("decision=confirm").send().await.unwrap().text().await.unwrap();
    assert!(page.contains("注册成功"), "{page}");
    wechat.simulator.pushes_settled().await;
    assert_eq!(status(&wechat, &token, &task).await, 0);
    let push = wechat.receiver.last();
    for (name, expected) in [
        ("InfoType", "notify_third_fasteregister"),
        ("status", "0"),
        ("name", "茶馆"),
        ("code", "91310000MA1K00000X"),
        ("code_type", "1"),
        ("taskid", &task),
    ] {
        assert_eq!(element(&push, name).as_deref(), Some(expected), "{push}");
    }
    let exchanged = wechat.exchange(&token, &element(&push, "auth_code").unwrap()).await;
    assert_eq!(text(&exchanged, "/authorization_info/authorizer_appid"), element(&push, "appid").unwrap());
    let pushes = wechat.receiver.messages().len();
    confirm().body("decision=confirm").send().await.unwrap();
    wechat.simulator.pushes_settled().await;
    assert_eq!(wechat.receiver.messages().len(), pushes, "confirmed once");
}

#[tokio::test]
async fn a_person_may_refuse_and_a_task_lives_a_day() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let person = json!({ "wxuser": "zhang", "idname": "张三", "component_phone": "1", "new_version": true });
    let answer = call(&wechat, &token, PERSON, "create", person.clone()).await;
    let refuse = wechat.http.post(text(&answer, "/authorize_url"));
    let refuse = refuse.header("content-type", "application/x-www-form-urlencoded").body("decision=cancel");
    assert!(refuse.send().await.unwrap().text().await.unwrap().contains("100003"));
    wechat.simulator.pushes_settled().await;
    let push = wechat.receiver.last();
    assert_eq!((element(&push, "status").as_deref(), element(&push, "appid")), (Some("100003"), None));
    assert_eq!((element(&push, "name").as_deref(), element(&push, "code_type").as_deref()), (Some(""), Some("0")));

    let task = text(&call(&wechat, &token, PERSON, "create", person).await, "/taskid");
    wechat.clock.advance(Duration::from_hours(24));
    let token = wechat.component_token().await;
    assert_eq!(status(&wechat, &token, &task).await, 100_003);
    assert!(wechat.simulator.confirm_registration(&task).is_none());
    assert!(wechat.simulator.refuse_registration(&task, 101, "deregistered").is_none());
}

#[tokio::test]
async fn the_earlier_interface_is_removed_and_wrong_data_are_refused() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let gone = wechat.call("/cgi-bin/component/fastregisterweapp", Some(&token), company()).await;
    assert_eq!(errcode(&gone), -1);
    for (name, action, change, expected) in [
        (ENTERPRISE, "create", json!({ "new_version": null }), -1),
        (ENTERPRISE, "create", json!({ "new_version": "true" }), -1),
        (ENTERPRISE, "create", json!({ "code": "1234567890123456" }), 89255),
        (ENTERPRISE, "create", json!({ "name": "" }), 89253),
        (ENTERPRISE, "search", json!({}), 40097),
        (ENTERPRISE, "query", json!({}), 89253),
        (ENTERPRISE, "query", json!({ "taskid": "unknown" }), 89250),
        (PERSON, "create", json!({}), 89253),
        ("fastregistertransactionweapp", "create", json!({}), 89253),
        ("fastregistertransactionweapp", "create", json!({ "openid": "o1" }), 0),
        ("fastregisterbetaweapp", "", json!({}), 89253),
    ] {
        let mut body = company();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(errcode(&call(&wechat, &token, name, action, body).await), expected, "{name} {action} {change}");
    }
    let account = wechat.token_of(&Harness::mini_program()).await;
    assert_eq!(errcode(&call(&wechat, &account, ENTERPRISE, "create", company()).await), 61014);
}

#[tokio::test]
async fn a_trial_mini_program_comes_without_an_authorization_code() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let body = json!({ "name": "试用茶馆", "openid": "o1" });
    let trial = text(&call(&wechat, &token, "fastregisterbetaweapp", "", body).await, "/unique_id");
    let registration = wechat.simulator.confirm_registration(&trial).unwrap();
    assert!(wechat.simulator.send(&registration.push).await.is_accepted());
    let push = wechat.receiver.last();
    assert_eq!(element(&push, "InfoType").as_deref(), Some("notify_third_fastregisterbetaapp"));
    assert_eq!((element(&push, "unique_id"), element(&push, "auth_code")), (Some(trial), None));
    assert!(wechat.simulator.is_authorized(&registration.appid));
}

#[tokio::test]
async fn a_ticket_registers_one_mini_program_with_an_official_accounts_verification() {
    let wechat = Harness::start().await;
    let shop = Account { func_ids: vec![27], ..Account::demo().remove(0) };
    wechat.simulator.put_account(shop.clone());
    let token = wechat.token_of(&shop.appid).await;
    let ticket = wechat.simulator.reuse_ticket(&shop.appid);
    assert!(wechat.simulator.issued_secrets().iter().any(|secret| secret.kind == SecretKind::RegistrationTicket));
    let register = async |ticket: &str| {
        wechat.call("/cgi-bin/account/fastregister", Some(&token), json!({ "ticket": ticket })).await
    };
    assert_eq!(errcode(&register("unknown").await), 61058);
    let registered = register(&ticket).await;
    assert_eq!(errcode(&register(&ticket).await), 61058);
    let component = wechat.component_token().await;
    let exchanged = wechat.exchange(&component, &text(&registered, "/authorization_code")).await;
    assert_eq!(text(&exchanged, "/authorization_info/authorizer_appid"), text(&registered, "/appid"));
}
