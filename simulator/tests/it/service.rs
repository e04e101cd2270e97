//! Customer-service messages: which are refused, and what is recorded of those that were accepted.

use serde_json::{Value, json};
use simulator::{Account, SecretKind, paths};

use crate::harness::{Harness, errcode, text};

/// The token from an exchange of this code.
async fn token_for(wechat: &Harness, component_token: &str, code: &str) -> String {
    text(&wechat.exchange(component_token, code).await, "/authorization_info/authorizer_access_token")
}

fn hello() -> Value {
    json!({ "touser": "oFollower", "msgtype": "text", "text": { "content": "你好 🍵" } })
}

#[tokio::test]
async fn wrong_bodies_are_refused_with_wechats_codes() {
    let wechat = Harness::start().await;
    let component = wechat.component_token().await;
    let consent = wechat.simulator.authorize_without_link(&Harness::account()).unwrap();
    let token = token_for(&wechat, &component, &consent.push_code).await;
    let to = |msg_type: &str, content: Value| json!({ "touser": "o1", "msgtype": msg_type, (msg_type): content });
    let article = json!({ "title": "t" });
    for (body, expected) in [
        (json!({ "msgtype": "text", "text": { "content": "hello" } }), 40003),
        (json!({ "touser": "no openid", "msgtype": "text", "text": { "content": "hello" } }), 40003),
        (json!({ "touser": "o1", "text": { "content": "hello" } }), 40097),
        (to("telegram", json!({})), 40008),
        (json!({ "touser": "o1", "msgtype": "text" }), 40097),
        (json!({ "touser": "o1", "msgtype": "text", "text": "hello" }), 40097),
        (json!({ "touser": "o1", "msgtype": "text", "content": "hello" }), 40097),
        (to("text", json!({ "content": "" })), 44004),
        (to("text", json!({ "content": "x".repeat(2049) })), 45002),
        (to("text", json!({ "content": "x".repeat(2048) })), 0),
        (to("image", json!({ "media_id": "" })), 40007),
        (to("image", json!({ "media_id": "m" })), 40007),
        (to("music", json!({ "musicurl": "u", "hqmusicurl": "u" })), 40007),
        (to("news", json!({ "articles": [] })), 40097),
        (to("news", json!({ "articles": [article, article] })), 45008),
        (to("news", json!({ "articles": [article] })), 0),
    ] {
        let answer = wechat.call(paths::CUSTOM_SEND, Some(&token), body.clone()).await;
        assert_eq!(errcode(&answer), expected, "{body}");
    }
    assert_eq!(wechat.simulator.sent().len(), 2);
    let unparsable = wechat.post_raw(paths::CUSTOM_SEND, &format!("access_token={token}"), "hello".into()).await;
    let answer: Value = serde_json::from_slice(&unparsable.unwrap().bytes().await.unwrap()).unwrap();
    assert_eq!(errcode(&answer), 47001);
}

#[tokio::test]
async fn no_message_is_sent_for_an_account_that_did_not_grant_customer_service() {
    let wechat = Harness::start().await;
    let component = wechat.component_token().await;
    let shop = Account { func_ids: vec![2, 3], ..Account::demo().remove(0) };
    wechat.simulator.put_account(shop.clone());
    let consent = wechat.simulator.authorize_without_link(&shop.appid).unwrap();
    let token = token_for(&wechat, &component, &consent.push_code).await;
    assert_eq!(errcode(&wechat.call(paths::CUSTOM_SEND, Some(&token), hello()).await), 61007);
    assert!(wechat.simulator.sent().is_empty());
}

#[tokio::test]
async fn what_was_sent_is_known_with_the_code_that_issued_its_token() {
    let wechat = Harness::start().await;
    let component = wechat.component_token().await;
    let account = Harness::account();
    assert!(wechat.simulator.issue_code(&account).is_err());
    let consent = wechat.simulator.authorize_without_link(&account).unwrap();
    let first =
        text(&wechat.exchange(&component, &consent.push_code).await, "/authorization_info/authorizer_refresh_token");
    let code = wechat.simulator.issue_code(&account).unwrap();
    assert_ne!(code, consent.push_code);
    assert!(
        wechat
            .simulator
            .issued_secrets()
            .iter()
            .any(|secret| { secret.kind == SecretKind::AuthorizationCode && secret.value == code })
    );
    let token = token_for(&wechat, &component, &code).await;
    assert_eq!(errcode(&wechat.call(paths::CUSTOM_SEND, Some(&token), hello()).await), 0);
    let renewed = text(&wechat.renew(&component, &account, &first).await, "/authorizer_access_token");
    assert_eq!(errcode(&wechat.call(paths::CUSTOM_SEND, Some(&token), hello()).await), 40001);
    assert_eq!(errcode(&wechat.call(paths::CUSTOM_SEND, Some(&renewed), hello()).await), 0);

    let sent = wechat.simulator.sent();
    assert_eq!(sent.len(), 2);
    assert!(sent[0].authorizer == account && sent[0].to == "oFollower" && sent[0].body == hello());
    assert!(sent[0].code.as_deref() == Some(&code) && sent[1].code.is_none());
    assert_eq!(errcode(&wechat.exchange(&component, &code).await), 61009);
}

#[tokio::test]
async fn only_the_latest_thousand_are_kept() {
    let wechat = Harness::start().await;
    let component = wechat.component_token().await;
    let consent = wechat.simulator.authorize_without_link(&Harness::account()).unwrap();
    let token = token_for(&wechat, &component, &consent.push_code).await;
    for number in 0..1_001 {
        let body = json!({ "touser": format!("o{number}"), "msgtype": "text", "text": { "content": "hello" } });
        wechat.call(paths::CUSTOM_SEND, Some(&token), body).await;
    }
    let sent = wechat.simulator.sent();
    assert_eq!((sent.len(), sent[0].to.as_str(), sent[999].to.as_str()), (1_000, "o1", "o1000"));
}

#[tokio::test]
async fn a_state_saved_before_codes_were_remembered_is_still_readable() {
    let wechat = Harness::start().await;
    let component = wechat.component_token().await;
    let consent = wechat.simulator.authorize_without_link(&Harness::account()).unwrap();
    let token = token_for(&wechat, &component, &consent.push_code).await;
    let mut saved = wechat.simulator.snapshot().unwrap();
    let forgotten =
        saved["grants"][Harness::account().as_str()]["access_token"].as_object_mut().unwrap().remove("code");
    assert_eq!(forgotten, Some(json!(consent.push_code)));
    wechat.simulator.restore(saved).unwrap();
    assert_eq!(errcode(&wechat.call(paths::CUSTOM_SEND, Some(&token), hello()).await), 0);
    assert!(wechat.simulator.sent()[0].code.is_none());
}

#[test]
fn the_test_accounts_of_the_release_check_are_five_of_each_kind() {
    let accounts = Account::release_check();
    let official: Vec<_> = accounts.iter().filter(|account| account.func_ids.contains(&1)).collect();
    assert_eq!((accounts.len(), official.len()), (10, 5));
    assert_eq!(official[0].appid.as_str(), "wx570bc396a51b8ff8");
    assert_eq!(official[0].user_name, "gh_3c884a361561");
    assert_eq!(official[0].nick_name, "全网发布测试公众号 1");
    assert_eq!(accounts[9].user_name, "gh_7818dcb60240");
    assert_eq!(accounts[9].nick_name, "全网发布测试小程序 5");
}
