//! The whole system in this process: a follower's message, its reply, and what is delivered.
//!
//! `cfg(test)` tells clippy that helpers here may unwrap.
#![cfg(test)]

mod pages;

use std::path::Path;

use axum::routing::post;
use axum::{Json, Router};
use base::http_client::client_builder;
use clap::Parser as _;
use local::args::Args;
use local::eventbridge::EventBus;
use local::system::System;
use runtime::aws::local_config;
use runtime::config::Environment;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use simulator::MessageOutcome;
use tempfile::TempDir;
use tokio::net::TcpListener;

const DEMO_ACCOUNT: &str = "wx0a10000000000001";

/// Any free ports, and a folder of its own.
fn args(folder: &Path, options: &[&str]) -> Args {
    let mut arguments = vec!["local", "--data-dir", folder.to_str().unwrap()];
    let ports = [
        "--port",
        "--business-port",
        "--simulator-port",
        "--shop-port",
        "--dynamodb-port",
        "--secrets-port",
        "--events-port",
        "--files-port",
        "--lambda-port",
    ];
    arguments.extend(ports.into_iter().flat_map(|port| [port, "0"]));
    arguments.extend(options);
    Args::parse_from(arguments)
}

async fn start(options: &[&str], environment: &impl Environment) -> (System, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let system = System::start(&args(folder.path(), options), environment).await.unwrap();
    (system, folder)
}

async fn control(system: &System, route: &str, body: &Value) -> Value {
    let url = format!("{}/_simulator/{route}", system.simulator_base.as_ref().unwrap());
    let answer = client_builder().build().unwrap().post(url).json(body).send().await.unwrap();
    answer.error_for_status().unwrap().json().await.unwrap()
}

/// A demo account's reply to a follower's text.
async fn answered(system: &System, text: &str) -> Option<String> {
    control(system, "authorize", &json!({ "authorizer_appid": DEMO_ACCOUNT })).await;
    let fields = json!({ "MsgType": "text", "Content": text });
    let message = json!({ "authorizer_appid": DEMO_ACCOUNT, "open_id": "oFollower", "fields": fields });
    let outcome: MessageOutcome = serde_json::from_value(control(system, "messages", &message).await).unwrap();
    assert_eq!(outcome.fault, None);
    outcome.reply_text()
}

#[tokio::test]
async fn the_sample_webhook_answers_followers_and_the_page_shows_what_they_said() {
    let (system, _folder) = start(&["--sample-webhook"], &|_: &str| None).await;
    assert_eq!(answered(&system, "你好").await.as_deref(), Some("你说 / you said: 你好"));
    let page = client_builder().build().unwrap().get(system.events_base.as_ref().unwrap()).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("message.text") && page.contains(DEMO_ACCOUNT) && page.contains("你好"), "{page}");
}

#[tokio::test]
async fn events_go_to_the_bus_of_the_environment_if_it_names_one() {
    let bus = EventBus::new("mine");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(bus.clone().serve(listener));
    let environment = move |name: &str| match name {
        "AWS_ENDPOINT_URL_EVENTBRIDGE" => Some(url.clone()),
        "EVENT_BUS_NAME" => Some("arn:aws:events:us-east-1:000000000000:event-bus/mine".to_owned()),
        _ => None,
    };
    let (system, _folder) = start(&[], &environment).await;
    assert_eq!(system.events_base, None, "no stand-in runs");
    assert!(
        system
            .exports
            .contains(&("AWS_ENDPOINT_URL_EVENTBRIDGE", environment("AWS_ENDPOINT_URL_EVENTBRIDGE").unwrap()))
    );
    assert_eq!(answered(&system, "hello").await, None, "nobody replies");
    assert!(bus.delivered().iter().any(|event| event.detail_type == "message.text"), "{:?}", bus.delivered());
}

