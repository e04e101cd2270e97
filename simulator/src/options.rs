//! The options of a simulator.

use std::path::PathBuf;

use base::clock::SharedClock;
use base::ids::AppId;
use base::random::Random;
use design::{Neighbour, Page};
use secrecy::SecretString;
use url::Url;

use crate::behaviour::{Behaviour, Lifetimes};
use crate::world::Account;

/// Everything a simulator needs to start.
pub struct Options {
    /// The third-party platform as registered in WeChat's console.
    pub platform: Platform,
    /// 授权发起页域名: the bare host on which links and callbacks must live, such as `localhost`.
    pub launch_host: String,
    /// 公众号开发域名: the bare hosts to which web logins may return, and for one account to their children `APPID.host`.
    /// [`crate::Simulator::set_web_domains`] changes them.
    pub web_domains: Vec<String>,
    /// 授权事件接收URL, such as `http://localhost:3000/wechat/events`. Without one, pushes are recorded as not
    /// delivered. [`crate::Simulator::set_push_url`] changes it.
    pub push_url: Option<Url>,
    /// 消息与事件接收URL with `$APPID$` in the account's place, such as
    /// `http://localhost:3000/wechat/accounts/$APPID$/events`. Without one, messages stay unanswered.
    /// [`crate::Simulator::set_message_url`] changes it.
    pub message_url: Option<String>,
    /// The clock that the rules use.
    pub clock: SharedClock,
    /// The source of tokens, codes and nonces.
    pub random: Random,
    /// The lifetimes.
    pub lifetimes: Lifetimes,
    /// The behaviour that WeChat leaves open, at the start.
    pub behaviour: Behaviour,
    /// The accounts that merchants can choose from. An existing state file has its own.
    pub accounts: Vec<Account>,
    /// A file that holds the state across restarts: read at the start, written before a response is sent.
    pub state_file: Option<PathBuf>,
    /// The pages in the navigation of those without a counterpart at WeChat, in order: the chat, the merchants, and
    /// whatever else runs next to the simulator.
    pub neighbours: Vec<Neighbour>,
}

impl Options {
    /// A simulator with the demo accounts, WeChat's lifetimes, the launch host as its only web domain, no URL, no state
    /// file and no neighbours except its own pages.
    #[must_use]
    pub fn new(platform: Platform, launch_host: &str, clock: SharedClock) -> Self {
        Self {
            platform,
            launch_host: launch_host.to_owned(),
            web_domains: vec![launch_host.to_owned()],
            push_url: None,
            message_url: None,
            clock,
            random: Random::system(),
            lifetimes: Lifetimes::default(),
            behaviour: Behaviour::default(),
            accounts: Account::demo(),
            state_file: None,
            neighbours: vec![Neighbour::new(Page::Chat, "/chat"), Neighbour::new(Page::Merchants, "/console")],
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
