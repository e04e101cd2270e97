//! The pages in a real browser, at three widths, light and dark, examined by axe: the operators' console in both
//! languages, with every button, with the script and without it; the pages of `cargo run` next to it; and those of
//! merchants.
//!
//! `cfg(test)` tells clippy that helpers here may unwrap.
#![cfg(test)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use clap::Parser as _;
use local::args::Args;
use local::system::System;
use serde_json::{Value, json};

/// The folder in which `install.sh` puts the browser's library.
const INSTALLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/browser");

/// Demo accounts: the first stays, the second withdraws.
const ACCOUNTS: [&str; 2] = ["wx0a10000000000001", "wx0b10000000000003"];

async fn system(folder: &Path, options: &[&'static str]) -> System {
    let mut arguments = vec!["local", "--data-dir", folder.to_str().unwrap()];
    let ports = ["", "business-", "simulator-", "shop-", "dynamodb-", "secrets-", "events-", "files-", "lambda-"];
    let ports = ports.map(|part| format!("--{part}port=0"));
    arguments.extend(ports.iter().map(String::as_str));
    arguments.extend_from_slice(options);
    System::start(&Args::parse_from(arguments), &provider).await.unwrap()
}

/// Who runs the platform, as merchants' pages show it.
fn provider(name: &str) -> Option<String> {
    let value = match name {
        "PROVIDER_NAME" => "示例科技（深圳）有限公司",
        "PROVIDER_LOGO_URL" => "https://cdn.example.com/logo.svg",
        "PROVIDER_CONTACT" => "400-800-1234",
        "PROVIDER_FILING_NUMBER" => "粤ICP备12345678号-1",
        _ => return None,
    };
    Some(value.to_owned())
}

fn client() -> reqwest::Client {
    base::http_client::client_builder().build().unwrap()
}

async fn simulate(system: &System, route: &str, account: &str) {
    let simulator = system.simulator_base.as_ref().unwrap();
    let request = client().post(format!("{simulator}/_simulator/{route}"));
    request.json(&json!({ "authorizer_appid": account })).send().await.unwrap().error_for_status().unwrap();
}

/// How long a push may take to have its effect: the inbox is polled four times a second, on a machine that may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until WeChat's push has taken effect.
async fn becomes(system: &System, account: &str, state: &str) {
    let url = format!("{}/accounts/{account}", system.business_base);
    let wait = async {
        loop {
            let answer: Value = client().get(&url).send().await.unwrap().json().await.unwrap();
            if answer["state"] == state && answer["nick_name"].is_string() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{account} does not become {state}");
}

/// Runs a script in the folder with the browser's library.
async fn run(script: &'static str, arguments: Vec<String>) {
    let installed = Path::new(INSTALLED);
    assert!(
        installed.join("node_modules").exists(),
        "there is no browser to try it in: run local/tests/console/install.sh"
    );
    for file in ["browser.mjs", script] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/console").join(file);
        std::fs::copy(source, installed.join(file)).unwrap();
    }
    let tried = tokio::task::spawn_blocking(move || {
        Command::new("node").arg(installed.join(script)).args(arguments).status().unwrap()
    });
    assert!(tried.await.unwrap().success(), "the lines above say what is wrong");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and Node.js: local/tests/console/install.sh"]
async fn an_operator_reaches_everything_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let system = system(folder.path(), &[]).await;
    let [active, lost] = ACCOUNTS;
    for account in ACCOUNTS {
        simulate(&system, "authorize", account).await;
        becomes(&system, account, "active").await;
    }
    simulate(&system, "unauthorize", lost).await;
    becomes(&system, lost, "unauthorized").await;
    run("pages.mjs", vec![system.local_base.clone(), active.to_owned(), lost.to_owned()]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and Node.js: local/tests/console/install.sh"]
async fn a_developer_reaches_every_page_of_cargo_run_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let system = system(folder.path(), &[]).await;
    let [account, _] = ACCOUNTS;
    simulate(&system, "authorize", account).await;
    becomes(&system, account, "active").await;
    let bases = [&system.events_base, &system.simulator_base, &system.shop_base].map(|base| base.clone().unwrap());
    let [events, simulator, shop] = bases;
    let (base, business) = (system.local_base.clone(), system.business_base.clone());
    run("machine.mjs", vec![base, business, events, simulator, shop, account.to_owned()]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and Node.js: local/tests/console/install.sh"]
async fn merchants_find_their_way_in_a_browser_of_their_network() {
    let folder = tempfile::tempdir().unwrap();
    // An address of this machine that is not localhost.
    let system = system(folder.path(), &["--lan=127.0.0.2"]).await;
    let (pages, base, business) = (system.public_base.clone(), system.local_base.clone(), system.business_base.clone());
    let simulator = system.simulator_base.clone().unwrap();
    let [account, nameless] = ACCOUNTS.map(str::to_owned);
    run("merchants.mjs", vec![pages, business, base, simulator, account, nameless]).await;
}
