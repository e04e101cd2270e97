//! Responses of the router that need no table. The rest are end-to-end stories.

use axum::body::{Body, to_bytes};
use http::Request;
use http::header::ACCEPT_LANGUAGE;
use test_support::without_aws;
use tower::ServiceExt as _;

use super::*;

const CALLBACK: &str = "/authorize/0123456789abcdefABCDE_/callback/0123456789abcdefABCDE-";

/// A service that cannot reach AWS.
fn service() -> CallbackService {
    let pages =
        PageConfig::read(&|name: &str| (name == "PUBLIC_BASE_URL").then(|| "https://auth.example.com".to_owned()));
    CallbackService::new(without_aws::services(), pages.unwrap())
}

async fn answer(uri: &str, language: &str) -> (u16, String) {
    let request = Request::builder().uri(uri).header(ACCEPT_LANGUAGE, language).body(Body::empty()).unwrap();
    let response = router(service()).oneshot(request).await.unwrap();
    assert_eq!(response.headers()["referrer-policy"], "origin");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let status = response.status().as_u16();
    (status, String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn a_return_without_exactly_one_usable_code_is_refused() {
    for query in ["", "?expires_in=600", "?auth_code=", "?auth_code=a&auth_code=b", "?auth_code=a%20b"] {
        let (status, page) = answer(&format!("{CALLBACK}{query}"), "en").await;
        assert_eq!(status, 400, "{query}");
        assert!(page.contains("The authorization code is missing"), "{page}");
    }
}

#[tokio::test]
async fn ids_that_no_attempt_has_are_unknown() {
    for uri in ["/authorize/x/callback/0123456789abcdefABCDE-?auth_code=a", "/authorize/%FF/callback/x?auth_code=a"] {
        let (status, page) = answer(uri, "zh").await;
        assert_eq!(status, 404, "{uri}");
        assert!(page.contains("本次授权操作已过期"), "{page}");
    }
}

#[tokio::test]
async fn a_merchant_learns_a_reference_and_neither_cause_nor_code() {
    let (status, page) = answer(&format!("{CALLBACK}?auth_code=queryauthcode%40%40%40x"), "en").await;
    assert_eq!(status, 503);
    assert!(page.contains("Reference: "), "{page}");
    for hidden in ["queryauthcode", "127.0.0.1", "ecret"] {
        assert!(!page.contains(hidden), "{hidden}");
    }
}
