//! Domains of mini programs (protocol section 13): the platform's first, and from among them each account's, or an
//! account's directly.
//!
//! Not modelled: WeChat's look for the check file (86103), and that changes of way one take effect with a release.

pub(crate) mod account;
pub(crate) mod platform;

use std::net::IpAddr;

use base::ids::{AppId, hex};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use crate::api::{Answer, Request, ok};
use crate::refusal::Refusal;

/// The action on a list of domains.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Add,
    Delete,
    Set,
    Get,
}

impl Action {
    fn of(request: &Request) -> Result<Option<Self>, Refusal> {
        Ok(Some(match request.text("action")? {
            None => return Ok(None),
            Some("add") => Self::Add,
            Some("delete") => Self::Delete,
            Some("set") => Self::Set,
            Some("get") => Self::Get,
            Some(_) => return Err(Refusal::new(40097, "invalid args: action")),
        }))
    }

    fn required(request: &Request) -> Result<Self, Refusal> {
        Self::of(request)?.ok_or_else(|| Refusal::missing("action"))
    }

    fn apply(self, known: &mut Vec<String>, named: Vec<String>) {
        match self {
            Self::Get => {}
            Self::Set => *known = named,
            Self::Delete => known.retain(|domain| !named.contains(domain)),
            Self::Add => named.into_iter().for_each(|domain| {
                if !known.contains(&domain) {
                    known.push(domain);
                }
            }),
        }
    }
}

/// Whether a text is the name of a host: neither an IP address nor a URL.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_ok = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.bytes().all(is_ok)
    };
    text.contains('.') && text.split('.').all(is_label) && text.parse::<IpAddr>().is_err()
}

/// The check file of the platform, or of an account: its name and content.
fn check_file(appid: &AppId) -> Answer {
    let digest = hex(&Sha1::digest(format!("check file of {appid}")));
    let (name, content) = digest.split_at(8);
    let content = content.get(..32).unwrap_or_default();
    ok(json!({ "file_name": format!("wx{name}.txt"), "file_content": content }))
}

/// The texts of a list.
fn texts(list: Option<&Value>) -> Vec<String> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
