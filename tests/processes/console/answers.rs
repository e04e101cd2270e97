//! The responses to a browser that was invited, and to one that was not.

use serde_json::json;
use stories::bootstrap::Bootstrap;
use stories::http_events::HttpEvent;

use super::{BINARY, Stage};

#[tokio::test]
async fn an_invited_browser_sees_the_pages_also_in_another_process_and_no_other_does() {
    let stage = Stage::ready().await;
    let function = Bootstrap::start(BINARY, &stage.world).await;
    let refused = function.request(&HttpEvent::new("GET", "/console")).await;
    assert_eq!((refused.status, &refused.headers["cache-control"]), (401, &json!("no-store")));
    let policy = refused.headers["content-security-policy"].as_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");

    // A chat program that previews the link first spends nothing.
    let looked = function.request(&HttpEvent::new("GET", &stage.invitation)).await;
    assert_eq!((looked.status, looked.cookies.len()), (200, 0));
    let cookie = stage.bind(&function).await;
    let again = function.request(&stage.form(&stage.invitation, "a=b", "")).await;
    assert_eq!((again.status, again.cookies.len()), (410, 0), "an invitation is used once");

    let another = Bootstrap::start(BINARY, &stage.world).await;
    for path in ["/console", "/console/accounts", "/console/audit"] {
        let page = another.request(&Stage::page(path, &cookie)).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        assert!(page.body.contains("wx1234567890abcdef"), "the page says which platform it is: {}", page.body);
    }
}

#[tokio::test]
async fn a_form_without_its_token_or_from_another_site_does_nothing() {
    let stage = Stage::ready().await;
    let function = Bootstrap::start(BINARY, &stage.world).await;
    let cookie = stage.bind(&function).await;
    let before = stage.world.items().await;
    let form = stage.form("/console/links", &cookie, "reference=shop-1");
    let elsewhere = HttpEvent::new("POST", "/console/links").header("origin", "https://evil.example").cookie(&cookie);
    for event in [form, elsewhere.header("content-type", "application/x-www-form-urlencoded").body("reference=x")] {
        assert_eq!(function.request(&event).await.status, 403);
    }
    assert_eq!(stage.world.items().await, before);
}

#[tokio::test]
async fn without_a_table_or_the_functions_that_act_it_starts_and_says_that_it_cannot() {
    let stage = Stage::ready().await;
    stage.world.expect_error("finding the browser of an operator failed");
    let cookie = stage.bind(&Bootstrap::start(BINARY, &stage.world).await).await;
    for endpoint in ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_LAMBDA"] {
        let function = Bootstrap::with(BINARY, &stage.world, |variables| {
            // Nothing listens there.
            variables.insert(endpoint.into(), "http://127.0.0.1:9".into());
        })
        .await;
        assert_eq!(function.request(&HttpEvent::new("GET", "/console")).await.status, 401, "{endpoint}");
        let page = function.request(&Stage::page("/console", &cookie)).await;
        assert!(page.status >= 500, "{endpoint}: {page:?}");
        assert!(page.body.contains("Reference: "), "{endpoint}: {}", page.body);
    }
}

#[tokio::test]
async fn a_variable_that_is_missing_or_malformed_ends_the_start_and_is_named() {
    let stage = Stage::ready().await;
    for (name, value) in [
        ("TABLE_NAME", ""),
        ("PUBLIC_BASE_URL", "http://auth.example.com"),
        ("ACCOUNT_API_FUNCTION", ""),
        ("PREAUTH_LINK_FUNCTION", ""),
        ("REFRESHER_RUNS", "3"),
    ] {
        let output = Bootstrap::fails_with(BINARY, &stage.world, name, Some(value)).await;
        assert!(output.contains(name), "{output}");
    }
}
