//! Responses of the router that need no table. The rest are end-to-end stories.

use axum::body::{Body, to_bytes};
use base::clock::SystemClock;
use base::limits::Limits;
use http::Request;
use http::header::CONTENT_TYPE;
use runtime::config::FilesConfig;
use serde_json::{Value, json};
use test_support::without_aws;
use tower::ServiceExt as _;
use web::identity::IamIdentity;

use super::*;

/// IAM and API keys.
const KEYS: KeyConfig = KeyConfig { enabled: true };

fn request(method: &Method, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method.clone())
        .uri(path)
        .extension(IamIdentity::new("arn:aws:iam::123456789012:role/orders").unwrap())
}

fn service() -> CallService {
    let config = FilesConfig::read(&|_: &str| Some("http://127.0.0.1:9".to_owned())).unwrap();
    let bucket = Bucket::new(&config, without_aws::presigner(), Arc::new(SystemClock), &Limits::calls()).unwrap();
    CallService::new(without_aws::services(), bucket, WebDomains::default())
}

async fn answered(request: Request<Body>) -> (u16, String, String) {
    let response = router(service(), KEYS).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    let problem: Value = serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap();
    let text = |name: &str| problem[name].as_str().unwrap().to_owned();
    (status, text("type").replace("urn:wechat-platform:problem:", ""), text("detail"))
}

#[tokio::test]
async fn no_route_answers_without_an_identity() {
    for Route { method, path, .. } in &ROUTES {
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
    let api_key = format!("wxp_{}_{}", "a".repeat(22), "b".repeat(43));
    for (method, name, value, says) in [
        (Method::GET, "idempotency-key", "k", "is for POST"),
        (Method::POST, "idempotency-key", "", "1 to 128 visible"),
        (Method::POST, "idempotency-key", "a b", "1 to 128 visible"),
        (Method::POST, "idempotency-key", "订单", "once, in visible ASCII"),
        (Method::POST, "idempotency-key", long.as_str(), "1 to 128 visible"),
        (Method::POST, "idempotency-key", api_key.as_str(), "this is an API key"),
        (Method::POST, "retries", "1", "needs an Idempotency-Key"),
        (Method::GET, "retries", "4", "0 to 3"),
        (Method::GET, "retries", "-1", "0 to 3"),
        (Method::GET, "retries", "many", "0 to 3"),
        (Method::GET, "x-body-file", FILE, "is only for POST"),
        (Method::POST, "x-body-part", "media; filename=a.jpg", "needs X-Body-File"),
        (Method::POST, "x-body-part", "media; filename=照片.jpg", "percent-encode"),
        (Method::GET, "x-large-answer", "yes", "must be redirect"),
        (Method::GET, "x-video-url", "true", "must be follow"),
    ] {
        let request = request(&method, path).header(name, value.as_bytes()).body(Body::empty()).unwrap();
        let (status, kind, detail) = answered(request).await;
        assert_eq!((status, kind.as_str()), (400, "invalid-header"), "{name}: {value}");
        assert!(detail.contains(says) && !detail.contains(&api_key), "{detail}");
    }
}

/// The id of a file that nobody has.
const FILE: &str = "AAAAAAAAAAAAAAAAAAAAAA";

#[tokio::test]
async fn a_file_is_the_body_or_a_part_of_a_form() {
    const FIELDS: &str = "application/x-www-form-urlencoded";
    let part = Some("media; filename=a.jpg");
    for (file, part, content_type, body, status, name) in [
        ("short", None, "", "", 404, "unknown-file"),
        ("../../AAAAAAAAAAAAAAAA", None, "", "", 404, "unknown-file"),
        (FILE, None, "application/json", "{}", 400, "invalid-header"),
        (FILE, Some("media"), "", "", 400, "invalid-header"),
        (FILE, Some("media; filename=a%0Ab"), "", "", 400, "invalid-header"),
        (FILE, part, "application/json", "{}", 400, "malformed-request"),
        (FILE, part, FIELDS, "media=b", 400, "malformed-request"),
        (FILE, part, FIELDS, "a%22=b", 400, "malformed-request"),
        (FILE, part, FIELDS, "description=b", 503, "unavailable"),
        (FILE, part, "", "", 503, "unavailable"),
        (FILE, None, "", "", 503, "unavailable"),
    ] {
        let request = request(&Method::POST, "/wechat/wx1234567890abcdef/cgi-bin/media/upload");
        let request = request.header("x-body-file", file).header(CONTENT_TYPE, content_type);
        let request = part.into_iter().fold(request, |request, part| request.header("x-body-part", part));
        let (found, kind, detail) = answered(request.body(Body::from(body)).unwrap()).await;
        assert_eq!((found, kind.as_str()), (status, name), "{file} {part:?} {content_type} {body}: {detail}");
    }
}

#[tokio::test]
async fn a_files_type_and_length_are_part_of_the_presigned_url() {
    for (body, says) in [
        (json!({}), "content_type"),
        (json!({ "content_type": "image/jpeg" }), "length"),
        (json!({ "content_type": "image", "length": 1 }), "content_type"),
        (json!({ "content_type": "image/jpeg; q=1", "length": 1 }), "content_type"),
        (json!({ "content_type": "a/b\r\nx: y", "length": 1 }), "content_type"),
        (json!({ "content_type": "image/jpeg", "length": 0 }), "from 1 to 20971520"),
        (json!({ "content_type": "image/jpeg", "length": LARGEST_FILE + 1 }), "from 1 to 20971520"),
        (json!({ "content_type": "image/jpeg", "length": -1 }), "length"),
        (json!({ "content_type": "image/jpeg", "length": 1, "name": "a" }), "name"),
    ] {
        let request = request(&Method::POST, FILES_ROUTE).header(CONTENT_TYPE, "application/json");
        let (status, kind, detail) = answered(request.body(Body::from(body.to_string())).unwrap()).await;
        assert!(status == 400 && ["invalid-field", "malformed"].contains(&kind.as_str()), "{body}: {status} {kind}");
        assert!(detail.contains(says), "{body}: {detail}");
    }
    let body = Body::from(json!({ "content_type": "image/jpeg", "length": LARGEST_FILE }).to_string());
    let request = request(&Method::POST, FILES_ROUTE).header(CONTENT_TYPE, "application/json").body(body).unwrap();
    let response = router(service(), KEYS).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 201);
    let upload: Value = serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap();
    let url = upload["upload_url"].as_str().unwrap();
    assert!(
        url.contains("X-Amz-Expires=900") && url.contains("X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost")
    );
    let path = url.split('?').next().unwrap();
    assert!(path.ends_with(upload["file_id"].as_str().unwrap()) && !path.contains("orders"), "{path}");
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
