//! The doctor: each thing that it checks is broken in turn, and named.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, DATE, LOCATION};
use axum::http::{HeaderName, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::get;
use axum::{Extension, Router};
use base::ids::AppId;
use clap::Parser as _;
use local::system::System;
use ops::args::{DeploymentArgs, DoctorArgs};
use ops::deployment::{Deployment, Target, WebHosts};
use ops::finding::{Diagnosis, Finding, Verdict};
use ops::{doctor, render};
use platform::webhook::AddressPolicy;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use simulator::{Fault, Message, paths};
use store::{DuePart, GrantEnd, Progress, Subject};
use stories::due::new_account;
use stories::faults::{Fault as AwsFault, Matching};
use stories::webhook::Service;
use stories::world::{SECRET, TABLE, World, platform, secret_json};
use token_refresher::Task;
use tokio::net::TcpListener;
use tokio::time::Instant;
use url::Url;
use web::identity::IamIdentity;

/// A server of any kind on this machine.
async fn serve(router: Router) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// A server with the same response to everything.
async fn answering(status: u16, headers: [(HeaderName, &'static str); 1]) -> Url {
    let status = StatusCode::from_u16(status).unwrap();
    serve(Router::new().fallback(move || async move { (status, headers, "hello") })).await
}

/// The business routes as on this machine: every caller has an identity.
fn open_business(world: &World) -> Router {
    world.business_router().layer(Extension(IamIdentity::new("arn:aws:iam::000000000000:user/x").unwrap()))
}

/// A platform on the machine's time, which servers send.
async fn world() -> World {
    World::beside_processes(Duration::ZERO, |_| {}).await
}

async fn deployment(world: &World) -> Deployment {
    Deployment {
        target: Target::Local,
        table: TABLE.to_owned(),
        secret_id: SECRET.to_owned(),
        public: world.public_url.clone(),
        public_base: "https://auth.example.com".to_owned(),
        business: serve(open_business(world)).await,
        webhook: false,
        parts: vec![DuePart::ALL],
        web: WebHosts::default(),
        signer: None,
        clients: world.aws_clients(),
        clock: Arc::clone(&world.services.clock),
    }
}

/// A running platform, and the doctor's access to it.
async fn at_work() -> (World, Deployment) {
    let world = world().await;
    world.get_ready().await;
    world.authorized_account().await;
    let deployment = deployment(&world).await;
    (world, deployment)
}

/// The grant of the account ends, and nothing of it has been delivered yet.
async fn ends(world: &World) -> AppId {
    let account = world.account(0);
    let seq = world.stored(&account).await.token.seq;
    world.tokens().await.end_grant(&account, seq, &GrantEnd::TakenBack { at: None }).await.unwrap();
    account
}

/// The failed checks, in the doctor's order.
fn wrong(findings: &[Finding]) -> Vec<&str> {
    let mut checks: Vec<&str> =
        findings.iter().filter(|finding| finding.verdict == Verdict::Wrong).map(|finding| finding.check).collect();
    checks.dedup();
    checks
}

/// Sentence and advice of a check that is not well.
fn told(findings: &[Finding], check: &str) -> String {
    let mut told = Vec::new();
    for finding in findings.iter().filter(|finding| finding.check == check && finding.verdict != Verdict::Ok) {
        told.push(format!("{} | {}", finding.sentence, finding.advice.as_deref().unwrap_or_default()));
    }
    told.join("\n")
}

#[tokio::test]
async fn a_platform_at_work_is_well_and_no_secret_is_told() {
    let (world, deployment) = at_work().await;
    world.reconcile().await;
    let shop = world.simulator.account(&world.account(0)).unwrap();
    assert!(world.simulator.send_message(&Message::text(&shop, "oFollower", "hello")).await.is_empty());
    let findings = deployment.examine().await;
    assert!(findings.iter().all(|finding| finding.verdict == Verdict::Ok), "{findings:#?}");
    let said = |text: &str| findings.iter().any(|finding| finding.sentence.contains(text));
    assert!(said("1 active") && said("no push is waiting") && said("last call succeeded"), "{findings:#?}");
    let diagnosis = Diagnosis { subject: "it".to_owned(), findings, examined: true };
    assert_eq!(diagnosis.exit_code(), 0);
    let text = render::text(&diagnosis, false);
    assert!(text.ends_with("All is well.\n"), "{text}");
    let ticket = world.store().tickets.newest().await.unwrap().unwrap().ticket;
    let platform = platform();
    for secret in [ticket, platform.token, platform.component_appsecret, platform.encoding_aes_key] {
        assert!(!text.contains(secret.expose_secret()));
    }
}

#[tokio::test]
async fn looking_changes_nothing_and_asks_wechat_nothing() {
    let (world, deployment) = at_work().await;
    let (calls, items) = (world.simulator.counters().calls, world.items().await);
    deployment.examine().await;
    assert_eq!((world.simulator.counters().calls, world.items().await), (calls, items));
}

#[tokio::test]
async fn a_wrong_field_of_the_secret_is_named_and_the_rest_is_still_examined() {
    let (world, deployment) = at_work().await;
    let json = secret_json().expose_secret().replace("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "hush");
    world.secrets.set(json.into());
    let findings = deployment.examine().await;
    assert_eq!(wrong(&findings), ["secret"], "{findings:#?}");
    assert!(told(&findings, "secret").contains("encoding_aes_key"));
    assert!(findings.iter().any(|finding| finding.check == "ticket"));
    assert!(!format!("{findings:?}").contains("hush"));
}

#[tokio::test]
async fn an_empty_secret_is_named_and_what_lacks_it_too() {
    let world = world().await;
    world.allow_error("no push can be accepted");
    world.expect_error("reading a link failed");
    world.expect_error("showing a link's page failed");
    world.secrets.set("".into());
    let findings = deployment(&world).await.examine().await;
    assert_eq!(
        wrong(&findings),
        ["secret", "public URL", "events URL", "messages URL", "business routes"],
        "{findings:#?}"
    );
    assert!(told(&findings, "secret").contains("put-secret-value"));
    assert!(told(&findings, "events URL").contains("no secret"));
    assert!(told(&findings, "items").contains("not checked"));
}

#[tokio::test]
async fn a_missing_table_is_named() {
    let (_world, mut deployment) = at_work().await;
    deployment.table = "another".to_owned();
    let findings = deployment.examine().await;
    assert!(told(&findings, "table").contains("there is no table another"), "{findings:#?}");
    assert_eq!(
        wrong(&findings).iter().filter(|check| **check != "table").count(),
        0,
        "one cause, one line: {findings:#?}"
    );
    assert!(told(&findings, "items").contains("not checked"), "{findings:#?}");
}

#[tokio::test]
async fn a_table_without_index_and_stream_is_named() {
    use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
    let (world, mut deployment) = at_work().await;
    deployment.table = "bare".to_owned();
    let mut create = world.database.client().create_table().table_name("bare").billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
        create = create.attribute_definitions(attribute.build().unwrap());
        create = create.key_schema(KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap());
    }
    create.send().await.unwrap();
    let findings = deployment.examine().await;
    let table = told(&findings, "table");
    assert!(table.contains("no index due") && table.contains("stream") && table.contains("expiry"), "{findings:#?}");
}

#[tokio::test]
async fn without_a_ticket_wechats_console_is_where_to_look() {
    let world = world().await;
    world.renew().await;
    let findings = deployment(&world).await.examine().await;
    assert_eq!(wrong(&findings), ["ticket", "component token"], "{findings:#?}");
    assert!(told(&findings, "ticket").contains("授权事件接收URL must be https://auth.example.com/wechat/events"));
}

#[tokio::test]
async fn tickets_that_stopped_coming_are_told_with_how_long_the_last_one_serves() {
    for (age, expected) in [(26, "11 hours more"), (13 * 60, "has expired")] {
        let world = world().await;
        let received = world.now().minus(Duration::from_mins(age));
        world.store().tickets.put(&"ticket@@@old".into(), received, received).await.unwrap();
        let findings = deployment(&world).await.examine().await;
        assert!(wrong(&findings).contains(&"ticket"), "{findings:#?}");
        assert!(told(&findings, "ticket").contains(expected), "{findings:#?}");
    }
}

#[tokio::test]
async fn a_refresher_that_never_ran_or_stopped_is_told() {
    let world = world().await;
    assert!(world.simulator.push_ticket().await.is_accepted());
    let deployment = deployment(&world).await;
    let findings = deployment.examine().await;
    assert_eq!(wrong(&findings), ["component token", "token renewal"], "{findings:#?}");
    assert!(told(&findings, "token renewal").contains("never"));
    world.renew().await;
    world.pass(Duration::from_mins(16));
    let findings = deployment.examine().await;
    assert!(told(&findings, "token renewal").contains("it last ran 16 minutes ago"), "{findings:#?}");
    world.pass(Duration::from_hours(2));
    let findings = deployment.examine().await;
    assert!(told(&findings, "component token").contains("it expired"), "{findings:#?}");
}

#[tokio::test]
async fn one_of_several_runs_that_never_ran_or_stopped_is_told() {
    let world = world().await;
    world.get_ready().await;
    let deployment = Deployment { parts: DuePart::all_of(4).unwrap(), ..deployment(&world).await };
    let run = async |number: u64| {
        let part = Task::Renew(DuePart::new(number, 4).unwrap());
        world.refresher.run(&part, Instant::now() + Duration::from_mins(2)).await.unwrap()
    };
    for number in [0, 1, 3] {
        run(number).await;
    }
    let findings = deployment.examine().await;
    assert!(told(&findings, "token renewal").contains("the run of part 2 has never finished"), "{findings:#?}");
    run(2).await;
    let findings = deployment.examine().await;
    assert!(wrong(&findings).is_empty(), "{findings:#?}");

    world.pass(Duration::from_mins(16));
    for number in [0, 2, 3] {
        run(number).await;
    }
    let findings = deployment.examine().await;
    assert!(told(&findings, "token renewal").contains("the run of part 1 last ran 16 minutes ago"), "{findings:#?}");
}

#[tokio::test]
async fn the_runs_that_share_the_accounts_are_told_as_one() {
    let world = world().await;
    world.get_ready().await;
    world.expect_error("the run stops here");
    let accounts: Vec<_> = (0..8).map(|number| new_account(&world, number)).collect();
    for account in &accounts {
        assert!(world.simulator.send(&world.merchant_authorizes(account).push).await.is_accepted());
    }
    world.renew().await;
    world.pass(Duration::from_mins(101));
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.simulator.inject(Fault::ip_not_registered().on(paths::AUTHORIZER_TOKEN));
    let deployment = Deployment { parts: DuePart::all_of(2).unwrap(), ..deployment(&world).await };
    for number in 0..2 {
        let part = Task::Renew(DuePart::new(number, 2).unwrap());
        world.refresher.run(&part, Instant::now() + Duration::from_mins(2)).await.unwrap();
    }
    let findings = deployment.examine().await;
    let said = told(&findings, "token renewal");
    assert!(said.contains("failed: 2 by 61004; 8 accounts left over"), "{findings:#?}");
}

#[tokio::test]
async fn a_refused_address_is_told_with_where_to_enter_it_until_wechat_answers_again() {
    let world = world().await;
    world.expect_error("the run stops here");
    assert!(world.simulator.push_ticket().await.is_accepted());
    world.simulator.inject(Fault::ip_not_registered().on(paths::ANY));
    world.renew().await;
    let deployment = deployment(&world).await;
    let findings = deployment.examine().await;
    assert_eq!(wrong(&findings), ["component token", "WeChat's responses"], "{findings:#?}");
    let said = told(&findings, "WeChat's responses");
    assert!(said.contains("61004") && said.contains("rid "), "{said}");
    assert!(said.contains("add 203.0.113.9 to 白名单IP地址列表"), "{said}");
    assert!(told(&findings, "token renewal").contains("1 by 61004"), "{findings:#?}");

    world.simulator.clear_faults();
    // The next try comes after the back-off; then this machine's clock is off by as much.
    world.pass(Duration::from_mins(6));
    world.renew().await;
    let findings = deployment.examine().await;
    assert_eq!(wrong(&findings), ["this clock"], "{findings:#?}");
    assert!(findings.iter().any(|finding| finding.sentence.contains("calls have succeeded since")), "{findings:#?}");
}

#[tokio::test]
async fn a_message_that_takes_no_effect_is_told_with_its_age() {
    let (world, deployment) = at_work().await;
    let consent = world.merchant_authorizes(&world.account(1));
    assert!(world.simulator.send(&consent.push).await.is_accepted());
    world.pass(Duration::from_mins(31));
    let findings = deployment.examine().await;
    assert!(told(&findings, "pushes").contains("1 push event waiting, the oldest for 31 minutes"), "{findings:#?}");
}

#[tokio::test]
async fn messages_that_the_bus_does_not_take_are_told() {
    let (world, deployment) = at_work().await;
    world.faults.always(Matching::operation("PutEvents"), AwsFault::Away);
    let shop = world.simulator.account(&world.account(0)).unwrap();
    let message = Message::text(&shop, "oFollower-0123456789_abcdefg", "hello");
    assert!(world.simulator.send_message(&message).await.is_empty());
    let findings = deployment.examine().await;
    let said = told(&findings, "pushes");
    assert!(said.starts_with("waiting for the event bus: 1 message of followers |"), "{said}");
}

#[tokio::test]
async fn account_events_that_the_bus_does_not_take_are_told_with_their_age() {
    let (world, deployment) = at_work().await;
    world.expect_error("EventBridge accepts no events");
    world.faults.always(Matching::operation("PutEvents"), AwsFault::Away);
    ends(&world).await;
    world.deliver().await;
    let findings = deployment.examine().await;
    assert!(
        findings.iter().any(|finding| finding.sentence.starts_with("waiting for the event bus: 1 event, the oldest"))
    );
    assert_eq!(told(&findings, "events"), "", "the next run may deliver it");
    world.pass(Duration::from_mins(16));
    world.renew().await;
    let findings = deployment.examine().await;
    let said = told(&findings, "events");
    assert!(said.starts_with("waiting for the event bus: 1 event, the oldest for 16 minutes |"), "{findings:#?}");
    assert!(said.contains("EventBridge's code"), "{said}");
    assert_eq!(told(&findings, "event webhook"), "", "it has none");
}

#[tokio::test]
async fn an_event_webhook_that_takes_nothing_is_told_with_account_and_tries() {
    let (mut world, deployment) = at_work().await;
    let service = Service::answering(|_| StatusCode::SERVICE_UNAVAILABLE.into_response()).await;
    world.send_events_to(Some(service.url()), AddressPolicy::this_machine_too());
    let account = ends(&world).await;
    for minutes in [0, 1, 2] {
        world.pass(Duration::from_mins(minutes));
        world.deliver().await;
    }
    let findings = deployment.examine().await;
    let said = told(&findings, "event webhook");
    assert!(said.starts_with("waiting for it: 1 event; it has not accepted event "), "{findings:#?}");
    let event = format!(" of account {account} in 3 attempts (it happened 3 minutes ago) |");
    assert!(said.contains(&event), "{findings:#?}");
    assert_eq!(told(&findings, "events"), "", "the bus has it");
    assert!(!format!("{findings:?}").contains(service.url().as_str()), "its address may have a key in it");
}

#[tokio::test]
async fn account_events_that_no_run_has_sent_to_the_webhook_are_told() {
    let (world, deployment) = at_work().await;
    let subject = Subject::Account(ends(&world).await);
    let [event] = &mut world.store().outbox.waiting(&subject).await.unwrap()[..] else { panic!("one event") };
    event.bus = Progress::Done;
    world.store().outbox.note(&subject, event).await.unwrap();
    assert_eq!(told(&deployment.examine().await, "event webhook"), "");
    world.pass(Duration::from_mins(16));
    let said = told(&deployment.examine().await, "event webhook");
    assert!(
        said.starts_with("waiting for it: 1 event, the oldest for 16 minutes | the check of token renewal"),
        "{said}"
    );
}

#[tokio::test]
async fn a_public_url_that_leads_elsewhere_is_told_by_what_is_there() {
    let (_world, mut deployment) = at_work().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let other = answering(200, [(CONTENT_TYPE, "text/html")]).await;
    let no_tls = Url::parse(other.as_str().replace("http:", "https:").as_str()).unwrap();
    let cases = [
        (Url::parse(&format!("http://{gone}")).unwrap(), "nothing listens"),
        (Url::parse("http://nowhere.invalid").unwrap(), "has no address"),
        (no_tls, "cannot be reached"),
        (other, "another server responds"),
        (answering(404, [(CONTENT_TYPE, "application/json")]).await, "another server responds"),
        (
            answering(301, [(LOCATION, "https://www.example.com/?code=hush")]).await,
            "redirects to https://www.example.com |",
        ),
        (answering(502, [(CONTENT_TYPE, "application/json")]).await, "status 502"),
    ];
    for (url, expected) in cases {
        deployment.public = url;
        let findings = deployment.examine().await;
        assert_eq!(wrong(&findings), ["public URL", "events URL", "messages URL"], "{findings:#?}");
        assert!(told(&findings, "public URL").contains(expected), "{expected}: {findings:#?}");
    }
}

#[tokio::test]
async fn a_gateway_without_the_route_of_messages_is_told() {
    let (world, mut deployment) = at_work().await;
    let mut router = world.public_router();
    router = Router::new().route("/wechat/accounts/{appid}/events", get(|| async {})).fallback_service(router);
    deployment.public = serve(router).await;
    let findings = deployment.examine().await;
    assert_eq!(wrong(&findings), ["messages URL"], "{findings:#?}");
    assert!(told(&findings, "messages URL").contains("does not lead to account-push (status 405)"), "{findings:#?}");
}

#[tokio::test]
async fn a_webhook_without_a_key_is_told() {
    let (world, mut deployment) = at_work().await;
    let mut secret: Value = serde_json::from_str(secret_json().expose_secret()).unwrap();
    secret.as_object_mut().unwrap().remove("webhook_secret");
    world.secrets.set(secret.to_string().into());
    deployment.webhook = true;
    let findings = deployment.examine().await;
    assert_eq!(wrong(&findings), ["secret"], "{findings:#?}");
    assert!(told(&findings, "secret").contains("webhook_secret is missing"), "{findings:#?}");
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_by_how_much() {
    let (_world, mut deployment) = at_work().await;
    deployment.public = answering(404, [(DATE, "Sun, 06 Nov 1994 08:49:37 GMT")]).await;
    let findings = deployment.examine().await;
    assert!(wrong(&findings).contains(&"this clock"), "{findings:#?}");
    assert!(told(&findings, "this clock").contains("ahead of"), "{findings:#?}");
}

#[tokio::test]
async fn business_routes_that_ask_for_no_signature_are_told() {
    let (world, mut deployment) = at_work().await;
    deployment.target = Target::Emulator;
    for (router, expected) in
        [(open_business(&world), "they are open"), (world.business_router(), "only the function itself refuses")]
    {
        deployment.business = serve(router).await;
        let findings = deployment.examine().await;
        assert_eq!(wrong(&findings), ["business routes"], "{findings:#?}");
        assert!(told(&findings, "business routes").contains(expected), "{findings:#?}");
    }
    deployment.business = answering(403, [(CONTENT_TYPE, "application/json")]).await;
    let findings = deployment.examine().await;
    assert_eq!(wrong(&findings), [""; 0], "{findings:#?}");
    assert!(told(&findings, "secret").contains("demo"), "a stack must not have the demo's secret: {findings:#?}");
}

/// A `cargo run` in this process, and the options with which the operator's tool finds it.
pub(crate) async fn running(folder: &Path, options: &[&str], public: Option<&'static str>) -> (System, DeploymentArgs) {
    let mut arguments = vec!["local", "--data-dir", folder.to_str().unwrap()];
    let ports = ["", "business-", "simulator-", "shop-", "dynamodb-", "secrets-", "events-", "files-", "lambda-"];
    let ports = ports.map(|part| format!("--{part}port"));
    arguments.extend(ports.iter().flat_map(|port| [port.as_str(), "0"]));
    arguments.extend(options);
    let environment = move |name: &str| match name {
        "PUBLIC_BASE_URL" => public.map(str::to_owned),
        "WECHAT_API_BASE_URL" => Some("http://127.0.0.1:1".to_owned()),
        _ => None,
    };
    let system = System::start(&local::args::Args::parse_from(arguments), &environment).await.unwrap();
    let business_port = system.business_base.rsplit(':').next().unwrap().parse().unwrap();
    (system, DeploymentArgs { stack: None, region: None, profile: None, business_port })
}

#[tokio::test]
async fn a_running_system_names_its_parts_and_its_tunnel_whatever_the_doctors_environment_has() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.json");
    std::fs::write(&file, secret_json().expose_secret()).unwrap();
    let options = ["--no-simulator", "--secret", file.to_str().unwrap()];
    // Names below localhost need no network; nothing listens on the port.
    let tunnel = Some("https://tunnel.localhost:1/");
    let (system, deployment) = running(&folder.path().join("data"), &options, tunnel).await;
    let elsewhere = |name: &str| match name {
        "PUBLIC_BASE_URL" | "AWS_ENDPOINT_URL_DYNAMODB" => Some("http://127.0.0.1:1".to_owned()),
        "TABLE_NAME" => Some("another".to_owned()),
        _ => None,
    };
    let diagnosis = doctor::examine(&DoctorArgs { deployment, public_url: None, api_url: None }, &elsewhere).await;
    let text = render::text(&diagnosis, false);
    for expected in [
        "授权事件接收URL must be https://tunnel.localhost:1/wechat/events",
        "nothing listens at https://tunnel.localhost:1",
        "the tunnel",
        "wechat-platform exists",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert!(!text.contains(&system.local_base), "{text}");
    assert_eq!(diagnosis.exit_code(), 1);
}

#[tokio::test]
async fn without_a_running_system_there_is_nothing_to_examine() {
    let business_port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let deployment = DeploymentArgs { stack: None, region: None, profile: None, business_port };
    let diagnosis = doctor::examine(&DoctorArgs { deployment, public_url: None, api_url: None }, &|_: &str| None).await;
    assert_eq!(diagnosis.exit_code(), 2);
    assert!(told(&diagnosis.findings, "local system").contains("start cargo run"), "{diagnosis:?}");
}
