//! The response to a merchant's browser that comes back from WeChat, and the state of the link afterwards.

use serde_json::json;
use simulator::paths;
use stories::bootstrap::Bootstrap;
use stories::browser::{Browser, parameter};
use stories::business::Business;
use stories::http_events::HttpEvent;
use stories::world::World;

use super::{BINARY, DONE, Merchant, ROUTE, ready};

#[tokio::test]
async fn a_merchant_who_comes_back_is_sent_on_and_the_link_is_bound() {
    let world = ready().await;
    let merchant = Merchant::at_wechat(&world).await;
    let function = Bootstrap::start(BINARY, &world).await;
    let answer = function.request(&merchant.back).await;
    assert_eq!(answer.location().as_str(), format!("{DONE}&link_id={}&status=authorized", merchant.link.id));
    assert_eq!((&answer.headers["cache-control"], answer.cookies.len()), (&json!("no-store"), 0));
    let account = world.account(0);
    assert_eq!(merchant.bound_account(&world).await.as_deref(), Some(account.as_str()));
    assert!(world.wechat_accepts(&account).await);
}

#[tokio::test]
async fn a_link_without_a_return_url_ends_on_a_page_that_says_it_is_done() {
    let world = ready().await;
    let link = Business::of(&world).link(json!({})).await;
    let merchant = Merchant::through(&world, link).await;
    let function = Bootstrap::start(BINARY, &world).await;
    let answer = function.request(&merchant.back).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains("You can close this page"), "{answer:?}");
    assert!(answer.headers["content-security-policy"].as_str().unwrap().contains("form-action 'none'"));
    assert!(merchant.bound_account(&world).await.is_some());
}

#[tokio::test]
async fn a_code_with_odd_characters_comes_through_the_gateway_encoded_or_not() {
    let world = ready().await;
    let function = Bootstrap::start(BINARY, &world).await;
    for encoded in [true, false] {
        let merchant = Merchant::at_wechat(&world).await;
        let code = &merchant.consent.redirect_code;
        assert!(code.contains("@@@+/="), "WeChat's side makes such codes");
        let back =
            if encoded { merchant.back.clone() } else { merchant.back.clone().query(&format!("auth_code={code}")) };
        let raw = back.build()["rawQueryString"].as_str().unwrap().to_owned();
        assert_eq!((raw.contains("%40%40%40%2B%2F%3D"), raw.contains("@@@+/=")), (encoded, !encoded), "{raw}");
        assert_eq!(parameter(&function.request(&back).await.location(), "status"), "authorized");
        assert!(merchant.bound_account(&world).await.is_some());
    }
}

#[tokio::test]
async fn a_return_without_exactly_one_code_and_one_of_no_attempt_are_refused() {
    let world = ready().await;
    let merchant = Merchant::at_wechat(&world).await;
    let function = Bootstrap::start(BINARY, &world).await;
    let before = world.items().await;
    for query in ["", "expires_in=600", "auth_code=a&auth_code=b", "auth_code=a&auth%5Fcode=a"] {
        let answer = function.request(&merchant.back.clone().query(query)).await;
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
        assert!(answer.body.contains("The authorization code is missing"), "{answer:?}");
    }
    let path = format!("/authorize/{}/callback/0123456789abcdefABCDE-", merchant.link.id);
    let unknown = function.request(&HttpEvent::new("GET", &path).route(ROUTE).query("auth_code=a")).await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    assert_eq!(
        (world.items().await, world.calls(paths::QUERY_AUTH)),
        (before, 0),
        "none of it is stored or asked about"
    );

    assert_eq!(function.request(&merchant.back).await.status, 303, "and the process goes on");
}

#[tokio::test]
async fn without_the_cookie_of_the_attempt_nothing_is_bound_until_the_push_says_so() {
    let world = ready().await;
    let merchant = Merchant::at_wechat(&world).await;
    let function = Bootstrap::start(BINARY, &world).await;
    let foreign = Browser::on_computer();
    for stolen in
        [foreign.visit(&merchant.url, ROUTE), foreign.visit(&merchant.url, ROUTE).cookie("attempt-x=y").cookie("a=b")]
    {
        let answer = function.request(&stolen).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body.contains("Authorization received"), "{answer:?}");
        assert_eq!(merchant.bound_account(&world).await, None);
    }
    assert!(world.wechat_accepts(&world.account(0)).await, "the grant is kept");
    world.push_and_work(&merchant.consent.push).await;
    assert!(merchant.bound_account(&world).await.is_some());
}

#[tokio::test]
async fn the_cookie_is_found_among_others() {
    let world = ready().await;
    let merchant = Merchant::at_wechat(&world).await;
    merchant.browser.press(&merchant.link).await;
    let function = Bootstrap::start(BINARY, &world).await;
    let answer = function.request(&merchant.browser.visit(&merchant.url, ROUTE).cookie("other=1")).await;
    assert_eq!(parameter(&answer.location(), "status"), "authorized");
}

#[tokio::test]
async fn a_secret_that_is_still_empty_is_503_and_the_code_is_good_afterwards() {
    let world = ready().await;
    world.expect_error("taking an authorization code in failed");
    let merchant = Merchant::at_wechat(&world).await;
    world.secrets.set("".into());
    let function = Bootstrap::start(BINARY, &world).await;
    let answer = function.request(&merchant.back).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.body.contains("Reference: "), "{answer:?}");

    world.secrets.set(stories::world::secret_json());
    let function = Bootstrap::start(BINARY, &world).await;
    assert_eq!(function.request(&merchant.back).await.status, 303);
}

#[tokio::test]
async fn a_variable_that_is_missing_or_malformed_ends_the_start_and_is_named() {
    let world = World::beside_processes(std::time::Duration::ZERO, |_| {}).await;
    for (name, value) in [
        ("PUBLIC_BASE_URL", ""),
        ("RETURN_URL_ORIGINS", "https://app.example.com/done"),
        ("PROVIDER_LOGO_URL", "logo.png"),
        ("WECHAT_API_BASE_URL", "no address"),
        ("TABLE_NAME", ""),
        ("SECRET_ID", ""),
    ] {
        let output = Bootstrap::fails_with(BINARY, &world, name, Some(value)).await;
        assert!(output.contains(name), "{output}");
    }
}
