//! The responses to a merchant's browser, and of a process without configuration.

use std::time::Duration;

use serde_json::json;
use simulator::paths;
use stories::bootstrap::Bootstrap;
use stories::browser::parameter;
use stories::business::Business;
use stories::world::World;

use super::{BINARY, BUSINESS, asks_for_link, at_page};

async fn ready() -> World {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    world
}

#[tokio::test]
async fn a_merchant_sees_the_page_and_its_button_leads_to_wechat_with_a_cookie() {
    let world = ready().await;
    let function = Bootstrap::start(BINARY, &world).await;
    let link = Business::of(&world).link(json!({ "requester_name": "小店" })).await;

    let page = function.request(&at_page("GET", &link.id)).await;
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.body.contains("小店") && page.cookies.is_empty(), "{page:?}");
    let policy = page.headers["content-security-policy"].as_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("form-action 'self'"), "{policy}");
    assert_eq!(world.calls(paths::CREATE_PREAUTHCODE), 0, "looking makes no code");

    // The body of a form without fields, which the gateway passes as Base64.
    let form = at_page("POST", &link.id).header("content-type", "application/x-www-form-urlencoded");
    let pressed = function.request(&form.base64_body(b"")).await;
    let wechat = pressed.location();
    assert_eq!((wechat.origin(), wechat.path()), (world.wechat_url.origin(), paths::PC_PAGE));
    assert_eq!(pressed.headers["referrer-policy"], "origin");
    let [cookie] = pressed.cookies.as_slice() else { panic!("one cookie: {pressed:?}") };
    assert!(cookie.starts_with("attempt-") && cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
    assert!(cookie.contains(&format!("; Path=/authorize/{};", link.id)), "{cookie}");
    let back = parameter(&wechat, "redirect_uri");
    assert!(back.starts_with(&format!("{}/callback/", link.url)), "{back}");
    assert!(world.simulator.confirm(&parameter(&wechat, "pre_auth_code"), &world.account(0)).is_ok());
}

#[tokio::test]
async fn a_link_that_was_never_made_is_not_found() {
    let world = ready().await;
    let function = Bootstrap::start(BINARY, &world).await;
    for id in ["0123456789abcdefABCDE_", "x", "%FF"] {
        for method in ["GET", "POST"] {
            let answer = function.request(&at_page(method, id)).await;
            assert_eq!((answer.status, answer.cookies.len()), (404, 0), "{method} {id}: {answer:?}");
            assert!(answer.headers["content-security-policy"].is_string());
        }
    }
    assert_eq!(world.calls(paths::CREATE_PREAUTHCODE), 0);
}

#[tokio::test]
async fn a_secret_that_is_still_empty_is_503_for_businesses_and_merchants_alike() {
    let world = ready().await;
    world.expect_error("following a link failed");
    world.expect_error("making a link failed");
    world.expect_error("showing a link's page failed");
    let link = Business::of(&world).link(json!({})).await;
    world.secrets.set("".into());
    let function = Bootstrap::start(BINARY, &world).await;
    let refused = function.request(&asks_for_link("{}").iam(BUSINESS)).await;
    assert_eq!((refused.status, refused.problem().as_str()), (503, "not-configured"));
    for method in ["GET", "POST"] {
        let page = function.request(&at_page(method, &link.id)).await;
        assert_eq!(page.status, 503, "{page:?}");
        assert!(page.body.contains("Reference: "), "{page:?}");
    }
}

#[tokio::test]
async fn a_variable_that_is_missing_or_malformed_ends_the_start_and_is_named() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    for (name, value) in [
        ("PUBLIC_BASE_URL", ""),
        ("PUBLIC_BASE_URL", "http://auth.example.com"),
        ("RETURN_URL_ORIGINS", "https://app.example.com,app.example.org"),
        ("PROVIDER_FILING_NUMBER", "?ICP?12345678?"),
        ("WECHAT_MP_BASE_URL", "no address"),
        ("TABLE_NAME", ""),
        ("SECRET_ID", ""),
    ] {
        let output = Bootstrap::fails_with(BINARY, &world, name, Some(value)).await;
        assert!(output.contains(name), "{output}");
    }
}
