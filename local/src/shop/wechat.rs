//! The part of a login that happens on a visitor's phone, not in the shop. The simulator plays it.

use anyhow::Context as _;
use axum::http::Method;
use serde_json::{Value, json};

use super::platform::{Answer, Api, ApiError};
use super::steps::Step;

/// WeChat's client, played by the simulator's control API.
pub(super) struct Wechat(Api);

impl Wechat {
    pub(super) fn new(simulator_base: &str) -> anyhow::Result<Self> {
        Ok(Self(Api::new(simulator_base.to_owned(), None).context("the simulator cannot be called")?))
    }

    /// A user opens a mini program, which calls `wx.login`: returns the code.
    pub(super) async fn login_code(&self, steps: &mut Vec<Step>, program: &str) -> Result<String, ApiError> {
        let asked = json!({ "authorizer_appid": program });
        let answer = self.0.ask(steps, Method::POST, "/_simulator/login-codes", Some(&asked)).await?;
        Ok(answer.text("code").unwrap_or_default())
    }

    /// What `wx.config` reports to a page that has this configuration.
    pub(super) async fn check_page(&self, config: &Value) -> Result<Answer, ApiError> {
        self.0.ask(&mut Vec::new(), Method::POST, "/_simulator/js-sdk-checks", Some(config)).await
    }
}
