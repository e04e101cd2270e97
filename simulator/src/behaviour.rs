//! Lifetimes at WeChat's side, and behaviour that WeChat leaves open, which can change while the simulator runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The lifetimes of what WeChat issues (protocol section 0), in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// `component_access_token`.
    pub component_token: Duration,
    /// `authorizer_access_token`.
    pub authorizer_token: Duration,
    /// `pre_auth_code`.
    pub pre_auth_code: Duration,
    /// `authorization_code`.
    pub authorization_code: Duration,
    /// `component_verify_ticket`.
    pub ticket: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            component_token: Duration::from_hours(2),
            authorizer_token: Duration::from_hours(2),
            pre_auth_code: Duration::from_mins(30),
            authorization_code: Duration::from_mins(10),
            ticket: Duration::from_hours(12),
        }
    }
}

/// Behaviour that WeChat leaves open, or documents differently in different places. Can change while the simulator
/// runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, in any combination")]
pub struct Behaviour {
    /// Every renewal of an authorizer token also replaces the refresh token; the old one dies at once.
    pub rotate_refresh_tokens: bool,
    /// What a consent sends, and in which order.
    pub delivery: Delivery,
    /// Whether push and redirect of one consent carry the same code.
    pub codes: Codes,
    /// A push that is not answered with 200 `success`, or a message without a valid response, is sent three times in
    /// all.
    pub redeliver_pushes: bool,
    /// `api_get_authorizer_list` returns empty refresh tokens (section 1.8, rule 2).
    pub list_without_refresh_tokens: bool,
    /// `api_get_authorizer_info` returns no refresh token, as for an account that granted no API permission.
    pub info_without_refresh_token: bool,
    /// What WeChat's browser does at a web login.
    pub web_login: WebLoginBehaviour,
}

/// What WeChat's browser does at a web login besides asking the visitor (section 5.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebLoginBehaviour {
    /// A follower comes from the account's chat or menu: `snsapi_userinfo` goes straight back. Other visitors are
    /// asked.
    pub silent: bool,
    /// A page that asks for `snsapi_userinfo` is shown as a snapshot: the visitor is not asked, the openid is made up,
    /// and the exchange returns `is_snapshotuser: 1`.
    pub snapshot: bool,
    /// The callback is loaded twice with one code: instead of a redirect, a page does so.
    pub double_load: bool,
}

/// How the platform learns of a consent: by push and by redirect, in no guaranteed order (section 3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Push and redirect at the same time.
    #[default]
    Concurrent,
    /// The push is answered before the merchant is redirected.
    PushFirst,
    /// The merchant closes the page before the redirect.
    PushOnly,
    /// The push is lost.
    RedirectOnly,
}

/// Whether the two codes of one consent are equal: unconfirmed for the real WeChat (section 1.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Codes {
    /// One code for both.
    #[default]
    Same,
    /// Push and redirect each carry their own code.
    Different,
}
