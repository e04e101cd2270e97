//! Visitors who log in.

use serde_json::{Value, json};

use crate::{ACCOUNT, Browser, PROGRAM, Stage};

const LOGGED_IN: &str = "You are logged in";

#[tokio::test]
async fn a_visitor_is_logged_in_silently_and_the_shop_adds_its_origin_to_the_account_first() {
    let stage = Stage::ready().await;
    let browser = stage.wechat_browser().await;
    let page = stage.log_in(&browser, "snsapi_base").await;
    assert!(page.text.contains(LOGGED_IN) && page.text.contains("<dd><code>o"), "{}", page.text);
    assert!(page.text.contains("WeChat does not return it with snsapi_base"), "{}", page.text);
    // A page of the shop again: the code is neither in its URL nor in its text.
    assert_eq!(page.url.as_str(), format!("{}/", stage.shop));
    let (_, code) = page.return_address().query_pairs().find(|(name, _)| name == "login_code").unwrap();
    assert!(code.len() > 40 && !page.text.contains(code.as_ref()), "{}", page.text);
    let account = Browser::client().get(format!("{}/accounts/{ACCOUNT}", stage.system.business_base));
    let account: Value = account.send().await.unwrap().json().await.unwrap();
    assert_eq!(account["login_origins"], json!([stage.shop]));
    assert!(page.text.contains("PATCH http"), "{}", page.text);
    let again = stage.log_in(&browser, "snsapi_base").await;
    assert!(again.text.contains(LOGGED_IN) && !again.text.contains("PATCH http"), "{}", again.text);

    let page = browser.send_form(&format!("{}/logout", stage.shop), &[]).await;
    assert!(!page.text.contains(LOGGED_IN), "{}", page.text);
}

#[tokio::test]
async fn a_visitor_who_agrees_has_a_name_and_a_unionid_if_the_account_is_bound() {
    let stage = Stage::ready().await;
    let browser = stage.wechat_browser().await;
    let logged_in = async || {
        let button = stage.log_in(&browser, "snsapi_userinfo").await;
        let consent = browser.get(&button.attribute("href")).await;
        browser.submit(&consent, &[("decision", "agree")]).await
    };
    let page = logged_in().await;
    assert!(page.text.contains("<strong><bdi>小满"), "{}", page.text);
    assert!(page.text.contains("the account is not bound to an open account"), "{}", page.text);
    for account in [ACCOUNT, PROGRAM] {
        let fields = [("nick_name", "a"), ("func_ids", "1 4"), ("action", "bind_to_open_account")];
        browser.send_form(&format!("{}/console/{account}", stage.simulator), &fields).await;
    }
    let page = logged_in().await;
    let unionid = |text: &str| {
        let (_, rest) = text.rsplit_once("<dt>unionid</dt><dd><code>").unwrap_or_else(|| panic!("{text}"));
        rest.split_once('<').unwrap().0.to_owned()
    };
    let opened = browser.send_form(&format!("{}/mini-program", stage.shop), &[("account", PROGRAM)]).await;
    assert_eq!(unionid(&page.text), unionid(&opened.text), "it is one person");
}

#[tokio::test]
async fn outside_wechat_there_is_a_qr_code_until_the_browser_plays_wechats() {
    let stage = Stage::ready().await;
    let browser = Browser::new();
    let page = stage.log_in(&browser, "snsapi_base").await;
    assert!(page.url.path().starts_with("/login/") && page.text.contains("<svg"), "{}", page.text);
    browser.send_form(&format!("{}/browser", stage.shop), &[("plays", "wechat")]).await;
    assert!(stage.log_in(&browser, "snsapi_base").await.text.contains(LOGGED_IN));
    browser.send_form(&format!("{}/browser", stage.shop), &[("plays", "itself")]).await;
    assert!(stage.log_in(&browser, "snsapi_base").await.text.contains("<svg"));
}

#[tokio::test]
async fn a_return_that_is_loaded_twice_is_one_login() {
    let stage = Stage::ready().await;
    let browser = stage.wechat_browser().await;
    let page = stage.log_in(&browser, "snsapi_base").await;
    let again = browser.get(page.return_address().as_str()).await;
    assert_eq!(again.way.len(), 2, "{:?}", again.way);
    assert!(again.text.contains(LOGGED_IN), "{}", again.text);
}

#[tokio::test]
async fn a_shop_without_accounts_leads_to_a_link_and_has_one_name() {
    let stage = Stage::without_accounts().await;
    let browser = Browser::new();
    let page = browser.get(&stage.shop.replace("localhost", "127.0.0.1")).await;
    assert_eq!(page.url.host_str(), Some("localhost"));
    assert!(page.text.contains("No official account yet"), "{}", page.text);
    let link = browser.send_form(&format!("{}/authorize", stage.shop), &[]).await;
    assert!(link.url.path().starts_with("/authorize/") && link.status == 200, "{link:?}");
}
