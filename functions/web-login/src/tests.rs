//! Responses of the router that need no table. The rest are end-to-end stories.

use axum::body::{Body, to_bytes};
use http::Request;
use http::header::ACCEPT_LANGUAGE;
use runtime::config::ConfigError;
use test_support::without_aws;
use tower::ServiceExt as _;

use super::*;

const LOGIN: &str = "/login/wx1234567890abcdef";

/// A service that cannot reach AWS.
fn service() -> LoginService {
    let environment = |name: &str| (name == "PUBLIC_BASE_URL").then(|| "https://auth.example.com".to_owned());
    let read: Result<_, ConfigError> = (|| Ok((LoginConfig::read(&environment)?, WechatConfig::read(&environment)?)))();
    let (config, wechat) = read.unwrap();
    LoginService::new(without_aws::services(), config, &wechat)
}

async fn answer(uri: &str, language: &str) -> (u16, String) {
    let request = Request::builder().uri(uri).header(ACCEPT_LANGUAGE, language).body(Body::empty()).unwrap();
    let response = public_router(service()).oneshot(request).await.unwrap();
    assert_eq!(response.headers()["referrer-policy"], "origin");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(!response.headers().contains_key("set-cookie"));
    let status = response.status().as_u16();
    (status, String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn an_address_that_cannot_be_used_says_what_is_wrong_with_it() {
    for (query, word) in [
        ("", "snsapi_base"),
        ("?scope=snsapi_base&state=0123456789abcdef", "return_url"),
        ("?scope=snsapi_base&return_url=https%3A%2F%2Fshop.example.com%2F", "challenge"),
        ("?scope=snsapi_base&return_url=https%3A%2F%2Fshop.example.com%2F&state=short", "16"),
    ] {
        for language in ["zh", "en"] {
            let (status, page) = answer(&format!("{LOGIN}{query}"), language).await;
            assert_eq!(status, 400, "{query}");
            assert!(page.contains(word), "{page}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_a_check_file_is_looked_for_nowhere() {
    for uri in [
        "/",
        "/login",
        "/robots.txt",
        "/favicon.ico",
        "/index.html",
        "/87PweoaRBw.TXT",
        "/87PweoaRBw1.txt",
        "/87PweoaRBw.txt/",
        "/..%2f..%2fetc.txt",
        "/%2e%2e/87PweoaRBw.txt",
        "/%E5%BE%AE%E4%BF%A10123.txt",
        "/%FF.txt",
        "/MP_verify_.txt",
        "/mp_verify_a1B2c3D4e5F6g7H8.txt",
    ] {
        let request = Request::builder().uri(uri).body(Body::empty()).unwrap();
        let response = public_router(service()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), 404, "{uri}");
    }
    // A name that can be a file is looked up, but the table cannot be reached.
    let request = Request::builder().uri("/87PweoaRBw.txt").body(Body::empty()).unwrap();
    assert_eq!(public_router(service()).oneshot(request).await.unwrap().status(), 503);
}

#[tokio::test]
async fn what_no_login_has_is_told_apart_from_what_is_not_available() {
    assert_eq!(answer("/login/wx.x?scope=snsapi_base", "en").await.0, 404);
    for uri in [
        format!("{LOGIN}/callback"),
        format!("{LOGIN}/callback?code=a&state=b"),
        format!("{LOGIN}/callback?state=b&state=b"),
    ] {
        let (status, page) = answer(&uri, "en").await;
        assert_eq!(status, 400, "{uri}");
        assert!(page.contains("This login has expired"), "{page}");
    }
    let (status, page) =
        answer(&format!("{LOGIN}?scope=snsapi_base&return_url=https://a.example.com/&state=0123456789abcdef"), "en")
            .await;
    assert_eq!(status, 503);
    assert!(page.contains("Reference: "), "{page}");
}
