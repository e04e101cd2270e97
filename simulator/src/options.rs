//! What a simulator is started with, and the part of it that can change while it runs ([`Behaviour`]).

use std::path::PathBuf;
use std::time::Duration;

use base::clock::SharedClock;
use base::ids::AppId;
use base::random::Random;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::world::Account;

/// Everything a simulator needs to start.
pub struct Options {
    /// The third-party platform as registered in WeChat's console.
    pub platform: Platform,
    /// 授权发起页域名: the bare host on which links and callbacks must live, such as `localhost`.
    pub launch_host: String,
    /// 授权事件接收URL, such as `http://localhost:3000/wechat/events`. Without one, pushes are recorded as not
    /// delivered. [`crate::Simulator::set_push_url`] changes it.
    pub push_url: Option<Url>,
    /// 消息与事件接收URL with `$APPID$` in the account's place, such as
    /// `http://localhost:3000/wechat/accounts/$APPID$/events`. Without one, messages stay unanswered.
    /// [`crate::Simulator::set_message_url`] changes it.
    pub message_url: Option<String>,
    /// Where every rule reads the time.
    pub clock: SharedClock,
    /// Where tokens, codes and nonces come from.
    pub random: Random,
    /// How long things live.
    pub lifetimes: Lifetimes,
    /// What WeChat leaves open, at the start.
    pub behaviour: Behaviour,
    /// The accounts that merchants can choose from. A state file that exists already has its own.
    pub accounts: Vec<Account>,
    /// A file that holds the state across restarts: read at the start, written before an answer leaves.
    pub state_file: Option<PathBuf>,
}

impl Options {
    /// A simulator with the demo accounts, WeChat's lifetimes, no URL and no state file.
    #[must_use]
    pub fn new(platform: Platform, launch_host: &str, clock: SharedClock) -> Self {
        Self {
            platform,
            launch_host: launch_host.to_owned(),
            push_url: None,
            message_url: None,
            clock,
            random: Random::system(),
            lifetimes: Lifetimes::default(),
            behaviour: Behaviour::default(),
            accounts: Account::demo(),
            state_file: None,
        }
    }
}

/// The platform's entries in WeChat's console (protocol section 8).
#[derive(Clone)]
pub struct Platform {
    /// 第三方平台 `AppID`.
    pub component_appid: AppId,
    /// 第三方平台 `AppSecret`.
    pub component_appsecret: SecretString,
    /// 消息校验Token.
    pub token: SecretString,
    /// 消息加解密Key: 43 characters.
    pub encoding_aes_key: SecretString,
}

/// How long what WeChat issues lives (protocol section 0). Whole seconds.
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

/// What WeChat documents as open, or differently in different places. Can change while the simulator runs.
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
    /// A push that is not answered with 200 `success`, and a message without a valid answer, is sent three times in all.
    pub redeliver_pushes: bool,
    /// `api_get_authorizer_list` answers with empty refresh tokens (section 1.8, rule 2).
    pub list_without_refresh_tokens: bool,
    /// `api_get_authorizer_info` answers without a refresh token, as for an account that granted no API permission.
    pub info_without_refresh_token: bool,
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
    /// The merchant closes the page in time: no redirect.
    PushOnly,
    /// The push is lost.
    RedirectOnly,
}

/// Whether the two codes of one consent are alike: unconfirmed for the real WeChat (section 1.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Codes {
    /// One code for both.
    #[default]
    Same,
    /// Push and redirect carry a code each.
    Different,
}
