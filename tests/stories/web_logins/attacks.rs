//! Attacks by somebody who wants a visitor's login, or wants to log a visitor in as somebody else.

use std::time::Duration;

use serde_json::json;
use simulator::{Scope, paths};
use stories::browser::{Browser, Page, parameter};
use stories::faults::Matching;
use stories::logs::leaks;
use url::Url;

use super::{NICKNAME, SHOP, STATE, Stage, VISITOR, assert_nothing_of_wechats, returned};

/// A change of the parameters that WeChat has added.
type Change = fn(&mut Vec<(String, String)>);

/// Checks for a page of ours without a redirect.
fn assert_refused(page: &Page) {
    assert_eq!(page.status, 400, "{}", page.text);
    assert!(!page.headers.contains_key("location") && !page.headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn nobody_is_sent_to_a_page_that_the_account_has_not_permitted() {
    let stage = Stage::ready().await;
    let browser = Browser::in_wechat();
    for evil in [
        "https://evil.example.com/",
        "https://shop.example.com.evil.example.com/",
        "https://evilshop.example.com/",
        "https://shop.example.com:8443/",
        "http://shop.example.com/",
        "https://shop.example.com@evil.example.com/",
        "https://shop.example.com\\@evil.example.com/",
        "//evil.example.com/",
        "/\\evil.example.com",
        "javascript:alert(1)//https://shop.example.com",
        "data:text/html,x",
        "blob:https://shop.example.com/x",
        "https://SHOP.example.com%2eevil.example.com/",
        "https://shop.example.com/?login_code=stolen",
        "",
    ] {
        for scope in ["snsapi_base", "snsapi_userinfo"] {
            let mut url = stage.login_url(scope);
            url.query_pairs_mut().clear().extend_pairs([("scope", scope), ("return_url", evil), ("state", STATE)]);
            let page = browser.open(&url).await;
            assert_refused(&page);
            assert!(!page.text.contains("evil"), "{}", page.text);
        }
    }
    let twice = format!("{}&return_url=https%3A%2F%2Fevil.example.com%2F", stage.login_url("snsapi_base"));
    assert_refused(&browser.open(&Url::parse(&twice).unwrap()).await);
    // Unknown accounts are looked up without their rows, which have tokens: the role may not read these.
    stage.world.faults.forbid(Matching::any().containing("#account#"));
    for (account, status) in [("wxffffffffffffffff", 404), ("xn--a", 404), ("..%2f", 404)] {
        let url = stage.login_url("snsapi_base").as_str().replace(stage.account.as_str(), account);
        assert_eq!(browser.open(&Url::parse(&url).unwrap()).await.status, status, "{account}");
    }
    assert_eq!(browser.cookie_names(), [""; 0]);
}

#[tokio::test]
async fn accounts_that_log_no_visitors_in_say_why() {
    let stage = Stage::ready().await;
    let browser = Browser::in_wechat();
    let mini_program = stage.world.account(2);
    stage.world.push_and_work(&stage.world.merchant_authorizes(&mini_program).push).await;
    let url = stage.login_url("snsapi_base").as_str().replace(stage.account.as_str(), mini_program.as_str());
    let page = browser.open(&Url::parse(&url).unwrap()).await;
    assert_eq!(page.status, 409, "{}", page.text);
    assert!(page.text.contains("wx.login") && !page.headers.contains_key("set-cookie"), "{}", page.text);
}

#[tokio::test]
async fn a_browser_that_did_not_begin_a_login_cannot_end_it() {
    let stage = Stage::ready().await;
    let attacker = Browser::in_wechat();
    let way_back = stage.way_back(&attacker).await;
    // The attacker sends the victim to the URL to which WeChat would have sent the attacker.
    let victim = Browser::in_wechat();
    assert_refused(&victim.open(&way_back).await);
    // Also if the victim is logging in at that moment.
    let own = stage.way_back(&victim).await;
    assert_refused(&victim.open(&way_back).await);
    let mut mixed = own.clone();
    mixed.query_pairs_mut().clear().append_pair("code", &parameter(&own, "code"));
    mixed.query_pairs_mut().append_pair("state", &parameter(&way_back, "state"));
    assert_refused(&victim.open(&mixed).await);
    assert_eq!(stage.world.calls(paths::WEB_LOGIN_TOKEN), 0, "no code was spent");
    assert!(returned(&victim.open(&own).await).as_str().contains("login_code"));
}

#[tokio::test]
async fn a_stolen_code_of_wechats_logs_its_owner_in_under_the_state_of_whoever_brings_it() {
    let stage = Stage::ready().await;
    let stolen = stage.world.simulator.web_login_code(&stage.account, "oSomebodyElse", Scope::Base);
    let browser = Browser::in_wechat();
    let own = stage.way_back(&browser).await;
    let mut injected = own.clone();
    injected.query_pairs_mut().clear().extend_pairs([("code", stolen.as_str()), ("state", &parameter(&own, "state"))]);
    let code = parameter(&returned(&browser.open(&injected).await), "login_code");
    let login = stage.redeem(&code).await.body;
    // WeChat binds a code to no browser: for the shop, a thief is its owner. The code is only in the URL of our
    // callback.
    assert_eq!((&login["openid"], &login["state"]), (&"oSomebodyElse".into(), &STATE.into()));
}

#[tokio::test]
async fn a_callback_without_what_began_here_is_refused_and_costs_wechat_nothing() {
    let stage = Stage::ready().await;
    let browser = Browser::in_wechat();
    let way_back = stage.way_back(&browser).await;
    let changed = |change: Change| {
        let mut pairs: Vec<(String, String)> = way_back.query_pairs().into_owned().collect();
        change(&mut pairs);
        let mut url = way_back.clone();
        url.query_pairs_mut().clear().extend_pairs(pairs);
        url
    };
    let forgeries: [Change; 6] = [
        |pairs| pairs.retain(|(name, _)| name != "state"),
        |pairs| pairs.iter_mut().filter(|(name, _)| name == "state").for_each(|(_, value)| *value = "0".repeat(32)),
        |pairs| pairs.iter_mut().filter(|(name, _)| name == "state").for_each(|(_, value)| value.push('0')),
        |pairs| pairs.push(("state".to_owned(), "x".to_owned())),
        |pairs| pairs.push(("code".to_owned(), "x".to_owned())),
        |pairs| pairs.iter_mut().filter(|(name, _)| name == "appid").for_each(|(_, value)| *value = "wx0".to_owned()),
    ];
    for change in forgeries {
        assert_refused(&browser.open(&changed(change)).await);
    }
    // The callback of another account.
    let other = way_back.as_str().replace(stage.account.as_str(), stage.world.account(1).as_str());
    assert_refused(&browser.open(&Url::parse(&other).unwrap()).await);
    // A browser that refuses cookies, and one that comes too late.
    let without = Browser::in_wechat();
    let begun = without.open(&stage.login_url("snsapi_base")).await;
    without.forget_cookies();
    let back = without.open(&begun.location()).await.location();
    let page = without.open(&back).await;
    assert_refused(&page);
    assert!(page.text.contains("allow cookies"), "{}", page.text);
    stage.world.pass(Duration::from_mins(10));
    assert_refused(&browser.open(&way_back).await);
    assert_eq!(stage.world.calls(paths::WEB_LOGIN_TOKEN), 0);
}

#[tokio::test]
async fn what_strangers_send_is_a_page_and_never_a_panic() {
    let stage = Stage::ready().await;
    let browser = Browser::in_wechat();
    let base = stage.world.public_url.clone();
    for path in [
        format!("/login/{}", stage.account),
        format!("/login/{}?scope=%FF&return_url=%FF&state=%00", stage.account),
        format!("/login/{}/callback?state={}", stage.account, "a".repeat(5_000)),
        format!("/login/{}/callback?%FF=%FF&&&=&state", stage.account),
        format!("/login/{}?scope=snsapi_base&return_url={}&state={STATE}", stage.account, "x".repeat(6_000)),
    ] {
        assert_refused(&browser.open(&base.join(&path).unwrap()).await);
    }
}

#[tokio::test]
async fn pages_are_for_the_top_of_a_window_and_cookies_for_this_host() {
    let stage = Stage::ready().await;
    let browser = Browser::in_wechat();
    let button = browser.open(&stage.login_url("snsapi_userinfo")).await;
    let policy = button.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"), "{policy}");
    let cookie = button.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
    assert_eq!(button.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn nothing_of_a_login_reaches_the_log_whatever_fails() {
    let stage = Stage::ready().await;
    let (world, browser) = (&stage.world, Browser::in_wechat());
    for error in ["logging a visitor in failed", "the platform was issued a token by somebody else"] {
        world.expect_error(error);
    }
    let mut codes = Vec::new();
    // WeChat repeats the request: the code when that is exchanged, the openid when the profile is read.
    let refusals = [40163, 61003, 40001, 45009].map(|errcode| (errcode, paths::WEB_LOGIN_TOKEN));
    for (errcode, path) in refusals.into_iter().chain([(48001, paths::VISITOR_INFO), (-1, paths::VISITOR_INFO)]) {
        let way_back = stage.way_back_after_consent(&browser).await;
        let code = parameter(&way_back, "code");
        let sent = if path == paths::WEB_LOGIN_TOKEN { code.as_str() } else { VISITOR };
        let errmsg = format!("no: {sent} rid: 65f1a2b3-00000000-11111111");
        world.simulator.inject(simulator::Fault::Errcode { errcode, errmsg }.on(path).times(1));
        let page = browser.open(&way_back).await;
        assert_nothing_of_wechats(&stage, &[&page.text]);
        world.simulator.clear_faults();
        codes.push(code);
    }
    let code = stage.login_code().await;
    stage.redeem(&code).await;
    let body = json!({ "login_code": &code, "verifier": "v".repeat(43) });
    stage.business.ask(http::Method::POST, "/logins", &body).await;
    let (cookies, issued) = (browser.cookie_values(), world.simulator.issued_secrets());
    let issued = issued.iter().map(|secret| ("issued", secret.value.as_str()));
    let ours = cookies.iter().chain(&codes).chain([&code]).map(|value| ("ours", value.as_str()));
    let private = [("openid", VISITOR), ("nickname", NICKNAME), ("page", SHOP), ("state", STATE)];
    let leaked = leaks(&world.log.text(), issued.chain(ours).chain(private));
    assert!(leaked.is_empty(), "{leaked:#?}");
}
