//! The operator runs WeChat's release check against a platform: a correct one passes, and what is broken is named.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base::limits::Limits;
use local::secrets::Secrets;
use ops::args::ReleaseCheckArgs;
use ops::deployment::{Deployment, Target, WebHosts};
use ops::finding::{Diagnosis, Finding, Verdict};
use ops::{release_check, render};
use runtime::aws::{AwsClients, local_config};
use runtime::telemetry::Measure;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use store::DuePart;
use stories::faults::{Fault, Matching};
use stories::world::{SECRET, TABLE, World, platform, secret_json};
use tokio::net::TcpListener;
use url::Url;

use crate::doctor::running;

/// WeChat's time-out.
const WITHIN: Duration = Duration::from_secs(5);

/// The route of messages.
const MESSAGES: &str = "/wechat/accounts/{appid}/events";

/// A server's response to every message.
type Answer = fn() -> Response;

async fn serve(router: Router) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// A platform that has a ticket, on the machine's time.
async fn world() -> (World, Deployment) {
    let (world, deployment) = without_ticket().await;
    assert!(world.simulator.push_ticket().await.is_accepted());
    (world, deployment)
}

async fn without_ticket() -> (World, Deployment) {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    let deployment = deployment(&world);
    (world, deployment)
}

/// The deployment by which operators reach a world.
pub(crate) fn deployment(world: &World) -> Deployment {
    Deployment {
        target: Target::Aws,
        table: TABLE.to_owned(),
        secret_id: SECRET.to_owned(),
        public: world.public_url.clone(),
        public_base: "https://auth.example.com".to_owned(),
        business: world.public_url.clone(),
        webhook: false,
        parts: vec![DuePart::ALL],
        web: WebHosts::default(),
        signer: None,
        clients: world.aws_clients(),
        clock: Arc::clone(&world.services.clock),
    }
}

/// The platform's own routes, except that messages get this response.
async fn answering_messages(world: &World, answer: Answer) -> Url {
    let messages = post(move || async move { answer() });
    serve(Router::new().route(MESSAGES, messages).fallback_service(world.public_router())).await
}

/// From now on the operator reads a secret in which one field differs from the functions' secret.
async fn read_another(deployment: &mut Deployment, field: &str, value: &str) {
    let mut secret: Value = serde_json::from_str(secret_json().expose_secret()).unwrap();
    secret[field] = json!(value);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(Secrets::new(SECRET, Some(secret.to_string().into())).serve(listener));
    deployment.clients.secrets = AwsClients::new(&local_config(&url, &|_: &str| None), &Limits::background()).secrets;
}

fn of<'a>(findings: &'a [Finding], check: &str) -> Vec<&'a Finding> {
    findings.iter().filter(|finding| finding.check == check).collect()
}

/// The failed checks, and their texts.
fn wrong(findings: &[Finding]) -> (Vec<&'static str>, String) {
    let wrong = || findings.iter().filter(|finding| finding.verdict == Verdict::Wrong);
    let mut checks: Vec<&'static str> = wrong().map(|finding| finding.check).collect();
    checks.dedup();
    let lines: Vec<String> =
        wrong().map(|f| format!("{} | {}", f.sentence, f.advice.as_deref().unwrap_or_default())).collect();
    (checks, lines.join("\n"))
}

