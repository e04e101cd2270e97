//! Visitors who come back without being logged in, and browsers that come back without having left.

use serde_json::json;
use url::Url;

use crate::{ACCOUNT, Browser, Stage};

const LOGGED_IN: &str = "You are logged in";

#[tokio::test]
async fn each_error_says_what_to_do() {
    let stage = Stage::ready().await;
    let browser = stage.wechat_browser().await;
    let button = stage.log_in(&browser, "snsapi_userinfo").await;
    let consent = browser.get(&button.attribute("href")).await;
    let refused = browser.submit(&consent, &[("decision", "refuse")]).await;
    assert!(refused.text.contains("You chose not to log in") && refused.text.contains("access_denied"), "{refused:?}");

    stage.web_login(json!({ "snapshot": true })).await;
    let button = stage.log_in(&browser, "snsapi_userinfo").await;
    let snapshot = browser.get(&button.attribute("href")).await;
    assert!(snapshot.text.contains("使用完整服务") && snapshot.text.contains("Create no account"), "{snapshot:?}");
    assert!(!browser.get(&stage.shop).await.text.contains(LOGGED_IN));

    for (error, told) in [
        ("code_used", "Begin another login"),
        ("temporarily_unavailable", "log in later"),
        ("invented", "treat it like temporarily_unavailable"),
    ] {
        let url = format!("{}/in?account={ACCOUNT}&scope=snsapi_base&error={error}&state=x", stage.shop);
        let page = browser.get(&url).await;
        assert!(page.text.contains(told) && page.text.contains("Log in again"), "{page:?}");
    }
}

/// The URL at which the login of somebody else returned.
async fn stolen_return(stage: &Stage) -> Url {
    let victim = stage.wechat_browser().await;
    stage.log_in(&victim, "snsapi_base").await.return_address().clone()
}

fn parameter(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(known, _)| known == name).unwrap().1.into_owned()
}

#[tokio::test]
async fn a_login_of_another_browser_begins_again_and_logs_nobody_in_as_somebody_else() {
    let stage = Stage::ready().await;
    let return_address = stolen_return(&stage).await;
    let other = stage.wechat_browser().await;
    let page = other.get(return_address.as_str()).await;
    // The code was not used: this browser was logged in separately.
    assert!(page.text.contains(LOGGED_IN), "{}", page.text);
    let begun = page.way.iter().filter(|url| url.path().starts_with("/login/") && url.path().ends_with(ACCOUNT));
    assert_eq!(begun.count(), 1, "{:?}", page.way);
    let again = page.return_address();
    for name in ["state", "login_code"] {
        assert_ne!(parameter(again, name), parameter(&return_address, name), "{name}");
    }
}

#[tokio::test]
async fn a_code_of_another_login_next_to_ones_own_state_is_not_followed() {
    let stage = Stage::ready().await;
    let theirs = stolen_return(&stage).await;
    let browser = Browser::new();
    // Begun in this browser, which shows the QR code: the state is known and in progress.
    let begun = stage.log_in(&browser, "snsapi_base").await;
    let mut mixed = Url::parse(&format!("{}/in?account={ACCOUNT}&scope=snsapi_base", stage.shop)).unwrap();
    mixed.query_pairs_mut().append_pair("login_code", &parameter(&theirs, "login_code"));
    mixed.query_pairs_mut().append_pair("state", &parameter(&begun.url, "state"));
    let page = browser.get(mixed.as_str()).await;
    assert!(page.url.path().starts_with("/login/"), "it begins again: {:?}", page.way);
    assert!(!browser.get(&stage.shop).await.text.contains(LOGGED_IN));
}

#[tokio::test]
async fn a_browser_that_refuses_cookies_gets_a_page_instead_of_endless_redirects() {
    let stage = Stage::ready().await;
    let browser = stage.wechat_browser().await.refusing_cookies();
    let return_address = stolen_return(&stage).await;
    let page = browser.get(return_address.as_str()).await;
    // The platform needs a cookie of its own, and says so.
    assert!(page.status == 400 && page.text.contains("allow cookies"), "{page:?}");

    let mut again = return_address;
    again.query_pairs_mut().append_pair("again", "1");
    let page = browser.get(again.as_str()).await;
    assert_eq!(page.way.len(), 1, "{:?}", page.way);
    assert!(page.text.contains("Please allow cookies"), "{}", page.text);
}

#[tokio::test]
async fn an_unknown_code_leads_to_a_page_that_says_what_to_do() {
    let stage = Stage::ready().await;
    let browser = Browser::new();
    let begun = stage.log_in(&browser, "snsapi_base").await;
    let (invented, own) = ("x".repeat(43), parameter(&begun.url, "state"));
    let query = format!("account={ACCOUNT}&scope=snsapi_base&login_code={invented}&state={own}");
    let page = browser.get(&format!("{}/in?{query}", stage.shop)).await;
    assert!(page.text.contains("valid for a minute, and once") && page.text.contains("Log in again"), "{page:?}");
}

#[tokio::test]
async fn another_website_reads_nothing_and_changes_nothing_but_may_lead_a_tab_here() {
    let stage = Stage::ready().await;
    let client = Browser::client();
    for (method, path) in [("POST", "/login"), ("POST", "/logout"), ("POST", "/browser"), ("GET", "/"), ("GET", "/in")]
    {
        let request = client.request(method.parse().unwrap(), format!("{}{path}", stage.shop));
        let request = request.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "no-cors");
        assert_eq!(request.send().await.unwrap().status(), 403, "{method} {path}");
        let request = client.request(method.parse().unwrap(), format!("{}{path}", stage.shop));
        let request = request.header("origin", "https://evil.example.com");
        assert_eq!(request.send().await.unwrap().status(), 403, "{method} {path}");
    }
    // As a browser arrives from WeChat's redirect, and from the platform's.
    for site in ["cross-site", "same-site"] {
        let request = client.get(format!("{}/in?account={ACCOUNT}&scope=snsapi_base&error=snapshot", stage.shop));
        let request = request.header("sec-fetch-site", site).header("sec-fetch-mode", "navigate");
        assert_eq!(request.header("sec-fetch-dest", "document").send().await.unwrap().status(), 200);
        let framed = client.get(format!("{}/in?account={ACCOUNT}&scope=snsapi_base&error=snapshot", stage.shop));
        let framed = framed.header("sec-fetch-site", site).header("sec-fetch-mode", "navigate");
        assert_eq!(framed.header("sec-fetch-dest", "iframe").send().await.unwrap().status(), 403);
    }
}
