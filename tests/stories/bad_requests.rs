//! Invalid requests of businesses: each is refused with a documented and helpful problem, and nothing is stored.

use std::time::Duration;

use axum::body::Body;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{Method, Request};
use serde_json::{Value, json};
use stories::browser::Browser;
use stories::business::{Answer, Business, LINKS};
use stories::world::World;

#[tokio::test]
async fn without_an_identity_no_business_route_answers_whatever_the_headers_say() {
    let world = World::ready().await;
    let link = Business::of(&world).link(json!({})).await;
    let stranger = Business::unsigned(&world);
    let before = world.items().await;
    let one = format!("{LINKS}/{}", link.id);
    for (method, path) in [(Method::POST, LINKS), (Method::GET, &one), (Method::POST, &format!("{one}/codes"))] {
        let plain = Request::builder().method(method.clone()).uri(path).header(CONTENT_TYPE, "application/json");
        let pretending = Request::builder()
            .method(method)
            .uri(format!("{path}?userArn=arn:aws:iam::123456789012:user/x"))
            .header(CONTENT_TYPE, "application/json")
            .header("authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-central-1/execute-api/aws4_request")
            .header(
                "x-amzn-request-context",
                r#"{"authorizer":{"iam":{"userArn":"arn:aws:iam::123456789012:user/x"}}}"#,
            )
            .header("x-iam-identity", "arn:aws:iam::123456789012:user/x");
        for request in [plain, pretending] {
            let answer = stranger.send(request.body(Body::from("{}")).unwrap()).await;
            assert_eq!((answer.status, answer.problem()), (403, "no-identity"), "{path}");
        }
    }
    assert_eq!(world.items().await, before);
}

#[tokio::test]
async fn a_request_for_a_link_is_refused_field_by_field() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let before = world.items().await;
    let elsewhere = [
        "http://app.example.com/done",
        "https://evil.example/done",
        "https://app.example.com.evil.example/",
        "https://user:pass@app.example.com/",
        "https://app.example.com:444/",
        "javascript:alert(1)",
        "//app.example.com/",
        "data:text/html,x",
        "blob:https://app.example.com/0b2d6f2c",
        "filesystem:https://app.example.com/temporary/x",
        "view-source:https://app.example.com/",
        "https:\\\\app.example.com\\done",
        "https://app.example.com\\@evil.example/",
        "https://@app.example.com/",
        "https://app.exa\tmple.com/",
        "https://app.example.com/\r\nset-cookie:x=y",
        "https:app.example.com/",
        "https:///app.example.com/",
        "https://app.example.com./",
        "https://localhost/",
    ];
    for url in elsewhere {
        let answer = business.ask(Method::POST, LINKS, &json!({ "return_url": url })).await;
        assert_eq!((answer.status, answer.problem()), (400, "invalid-field"), "{url}");
        assert!(answer.detail().contains("return_url"), "{}", answer.body);
    }
    let fields: [(&str, Value); 26] = [
        ("requester_name", json!("工商\u{202e}行银")),
        ("requester_name", json!("a\u{2066}b")),
        ("requester_name", json!("a\u{200f}b")),
        ("requester_name", json!("\u{3164}\u{2800}")),
        ("requester_name", json!("\u{200b}")),
        ("requester_name", json!(format!("a{}", "\u{489}".repeat(20)))),
        ("auth_type", json!(259)),
        ("biz_appid", json!("gh_3c884a361561")),
        ("biz_appid", json!("WX1234567890ABCDEF")),
        ("biz_appid", json!("wx1234567890abcdef\n")),
        ("category_ids", json!([1, 2, 1])),
        ("category_ids", json!([0])),
        ("requester_name", json!("店".repeat(61))),
        ("requester_name", json!("🌸".repeat(61))),
        ("requester_name", json!("")),
        ("requester_name", json!("a\u{7}b")),
        ("reference", json!("🌸".repeat(257))),
        ("expires_in_seconds", json!(0)),
        ("expires_in_seconds", json!(59)),
        ("expires_in_seconds", json!(365 * 86_400 + 1)),
        ("expires_in_seconds", json!(u64::MAX)),
        ("auth_type", json!(7)),
        ("biz_appid", json!("")),
        ("biz_appid", json!("wx 1")),
        ("category_ids", json!(vec![1; 201])),
        ("return_url", json!("https://app.example.com/?link_id=x")),
    ];
    for (field, value) in fields {
        let answer = business.ask(Method::POST, LINKS, &json!({ field: value })).await;
        assert_eq!((answer.status, answer.problem()), (400, "invalid-field"), "{field}: {value}");
        assert!(answer.detail().starts_with(field), "{}", answer.body);
    }
    assert_eq!(world.items().await, before);
    business.link(json!({ "requester_name": "🌸".repeat(60), "reference": "🌸".repeat(256) })).await;
    business.link(json!({ "return_url": "HTTPS://APP.EXAMPLE.COM:443/done", "biz_appid": "wx1234567890abcdef" })).await;
}

