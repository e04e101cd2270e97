//! The operators' console in a real browser: every page in both languages, at three widths, light and dark, examined by axe;
//! and every button, with the script and without it.
//!
//! `cfg(test)` says to clippy what is plain to everybody else: that helpers here may unwrap.
#![cfg(test)]

use std::path::Path;
use std::process::Command;

use clap::Parser as _;
use local::args::Args;
use local::system::System;
use serde_json::{Value, json};

/// Where `install.sh` puts what the browser is driven with.
const INSTALLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/browser");

/// Demo accounts: the first stays, the second withdraws.
const ACCOUNTS: [&str; 2] = ["wx0a10000000000001", "wx0b10000000000003"];

async fn system(folder: &Path) -> System {
    let mut arguments = vec!["local", "--data-dir", folder.to_str().unwrap()];
    let ports = ["", "business-", "simulator-", "shop-", "dynamodb-", "secrets-", "events-", "files-", "lambda-"];
    let ports = ports.map(|part| format!("--{part}port=0"));
    arguments.extend(ports.iter().map(String::as_str));
    System::start(&Args::parse_from(arguments), &|_: &str| None).await.unwrap()
}

fn client() -> reqwest::Client {
    base::http_client::client_builder().build().unwrap()
}

async fn simulate(system: &System, route: &str, account: &str) {
    let simulator = system.simulator_base.as_ref().unwrap();
    let request = client().post(format!("{simulator}/_simulator/{route}"));
    request.json(&json!({ "authorizer_appid": account })).send().await.unwrap().error_for_status().unwrap();
}

/// Waits for what WeChat has pushed to take effect.
async fn becomes(system: &System, account: &str, state: &str) {
    let url = format!("{}/accounts/{account}", system.business_base);
    loop {
        let answer: Value = client().get(&url).send().await.unwrap().json().await.unwrap();
        if answer["state"] == state && answer["nick_name"].is_string() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and Node.js: local/tests/console/install.sh"]
async fn an_operator_reaches_everything_in_a_browser() {
    let script = Path::new(INSTALLED).join("pages.mjs");
    assert!(
        Path::new(INSTALLED).join("node_modules").exists(),
        "there is no browser to try it in: run local/tests/console/install.sh"
    );
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/console/pages.mjs"), &script).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let system = system(folder.path()).await;
    for account in ACCOUNTS {
        simulate(&system, "authorize", account).await;
        becomes(&system, account, "active").await;
    }
    simulate(&system, "unauthorize", ACCOUNTS[1]).await;
    becomes(&system, ACCOUNTS[1], "unauthorized").await;
    let (base, [active, lost]) = (system.local_base.clone(), ACCOUNTS);
    let tried = tokio::task::spawn_blocking(move || {
        Command::new("node").arg(script).args([&base, active, lost]).status().unwrap()
    });
    assert!(tried.await.unwrap().success(), "the lines above say what is wrong");
}
