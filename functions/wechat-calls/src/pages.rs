//! `POST /accounts/{appid}/js-sdk-configs`: the configuration of an account's web page for the JS-SDK (protocol section
//! 5.9).

use axum::extract::State;
use axum::response::Response;
use base::ids::AppId;
use base::language::Language;
use http::StatusCode;
use platform::tokens::TokenError;
use runtime::config::WebDomains;
use serde::Serialize;
use store::{TicketKind, TokenOwner};
use tokio::time::Instant;
use url::Url;
use web::api::{ApiError, PathAccount, json, respond, with_wechats_words};
use web::caller::Caller;
use web::{Members, Problem, ProblemKind};
use wechat::api::relay::PAGE_TICKET;
use wechat::api::{AccountKind, Api, ErrCode, Reaction, WechatError};
use wechat::pages::sign;

use crate::failure::Asked;
use crate::library::words;
use crate::{CallService, OpenPlatform, ticket};

/// The longest URL of a page, in bytes.
pub(crate) const LONGEST_URL: usize = 2_048;

/// The permission set that tickets require: 网页服务.
const PAGES: u32 = 4;

/// The parameters of `wx.config`, under its names.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct JsSdkConfig {
    /// The account.
    pub(crate) app_id: String,
    /// When it was signed, as Unix time in seconds.
    pub(crate) timestamp: i64,
    /// A random text, which is part of the signed text.
    pub(crate) nonce_str: String,
    /// The signature, valid for this page only.
    pub(crate) signature: String,
    /// Until when it can be kept.
    #[serde(rename = "use_until")]
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub(crate) use_until: String,
}

/// A page to be signed.
struct Page {
    /// Its URL as the browser has it, without the fragment.
    signed: String,
    address: Url,
}

impl Page {
    fn read(mut members: Members) -> Result<Self, Problem> {
        let url = members.text("url")?;
        members.finish()?;
        let signed = url.as_deref().map(|url| url.split('#').next().unwrap_or_default().to_owned());
        let page = signed.filter(|url| url.len() <= LONGEST_URL && is_written_by_a_browser(url));
        let page = page.and_then(|signed| Some(Self { address: Url::parse(&signed).ok()?, signed }));
        let page = page.filter(|page| matches!(page.address.scheme(), "https" | "http") && page.address.has_host());
        page.filter(|page| page.address.username().is_empty() && page.address.password().is_none()).ok_or_else(|| {
            let detail = format!(
                "url must be the page's location.href, such as https://shop.example.com/cart?id=1, of at most {LONGEST_URL} bytes"
            );
            Problem::new(ProblemKind::InvalidField, detail)
        })
    }

    /// Refuses a page that WeChat would refuse.
    fn on(self, domains: &WebDomains, account: &AppId) -> Result<Self, Problem> {
        if domains.allow(&self.address, account) {
            return Ok(self);
        }
        let detail = if domains.is_empty() {
            "an operator has to name the platform's 公众号开发域名 in the parameter WebDomains: WeChat lets pages use the JS-SDK there only"
                .to_owned()
        } else {
            format!(
                "WeChat lets pages use the JS-SDK only on the platform's 公众号开发域名 ({domains}): serve the page there, or have an operator add its host in WeChat's console and in the parameter WebDomains"
            )
        };
        Err(Problem::new(ProblemKind::UrlNotOnWebDomain, detail))
    }
}

/// Whether a URL has nothing that the URL standard would drop or replace, like a browser's `location.href`.
fn is_written_by_a_browser(url: &str) -> bool {
    !url.chars().any(|c| c == '\\' || c.is_control() || c.is_whitespace())
}

/// `POST /accounts/{appid}/js-sdk-configs`.
pub(crate) async fn create(
    State(service): State<CallService>,
    caller: Caller,
    PathAccount(account): PathAccount,
    body: Members,
) -> Response {
    respond(service.services(), "signing a page", |bound| signed(service.clone(), caller, account, body, bound)).await
}

async fn signed(
    service: CallService,
    caller: Caller,
    account: AppId,
    body: Members,
    bound: Instant,
) -> Result<Response, ApiError> {
    let page = Page::read(body)?.on(service.web_domains(), &account)?;
    let open = service.open(bound).await?;
    let asked = Asked::get(&caller, &account, PAGE_TICKET);
    let ticket = match open.tokens.valid(&ticket::owner(&account, TicketKind::JsSdk)).await {
        Ok(ticket) => ticket,
        Err(error) => {
            let mistake = why_not_permitted(&open, &account, &error).await;
            let refused = ticket::refused(&open, &asked, error).await;
            return Err(mistake.map_or(refused, ApiError::from));
        }
    };
    let (now, nonce) = (open.component.context().now(), open.component.context().random.id());
    let signature = sign(&ticket.token, &nonce, now, &page.signed);
    let config = JsSdkConfig {
        app_id: account.to_string(),
        timestamp: now.unix(),
        nonce_str: nonce,
        signature,
        use_until: ticket::keep_until(&ticket, now).rfc3339(),
    };
    Ok(json(StatusCode::OK, &config))
}

/// Why WeChat refuses an account the permission to sign pages.
async fn why_not_permitted(open: &OpenPlatform, account: &AppId, error: &TokenError) -> Option<Problem> {
    let (code, refusal) = match error {
        TokenError::Wechat(WechatError::Refused(refusal)) => (refusal.code, Some(refusal)),
        // WeChat said so a moment ago, and has not been asked again yet.
        TokenError::Failing { owner: TokenOwner::Pages(..), label, .. } => {
            (ErrCode::from_code(label.parse().ok()?), None)
        }
        _ => return None,
    };
    if code.reaction_to(Api::GetTicket) != Reaction::Permission {
        return None;
    }
    let details = open.details(account).await?;
    let kind = details.profile.as_ref().map(|profile| profile.kind);
    let detail = if kind.is_some_and(|kind| kind != AccountKind::OfficialAccount) {
        "only pages of official accounts use the JS-SDK, and this account is not one: sign with the appid of the merchant's service account"
    } else if details.func_info.contains(&PAGES) {
        "WeChat lets only verified service accounts (服务号) sign pages, and this account does not seem to be one"
    } else {
        "the merchant has not granted permission set 4 (网页服务), or has granted it to another platform since: send a new link"
    };
    let problem = Problem::new(ProblemKind::PagesNotPermitted, detail);
    Some(if let Some(refusal) = refusal {
        with_wechats_words(problem, refusal)
    } else {
        let errmsg = words(code.code()).unwrap_or(code.meaning(Language::English));
        problem.with("errcode", code.code()).with("errmsg", errmsg)
    })
}
