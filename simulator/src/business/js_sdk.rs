//! Pages of an account that use the JS-SDK (protocol section 5.9): the tickets with which they are signed, and the
//! check of a signature by `wx.config`.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::{AppId, hex};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha1::{Digest as _, Sha1};
use url::Url;

use crate::api::{Outcome, Request, ok};
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::world::{Holder, SecretKind};

/// How long a ticket is valid.
const TICKET_LIFETIME: Duration = Duration::from_hours(2);

/// The tickets with which pages of one account may be signed.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Tickets(Vec<Ticket>);

#[derive(Serialize, Deserialize)]
struct Ticket {
    value: String,
    expires_at: Timestamp,
}

impl Tickets {
    pub(super) fn values(&self) -> impl Iterator<Item = &String> {
        self.0.iter().map(|ticket| &ticket.value)
    }
}

/// What a page passes to `wx.config`, and the page's URL.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PageConfig {
    /// `appId`: the account.
    pub app_id: AppId,
    /// `timestamp`: Unix time in seconds.
    pub timestamp: i64,
    /// `nonceStr`.
    pub nonce_str: String,
    /// `signature`.
    pub signature: String,
    /// The page's `location.href`, which WeChat's browser knows itself.
    pub url: String,
}

/// What `wx.config` reports to the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageCheck {
    /// `wx.ready`.
    Ready,
    /// `wx.error`: the page is not on one of the platform's 公众号开发域名.
    UrlDomain,
    /// `wx.error`: another URL was signed, or another account's ticket was used, or an expired one.
    Signature,
}

impl PageCheck {
    /// `errMsg`, as the page sees it.
    #[must_use]
    pub const fn err_msg(self) -> &'static str {
        match self {
            Self::Ready => "config:ok",
            Self::UrlDomain => "config:invalid url domain",
            Self::Signature => "config:invalid signature",
        }
    }
}

impl Simulator {
    /// Checks what a page passes to `wx.config`, as WeChat's browser does.
    #[must_use]
    pub fn check_page(&self, config: &PageConfig) -> PageCheck {
        let PageConfig { app_id, timestamp, nonce_str, signature, url } = config;
        let page = url.split('#').next().unwrap_or_default();
        let host = Url::parse(page).ok().and_then(|page| page.host_str().map(str::to_owned));
        if !host.is_some_and(|host| self.is_web_domain(&host, app_id)) {
            return PageCheck::UrlDomain;
        }
        let now = self.now();
        let is_signed_with = |ticket: &str| {
            let signed = format!("jsapi_ticket={ticket}&noncestr={nonce_str}&timestamp={timestamp}&url={page}");
            hex(&Sha1::digest(signed)) == *signature
        };
        let is_signed = self.of_account(app_id, |of| {
            of.page_tickets.0.iter().any(|ticket| now < ticket.expires_at && is_signed_with(&ticket.value))
        });
        if is_signed { PageCheck::Ready } else { PageCheck::Signature }
    }
}

/// Issues a ticket of the JS-SDK, or of cards: a new one at each call.
pub(crate) fn ticket(simulator: &Simulator, request: &Request, holder: &Holder) -> Outcome {
    let signs_pages = match request.parameter("type") {
        Some("jsapi") => true,
        Some("wx_card") => false,
        _ => return Err(Refusal::new(40097, "invalid args: type")),
    };
    let value = simulator.change(|world, at| world.issue(SecretKind::JsTicket, "", at));
    if signs_pages {
        simulator.change_account(&holder.account, |of, at| {
            let tickets = &mut of.page_tickets.0;
            tickets.retain(|ticket| at.now < ticket.expires_at);
            tickets.push(Ticket { value: value.clone(), expires_at: at.now.plus(TICKET_LIFETIME) });
        });
    }
    Ok(ok(json!({ "ticket": value, "expires_in": TICKET_LIFETIME.as_secs() })))
}