#[tokio::test]
async fn changes_of_accounts_go_to_the_event_webhook_of_the_environment() {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    let service = Router::new().route("/events", post(async move |body: Json<Value>| drop(sender.send(body.0))));
    tokio::spawn(async move { axum::serve(listener, service).await });
    let environment = move |name: &str| (name == "EVENT_WEBHOOK_URL").then(|| url.clone());
    let (system, _folder) = start(&[], &environment).await;
    let banner = local::welcome::text(&system).await.unwrap();
    assert!(banner.contains("are sent to the event webhook at http://127.0.0.1:"), "{banner}");
    assert_eq!(answered(&system, "hello").await, None, "an account has authorized the platform");
    let first = receiver.recv().await.unwrap();
    assert_eq!((&first["type"], &first["data"]["sequence"].is_u64()), (&json!("account.authorized"), &true), "{first}");
}

/// The printed lines with a key, and the key.
async fn key_lines(system: &System) -> (String, String) {
    let banner = local::welcome::text(system).await.unwrap();
    let key = system.api_key.as_ref().unwrap().text.expose_secret().to_owned();
    assert!(banner.contains(&format!("  export API={}/v1 API_KEY={key}\n", system.local_base)), "{banner}");
    (banner, key)
}

/// The status of a request with a key, as the printed commands send it.
async fn status_with(system: &System, key: &str) -> u16 {
    let request = client_builder().build().unwrap().get(format!("{}/v1/accounts", system.local_base));
    request.bearer_auth(key).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_revoked_ready_key_is_replaced_at_the_next_start_which_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let args = args(folder.path(), &[]);
    let start = async || System::start(&args, &|_: &str| None).await.unwrap();
    let system = start().await;
    let (banner, first) = key_lines(&system).await;
    assert!(!banner.contains("no longer valid"), "{banner}");
    assert_eq!(status_with(&system, &first).await, 200);
    let id = &first["wxp_".len()..][..22];
    let revocation = client_builder().build().unwrap().delete(format!("{}/keys/{id}", system.business_base));
    assert_eq!(revocation.send().await.unwrap().status(), 204);
    drop(system);

    let system = start().await;
    let (banner, second) = key_lines(&system).await;
    assert!(banner.contains("The API key of the last start is no longer valid. This is a new one."), "{banner}");
    assert_ne!(first, second);
    assert_eq!((status_with(&system, &first).await, status_with(&system, &second).await), (401, 200));
    drop(system);

    let tables = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    for table in tables.filter(|path| path.to_string_lossy().contains("dynamodb.sqlite")) {
        std::fs::remove_file(table).unwrap();
    }
    let system = start().await;
    let (banner, third) = key_lines(&system).await;
    assert!(banner.contains("no longer valid"), "{banner}");
    assert_eq!((status_with(&system, &second).await, status_with(&system, &third).await), (401, 200));
    drop(system);
    let system = start().await;
    assert_eq!(key_lines(&system).await.1, third);
}

