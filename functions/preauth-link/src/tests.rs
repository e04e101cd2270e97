//! Responses of the routers that need no table. The rest are end-to-end stories.

use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::Request;
use http::header::{ACCEPT_LANGUAGE, CONTENT_TYPE};
use serde_json::{Value, json};
use test_support::without_aws;
use tower::ServiceExt as _;
use web::identity::IamIdentity;

use super::*;

/// IAM and API keys.
const KEYS: KeyConfig = KeyConfig { enabled: true };

/// A service that cannot reach AWS.
fn service() -> LinkService {
    let pages = PageConfig::read(&|name: &str| match name {
        "PUBLIC_BASE_URL" => Some("https://auth.example.com".to_owned()),
        "RETURN_URL_ORIGINS" => Some("https://app.example.com".to_owned()),
        _ => None,
    });
    LinkService::new(without_aws::services(), pages.unwrap(), WechatConfig::read(&|_: &str| None).unwrap())
}

async fn text(response: Response) -> String {
    String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
}

async fn problem(response: Response) -> Value {
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    serde_json::from_str(&text(response).await).unwrap()
}

/// A request of a business that IAM has authenticated.
fn business(method: Method, path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(CONTENT_TYPE, "application/json")
        .extension(IamIdentity::new("arn:aws:iam::123456789012:role/orders").unwrap())
        .body(body.into())
        .unwrap()
}

async fn to_business(request: Request<Body>) -> Response {
    business_router(service(), KEYS).oneshot(request).await.unwrap()
}

#[tokio::test]
async fn no_business_route_answers_without_an_identity_whatever_the_headers_say() {
    for Route { method, path, .. } in &BUSINESS_ROUTES {
        let path = path.replace("{link_id}", "0123456789abcdefABCDE_");
        let request = Request::builder()
            .method(method.clone())
            .uri(&path)
            .header("x-amzn-request-context", r#"{"authorizer":{"iam":{"userArn":"arn:aws:iam::1:user/x"}}}"#)
            .header("authorization", "AWS4-HMAC-SHA256 Credential=x")
            .body(Body::from("{}"))
            .unwrap();
        let response = to_business(request).await;
        assert_eq!(response.status(), 403, "{method} {path}");
        assert_eq!(problem(response).await["type"], "urn:wechat-platform:problem:no-identity");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_used_is_refused_as_a_problem() {
    let large = json!({ "reference": "x".repeat(BODY_LIMIT) }).to_string();
    for (body, status, name) in [
        ("{", 400, "malformed"),
        (r#"{"auth_typ":1}"#, 400, "malformed"),
        (r#"{"auth_type":"1"}"#, 400, "malformed"),
        (r#"{"auth_type":7}"#, 400, "invalid-field"),
        (r#"{"return_url":"https://evil.example/"}"#, 400, "invalid-field"),
        (large.as_str(), 413, "too-large"),
    ] {
        let response = to_business(business(Method::POST, "/authorization-links", body.to_owned())).await;
        assert_eq!(response.status(), status, "{name}");
        let problem = problem(response).await;
        assert_eq!(problem["type"], format!("urn:wechat-platform:problem:{name}"));
        assert_eq!(problem["status"], status);
    }
    let mut request = business(Method::POST, "/authorization-links", "{}");
    request.headers_mut().remove(CONTENT_TYPE);
    assert_eq!(to_business(request).await.status(), 415);
}

#[tokio::test]
async fn an_id_that_no_link_has_is_unknown_without_a_look_at_the_table() {
    for (method, path) in [(Method::GET, "/authorization-links/x"), (Method::POST, "/authorization-links/%FF/codes")] {
        let response = to_business(business(method, path, "")).await;
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(problem(response).await["type"], "urn:wechat-platform:problem:unknown-link");
    }
    for method in [Method::GET, Method::POST] {
        let request = Request::builder().method(method).uri("/authorize/x").body(Body::empty()).unwrap();
        let response = public_router(service()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), 404);
        assert!(text(response).await.contains("There is no such link"));
    }
}

#[tokio::test]
async fn a_merchant_learns_a_reference_and_no_cause() {
    for (language, title) in [("zh-CN,zh;q=0.9", "暂时无法使用"), ("de", "Not available")] {
        let request = Request::builder()
            .uri("/authorize/0123456789abcdefABCDE_")
            .header(ACCEPT_LANGUAGE, language)
            .body(Body::empty())
            .unwrap();
        let response = public_router(service()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["referrer-policy"], "origin");
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        let forms = "form-action 'self' https://mp.weixin.qq.com https://open.weixin.qq.com;";
        assert!(policy.contains(forms), "{policy}");
        let page = text(response).await;
        assert!(page.contains(title), "{page}");
        for cause in ["127.0.0.1", "ecret", "AWS", "connection"] {
            assert!(!page.contains(cause), "{cause}");
        }
    }
}

#[tokio::test]
async fn a_business_learns_a_reference_and_no_cause() {
    let response = to_business(business(Method::POST, "/authorization-links", "{}")).await;
    assert_eq!(response.status(), 503);
    let problem = problem(response).await;
    assert_eq!(problem["type"], "urn:wechat-platform:problem:unavailable");
    assert_eq!(problem["reference"].as_str().unwrap().len(), 10);
    assert!(!problem.to_string().contains("ecret"), "{problem}");
}

#[tokio::test]
async fn both_routers_can_be_merged_and_serve_their_listed_routes_only() {
    let router = public_router(service()).merge(business_router(service(), KEYS));
    for (method, path, status) in [
        (Method::GET, "/", 404),
        (Method::PUT, "/authorize/0123456789abcdefABCDE_", 405),
        (Method::PUT, "/authorization-links", 405),
        (Method::PATCH, "/authorization-links/0123456789abcdefABCDE_", 405),
    ] {
        let request = business(method, path, "");
        assert_eq!(router.clone().oneshot(request).await.unwrap().status(), status, "{path}");
    }
}
