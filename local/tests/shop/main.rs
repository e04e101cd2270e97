//! The demo shop, as visitors' browsers see it: over HTTP, through the platform and the simulator's WeChat.
//!
//! `cfg(test)` tells clippy that helpers here may unwrap.
#![cfg(test)]

mod browser;
mod errors;
mod logins;
mod services;

use clap::Parser as _;
use local::args::Args;
use local::system::System;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::browser::Browser;

/// A demo service account, and a demo mini program.
const ACCOUNT: &str = "wx0a10000000000001";
const PROGRAM: &str = "wx0b10000000000003";

/// A running system in which both have authorized the platform.
struct Stage {
    system: System,
    shop: String,
    simulator: String,
    _folder: TempDir,
}

impl Stage {
    async fn ready() -> Self {
        let stage = Self::without_accounts().await;
        for account in [ACCOUNT, PROGRAM] {
            stage.control("authorize", &json!({ "authorizer_appid": account })).await;
        }
        // The pushes are answered before the accounts are ready.
        let is_ready = |page: &str| page.contains("snsapi_base") && page.contains("wx.login");
        while !is_ready(&Browser::new().get(&stage.shop).await.text) {
            tokio::task::yield_now().await;
        }
        stage
    }

    async fn without_accounts() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut arguments = vec!["local", "--data-dir", folder.path().to_str().unwrap()];
        let ports = ["", "business-", "simulator-", "shop-", "dynamodb-", "secrets-", "events-", "files-", "lambda-"];
        let ports = ports.map(|part| format!("--{part}port=0"));
        arguments.extend(ports.iter().map(String::as_str));
        let system = System::start(&Args::parse_from(arguments), &|_: &str| None).await.unwrap();
        let (shop, simulator) = (system.shop_base.clone().unwrap(), system.simulator_base.clone().unwrap());
        Self { system, shop, simulator, _folder: folder }
    }

    /// A browser that plays WeChat's.
    async fn wechat_browser(&self) -> Browser {
        let browser = Browser::new();
        browser.send_form(&format!("{}/browser", self.shop), &[("plays", "wechat")]).await;
        browser
    }

    async fn control(&self, route: &str, body: &Value) {
        let request = Browser::client().post(format!("{}/_simulator/{route}", self.simulator));
        request.json(body).send().await.unwrap().error_for_status().unwrap();
    }

    /// Sets the behaviour of WeChat's browser.
    async fn web_login(&self, behaviour: Value) {
        let request = Browser::client().put(format!("{}/_simulator/behaviour", self.simulator));
        request.json(&json!({ "web_login": behaviour })).send().await.unwrap().error_for_status().unwrap();
    }

    /// Presses a button of the shop's page, which begins a login.
    async fn log_in(&self, browser: &Browser, scope: &str) -> browser::Page {
        browser.send_form(&format!("{}/login", self.shop), &[("account", ACCOUNT), ("scope", scope)]).await
    }
}
