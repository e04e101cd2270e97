//! Responses of the router that need no table. The rest are end-to-end stories.

use axum::body::{Body, to_bytes};
use http::Request;
use http::header::{ALLOW, CONTENT_TYPE};
use serde_json::Value;
use test_support::without_aws;
use tower::ServiceExt as _;
use web::identity::IamIdentity;

use super::*;

/// IAM and API keys.
const KEYS: KeyConfig = KeyConfig { enabled: true };

/// A check file's route.
const FILE: &str = "/check-files/87PweoaRBw.txt";

/// A service that cannot reach AWS.
fn service() -> AccountService {
    AccountService::new(without_aws::services(), without_aws::bus(), config())
}

fn config() -> AccountConfig {
    // The other variables of a deployed function do not matter.
    let environment =
        |name: &str| Some(if name == "PUBLIC_BASE_URL" { "https://auth.example.com" } else { "1" }.to_owned());
    AccountConfig::read(&environment).unwrap()
}

async fn answered(method: Method, path: &str, body: &str) -> Response {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(CONTENT_TYPE, "application/json")
        .extension(IamIdentity::new("arn:aws:iam::123456789012:role/orders").unwrap())
        .body(Body::from(body.to_owned()))
        .unwrap();
    router(service(), KEYS).oneshot(request).await.unwrap()
}

async fn problem(response: Response) -> Value {
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap()
}

#[tokio::test]
async fn no_route_answers_without_an_identity() {
    for Route { method, path, .. } in &ROUTES {
        let path = path
            .replace("{appid}", "wx1234567890abcdef")
            .replace("{reconciliation_id}", "1800000000")
            .replace("{key_id}", "Zk3vQ0c8SgWqT1n2yXb4aA")
            .replace("{browser_id}", "Zk3vQ0c8SgWqT1n2yXb4aA")
            .replace("{name}", "li")
            .replace("{file}", "87PweoaRBw.txt");
        let request = Request::builder().method(method.clone()).uri(&path).body(Body::from("{}")).unwrap();
        let response = router(service(), KEYS).oneshot(request).await.unwrap();
        assert_eq!(response.status(), 403, "{method} {path}");
        assert_eq!(problem(response).await["type"], "urn:wechat-platform:problem:no-identity");
    }
}

