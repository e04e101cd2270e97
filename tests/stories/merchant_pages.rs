//! What merchants read on our pages: who asks for what, which account was authorized for whom, and what to do next.

use std::time::Duration;

use serde_json::json;
use simulator::{Fault, paths};
use stories::browser::Browser;
use stories::business::{Business, Link};
use stories::world::World;

/// A merchant authorizes the world's first account through a link that names a shop, and comes back to a page of ours.
async fn authorized(world: &World, browser: &Browser) -> (Link, url::Url) {
    let link = Business::of(world).link(json!({ "requester_name": "示例 & 商城" })).await;
    let page = browser.press(&link).await;
    let back = page.way_back(&world.confirms(&page, &world.account(0)).redirect_code);
    (link, back)
}

#[tokio::test]
async fn the_result_shows_which_account_was_authorized_and_for_whom() {
    let world = World::ready().await;
    let browser = Browser::on_computer().reading("zh-CN");
    let (link, back) = authorized(&world, &browser).await;
    let account = world.account(0);
    for _ in 0..2 {
        let result = browser.open(&back).await;
        let profile = world.details(&account).await.profile.unwrap();
        let picture = format!("src=\"https://wx.qlogo.cn/mmopen/{account}/0\" alt=\"\" referrerpolicy=\"no-referrer\"");
        for shown in
            ["<main class=\"success\">", "授权成功", "已授权给 示例 &#38; 商城", &profile.nick_name.unwrap(), &picture]
        {
            assert!(result.text.contains(shown), "{shown}: {}", result.text);
        }
        let policy = result.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("; img-src https://*.qlogo.cn https://*.qpic.cn; "), "{policy}");
    }
    // So does the page of the link, from now on.
    let used = browser.open(&link.url).await;
    assert!(used.text.contains("已授权给 示例 &#38; 商城") && used.text.contains("wx.qlogo.cn"), "{}", used.text);
}

#[tokio::test]
async fn another_browser_does_not_learn_which_account_was_authorized() {
    let world = World::ready().await;
    let (_, back) = authorized(&world, &Browser::on_computer()).await;
    let other = Browser::on_computer().open(&back).await;
    assert!(other.text.contains("Authorization received"), "{}", other.text);
    assert!(!other.text.contains("class=\"account\"") && !other.text.contains(world.account(0).as_str()));
}

#[tokio::test]
async fn an_account_whose_name_is_not_known_yet_is_shown_with_its_appid() {
    let world = World::ready().await;
    let browser = Browser::on_computer();
    let (_, back) = authorized(&world, &browser).await;
    world.simulator.inject(Fault::system_error().on(paths::GET_AUTHORIZER_INFO).times(1));
    let result = browser.open(&back).await;
    let appid = format!("AppID: {}", world.account(0));
    for shown in ["You can close this page", "<bdi>Account (name not available yet)</bdi>", &appid] {
        assert!(result.text.contains(shown), "{shown}: {}", result.text);
    }
    assert!(!result.text.contains("<img"), "{}", result.text);
}

#[tokio::test]
async fn a_code_that_brings_nothing_leads_back_to_the_link() {
    let world = World::ready().await;
    let link = Business::of(&world).link(json!({})).await;
    let browser = Browser::on_computer();
    let failed = browser.open(&browser.press(&link).await.way_back("queryauthcode@@@made-up")).await;
    assert!(
        failed.text.contains("<main class=\"warning\">") && failed.text.contains("Authorization not completed"),
        "{}",
        failed.text
    );
    assert_eq!(failed.link("Open the link again"), link.url);
    let mut lacking = browser.press(&link).await.way_back("x");
    lacking.set_query(None);
    let lacking = browser.open(&lacking).await;
    assert_eq!((lacking.status, lacking.link("Open the link again")), (400, link.url.clone()));
}

#[tokio::test]
async fn a_merchant_who_waits_can_check_the_result() {
    let world = World::ready().await;
    let browser = Browser::on_computer();
    let (_, back) = authorized(&world, &browser).await;
    world.simulator.inject(Fault::system_error().on(paths::QUERY_AUTH).times(1));
    let waits = browser.open(&back).await;
    assert!(
        waits.text.contains("<main class=\"waiting\">") && waits.text.contains("Authorization in progress"),
        "{}",
        waits.text
    );
    let result = browser.open(&waits.link("Check the result")).await;
    assert!(result.text.contains("<main class=\"success\">"), "{}", result.text);
}

#[tokio::test]
async fn a_link_that_only_the_provider_can_replace_looks_like_a_failure() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let browser = Browser::on_computer();
    let link = |seconds| business.link(json!({ "expires_in_seconds": seconds }));
    let (mut unknown, cancelled, expired) = (link(3600).await, link(3600).await, link(60).await);
    unknown.url.set_path("/authorize/0123456789abcdefABCDE_");
    assert_eq!(business.cancel(&cancelled).await.status, 200);
    world.pass(Duration::from_mins(1));
    for (link, said) in
        [(unknown, "There is no such link"), (cancelled, "This link was cancelled"), (expired, "This link has expired")]
    {
        let page = browser.open(&link.url).await;
        for shown in ["<main class=\"failure\">", said, "a new one"] {
            assert!(page.text.contains(shown), "{shown}: {}", page.text);
        }
    }
}

#[tokio::test]
async fn a_link_for_one_account_shows_it_once_it_is_known() {
    let world = World::ready().await;
    let account = world.account(0);
    let link = Business::of(&world).link(json!({ "biz_appid": account })).await;
    let browser = Browser::in_wechat();
    let unknown = browser.open(&link.url).await;
    assert!(unknown.text.contains(&format!("AppID: {account}")), "{}", unknown.text);
    world.authorized_account().await;
    let name = world.details(&account).await.profile.unwrap().nick_name.unwrap();
    let known = browser.open(&link.url).await;
    for shown in [name.as_str(), "wx.qlogo.cn", "for this account"] {
        assert!(known.text.contains(shown), "{shown}: {}", known.text);
    }
}

#[tokio::test]
async fn the_words_fit_what_is_asked_for_and_where_the_merchant_is() {
    let world = World::ready().await;
    let business = Business::of(&world);
    for (auth_type, asked) in
        [(1, "申请获得您的公众号的授权"), (2, "申请获得您的小程序的授权"), (3, "公众号或小程序的授权")]
    {
        let link = business.link(json!({ "auth_type": auth_type })).await;
        for (browser, scans) in
            [(Browser::on_computer(), true), (Browser::in_wechat(), false), (Browser::on_phone(), false)]
        {
            let page = browser.reading("zh-CN").open(&link.url).await;
            assert!(page.text.contains(asked), "{}", page.text);
            assert_eq!(page.text.contains("微信扫描"), scans, "{}", page.text);
        }
    }
}
