//! A signed page, and a user of a mini program.

use serde_json::{Value, json};

use crate::{ACCOUNT, Browser, PROGRAM, Stage};

/// The response to the page's script.
async fn check(stage: &Stage, config: &Value, url: &str) -> String {
    let mut sent = json!({ "url": url });
    for name in ["appId", "timestamp", "nonceStr", "signature"] {
        sent[name] = config[name].clone();
    }
    let request = Browser::client().post(format!("{}/js-sdk-check", stage.shop)).json(&sent);
    let answer: Value = request.header("origin", &stage.shop).send().await.unwrap().json().await.unwrap();
    answer["errMsg"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_page_is_signed_for_its_own_url_without_the_ticket_in_it() {
    let stage = Stage::ready().await;
    let page = Browser::new().get(&format!("{}/signed?account={ACCOUNT}&q=%E5%95%86&a=1+2", stage.shop)).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let config: Value = serde_json::from_str(&page.attribute("data-config")).unwrap();
    assert_eq!(config["appId"], ACCOUNT);
    assert_eq!(check(&stage, &config, page.url.as_str()).await, "config:ok");
    assert_eq!(check(&stage, &config, &format!("{}#part", page.url)).await, "config:ok");
    assert_eq!(check(&stage, &config, &format!("{}&b", page.url)).await, "config:invalid signature");
    let elsewhere = page.url.as_str().replace("localhost", "shop.example.com");
    assert_eq!(check(&stage, &config, &elsewhere).await, "config:invalid url domain");

    let secrets = Browser::client().get(format!("{}/_simulator/secrets", stage.simulator)).send().await.unwrap();
    let secrets: Vec<Value> = secrets.json().await.unwrap();
    let tickets: Vec<_> = secrets.iter().filter(|secret| secret["kind"].as_str() == Some("js-ticket")).collect();
    assert!(!tickets.is_empty(), "{secrets:?}");
    for ticket in tickets {
        assert!(!page.text.contains(ticket["value"].as_str().unwrap()), "{}", page.text);
    }
}

#[tokio::test]
async fn a_page_says_why_it_cannot_be_signed() {
    let stage = Stage::ready().await;
    let page = Browser::new().get(&format!("{}/signed?account={PROGRAM}", stage.shop)).await;
    assert!(page.text.contains("pages-not-permitted") && page.text.contains("official accounts"), "{}", page.text);
}

#[tokio::test]
async fn the_user_of_a_mini_program_is_known_and_the_session_key_is_not_shown() {
    let stage = Stage::ready().await;
    let browser = Browser::new();
    let page = browser.send_form(&format!("{}/mini-program", stage.shop), &[("account", PROGRAM)]).await;
    assert!(page.text.contains("<dt>openid</dt><dd><code>o") && page.text.contains("not bound"), "{}", page.text);
    let secrets = Browser::client().get(format!("{}/_simulator/secrets", stage.simulator)).send().await.unwrap();
    let secrets: Vec<Value> = secrets.json().await.unwrap();
    for kind in ["session-key", "login-code"] {
        let issued: Vec<_> = secrets.iter().filter(|secret| secret["kind"].as_str() == Some(kind)).collect();
        assert_eq!(issued.len(), 1, "{kind} {secrets:?}");
        assert!(!page.text.contains(issued[0]["value"].as_str().unwrap()), "{}", page.text);
    }
}
