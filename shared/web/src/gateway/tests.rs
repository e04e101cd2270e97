//! Events as the gateway sends them, and as it never should.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, Uri};
use axum::response::AppendHeaders;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;
use crate::api::not_signed;
use crate::doors::Right;
use crate::identity::{IamIdentity, OperatorIdentity};

static BUSINESS: [Route; 1] = [Route::with(Method::POST, "/business", Right::IamOnly)];

/// Returns what reached it.
async fn echo(uri: Uri, RawQuery(query): RawQuery, headers: HeaderMap, body: Bytes) -> axum::Json<Value> {
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))).collect();
    axum::Json(json!({ "uri": uri.to_string(), "query": query, "headers": headers, "body": body.to_vec() }))
}

async fn item(Path(id): Path<String>) -> String {
    format!("item {id}")
}

async fn caller(identity: Option<Extension<IamIdentity>>) -> Result<String, Problem> {
    identity.map(|Extension(identity)| identity.to_string()).ok_or_else(not_signed)
}

async fn operator(operator: Option<Extension<OperatorIdentity>>) -> Result<String, Problem> {
    operator.map(|Extension(operator)| operator.to_string()).ok_or_else(not_signed)
}

async fn item_of_none() -> &'static str {
    "all"
}

async fn panic() -> Response {
    panic!("a defect")
}

async fn odd() -> impl axum::response::IntoResponse {
    let headers = AppendHeaders([(SET_COOKIE, "a=1"), (SET_COOKIE, "b=2")]);
    (headers, [("x-odd", "\u{e9}")], vec![0xff_u8, 0xfe])
}

fn gateway() -> Gateway {
    let router = Router::new()
        .route("/echo", post(echo).get(echo))
        .route("/items/{id}", get(item))
        .route("/items/{id}/parts", get(item))
        .route("/business", post(caller))
        .route("/operator", post(operator))
        .route("/pages", get(item_of_none))
        .route("/pages/all", get(item_of_none))
        .route("/pages/items/{id}", get(item).post(item))
        .route("/pagesx/{id}", get(item))
        .route("/panic", get(panic).post(panic))
        .route("/odd", get(odd))
        .route("/v1/things", get(item_of_none))
        .route("/v1/things/{id}", get(item))
        .route("/v1/others/{id}", get(item))
        .route("/v1/echo", get(echo))
        .route(&router_path("/calls/{id}/{path+}"), get(echo).post(echo_in_base64));
    Gateway::new(router, Metrics::from_fn(|_| {})).with_problems_on(&BUSINESS)
}

async fn echo_in_base64(body: Bytes) -> Response {
    (axum::Extension(InBase64), body).into_response()
}

/// An event of `GET /items/{id}` or another route, changed.
fn event(route: &str, path: &str, change: impl FnOnce(&mut Value)) -> Value {
    let method = route.split(' ').next().unwrap();
    let mut event = json!({
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": { "host": "auth.example.com", "x-forwarded-proto": "https" },
        "requestContext": {
            "domainName": "auth.example.com",
            "http": { "method": method, "path": path },
            "routeKey": route,
            "stage": "$default",
        },
        "isBase64Encoded": false,
    });
    change(&mut event);
    event
}

async fn answer(event: &Value) -> GatewayResponse {
    gateway().answer(&event.to_string()).await
}