#[tokio::test]
async fn a_platform_in_order_passes_every_case_and_keeps_nothing_of_it() {
    let (world, deployment) = world().await;
    let (items, calls) = (world.items().await, world.simulator.counters().calls);
    let findings = deployment.check_release(5, WITHIN).await.unwrap();
    let unwell = |finding: &&Finding| !matches!(finding.verdict, Verdict::Ok | Verdict::Skipped | Verdict::Unknown);
    assert_eq!(findings.iter().find(unwell), None);
    assert_eq!((of(&findings, "text").len(), of(&findings, "event").len()), (10, 10));
    assert_eq!(of(&findings, "api")[0].verdict, Verdict::Skipped);
    for check in ["events URL", "ticket", "other account", "forged push", "this clock"] {
        assert_eq!(of(&findings, check).len(), 1, "{check}");
    }
    assert_eq!((world.items().await, world.simulator.counters().calls), (items, calls));
    assert!(world.bus.delivered().is_empty());
    let counts = [Measure::ReleaseCheck, Measure::PushStale, Measure::PushRefused].map(|m| world.metrics.count(m));
    assert_eq!(counts, [20, 1, 2], "what the documents say of it");

    let diagnosis = Diagnosis { subject: "it".to_owned(), findings, examined: true };
    let text = render::text(&diagnosis, false);
    assert_eq!(diagnosis.exit_code(), 0, "{text}");
    assert!(text.contains("group 5, mini program wx5910277cae6fd970: LOCATIONfrom_callback after"), "{text}");
    let platform = platform();
    for secret in [platform.token, platform.component_appsecret, platform.encoding_aes_key] {
        assert!(!text.contains(secret.expose_secret()));
    }
}

