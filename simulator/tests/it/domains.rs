//! Domains of mini programs: from the platform's list, or set directly.

use serde_json::{Value, json};

use crate::harness::{Harness, errcode, text};

async fn wxa(wechat: &Harness, token: &str, name: &str, body: Value) -> Value {
    wechat.call(&format!("/wxa/{name}"), Some(token), body).await
}

async fn register(wechat: &Harness, token: &str, name: &str, body: Value) -> Value {
    wechat.call(&format!("/cgi-bin/component/{name}"), Some(token), body).await
}

#[tokio::test]
async fn a_platform_registers_domains_fifty_times_a_month() {
    let wechat = Harness::start().await;
    let token = wechat.component_token().await;
    let name = "modify_wxa_server_domain";
    let add =
        json!({ "action": "add", "wxa_server_domain": "a.example.com;b.example.com;1.2.3.4;https://c.example.com" });
    let answer = register(&wechat, &token, name, add).await;
    assert_eq!(text(&answer, "/testing_wxa_server_domain"), "a.example.com;b.example.com");
    assert_eq!(text(&answer, "/invalid_wxa_server_domain"), "1.2.3.4;https://c.example.com");
    assert_eq!(text(&answer, "/published_wxa_server_domain"), "");
    let delete =
        json!({ "action": "delete", "wxa_server_domain": "a.example.com", "is_modify_published_together": true });
    let answer = register(&wechat, &token, name, delete).await;
    assert_eq!(text(&answer, "/testing_wxa_server_domain"), "b.example.com");
    let set = json!({ "action": "set", "wxa_server_domain": "d.example.com", "is_modify_published_together": true });
    for _ in 0..48 {
        let answer = register(&wechat, &token, name, set.clone()).await;
        assert_eq!(text(&answer, "/published_wxa_server_domain"), "d.example.com");
    }
    assert_eq!(errcode(&register(&wechat, &token, name, set.clone()).await), 45104);
    let answer = register(&wechat, &token, name, json!({ "action": "get" })).await;
    assert_eq!(text(&answer, "/testing_wxa_server_domain"), "d.example.com");
    assert_eq!(errcode(&register(&wechat, &token, name, json!({ "action": "set" })).await), 40097);
    assert_eq!(errcode(&register(&wechat, &token, name, json!({ "action": "other" })).await), 40097);
}

#[tokio::test]
async fn an_account_accepts_only_domains_of_the_platform() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::mini_program()).await;
    let component = wechat.component_token().await;
    let add = |domain: &str| json!({ "action": "add", "requestdomain": [domain], "wsrequestdomain": ["http://x"] });
    assert_eq!(errcode(&wxa(&wechat, &token, "modify_domain", add("https://a.example.com")).await), 85018);
    let registered = json!({ "action": "add", "wxa_server_domain": "a.example.com" });
    assert_eq!(errcode(&register(&wechat, &component, "modify_wxa_server_domain", registered).await), 0);
    let added = wxa(&wechat, &token, "modify_domain", add("https://a.example.com:8443")).await;
    assert_eq!(added["requestdomain"], json!(["https://a.example.com:8443"]));
    assert_eq!((&added["invalid_wsrequestdomain"], &added["uploaddomain"]), (&json!(["http://x"]), &json!([])));
    assert_eq!(errcode(&wxa(&wechat, &token, "modify_domain", add("https://a.example.com:8443")).await), 85017);
    assert_eq!(errcode(&wxa(&wechat, &token, "modify_domain", add("https://10.0.0.1")).await), 85301);
    assert_eq!(errcode(&wxa(&wechat, &token, "modify_domain", json!({})).await), 40097);
    assert_eq!(errcode(&wxa(&wechat, &component, "modify_domain", add("https://a.example.com")).await), 61015);

    let set = json!({ "action": "set", "uploaddomain": ["https://a.example.com"] });
    let set = wxa(&wechat, &token, "modify_domain", set).await;
    assert_eq!(
        (&set["uploaddomain"], &set["requestdomain"]),
        (&json!(["https://a.example.com"]), &added["requestdomain"])
    );
    let delete = json!({ "action": "delete", "requestdomain": ["https://a.example.com:8443"] });
    assert_eq!(wxa(&wechat, &token, "modify_domain", delete).await["requestdomain"], json!([]));
    let directly = json!({ "action": "add", "requestdomain": ["https://other.example.com"] });
    assert_eq!(errcode(&wxa(&wechat, &token, "modify_domain_directly", directly).await), 0);
    let effective = wxa(&wechat, &token, "get_effective_domain", json!({})).await;
    assert_eq!(effective["third_domain"]["uploaddomain"], json!(["https://a.example.com"]));
    assert_eq!(effective["direct_domain"]["uploaddomain"], json!([]));
    assert_eq!(effective["effective_domain"]["requestdomain"], json!(["https://other.example.com"]));
    assert_eq!(effective["effective_domain"]["uploaddomain"], json!(["https://a.example.com"]));
}

