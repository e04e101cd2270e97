use std::sync::Arc;

use axum::routing::{get, post};
use axum::{Json, Router};
use base::ids::AppId;
use secrecy::SecretString;
use serde_json::json;
use simulator::{Options, Platform, SentMessage, Simulator};
use tokio::net::TcpListener;

use super::*;

/// No story of these waits for something that comes.
const IMPATIENT: Patience = Patience { message: Duration::ZERO, nothing: Duration::ZERO };

/// The instant of the checks.
const NOW: Timestamp = Timestamp::from_unix(1_700_000_000);

async fn serve(router: Router) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// A simulator that pushes to `platform`, and where it is.
async fn simulator(platform: Option<Url>) -> (Simulator, Url) {
    let secret = |text: &str| SecretString::from(text);
    let registered = Platform {
        component_appid: AppId::parse("wx1234567890abcdef").unwrap(),
        component_appsecret: secret("app-secret"),
        token: secret("ExampleToken01"),
        encoding_aes_key: secret("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"),
    };
    let mut options = Options::new(registered, "localhost", Arc::new(SystemClock));
    if let Some(platform) = platform {
        options.push_url = Some(platform.join("wechat/events").unwrap());
        options.message_url = Some(format!("{platform}wechat/accounts/$APPID$/events"));
    }
    let simulator = Simulator::new(options).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(simulator.clone().serve(listener, std::future::pending()));
    (simulator, url)
}

/// A platform that takes pushes, and answers every message with this status and body.
async fn answering(status: u16, body: &'static str) -> Url {
    let status = axum::http::StatusCode::from_u16(status).unwrap();
    let messages = post(move || async move { (status, body) });
    let router = Router::new()
        .route("/wechat/events", post(|| async { "success" }))
        .route("/wechat/accounts/{appid}/events", messages);
    serve(router).await
}

fn failed(report: &Report) -> Vec<(&'static str, &str)> {
    report.rows.iter().filter(|row| !row.passed).map(|row| (row.case, row.came.as_str())).collect()
}

#[tokio::test]
async fn where_nothing_listens_it_says_what_to_start() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let report = run(&Url::parse(&format!("http://{gone}")).unwrap(), &[1], IMPATIENT, NOW).await;
    assert_eq!(report.exit_code(), 2);
    assert!(report.text().contains("Start cargo run") && report.text().contains("--simulator"), "{}", report.text());
}

#[tokio::test]
async fn another_server_is_told_from_a_simulator() {
    let report = run(&serve(Router::new()).await, &[1], IMPATIENT, NOW).await;
    assert_eq!(report.exit_code(), 2);
    assert!(report.text().contains("no simulator") && report.text().contains("status 404"), "{}", report.text());
}

#[tokio::test]
async fn a_fourth_check_within_a_minute_is_not_begun_and_says_what_to_do() {
    let account = Account::release_check().remove(0).appid;
    let sent: Vec<_> = ["1", "2", "3"]
        .map(|code| SentMessage {
            authorizer: account.clone(),
            to: "o1".to_owned(),
            body: json!({ "touser": "o1", "msgtype": "text", "text": { "content": format!("code@@@{code}_from_api") } }),
            at: NOW,
            code: None,
        })
        .into();
    let none: [(); 0] = [];
    let control = Router::new()
        .route("/_simulator/accounts", get(async move || Json(none)))
        .route("/_simulator/sent", get(async move || Json(sent)));
    let url = serve(control).await;
    let report = run(&url, &[2, 1], IMPATIENT, NOW).await;
    assert_eq!(report.exit_code(), 2);
    for told in ["more than three codes a minute", account.as_str(), "Wait a minute", "--group"] {
        assert!(report.text().contains(told), "{}", report.text());
    }
    assert!(!report.text().contains("@@@"), "no code is told: {}", report.text());
    let later = run(&url, &[1], IMPATIENT, NOW.plus(Duration::from_mins(1))).await;
    assert!(later.text().contains("No ticket could be pushed"), "it begins: {}", later.text());
}

#[tokio::test]
async fn a_simulator_without_a_platform_is_nothing_to_check() {
    let report = run(&simulator(None).await.1, &[1], IMPATIENT, NOW).await;
    assert_eq!(report.exit_code(), 2);
    assert!(report.text().contains("the platform it pushes to gives no answer"), "{}", report.text());
}

#[tokio::test]
async fn a_platform_that_knows_nothing_of_the_check_fails_each_case_that_wants_more_than_silence() {
    let (simulator, url) = simulator(Some(answering(200, "success").await)).await;
    let report = run(&url, &[2], IMPATIENT, NOW).await;
    let silent = [
        ("text", "an empty answer"),
        ("event", "an empty answer"),
        ("api: message", "no customer-service message within 0 s"),
    ];
    assert_eq!(failed(&report), [silent, silent].concat(), "{}", report.text());
    let passed: Vec<&str> = report.rows.iter().filter(|row| row.passed).map(|row| row.case).collect();
    let account = ["authorized", "api: answer"];
    let ordinary = ["authorized", "ordinary: event", "ordinary: api"];
    assert_eq!(
        passed,
        [&["ticket"], &account[..], &account[..]]
            .concat()
            .into_iter()
            .chain(ordinary[1..].iter().copied())
            .collect::<Vec<_>>()
    );
    assert!(report.text().contains("2 OA wx9252c5e0bb1836fc") && report.text().contains("2 MP wxc39235c15087f6f3"));
    assert!(!report.text().contains("@@@"), "no code is told: {}", report.text());
    assert!(simulator.accounts().iter().all(|account| !simulator.is_authorized(&account.appid)), "all is as before");
}

#[tokio::test]
async fn what_is_no_answer_for_wechat_is_told_with_its_cause() {
    for (status, body, came, advice) in [
        (401, "", "status 401", "same token"),
        (404, "", "status 404", "message URL"),
        (503, "", "status 503", "secret"),
        (200, "hello", "neither empty, nor success, nor a sealed reply", "account-push"),
    ] {
        let report = run(&simulator(Some(answering(status, body).await)).await.1, &[1], IMPATIENT, NOW).await;
        assert_eq!(report.exit_code(), 1);
        assert!(failed(&report).contains(&("text", came)), "{}", report.text());
        assert!(
            report.rows.iter().any(|row| row.advice.is_some_and(|told| told.contains(advice))),
            "{}",
            report.text()
        );
    }
}