#[tokio::test]
async fn a_body_that_is_not_an_object_of_documented_fields_is_refused() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let before = world.items().await;
    let bodies = [
        json!({ "auth_typ": 3 }),
        json!({ "auth_type": "3" }),
        json!({ "auth_type": 3.5 }),
        json!({ "auth_type": -1 }),
        json!({ "auth_type": [3] }),
        json!({ "category_ids": [1, "2"] }),
        json!({ "requester_name": { "zh": "店" } }),
        json!({ "": 1 }),
        json!({ "__proto__": {} }),
        json!({ "reference": 7 }),
        json!({ "category_ids": 1 }),
        json!({ "expires_in_seconds": "60" }),
        json!([]),
        json!([3, "wx1", [], null, "name", "reference", 60]),
        json!(null),
        json!("text"),
    ];
    for body in bodies {
        let answer = business.ask(Method::POST, LINKS, &body).await;
        assert_eq!((answer.status, answer.problem()), (400, "malformed"), "{body}: {}", answer.body);
        assert!(answer.detail().contains("JSON object"), "{}", answer.body);
        assert_no_words_of_a_library(&answer);
    }
    let raw = |kind: &str, body: String| {
        let request = Request::builder().method(Method::POST).uri(LINKS).header(CONTENT_TYPE, kind);
        request.body(Body::from(body)).unwrap()
    };
    let deep = format!("{{\"reference\":{}", "[".repeat(2_000));
    for body in [
        "",
        "{",
        "{\"auth_type\":1,\"auth_type\":2}",
        "{\"auth_type\":1,\"auth_type\":1}",
        "\u{feff}{}",
        "{'auth_type':1}",
        "{\"auth_type\":1}x",
        "{\"auth_type\":NaN}",
        "{\"reference\":\"\\ud800\"}",
        "{\"reference\":\"a\nb\"}",
        "auth_type=1",
        &deep,
    ] {
        let answer = business.send(raw("application/json", body.to_owned())).await;
        assert_eq!((answer.status, answer.problem()), (400, "malformed"), "{body}");
        assert_no_words_of_a_library(&answer);
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        let answer = business.send(raw(kind, "{}".to_owned())).await;
        assert_eq!((answer.status, answer.problem()), (415, "not-json"), "{kind}");
    }
    let answer = business.send(raw("application/json", format!("{{{}}}", " ".repeat(65 * 1024)))).await;
    assert_eq!((answer.status, answer.problem()), (413, "too-large"));
    assert_eq!(world.items().await, before);
}

/// The words of request-parsing libraries about a body, which change with their versions.
fn assert_no_words_of_a_library(answer: &Answer) {
    let text = answer.body.to_string();
    for word in
        ["deserialize", "expected", "invalid type", "unknown field", "duplicate", "EOF", "trailing", "serde", "axum"]
    {
        assert!(!text.contains(word), "{word}: {text}");
    }
}

#[tokio::test]
async fn a_path_or_method_that_no_route_has_is_a_problem_too() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({})).await;
    let one = format!("{LINKS}/{}", link.id);
    let before = world.items().await;
    for (method, path, allowed) in [
        (Method::PUT, LINKS.to_owned(), "POST,GET,HEAD"),
        (Method::DELETE, LINKS.to_owned(), "POST,GET,HEAD"),
        (Method::PATCH, one.clone(), "GET,HEAD,DELETE"),
        (Method::POST, one.clone(), "GET,HEAD,DELETE"),
        (Method::OPTIONS, one.clone(), "GET,HEAD,DELETE"),
        (Method::GET, format!("{one}/codes"), "POST"),
        (Method::from_bytes(b"PURGE").unwrap(), format!("{one}/codes"), "POST"),
    ] {
        let answer = business.ask(method.clone(), &path, &json!({})).await;
        assert_eq!((answer.status, answer.problem()), (405, "method-not-allowed"), "{method} {path}");
        assert_eq!(answer.headers[ALLOW], allowed, "{method} {path}");
    }
    for path in ["/", "/authorization-links/", "/authorization-link", &format!("{one}/"), &format!("{one}/code"), "/v1"]
    {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let answer = business.ask(method.clone(), path, &json!({})).await;
            assert_eq!((answer.status, answer.problem()), (404, "unknown-route"), "{method} {path}");
        }
    }
    assert_eq!(world.items().await, before);
    assert_eq!(business.status(&link).await, "pending");
}

#[tokio::test]
async fn a_link_makes_ten_codes_an_hour_and_fifty_in_all() {
    let world = World::ready().await;
    let business = Business::of(&world);
    let link = business.link(json!({})).await;
    for _ in 0..5 {
        for _ in 0..10 {
            let code = business.code(&link).await;
            assert_eq!(code.status, 201, "{}", code.body);
        }
        world.pass(Duration::from_mins(20));
        let refused = business.code(&link).await;
        assert_eq!((refused.status, refused.problem()), (429, "too-many-codes"));
        assert!(world.simulator.push_ticket().await.is_accepted());
        let expected = if world.simulator.counters().effects.pre_auth_codes < 50 { Some("2400") } else { None };
        assert_eq!(refused.headers.get(RETRY_AFTER).map(|wait| wait.to_str().unwrap()), expected);
        world.pass(Duration::from_mins(40));
    }
    let refused = business.code(&link).await;
    assert_eq!((refused.status, refused.problem()), (429, "too-many-codes"), "the fifty-first, whenever it is");
    assert!(refused.detail().contains("make a new link"), "{}", refused.body);
    assert!(refused.headers.get(RETRY_AFTER).is_none());

    let browser = Browser::on_computer();
    let launch = browser.open(&link.url).await;
    let pressed = browser.submit(&launch, &[]).await;
    assert_eq!(pressed.status, 429);
    assert!(pressed.text.contains("Ask whoever sent it for a new one"), "{}", pressed.text);
    assert_eq!(world.simulator.counters().effects.pre_auth_codes, 50);
}
