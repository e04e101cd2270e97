//! What the router answers before, or without, a table. The rest are end-to-end stories.

use axum::body::{Body, to_bytes};
use http::Request;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use test_support::without_aws;
use tower::ServiceExt as _;

use super::*;

fn request(method: &Method, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method.clone())
        .uri(path)
        .extension(IamIdentity::new("arn:aws:iam::123456789012:role/orders").unwrap())
}

async fn answered(request: Request<Body>) -> (u16, String, String) {
    let response = router(CallService::new(without_aws::services())).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    let problem: Value = serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap();
    let text = |name: &str| problem[name].as_str().unwrap().to_owned();
    (status, text("type").replace("urn:wechat-platform:problem:", ""), text("detail"))
}

#[tokio::test]
async fn no_route_answers_without_an_identity() {
    for (method, path) in ROUTES {
        let path = path.replace("{appid}", "wx1234567890abcdef").replace("{proxy+}", "cgi-bin/user/info");
        let request = Request::builder().method(method.clone()).uri(&path).body(Body::empty()).unwrap();
        assert_eq!(answered(request).await.1, "no-identity", "{method} {path}");
    }
}

#[tokio::test]
async fn what_cannot_be_passed_on_is_refused_before_anything_is_read() {
    let account = "/wechat/wx1234567890abcdef";
    for (method, path, status, name) in [
        (Method::GET, "/wechat/%FF/cgi-bin/user/info".to_owned(), 404, "unknown-account"),
        (Method::GET, "/wechat/a%20b/cgi-bin/user/info".to_owned(), 404, "unknown-account"),
        (Method::GET, format!("{account}/cgi-bin/user/info/"), 400, "invalid-path"),
        (Method::GET, format!("{account}/cgi-bin//info"), 400, "invalid-path"),
        (Method::GET, format!("{account}/cgi-bin/../token"), 400, "invalid-path"),
        (Method::GET, format!("{account}/cgi-bin/%2e%2e/token"), 400, "invalid-path"),
        (Method::GET, format!("{account}/cgi-bin%5Ctoken"), 400, "invalid-path"),
        (Method::GET, format!("{account}/https:%2F%2Felsewhere.example"), 400, "invalid-path"),
        (Method::GET, format!("{account}/cgi-bin/token"), 403, "path-refused"),
        (Method::POST, format!("{account}/CGI-BIN/Stable_Token"), 403, "path-refused"),
        (Method::GET, format!("{account}/cgi-bin%2Fuser/info"), 400, "invalid-path"),
        (Method::POST, format!("{account}/cgi-bin/clear_quota/v2"), 403, "path-refused"),
        (Method::GET, format!("{account}/sns/component/jscode2session"), 403, "path-refused"),
        (Method::POST, "/wechat/platform/cgi-bin/component/api_query_auth".to_owned(), 403, "path-refused"),
        (Method::GET, "/wechat/platform/sns/oauth2/component/access_token".to_owned(), 403, "path-refused"),
        (Method::DELETE, format!("{account}/cgi-bin/menu/delete"), 405, "method-not-allowed"),
    ] {
        let (answered, kind, _) = answered(request(&method, &path).body(Body::empty()).unwrap()).await;
        assert_eq!((answered, kind.as_str()), (status, name), "{method} {path}");
    }
}

#[tokio::test]
async fn headers_that_ask_for_what_cannot_be_are_refused_with_what_to_do() {
    let path = "/wechat/wx1234567890abcdef/cgi-bin/message/custom/send";
    let long = "k".repeat(129);
    for (method, name, value, says) in [
        (Method::GET, "idempotency-key", "k", "is for POST"),
        (Method::POST, "idempotency-key", "", "1 to 128 visible"),
        (Method::POST, "idempotency-key", "a b", "1 to 128 visible"),
        (Method::POST, "idempotency-key", long.as_str(), "1 to 128 visible"),
        (Method::POST, "retries", "1", "needs an Idempotency-Key"),
        (Method::GET, "retries", "4", "0 to 3"),
        (Method::GET, "retries", "-1", "0 to 3"),
        (Method::GET, "retries", "many", "0 to 3"),
    ] {
        let request = request(&method, path).header(name, value).body(Body::empty()).unwrap();
        let (status, kind, detail) = answered(request).await;
        assert_eq!((status, kind.as_str()), (400, "invalid-header"), "{name}: {value}");
        assert!(detail.contains(says), "{detail}");
    }
}

#[tokio::test]
async fn a_body_has_at_most_four_mebibytes() {
    let path = "/wechat/wx1234567890abcdef/cgi-bin/media/upload";
    let (status, kind, _) =
        answered(request(&Method::POST, path).body(Body::from(vec![0; LARGEST_BODY + 1])).unwrap()).await;
    assert_eq!((status, kind.as_str()), (413, "too-large"));
    let (status, ..) = answered(request(&Method::POST, path).body(Body::from(vec![0; LARGEST_BODY])).unwrap()).await;
    assert_eq!(status, 503, "the table and the secret are away");
}