#[tokio::test]
async fn a_path_is_decoded_before_it_is_routed_and_a_limited_key_stays_limited() {
    const OTHER: &str = "wx0a20000000000002";
    let (system, _folder) = start(&[], &|_: &str| None).await;
    let client = client_builder().build().unwrap();
    let limited = json!({ "name": "limited", "scopes": ["accounts:read", "calls"], "appids": [DEMO_ACCOUNT] });
    let made = client.post(format!("{}/keys", system.business_base)).json(&limited).send().await.unwrap();
    let made: Value = made.error_for_status().unwrap().json().await.unwrap();
    let ask = async |path: &str| {
        let request = client.get(format!("{}{path}", system.local_base)).bearer_auth(made["key"].as_str().unwrap());
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["type"].as_str().unwrap().trim_start_matches("urn:wechat-platform:problem:").to_owned()
    };
    let api = "cgi-bin/user/info?openid=oFollower";
    // Nobody has authorized the platform yet: that is the handler's response to a key that is accepted.
    for (path, expected) in [
        (format!("/v1/accounts/{DEMO_ACCOUNT}"), "unknown-account"),
        (format!("/v1%2Faccounts%2F{DEMO_ACCOUNT}"), "unknown-account"),
        (format!("/v1/%61ccounts/%77{}", &DEMO_ACCOUNT[1..]), "unknown-account"),
        (format!("/v1/wechat/{DEMO_ACCOUNT}/{api}"), "unknown-account"),
        (format!("/v1/wechat/{DEMO_ACCOUNT}%2F{api}"), "unknown-account"),
        (format!("/v1/wechat/{DEMO_ACCOUNT}/{}", api.replace('/', "%2F")), "unknown-account"),
        (format!("/v1/accounts/{OTHER}"), "not-allowed"),
        (format!("/v1/accounts%2F{OTHER}"), "not-allowed"),
        (format!("/v1/%61ccounts/%77{}", &OTHER[1..]), "not-allowed"),
        (format!("/v1/wechat/{OTHER}/{api}"), "not-allowed"),
        (format!("/v1/wechat%2F{OTHER}/{api}"), "not-allowed"),
        (format!("/v1/wechat/{OTHER}%2F{api}"), "not-allowed"),
        (format!("/v1/wechat%2Fplatform%2F{api}"), "not-allowed"),
        ("/v1%2Fkeys".to_owned(), "not-allowed"),
        (format!("/v1/wechat/{DEMO_ACCOUNT}/..%2F{OTHER}%2F{api}"), "invalid-path"),
        (format!("/v1/wechat/{DEMO_ACCOUNT}%2F..%2F{OTHER}/{api}"), "invalid-path"),
        (format!("/accounts%2F{DEMO_ACCOUNT}"), "no-identity"),
    ] {
        assert_eq!(ask(&path).await, expected, "{path}");
    }
}

#[tokio::test]
async fn no_key_is_created_without_key_access_or_in_a_table_elsewhere() {
    let (system, folder) = start(&[], &|name: &str| (name == "API_KEYS").then(|| "off".to_owned())).await;
    let banner = local::welcome::text(&system).await.unwrap();
    assert!(banner.contains(&format!("curl \"{}/accounts\"\n", system.business_base)), "{banner}");
    assert!(!banner.contains("API_KEY") && !folder.path().join("api-key").exists(), "{banner}");

    let (elsewhere, _folder) = start(&[], &|_: &str| None).await;
    let table = elsewhere.exports.iter().find(|(name, _)| *name == "AWS_ENDPOINT_URL_DYNAMODB").unwrap().1.clone();
    let (system, folder) = start(&[], &move |name: &str| match name {
        "AWS_ENDPOINT_URL_DYNAMODB" => Some(table.clone()),
        _ => None,
    })
    .await;
    assert!(system.api_key.is_none() && !folder.path().join("api-key").exists());
    assert_eq!(system.shop_base, None, "the demo shop would write to that table");
}

