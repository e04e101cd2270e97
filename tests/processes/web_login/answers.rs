//! The responses to a visitor's browser and a shop's service, and of a process without configuration.

use serde_json::{Value, json};
use simulator::paths;
use stories::bootstrap::Bootstrap;
use stories::browser::{Browser, parameter};

use super::{BEGIN, BINARY, Back, CALLBACK, NICKNAME, SERVICE, SHOP, STATE, Stage, VISITOR, redeems};

#[tokio::test]
async fn a_visitor_comes_back_with_a_code_and_the_shop_learns_who_it_is() {
    let stage = Stage::ready().await;
    let function = Bootstrap::start(BINARY, &stage.world).await;
    for (scope, nickname) in [("snsapi_base", None), ("snsapi_userinfo", Some(NICKNAME))] {
        let back = Back::from_wechat(&stage, &function, scope).await;
        assert!(back.cookie.starts_with("login-"), "{}", back.cookie);
        let answer = function.request(&back.event).await;
        let shop = answer.location();
        assert!(shop.as_str().starts_with(SHOP) && parameter(&shop, "state") == STATE, "{shop}");
        assert_eq!((&answer.headers["cache-control"], answer.cookies.len()), (&json!("no-store"), 0));

        let redeemed = function.request(&redeems(&parameter(&shop, "login_code")).iam(SERVICE)).await;
        assert_eq!(redeemed.status, 200, "{redeemed:?}");
        let login: Value = serde_json::from_str(&redeemed.body).unwrap();
        assert_eq!(
            (&login["openid"], &login["scope"], &login["state"]),
            (&json!(VISITOR), &json!(scope), &json!(STATE))
        );
        assert_eq!(login["profile"]["nickname"].as_str(), nickname, "{login}");
    }
}

#[tokio::test]
async fn only_a_service_that_the_gateway_has_authenticated_learns_it_whatever_others_pretend() {
    let stage = Stage::ready().await;
    let function = Bootstrap::start(BINARY, &stage.world).await;
    let back = Back::from_wechat(&stage, &function, "snsapi_base").await;
    let code = parameter(&function.request(&back.event).await.location(), "login_code");
    let context = json!({ "authorizer": { "iam": { "userArn": SERVICE } } }).to_string();
    let pretends = redeems(&code).header("x-amzn-request-context", &context).header("x-amzn-iam-user-arn", SERVICE);
    for unsigned in [redeems(&code), redeems(&code).iam(""), pretends.cookie("userArn=x")] {
        let refused = function.request(&unsigned).await;
        assert_eq!((refused.status, refused.problem().as_str()), (403, "no-identity"));
    }
    let refused = function.request(&redeems("unknown").iam(SERVICE)).await;
    assert_eq!((refused.status, refused.problem().as_str()), (404, "unknown-login"));
    // None of this has spent the code.
    assert_eq!(function.request(&redeems(&code).iam(SERVICE)).await.status, 200);
}

#[tokio::test]
async fn another_browser_cannot_end_a_login_and_spends_no_code_of_wechats() {
    let stage = Stage::ready().await;
    let function = Bootstrap::start(BINARY, &stage.world).await;
    let back = Back::from_wechat(&stage, &function, "snsapi_base").await;
    let foreign = Browser::in_wechat().visit(&back.url, CALLBACK);
    let (name, _) = back.cookie.split_once('=').unwrap();
    for stolen in [foreign.clone(), foreign.cookie(&format!("{name}=e30.AAAA")).cookie("a=b")] {
        let answer = function.request(&stolen).await;
        assert_eq!((answer.status, answer.cookies.len()), (400, 0), "{answer:?}");
        assert!(answer.body.contains("This login has expired"), "{answer:?}");
        assert!(answer.headers["content-security-policy"].is_string());
    }
    assert_eq!(stage.world.calls(paths::WEB_LOGIN_TOKEN), 0);
    assert_eq!(function.request(&back.event).await.status, 303, "the visitor's own is let in");
}

#[tokio::test]
async fn a_secret_that_is_still_empty_is_503_for_visitors_and_services_alike() {
    let stage = Stage::ready().await;
    stage.world.expect_error("beginning a visitor's login failed");
    stage.world.expect_error("redeeming a login code failed");
    stage.world.secrets.set("".into());
    let function = Bootstrap::start(BINARY, &stage.world).await;
    let page = function.request(&Browser::in_wechat().visit(&stage.login_url("snsapi_base"), BEGIN)).await;
    assert_eq!(page.status, 503, "{page:?}");
    assert!(page.body.contains("Reference: ") && page.cookies.is_empty(), "{page:?}");
    let refused = function.request(&redeems("unknown").iam(SERVICE)).await;
    assert_eq!((refused.status, refused.problem().as_str()), (503, "not-configured"));
}

#[tokio::test]
async fn a_variable_that_is_missing_or_malformed_ends_the_start_and_is_named() {
    let stage = Stage::ready().await;
    for (name, value) in [
        ("PUBLIC_BASE_URL", ""),
        ("LOGIN_HOST", "https://login.example.com"),
        ("LOGIN_HOST", "*.login.example.com"),
        ("WECHAT_API_BASE_URL", "no address"),
        ("WECHAT_OPEN_BASE_URL", "no address"),
        ("TABLE_NAME", ""),
        ("SECRET_ID", ""),
    ] {
        let output = Bootstrap::fails_with(BINARY, &stage.world, name, Some(value)).await;
        assert!(output.contains(name), "{output}");
    }
}