#[tokio::test]
async fn a_field_of_the_secret_that_the_functions_have_otherwise_is_named() {
    let another = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
    for (field, value) in
        [("token", "AnotherToken"), ("encoding_aes_key", another), ("component_appid", "wx0000000000000009")]
    {
        let (world, mut deployment) = world().await;
        read_another(&mut deployment, field, value).await;
        let findings = deployment.check_release(1, WITHIN).await.unwrap();
        let (checks, text) = wrong(&findings);
        assert!(["events URL", "text", "event", "other account"].iter().all(|check| checks.contains(check)), "{text}");
        assert!(text.contains(&format!("a different {field} from")), "{field}: {text}");
        assert!(text.contains("leads to a deployment other") && !text.contains(value), "{text}");
        drop(world);
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_used_leaves_nothing_to_check() {
    for (field, told) in [("token", "lacks token"), ("encoding_aes_key", "lacks encoding_aes_key")] {
        let (_world, mut deployment) = world().await;
        read_another(&mut deployment, field, "").await;
        let missing = deployment.check_release(1, WITHIN).await.unwrap_err();
        assert!(missing.sentence.contains(told) && missing.advice.unwrap().contains("put-secret-value"));
    }
}

#[tokio::test]
async fn functions_without_a_secret_are_told_from_those_with_another() {
    let (world, mut deployment) = world().await;
    let empty = World::beside_processes(Duration::ZERO, |_| {}).await;
    empty.secrets.set("".into());
    for world in [&world, &empty] {
        world.allow_error("no push can be accepted");
    }
    deployment.public = empty.public_url.clone();
    let (checks, text) = wrong(&deployment.check_release(1, WITHIN).await.unwrap());
    assert_eq!(checks, ["events URL", "text", "event", "text", "event", "other account", "forged push"], "{text}");
    assert!(text.contains("ticket-push has no secret") && text.contains("account-push has no secret"), "{text}");
    drop(world);
}

#[tokio::test]
async fn a_reply_that_wechat_would_not_take_is_told_with_its_cause() {
    let (world, mut deployment) = world().await;
    let cases: [(&str, Answer); 7] = [
        ("an empty reply instead of TESTCOMPONENT_MSG_TYPE_TEXT_callback", || StatusCode::OK.into_response()),
        ("an empty reply instead of LOCATIONfrom_callback", || "success".into_response()),
        ("neither an empty reply nor a sealed one", || "hello".into_response()),
        ("a reply that WeChat cannot open: msg_signature", || {
            "<xml><Encrypt>AAAA</Encrypt><MsgSignature>0</MsgSignature><TimeStamp>1</TimeStamp><Nonce>1</Nonce></xml>"
                .into_response()
        }),
        ("account-push fails (status 500)", || StatusCode::INTERNAL_SERVER_ERROR.into_response()),
        ("the URL does not lead to account-push (status 404)", || StatusCode::NOT_FOUND.into_response()),
        ("an authentic push is refused (status 403)", || StatusCode::FORBIDDEN.into_response()),
    ];
    for (told, answer) in cases {
        deployment.public = answering_messages(&world, answer).await;
        let (checks, text) = wrong(&deployment.check_release(1, WITHIN).await.unwrap());
        assert!(checks.contains(&"text") && checks.contains(&"event"), "{checks:?}: {text}");
        assert!(!checks.contains(&"events URL"), "{text}");
        assert!(text.contains(told), "{told}: {text}");
    }
}

#[tokio::test]
async fn a_gateway_without_the_route_of_messages_is_told() {
    let (world, mut deployment) = world().await;
    let router = Router::new().route(MESSAGES, get(|| async {})).fallback_service(world.public_router());
    deployment.public = serve(router).await;
    let (_, text) = wrong(&deployment.check_release(1, WITHIN).await.unwrap());
    assert!(text.contains("the URL does not lead to account-push (status 405)"), "{text}");
}

#[tokio::test]
async fn a_function_that_is_too_slow_for_wechat_is_told() {
    let (world, mut deployment) = world().await;
    let never = post(std::future::pending::<()>);
    deployment.public = serve(Router::new().route(MESSAGES, never).fallback_service(world.public_router())).await;
    let findings = deployment.check_release(1, Duration::from_secs(1)).await.unwrap();
    let (checks, text) = wrong(&findings);
    assert_eq!(checks, ["text", "event", "text", "event", "other account"], "{text}");
    assert!(text.contains("account-push does not reply within 1 second"), "{text}");
}

#[tokio::test]
async fn without_a_way_to_the_platform_there_is_one_cause_and_no_list_of_consequences() {
    let (_world, mut deployment) = world().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (url, told) in
        [(format!("http://{gone}"), "nothing listens"), ("http://nowhere.invalid".to_owned(), "has no address")]
    {
        deployment.public = Url::parse(&url).unwrap();
        let findings = deployment.check_release(1, WITHIN).await.unwrap();
        assert!(findings.len() == 1 && wrong(&findings).1.contains(told), "{findings:?}");
    }
}

#[tokio::test]
async fn a_message_that_is_accepted_for_want_of_the_table_leads_to_the_table() {
    let (world, deployment) = world().await;
    world.expect_error("was delivered but not recorded in the table");
    world.faults.always(Matching::any().containing("TableName"), Fault::Away);
    let (checks, text) = wrong(&deployment.check_release(1, WITHIN).await.unwrap());
    assert!(checks.contains(&"other account") && text.contains("while it cannot read the table"), "{text}");
}

#[tokio::test]
async fn a_server_that_takes_whatever_comes_is_not_the_platform() {
    let (_world, mut deployment) = world().await;
    deployment.public = serve(Router::new().fallback(|| async { "success" })).await;
    let (checks, text) = wrong(&deployment.check_release(1, WITHIN).await.unwrap());
    assert_eq!(checks, ["text", "event", "text", "event", "other account", "forged push"], "{text}");
    assert!(text.contains("forged signature is accepted"), "{text}");
    assert!(text.contains("has not authorized the platform is accepted"), "{text}");
}

#[tokio::test]
async fn without_a_ticket_wechats_console_is_where_to_look() {
    let (_world, deployment) = without_ticket().await;
    let (checks, text) = wrong(&deployment.check_release(1, WITHIN).await.unwrap());
    assert_eq!(checks, ["ticket"], "{text}");
    assert!(text.contains("授权事件接收URL must be https://auth.example.com/wechat/events"), "{text}");
}

#[tokio::test]
async fn a_running_system_is_checked_as_a_deployment_is() {
    let folder = tempfile::tempdir().unwrap();
    let (system, deployment) = running(folder.path(), &[], None).await;
    let ticket = format!("{}/_simulator/ticket", system.simulator_base.as_ref().unwrap());
    stories::http_client().post(ticket).send().await.unwrap().error_for_status().unwrap();
    let options = ReleaseCheckArgs { deployment, public_url: None, all_groups: false };
    let diagnosis = release_check::check(&options, &|_: &str| None).await;
    assert_eq!(diagnosis.exit_code(), 0, "{}", render::text(&diagnosis, false));
    assert_eq!(of(&diagnosis.findings, "text").len(), 2);
}