#[tokio::test]
async fn a_webhook_without_a_key_is_reported_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.json");
    let secret = json!({ "component_appid": "wx1234567890abcdef", "component_appsecret": "app-secret",
        "token": "ExampleToken01", "encoding_aes_key": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG" });
    std::fs::write(&file, secret.to_string()).unwrap();
    let args = args(&folder.path().join("data"), &["--secret", file.to_str().unwrap(), "--sample-webhook"]);
    let error = System::start(&args, &|_: &str| None).await.err().unwrap();
    let told = local::error_text::sentence(&error);
    assert!(told.contains("mine.json cannot serve a webhook") && told.contains("webhook_secret"), "{told}");
}

#[tokio::test]
async fn without_a_simulator_the_banner_speaks_of_the_tunnel() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.json");
    let secret = json!({ "component_appid": "wx1234567890abcdef", "component_appsecret": "app-secret",
        "token": "ExampleToken01", "encoding_aes_key": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG" });
    std::fs::write(&file, secret.to_string()).unwrap();
    // Names below localhost need no network; nothing listens on the ports.
    let environment = |name: &str| match name {
        "PUBLIC_BASE_URL" => Some("https://tunnel.localhost:1/".to_owned()),
        "WECHAT_API_BASE_URL" => Some("http://127.0.0.1:1".to_owned()),
        _ => None,
    };
    let args = args(&folder.path().join("data"), &["--no-simulator", "--secret", file.to_str().unwrap()]);
    let system = System::start(&args, &environment).await.unwrap();

    let banner = local::welcome::text(&system).await.unwrap();
    for told in [
        "https://tunnel.localhost:1/authorize/",
        "https://tunnel.localhost:1/wechat/events as 授权事件接收URL",
        "https://tunnel.localhost:1/wechat/accounts/$APPID$/events as 消息与事件接收URL",
        &format!("must lead to {}.", system.local_base),
    ] {
        assert!(banner.contains(told), "{told} in {banner}");
    }
    assert!(!banner.contains("demo account") && !banner.contains("/chat"), "{banner}");
}

#[tokio::test]
async fn a_broken_file_in_the_data_folder_is_named_with_what_to_do() {
    for (name, content) in
        [("secret.json", "{}"), ("secret.json", "not JSON"), ("simulator.json", "[1, 2"), ("dynamodb.sqlite", "text")]
    {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), content).unwrap();
        let error = System::start(&args(folder.path(), &[]), &|_: &str| None).await.err().unwrap();
        let told = local::error_text::sentence(&error);
        for text in [name, "begin anew", "--data-dir", folder.path().to_str().unwrap()] {
            assert!(told.contains(text), "{text} in {told}");
        }
        assert_eq!(std::fs::read_to_string(folder.path().join(name)).unwrap(), content, "left as it is");
    }
}

#[tokio::test]
async fn the_real_wechat_gets_no_url_that_it_cannot_reach() {
    let folder = tempfile::tempdir().unwrap();
    let args = args(&folder.path().join("data"), &["--secret", "mine.json", "--no-simulator"]);
    let error = System::start(&args, &|_: &str| None).await.err().unwrap();
    let told = local::error_text::sentence(&error);
    assert!(told.contains("PUBLIC_BASE_URL") && told.contains("tunnel"), "{told}");
    assert!(!folder.path().join("data").exists(), "nothing was begun");
}

#[tokio::test]
async fn a_function_is_invoked_for_an_operator_through_the_local_lambda() {
    let (system, _folder) = start(&[], &|_: &str| None).await;
    let (_, endpoint) = system.exports.iter().find(|(name, _)| *name == "AWS_ENDPOINT_URL_LAMBDA").unwrap();
    let lambda = aws_sdk_lambda::Client::new(&local_config(endpoint, &|_: &str| None));
    let call = async |function: &str, method: &str, path: &str, body: &Value| {
        let event = json!({
            "routeKey": format!("{method} {path}"),
            "rawPath": path,
            "headers": { "content-type": "application/json" },
            "requestContext": { "authorizer": { "operator": { "name": "li" } }, "http": { "method": method } },
            "body": body.to_string(),
        });
        let payload = aws_sdk_lambda::primitives::Blob::new(event.to_string());
        let invoked = lambda.invoke().function_name(function).payload(payload).send().await.unwrap();
        let answer: Value = serde_json::from_slice(invoked.payload().unwrap().as_ref()).unwrap();
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        (answer["statusCode"].as_u64().unwrap(), body)
    };
    let (status, retry) = call("account-api", "POST", "/retries", &json!({})).await;
    assert_eq!(status, 202, "{retry}");
    let (status, link) = call("preauth-link", "POST", "/authorization-links", &json!({})).await;
    assert_eq!(status, 201, "{link}");
    assert!(link["url"].as_str().unwrap().starts_with(&system.public_base), "{link}");
    let (status, refused) = call("account-api", "GET", "/keys", &Value::Null).await;
    assert_eq!(status, 403, "not for operators: {refused}");
}