/// What reached the handler of an event.
async fn echoed(change: impl FnOnce(&mut Value)) -> Value {
    let answer = answer(&event("POST /echo", "/echo", change)).await;
    assert_eq!(answer.status_code, 200, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test]
async fn what_is_not_a_request_is_refused_with_400() {
    let changes: [(&str, Value); 34] = [
        ("/rawQueryString", json!("a=<")),
        ("/rawQueryString", json!("a=>")),
        ("/rawQueryString", json!("a=\"")),
        ("/rawQueryString", json!("a= b")),
        ("/rawQueryString", json!("a=1#b=2")),
        ("/rawQueryString", json!("a=店")),
        ("/rawQueryString", json!("a=\u{0}")),
        ("/rawQueryString", json!("a=\r\nx: y")),
        ("/rawQueryString", json!("x".repeat(65_600))),
        ("/rawQueryString", json!(7)),
        ("/rawPath", json!("")),
        ("/rawPath", json!("echo")),
        ("/rawPath", json!("https://elsewhere.example/echo")),
        ("/rawPath", json!(format!("/{}", "x".repeat(65_600)))),
        ("/rawPath", json!(null)),
        ("/rawPath", json!(["/echo"])),
        ("/headers", json!([])),
        ("/headers", json!({ "Accept-Language": "de\r\nx: y" })),
        ("/headers", json!({ "user-agent": "\u{0}" })),
        ("/headers", json!({ "user-agent": ["a", "b"] })),
        ("/headers", json!({ "user-agent": "x".repeat(70_000) })),
        ("/cookies", json!("a=b")),
        ("/cookies", json!(["a=b", 7])),
        ("/cookies", json!(["a=\n"])),
        ("/body", json!({})),
        ("/isBase64Encoded", json!("yes")),
        ("/requestContext/http/method", json!("PO ST")),
        ("/requestContext/http/method", json!("")),
        ("/requestContext/http/method", json!(null)),
        ("/requestContext/http", json!("POST")),
        ("/requestContext", json!(null)),
        ("/routeKey", json!("GET /echo")),
        ("/routeKey", json!(["POST /echo"])),
        ("/requestContext/routeKey", json!("$default")),
    ];
    for (place, value) in changes {
        let odd = event("POST /echo", "/echo", |event| {
            event["cookies"] = json!([]);
            event["body"] = json!("");
            *event.pointer_mut(place).unwrap() = value.clone();
        });
        let answer = answer(&odd).await;
        assert_eq!(answer.status_code, 400, "{place}: {value:.60}: {answer:?}");
        assert!(answer.body.starts_with("the request is malformed"), "{}", answer.body);
    }
}

#[tokio::test]
async fn what_is_not_an_event_at_all_is_refused_with_400() {
    for event in ["", "{", "null", "[]", "7", "{}", r#"{"rawPath":"\ud800"}"#, &"[".repeat(10_000)] {
        let answer = gateway().answer(event).await;
        assert_eq!(answer.status_code, 400, "{event:.20}");
    }
}

#[tokio::test]
async fn a_body_is_text_or_sound_base64_of_bounded_size() {
    let body = async |body: Value, is_base64: bool| {
        let event = event("POST /echo", "/echo", |event| {
            event["body"] = body;
            event["isBase64Encoded"] = json!(is_base64);
        });
        answer(&event).await
    };
    for wrong in ["*", "YQ", "YQ===", "Y Q==", "店"] {
        assert_eq!(body(json!(wrong), true).await.status_code, 400, "{wrong}");
    }
    assert_eq!(body(json!("x".repeat(EVENT_BODY_LIMIT + 1)), false).await.status_code, 413);
    assert_eq!(body(json!("x".repeat(EVENT_BODY_LIMIT * 2)), true).await.status_code, 413);
    let echoed = async |sent: Value, is_base64| {
        let answer = body(sent, is_base64).await;
        serde_json::from_str::<Value>(&answer.body).unwrap()["body"].clone()
    };
    assert_eq!(echoed(json!("/w=="), true).await, json!([255]));
    assert_eq!(echoed(json!("é"), false).await, json!([0xc3, 0xa9]));
    assert_eq!(echoed(json!(""), true).await, json!([]));
    assert_eq!(echoed(json!(null), true).await, json!([]));
}

#[tokio::test]
async fn only_known_headers_reach_a_handler_and_the_host_is_ignored() {
    let reached = echoed(|event| {
        event["rawQueryString"] = json!("auth_code=a%40@@+/%3D&n=1&n=2");
        event["headers"] = json!({
            "host": "evil.example\" <",
            "x-forwarded-proto": "javascript",
            "x-forwarded-host": "evil.example",
            "no header\r\n": "at all",
            "transfer-encoding": ["chunked"],
            "content-length": "999",
            "expect": "100-continue",
            "authorization": "AWS4-HMAC-SHA256 x",
            "Content-Type": "text/xml",
            "USER-AGENT": "Müller",
            "accept-language": "de",
            "Origin": "https://auth.example.com",
            "sec-fetch-site": "same-origin",
            "sec-fetch-mode": "navigate",
            "cookie": "not=this",
        });
        event["cookies"] = json!(["a=1", "b=2"]);
        event["requestContext"]["domainName"] = json!("..\\\"<>");
        event["requestContext"]["stage"] = json!("pro d/../x");
    })
    .await;
    assert_eq!(reached["uri"], "/echo?auth_code=a%40@@+/%3D&n=1&n=2");
    let mut headers: Vec<&str> =
        reached["headers"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    headers.sort_unstable();
    assert_eq!(
        headers,
        [
            "accept-language: de",
            "content-type: text/xml",
            "cookie: a=1; b=2",
            "origin: https://auth.example.com",
            "sec-fetch-site: same-origin",
            "user-agent: Müller"
        ]
    );

    let reached = echoed(|event| event["headers"] = json!({ "Cookie": "a=1" })).await;
    assert_eq!(reached["headers"], json!(["cookie: a=1"]), "as a gateway without a list of cookies sends it");
    let reached = echoed(|event| event["headers"] = json!(null)).await;
    assert_eq!(reached["headers"], json!([]));
}

#[tokio::test]
async fn a_path_leads_to_the_route_that_the_gateway_has_chosen_or_nowhere() {
    let status = async |route: &str, path: &str| {
        let answer = answer(&event(route, path, |_| {})).await;
        (answer.status_code, answer.body)
    };
    assert_eq!(status("GET /items/{id}", "/items/7").await, (200, "item 7".to_owned()));
    // A browser would resolve these to another path; here they stay the name of an item, or match no route.
    for (path, id) in [
        ("/items/..\\business", "..\\business"),
        ("/items/a#b", "a#b"),
        ("/items/a?b", "a?b"),
        ("/items/a b", "a b"),
        ("/items/%2e%2e", ".."),
        ("/items/..", ".."),
        ("/items/a%2Fparts", "a/parts"),
        ("/items/店", "店"),
        ("/items/%", "%"),
        ("/items/a;b=\"<>\u{1}", "a;b=\"<>\u{1}"),
    ] {
        assert_eq!(status("GET /items/{id}", path).await, (200, format!("item {id}")), "{path}");
    }
    for path in
        ["//items/7", "/items//7", "/items/7/", "/items/7/../8", "/./items/7", "//elsewhere.example/items/7", "/"]
    {
        assert_eq!(status("GET /items/{id}", path).await.0, 404, "{path}");
    }
    // The path is that of one route, but the gateway has checked the caller for another one.
    for (route, path) in [
        ("GET /items/{id}", "/items/7/parts"),
        ("GET /items/{id}/parts", "/items/7"),
        ("POST /items/{id}", "/business"),
        ("POST /echo", "/business"),
        ("GET /items/{other}", "/items/7"),
        ("ANY /items/{id}", "/items/7"),
        ("GET /items/7", "/items/7"),
        ("$default", "/items/7"),
        ("GET", "/items/7"),
    ] {
        let refused =
            answer(&event(route, path, |event| event["requestContext"]["http"]["method"] = json!("GET"))).await;
        assert_eq!((refused.status_code, refused.body.as_str()), (404, "there is no such route"), "{route} {path}");
    }
    for method in ["HEAD", "POST", "get"] {
        let refused = event("GET /echo", "/echo", |event| event["requestContext"]["http"]["method"] = json!(method));
        assert_eq!(answer(&refused).await.status_code, 404, "{method}");
    }
    assert_eq!(status("DELETE /echo", "/echo").await.0, 405, "the router's own answer");
    assert_eq!(status("GET /nowhere", "/nowhere").await.0, 404, "the router's own answer");
}

#[tokio::test]
async fn what_the_gateway_does_not_route_is_routed_here_below_its_prefix_only() {
    let sent = async |route: &str, method: &str, path: &str| {
        answer(&event(route, path, |event| event["requestContext"]["http"]["method"] = json!(method))).await
    };
    assert_eq!(sent("ANY /v1/things/{proxy+}", "GET", "/v1/things/7").await.body, "item 7");
    assert_eq!(sent("ANY /v1/things", "GET", "/v1/things").await.body, "all");
    for (route, method, path, status, problem) in [
        ("ANY /v1/things/{proxy+}", "GET", "/v1/others/7", 404, "unknown-route"),
        ("ANY /v1/things/{proxy+}", "GET", "/v1/things", 404, "unknown-route"),
        ("ANY /v1/things/{proxy+}", "GET", "/v1/things/7/parts", 404, "unknown-route"),
        ("ANY /v1/things/{proxy+}", "GET", "/v1/things/../business", 404, "unknown-route"),
        ("ANY /v1/things/{proxy+}", "POST", "/business", 404, "unknown-route"),
        ("ANY /v1/things", "GET", "/v1/things/7", 404, "unknown-route"),
        ("ANY /v1x/{proxy+}", "GET", "/v1/things/7", 404, ""),
        ("POST /business", "POST", "/v1/things/7", 404, "unknown-route"),
    ] {
        let refused = sent(route, method, path).await;
        let (found, body) = (refused.status_code, refused.body.as_str());
        assert!(found == status && (problem.is_empty() || body.contains(problem)), "{route} {path}: {found} {body}");
    }
    assert_eq!(sent("ANY /v1/things/{proxy+}", "DELETE", "/v1/things/7").await.status_code, 405);
    // Of all credentials, only a key reaches a handler.
    for (route, path, comes) in [("GET /echo", "/echo", false), ("ANY /v1/echo", "/v1/echo", true)] {
        let event = event(route, path, |event| {
            event["requestContext"]["http"]["method"] = json!("GET");
            event["headers"] = json!({ "Authorization": "Bearer wxp_x" });
        });
        assert_eq!(answer(&event).await.body.contains("wxp_x"), comes, "{route}");
    }
}

#[tokio::test]
async fn the_identity_is_the_one_that_the_gateway_has_verified_and_no_other() {
    const ARN: &str = "arn:aws:sts::123456789012:assumed-role/orders/session";
    let with = async |authorizer: Value| {
        let event = event("POST /business", "/business", |event| event["requestContext"]["authorizer"] = authorizer);
        answer(&event).await
    };
    let known = with(json!({ "iam": { "accessKey": "AKIA", "accountId": "123456789012", "userArn": ARN } })).await;
    assert_eq!((known.status_code, known.body.as_str()), (200, ARN));
    for authorizer in [
        Value::Null,
        json!({}),
        json!(ARN),
        json!([{ "iam": { "userArn": ARN } }]),
        json!({ "iam": null }),
        json!({ "iam": { "accountId": "123456789012" } }),
        json!({ "iam": { "userArn": "" } }),
        json!({ "iam": { "userArn": [ARN] } }),
        json!({ "jwt": { "claims": { "userArn": ARN }, "scopes": null } }),
        json!({ "lambda": { "iam": { "userArn": ARN } } }),
    ] {
        assert_eq!(with(authorizer.clone()).await.status_code, 403, "{authorizer}");
    }
    let forged = event("POST /business", "/business", |event| {
        let context = json!({ "authorizer": { "iam": { "userArn": ARN } } });
        for name in ["authorization", "x-amzn-request-context", "x-amzn-iam-user-arn", "x-iam-identity", "cookie"] {
            event["headers"][name] = json!(context.to_string());
        }
        event["authorizer"] = context["authorizer"].clone();
        event["body"] = json!(json!({ "requestContext": context }).to_string());
        event["rawQueryString"] = json!("requestContext.authorizer.iam.userArn=x");
        event["pathParameters"] = json!({ "iam": { "userArn": ARN } });
        event["stageVariables"] = context;
    });
    assert_eq!(answer(&forged).await.status_code, 403);
}

#[tokio::test]
async fn only_who_may_invoke_the_function_can_name_an_operator() {
    let with = async |route: &str, authorizer: Value| {
        let path = route.split_once(' ').unwrap().1;
        answer(&event(route, path, |event| event["requestContext"]["authorizer"] = authorizer)).await
    };
    let known = with("POST /operator", json!({ "operator": { "name": "li" } })).await;
    assert_eq!((known.status_code, known.body.as_str()), (200, "operator:li"));
    let elsewhere = with("POST /business", json!({ "operator": { "name": "li" } })).await;
    assert_eq!(elsewhere.status_code, 403, "an operator is not an AWS principal");
    for malformed in [
        json!({ "operator": null }),
        json!({ "operator": "li" }),
        json!({ "operator": {} }),
        json!({ "operator": { "name": "" } }),
        json!({ "operator": { "name": "Li" } }),
        json!({ "operator": { "name": "li#x" } }),
        json!({ "operator": { "name": ["li"] } }),
        json!({ "operator": { "name": "a".repeat(41) } }),
        json!({ "operator": { "name": "li" }, "iam": { "userArn": "arn:aws:iam::123456789012:role/orders" } }),
    ] {
        let refused = with("POST /operator", malformed.clone()).await;
        assert_eq!((refused.status_code, refused.body.contains("the operator")), (400, true), "{malformed}");
    }
    for other in [json!({ "lambda": { "operator": { "name": "li" } } }), json!({ "jwt": { "operator": "li" } })] {
        assert_eq!(with("POST /operator", other.clone()).await.status_code, 403, "{other}");
    }
    let forged = event("POST /operator", "/operator", |event| {
        let context = json!({ "authorizer": { "operator": { "name": "li" } } });
        event["headers"]["x-amzn-request-context"] = json!(context.to_string());
        event["authorizer"] = context["authorizer"].clone();
        event["body"] = json!(json!({ "requestContext": context }).to_string());
        event["pathParameters"] = context["authorizer"].clone();
    });
    assert_eq!(answer(&forged).await.status_code, 403);
}

#[tokio::test]
async fn pages_below_a_path_are_routed_here_by_path_and_method() {
    let pages = gateway().with_pages_below("/pages");
    let (all, posted) = ("GET /pages/{proxy+}", "POST /pages/{proxy+}");
    for (route, method, path, status, body) in [
        (all, "GET", "/pages/all", 200, "all"),
        (all, "GET", "/pages/items/7", 200, "item 7"),
        (posted, "POST", "/pages/items/7", 200, "item 7"),
        ("GET /pages", "GET", "/pages", 200, "all"),
        (all, "POST", "/pages/items/7", 404, "there is no such route"),
        (posted, "GET", "/pages/items/7", 404, "there is no such route"),
        (all, "GET", "/pages", 404, "there is no such route"),
        (all, "GET", "/pagesx/7", 404, "there is no such route"),
        (all, "GET", "/items/7", 404, "there is no such route"),
        (all, "GET", "/v1/echo", 404, "there is no such route"),
        (posted, "POST", "/business", 404, "there is no such route"),
        ("GET /pagesx/{proxy+}", "GET", "/pagesx/7", 404, "there is no such route"),
        ("GET /{proxy+}", "GET", "/pages/all", 404, "there is no such route"),
        (posted, "POST", "/pages/all", 405, ""),
        (all, "GET", "/pages/none", 404, ""),
    ] {
        let event = event(route, path, |event| event["requestContext"]["http"]["method"] = json!(method));
        let found = pages.answer(&event.to_string()).await;
        assert_eq!((found.status_code, found.body.as_str()), (status, body), "{route}: {method} {path}");
    }
    assert_eq!(answer(&event(all, "/pages/all", |_| {})).await.status_code, 404, "a function without pages");
}

#[tokio::test]
async fn programs_get_refusals_as_problems() {
    let refused = answer(&event("POST /business", "/business", |event| event["rawQueryString"] = json!("<"))).await;
    assert_eq!((refused.status_code, refused.headers["content-type"].as_str()), (400, "application/problem+json"));
    assert!(refused.body.contains("urn:wechat-platform:problem:malformed-request"), "{}", refused.body);
    let misled = answer(&event("POST /business", "/echo", |_| {})).await;
    assert_eq!((misled.status_code, misled.headers["content-type"].as_str()), (404, "application/problem+json"));
    let plain = answer(&event("POST /echo", "/business", |_| {})).await;
    assert_eq!(plain.headers["content-type"], "text/plain; charset=utf-8");
}

#[tokio::test]
async fn a_panic_of_a_handler_becomes_a_500_is_counted_and_the_next_request_works() {
    let counted = Arc::new(std::sync::Mutex::new(Vec::new()));
    let metrics = {
        let counted = Arc::clone(&counted);
        Metrics::from_fn(move |metric| counted.lock().unwrap().push(metric.clone()))
    };
    let gateway = Gateway { metrics, ..gateway() };
    for _ in 0..2 {
        let answer = gateway.answer(&event("GET /panic", "/panic", |_| {}).to_string()).await;
        assert_eq!((answer.status_code, answer.body.as_str()), (500, "the request could not be processed"));
    }
    let counted = counted.lock().unwrap().clone();
    assert_eq!(counted, [(); 2].map(|()| Metric::count(Measure::RequestFailed, 1).with_dimension("defect")));
    assert_eq!(gateway.answer(&event("GET /items/{id}", "/items/7", |_| {}).to_string()).await.status_code, 200);
}

#[tokio::test]
async fn cookies_leave_on_their_own_and_bytes_as_base64() {
    let odd = answer(&event("GET /odd", "/odd", |_| {})).await;
    assert_eq!((odd.body.as_str(), odd.is_base64_encoded), ("//4=", true));
    assert_eq!(odd.cookies, ["a=1", "b=2"]);
    assert!(!odd.headers.contains_key("set-cookie"));
    assert_eq!(odd.headers["x-odd"], "\u{e9}");
}

#[tokio::test]
async fn a_route_that_takes_all_that_follows_is_taken_where_the_gateway_has_chosen_it() {
    let route = "GET /calls/{id}/{path+}";
    for path in ["/calls/1/a", "/calls/1/a/b/c", "/calls/1/a%2Fb", "/calls/1//a"] {
        let answer = answer(&event(route, path, |_| {})).await;
        assert_eq!(answer.status_code, 200, "{path}: {answer:?}");
        let echoed: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(echoed["uri"], path);
    }
    for (route, path) in
        [("GET /calls/{id}/{rest+}", "/calls/1/a"), (route, "/items/1"), ("GET /items/{id}", "/calls/1/a")]
    {
        assert_eq!(answer(&event(route, path, |_| {})).await.status_code, 404, "{route} {path}");
    }
}

#[tokio::test]
async fn a_marked_response_is_sent_in_base64_although_it_is_text() {
    let call = |body: &str| event("POST /calls/{id}/{path+}", "/calls/1/a", |event| event["body"] = json!(body));
    let answer = answer(&call("text")).await;
    assert_eq!((answer.body.as_str(), answer.is_base64_encoded), ("dGV4dA==", true));
}

#[tokio::test]
async fn a_function_may_accept_larger_bodies() {
    let larger = gateway().with_bodies_of(1024 * 1024);
    let call = |bytes: usize| {
        event("POST /echo", "/echo", |event| {
            event["body"] = json!(STANDARD.encode(vec![0; bytes]));
            event["isBase64Encoded"] = json!(true);
        })
        .to_string()
    };
    assert_eq!(larger.answer(&call(1024 * 1024)).await.status_code, 200);
    assert_eq!(larger.answer(&call(1024 * 1024 + 3)).await.status_code, 413);
    assert_eq!(gateway().answer(&call(EVENT_BODY_LIMIT)).await.status_code, 200);
    assert_eq!(gateway().answer(&call(EVENT_BODY_LIMIT + 3)).await.status_code, 413);
}

#[tokio::test]
async fn headers_of_signed_calls_reach_a_handler() {
    let echoed = echoed(|event| {
        event["headers"] = json!({ "Wechatmp-Appid": "wx1", "wechatmp-signature": "s", "wechat": "x", "x-any": "y" });
    })
    .await;
    assert_eq!(echoed["headers"], json!(["wechatmp-appid: wx1", "wechatmp-signature: s"]));
}

#[tokio::test]
async fn a_router_without_a_gateway_sees_paths_as_behind_one() {
    let router = with_decoded_paths(Router::new().route("/calls/{id}/{*path}", get(echo)));
    for (sent, seen) in [
        ("/calls%2F1/a", "/calls/1/a"),
        ("/calls/1%2Fa", "/calls/1/a"),
        ("/c%61lls/1/a", "/calls/1/a"),
        ("/calls/1/a%2Fb?x=%2F", "/calls/1/a/b?x=%2F"),
        ("/calls/1/a%20b", "/calls/1/a%20b"),
        ("/calls/1/a%252Fb", "/calls/1/a%2Fb"),
        ("/calls/1/%FF", "/calls/1/%FF"),
    ] {
        let request = Request::builder().uri(sent).body(axum::body::Body::empty()).unwrap();
        let body = router.clone().oneshot(request).await.unwrap().into_body();
        let body = axum::body::to_bytes(body, 1 << 16).await.unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["uri"], seen, "{sent}");
    }
}
