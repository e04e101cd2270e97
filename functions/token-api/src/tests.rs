//! Responses of the router that need no table. The rest are end-to-end stories.

use axum::body::{Body, to_bytes};
use http::Request;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use test_support::without_aws;
use tower::ServiceExt as _;
use web::identity::IamIdentity;

use super::*;

/// IAM and API keys.
const KEYS: KeyConfig = KeyConfig { enabled: true };

const ID: &str = r#"{"token_id":"0123456789abcdef"}"#;

async fn answered(config: TokenConfig, method: &Method, path: &str, body: &str) -> Response {
    let request = Request::builder()
        .method(method.clone())
        .uri(path)
        .header(CONTENT_TYPE, "application/json")
        .extension(IamIdentity::new("arn:aws:iam::123456789012:role/orders").unwrap())
        .body(Body::from(body.to_owned()))
        .unwrap();
    router(TokenService::new(without_aws::services(), without_aws::bus(), config), KEYS).oneshot(request).await.unwrap()
}

async fn problem(response: Response) -> Value {
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap()
}

#[tokio::test]
async fn no_route_answers_without_an_identity() {
    for Route { method, path, .. } in &ROUTES {
        let path = path.replace("{appid}", "wx1234567890abcdef");
        let request = Request::builder().method(method.clone()).uri(&path).body(Body::from(ID)).unwrap();
        let service = TokenService::new(
            without_aws::services(),
            without_aws::bus(),
            TokenConfig { platform_route: true, ..TokenConfig::default() },
        );
        let response = router(service, KEYS).oneshot(request).await.unwrap();
        assert_eq!(response.status(), 403, "{method} {path}");
        assert_eq!(problem(response).await["type"], "urn:wechat-platform:problem:no-identity");
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_before_anything_is_read() {
    let renewals = "/tokens/wx1234567890abcdef/renewals";
    for (method, path, body, name) in [
        (Method::GET, "/tokens/%FF", "", "unknown-account"),
        (Method::GET, "/tokens/a%20b", "", "unknown-account"),
        (Method::POST, "/tokens/%FF/renewals", ID, "unknown-account"),
        (Method::POST, renewals, "", "malformed"),
        (Method::POST, renewals, "[]", "malformed"),
        (Method::POST, renewals, "{}", "invalid-field"),
        (Method::POST, renewals, r#"{"token_id":1}"#, "malformed"),
        (Method::POST, renewals, r#"{"token_id":"0123456789ABCDEF"}"#, "invalid-field"),
        (Method::POST, renewals, r#"{"token_id":"0123456789abcdef","access_token":"a"}"#, "malformed"),
    ] {
        let response = answered(TokenConfig::default(), &method, path, body).await;
        assert!(response.status().is_client_error(), "{path} {body}");
        assert_eq!(problem(response).await["type"], format!("urn:wechat-platform:problem:{name}"), "{path} {body}");
    }
}

#[tokio::test]
async fn the_platforms_own_token_is_not_given_unless_that_is_enabled() {
    for (method, path) in [(Method::GET, "/tokens/platform"), (Method::POST, "/tokens/platform/renewals")] {
        let refused = answered(TokenConfig::default(), &method, path, ID).await;
        assert_eq!(refused.status(), 404);
        assert!(problem(refused).await["detail"].as_str().unwrap().contains("PlatformTokenRoute=on"));
        let turned_on =
            answered(TokenConfig { platform_route: true, ..TokenConfig::default() }, &method, path, ID).await;
        assert_eq!(turned_on.status(), 503, "the table and the secret are away");
    }
}
