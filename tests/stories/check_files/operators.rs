//! `cargo ops domains`, and the doctor's check of check files.

use std::sync::Arc;
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use axum::Router;
use axum::routing::get;
use base::ids::AppId;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use ops::args::{DomainsCommand, ListDomainsArgs, PutDomainArgs, RemoveDomainArgs, SyncDomainsArgs};
use ops::deployment::{Deployment, Target, WebHosts};
use ops::domains::{DomainsError, Outcome};
use ops::finding::{Finding, Verdict};
use ops::signer::ApiSigner;
use runtime::config::WebDomains;
use simulator::Fault;
use store::CheckFileOrigin;
use stories::world::World;
use tokio::net::TcpListener;
use url::Url;
use wechat::check_file::CheckFileName;

use super::{BY_API, CONTENT, file};
use crate::clients::gateway::{ACCESS_KEY, Gateway, REGION, SECRET_KEY, SESSION_TOKEN};
use crate::operators_keys::HERE;
use crate::operators_release_check::deployment;

const PLATFORMS: &str = "/cgi-bin/component/get_domain_confirmfile";

/// A platform on the machine's time with a mini program, behind a gateway that checks signatures.
struct Stage {
    world: World,
    program: AppId,
    gateway: Gateway,
}

impl Stage {
    async fn ready() -> Self {
        let world = World::beside_processes(Duration::ZERO, |_| {}).await;
        world.get_ready().await;
        let program = world.account(2);
        world.push_and_work(&world.merchant_authorizes(&program).push).await;
        Self { program, gateway: Gateway::open(&world).await, world }
    }

    /// The deployment as an operator with this secret key reaches it.
    fn deployment(&self, secret_key: &str) -> Deployment {
        let credentials = Credentials::new(ACCESS_KEY, secret_key, Some(SESSION_TOKEN.into()), None, "a story");
        let config = SdkConfig::builder()
            .region(Region::new(REGION))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        Deployment {
            business: Url::parse(&self.gateway.url).unwrap(),
            signer: ApiSigner::new(&config),
            ..deployment(&self.world)
        }
    }

    async fn sync(&self, deployment: &Deployment, accounts: &[&AppId]) -> Vec<Finding> {
        let accounts = accounts.iter().map(|account| (*account).clone()).collect();
        let sync = SyncDomainsArgs { deployment: HERE, accounts, public_url: None, api_url: None };
        looked(deployment.domains(&DomainsCommand::Sync(sync)).await)
    }

    async fn names(&self) -> Vec<(String, CheckFileOrigin)> {
        let page = self.world.store().check_files.page(10, None).await.unwrap();
        page.files.into_iter().map(|file| (file.name.into(), file.origin)).collect()
    }
}

fn looked(done: Result<Outcome, DomainsError>) -> Vec<Finding> {
    let Ok(Outcome::Diagnosis(diagnosis)) = done else { panic!("{done:?}") };
    diagnosis.findings
}

/// The findings that are not well, by check, with the advice.
fn unwell(findings: &[Finding]) -> Vec<(&'static str, String)> {
    let unwell = findings.iter().filter(|finding| finding.verdict != Verdict::Ok);
    unwell.map(|finding| (finding.check, finding.to_string())).collect()
}

async fn serve(router: Router) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn an_operator_fetches_the_files_from_wechat_and_sees_that_they_are_served() {
    let stage = Stage::ready().await;
    let findings = stage.sync(&stage.deployment(SECRET_KEY), &[&stage.program]).await;
    assert_eq!(unwell(&findings), []);
    assert_eq!(stage.gateway.asked(&format!("POST /wechat/platform{PLATFORMS}")), 1);
    assert!(findings.last().unwrap().sentence.contains("serves 2 files"), "{findings:?}");
    let stored = stage.names().await;
    let origins: Vec<&CheckFileOrigin> = stored.iter().map(|(_, origin)| origin).collect();
    assert!(origins.contains(&&CheckFileOrigin::Platform), "{stored:?}");
    assert!(origins.contains(&&CheckFileOrigin::Account(stage.program.clone())), "{stored:?}");
    // Again: the same files.
    assert_eq!(unwell(&stage.sync(&stage.deployment(SECRET_KEY), &[&stage.program]).await), []);
    assert_eq!(stage.names().await, stored);
}

#[tokio::test]
async fn the_reason_why_a_file_is_not_fetched_is_reported_and_delays_no_other() {
    let stage = Stage::ready().await;
    let shop = stage.world.authorized_account().await;
    let findings = unwell(&stage.sync(&stage.deployment(SECRET_KEY), &[&shop, &stage.program]).await);
    let [(check, told)] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(*check, "account's file");
    assert!(told.contains(shop.as_str()) && told.contains("mini programs only") && told.contains("18"), "{told}");
    assert_eq!(stage.names().await.len(), 2);

    let unknown = AppId::parse("wx00000000000000ff").unwrap();
    stage.world.simulator.inject(Fault::Errcode { errcode: 48_001, errmsg: "api unauthorized".into() }.on(PLATFORMS));
    let findings = unwell(&stage.sync(&stage.deployment(SECRET_KEY), &[&unknown]).await);
    let [(_, platforms), (_, accounts)] = &findings[..] else { panic!("{findings:?}") };
    assert!(platforms.contains("48001") && platforms.contains("小程序开发与数据分析"), "{platforms}");
    assert!(accounts.contains(unknown.as_str()) && accounts.contains("No such account (404)"), "{accounts}");

    let findings = unwell(&stage.sync(&stage.deployment("another key"), &[]).await);
    let [(_, told)] = &findings[..] else { panic!("{findings:?}") };
    assert!(told.contains("refuses your signature") && told.contains("execute-api:Invoke"), "{told}");
    assert!(told.contains("POST/wechat/platform/cgi-bin/component/get_domain_confirmfile"), "{told}");
}