#[tokio::test]
async fn logins_return_to_this_machine_without_tls_in_cargo_run_only() {
    let deployed = config();
    let developed = AccountConfig { local_login_origins: true, ..deployed.clone() };
    for (config, status) in [(deployed, 400), (developed, 503)] {
        let service = AccountService::new(without_aws::services(), without_aws::bus(), config);
        let request = Request::patch("/accounts/wx1234567890abcdef")
            .header(CONTENT_TYPE, "application/json")
            .extension(IamIdentity::new("arn:aws:iam::123456789012:role/orders").unwrap())
            .body(Body::from(r#"{"login_origins":["http://localhost:3003"]}"#))
            .unwrap();
        let response = router(service, KEYS).oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{}", problem(response).await);
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_before_anything_is_read() {
    let account = "/accounts/wx1234567890abcdef";
    for (method, path, body, name) in [
        (Method::GET, "/accounts?state=needs-authorization", "", "invalid-parameter"),
        (Method::GET, "/accounts?stat=active", "", "invalid-parameter"),
        (Method::GET, "/accounts?state=active&state=active", "", "invalid-parameter"),
        (Method::GET, "/accounts?limit=101", "", "invalid-parameter"),
        (Method::GET, "/accounts?cursor=AAAA", "", "invalid-parameter"),
        (Method::GET, "/accounts?kind=oa", "", "invalid-parameter"),
        (Method::GET, "/accounts/%FF", "", "unknown-account"),
        (Method::GET, "/accounts/a%20b", "", "unknown-account"),
        (Method::PATCH, account, "[]", "malformed"),
        (Method::PATCH, account, r#"{"referenc":"x"}"#, "malformed"),
        (Method::PATCH, account, r#"{"tags":{"a":1}}"#, "malformed"),
        (Method::PATCH, account, r#"{"login_origins":["http://a.example.com"]}"#, "invalid-field"),
        (Method::POST, "/accounts/%FF/profile-readings", "", "unknown-account"),
        (Method::POST, "/keys", r#"{"name":"a","scopes":"links"}"#, "malformed"),
        (Method::POST, "/keys", r#"{"name":"a","scopes":["links"],"in_url":1}"#, "malformed"),
        (Method::POST, "/keys", r#"{"name":"a","scopes":["links"],"key":"x"}"#, "malformed"),
        (Method::POST, "/keys", "{}", "invalid-field"),
        (Method::POST, "/keys", r#"{"name":"a"}"#, "invalid-field"),
        (Method::POST, "/keys", r#"{"name":"a","scopes":["link"]}"#, "invalid-field"),
        (Method::GET, "/keys?limit=0", "", "invalid-parameter"),
        (Method::GET, "/keys?cursor=AAAA", "", "invalid-parameter"),
        (Method::GET, "/keys?name=a", "", "invalid-parameter"),
        (Method::DELETE, "/keys/%FF", "", "unknown-key"),
        (Method::DELETE, "/keys/short", "", "unknown-key"),
        (Method::POST, "/operators", "{}", "invalid-field"),
        (Method::POST, "/operators", r#"{"name":"Li","rights":"look"}"#, "invalid-field"),
        (Method::POST, "/operators", r#"{"name":"li","rights":"admin"}"#, "invalid-field"),
        (
            Method::POST,
            "/operators",
            r#"{"name":"li","rights":"look","until":"2001-01-01T00:00:00Z"}"#,
            "invalid-field",
        ),
        (Method::POST, "/operators", r#"{"name":"li","rights":["look"]}"#, "malformed"),
        (Method::POST, "/operators", r#"{"name":"li","rights":"look","invitation":"x"}"#, "malformed"),
        (Method::GET, "/operators?limit=0", "", "invalid-parameter"),
        (Method::GET, "/operators?cursor=AAAA", "", "invalid-parameter"),
        (Method::POST, "/operators/Li/invitations", "", "unknown-operator"),
        (Method::POST, "/operators/%FF/invitations", "", "unknown-operator"),
        (Method::DELETE, "/operators/Li", "", "unknown-operator"),
        (Method::DELETE, "/operators/%FF", "", "unknown-operator"),
        (Method::DELETE, "/operators/li/browsers/short", "", "unknown-browser"),
        (Method::DELETE, "/operators/Li/browsers/Zk3vQ0c8SgWqT1n2yXb4aA", "", "unknown-browser"),
        (Method::PUT, FILE, "{}", "invalid-check-file"),
        (Method::PUT, FILE, r#"{"content":1}"#, "malformed"),
        (Method::PUT, FILE, r#"{"content":"0123456789abcdef","file":"x"}"#, "malformed"),
        (Method::PUT, FILE, r#"{"content":"0123456789abcdef\n"}"#, "invalid-check-file"),
        (Method::PUT, FILE, r#"{"content":"\ufeff0123456789abcdef"}"#, "invalid-check-file"),
        (Method::PUT, "/check-files/index.html", r#"{"content":"0123456789abcdef"}"#, "invalid-check-file"),
        (Method::PUT, "/check-files/..%2f..%2fw.txt", r#"{"content":"0123456789abcdef"}"#, "invalid-check-file"),
        (Method::PUT, "/check-files/%FF", r#"{"content":"0123456789abcdef"}"#, "invalid-check-file"),
        (Method::GET, "/check-files?cursor=AAAA", "", "invalid-parameter"),
        (Method::GET, "/check-files?file=a", "", "invalid-parameter"),
        (Method::DELETE, "/check-files/%FF", "", "unknown-check-file"),
        (Method::DELETE, "/check-files/87PweoaRBw.TXT", "", "unknown-check-file"),
    ] {
        let response = answered(method, path, body).await;
        assert!(response.status().is_client_error(), "{path} {body}");
        assert_eq!(problem(response).await["type"], format!("urn:wechat-platform:problem:{name}"), "{path} {body}");
    }
}

#[tokio::test]
async fn a_caller_learns_a_reference_and_no_cause() {
    for (method, path) in [(Method::GET, "/accounts"), (Method::POST, "/reconciliations"), (Method::GET, "/keys")] {
        let response = answered(method, path, "").await;
        assert_eq!(response.status(), 503);
        let problem = problem(response).await;
        assert_eq!(problem["reference"].as_str().unwrap().len(), 10);
        assert!(!problem.to_string().contains("ecret"), "{problem}");
    }
}

#[tokio::test]
async fn another_method_is_refused_by_the_ones_there_are() {
    let response = answered(Method::DELETE, "/accounts/wx1234567890abcdef", "").await;
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()[ALLOW], "GET,HEAD,PATCH");
    assert_eq!(problem(response).await["type"], "urn:wechat-platform:problem:method-not-allowed");
}