#[tokio::test]
async fn web_view_domains_come_from_the_platform_or_directly() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::mini_program()).await;
    let component = wechat.component_token().await;
    let registered = json!({ "action": "add", "wxa_jump_h5_domain": "h5.example.com;shop.example.com", "is_modify_published_together": true });
    let registered = register(&wechat, &component, "modify_wxa_jump_domain", registered).await;
    assert_eq!(text(&registered, "/testing_wxa_jump_h5_domain"), "h5.example.com;shop.example.com");
    assert_eq!(registered["published_wxa_jump_h5_domain"], registered["testing_wxa_jump_h5_domain"]);
    let add = |domain: &str| json!({ "action": "add", "webviewdomain": [domain] });
    assert_eq!(errcode(&wxa(&wechat, &token, "setwebviewdomain", add("https://x.example.com")).await), 85018);
    assert_eq!(errcode(&wxa(&wechat, &token, "setwebviewdomain", add("https://h5.example.com")).await), 0);
    let all = wxa(&wechat, &token, "setwebviewdomain", json!({})).await;
    assert_eq!(all["webviewdomain"], json!(["https://h5.example.com", "https://shop.example.com"]));
    let got = wxa(&wechat, &token, "setwebviewdomain", json!({ "action": "get" })).await;
    assert_eq!(got["webviewdomain"], all["webviewdomain"]);

    assert_eq!(errcode(&wxa(&wechat, &token, "setwebviewdomain_directly", json!({})).await), 40097);
    let direct = wxa(&wechat, &token, "setwebviewdomain_directly", add("https://x.example.com")).await;
    assert_eq!(direct["webviewdomain"], json!(["https://x.example.com"]));
    let effective = wxa(&wechat, &token, "get_effective_webviewdomain", json!({})).await;
    assert_eq!(effective["direct_webviewdomain"], direct["webviewdomain"]);
    assert_eq!(effective["effective_webviewdomain"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn platform_and_account_each_have_a_check_file() {
    let wechat = Harness::start().await;
    let token = wechat.token_of(&Harness::mini_program()).await;
    let component = wechat.component_token().await;
    let platforms = register(&wechat, &component, "get_domain_confirmfile", json!({})).await;
    let accounts = wxa(&wechat, &token, "get_webviewdomain_confirmfile", json!({})).await;
    assert_ne!(platforms, accounts);
    for file in [platforms, accounts] {
        let name = text(&file, "/file_name");
        assert_eq!(name.split_once('.').map(|(name, ending)| (name.len(), ending)), Some((10, "txt")));
        assert_eq!(text(&file, "/file_content").len(), 32);
    }
    let query = format!("access_token={token}");
    let empty = wechat.post_raw("/wxa/get_webviewdomain_confirmfile", &query, String::new());
    assert!(empty.await.unwrap().text().await.unwrap().contains("44002"));
}