#[tokio::test]
async fn an_operator_puts_lists_and_removes_a_downloaded_file() {
    let stage = Stage::ready().await;
    let deployment = stage.deployment(SECRET_KEY);
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, content: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        DomainsCommand::Put(PutDomainArgs { deployment: HERE, public_url: None, file })
    };
    assert_eq!(unwell(&looked(deployment.domains(&put(BY_API, CONTENT)).await)), []);
    let edited = deployment.domains(&put(BY_API, &format!("{CONTENT}\n"))).await.unwrap_err().to_string();
    assert!(edited.contains("line break"), "{edited}");
    let list = DomainsCommand::List(ListDomainsArgs { deployment: HERE });
    let Outcome::Text(listed) = deployment.domains(&list).await.unwrap() else { panic!("no list") };
    assert!(listed.contains(BY_API) && listed.contains("added by hand"), "{listed}");
    let name = CheckFileName::parse(BY_API).unwrap();
    let remove = DomainsCommand::Remove(RemoveDomainArgs { deployment: HERE, name });
    let Outcome::Text(removed) = deployment.domains(&remove).await.unwrap() else { panic!("not removed") };
    assert!(removed.contains("is removed"), "{removed}");
    let unknown = deployment.domains(&remove).await.unwrap_err().to_string();
    assert!(unknown.contains("ops domains list"), "{unknown}");
    assert_eq!(stage.names().await, []);
}

#[tokio::test]
async fn the_doctor_compares_web_domains_with_the_hosts_that_logins_come_back_to() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    let host = world.public_url.host_str().unwrap().to_owned();
    for (named, login_host, expected) in [
        ("pages.example.com", None, Some(("web domains", "10003"))),
        (host.as_str(), None, None),
        // Below localhost there is no server with a certificate.
        ("$APPID$.login.localhost", Some("login.localhost"), Some(("login host", "LoginDomainTarget"))),
    ] {
        let domains = WebDomains::read(&|_: &str| Some(named.to_owned())).unwrap();
        let web = WebHosts { domains, login_host: login_host.map(str::to_owned) };
        let findings = Deployment { web, ..deployment(&world) }.examine().await;
        let of_hosts = |check: &str| ["web domains", "login host"].contains(&check);
        let unwell: Vec<_> = unwell(&findings).into_iter().filter(|(check, _)| of_hosts(check)).collect();
        match (&unwell[..], expected) {
            ([], None) => {}
            ([(check, told)], Some((expected, advice))) => {
                assert!(*check == expected && told.contains(advice), "{named}: {told}");
            }
            _ => panic!("{named}: {unwell:?}"),
        }
    }
}

/// The doctor's finding about check files if the public URL responds like this.
async fn told(world: &World, status: u16, content_type: &'static str, body: &'static str) -> String {
    let status = StatusCode::from_u16(status).unwrap();
    let answer = get(move || async move { (status, [(CONTENT_TYPE, content_type)], body) });
    let public = serve(Router::new().route("/{file}", answer)).await;
    let deployment = Deployment { public, target: Target::Local, ..deployment(world) };
    let findings = Arc::new(deployment.examine().await);
    let of_files: Vec<&Finding> = findings.iter().filter(|finding| finding.check == "check files").collect();
    let [finding] = of_files[..] else { panic!("{findings:?}") };
    finding.to_string()
}

#[tokio::test]
async fn the_doctor_names_a_check_file_that_is_not_served_as_it_is_stored() {
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    assert!(told(&world, 404, "text/plain", "").await.contains("none is stored"));
    world.store().check_files.put(&file(&world, BY_API)).await.unwrap();
    for (status, content_type, body, expected) in [
        (200, "text/plain", CONTENT, "serves 1 file with the stored bytes"),
        (200, "text/plain; charset=utf-8", CONTENT, "serves 1 file with the stored bytes"),
        (200, "text/plain", "\u{feff}0f1e2d3c4b5a69788796a5b4c3d2e1f0", "has other bytes"),
        (200, "text/html", CONTENT, "is served as \"text/html\""),
        (404, "text/plain", "Not found", "is not found"),
        (302, "text/plain", "", "redirects"),
        (403, "text/plain", "", "status 403"),
    ] {
        let told = told(&world, status, content_type, body).await;
        assert!(told.contains(expected), "{status} {content_type}: {told}");
    }
}
