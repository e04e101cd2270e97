//! The two authorization pages (protocol section 2): a merchant comes from the platform's launch page, chooses an
//! account, and confirms or cancels.
//!
//! The checks are WeChat's: the host of the `Referer`, the host of `redirect_uri`, the pre-auth code, the parameters.
//! Unlike WeChat's, the pages require no login: every demo account belongs to the visitor.

use std::collections::HashMap;

use askama::Template;
use axum::Router;
use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use base::ids::AppId;
use design::Navigation;
use http::HeaderMap;
use http::header::REFERER;
use url::Url;

use crate::behaviour::Delivery;
use crate::html::page;
use crate::paths;
use crate::refusal::AuthorizationRefusal as Refused;
use crate::simulator::Simulator;
use crate::world::{Account, AccountKind, Consent};

pub(crate) fn router() -> Router<Simulator> {
    Router::new()
        .route(paths::HOME, get(home))
        .route(paths::PC_PAGE, get(pc_page))
        .route(paths::MOBILE_PAGE, get(mobile_page))
        .route(paths::CONSENT, post(consent))
}

/// The most accounts to choose from: a visitor of WeChat's page has a few.
const SHOWN: usize = 50;

/// The page for a person who opens the port: what it is and where to go.
async fn home(State(simulator): State<Simulator>) -> Response {
    page(&HomePage { navigation: simulator.navigation(None) })
}

type Parameters = HashMap<String, String>;

async fn pc_page(
    State(simulator): State<Simulator>,
    headers: HeaderMap,
    Query(parameters): Query<Parameters>,
) -> Result<Response, Refused> {
    choose(&simulator, &headers, &parameters)
}

async fn mobile_page(
    State(simulator): State<Simulator>,
    headers: HeaderMap,
    Query(parameters): Query<Parameters>,
) -> Result<Response, Refused> {
    for (name, fixed) in [("action", "bindcomponent"), ("no_scan", "1")] {
        if text(&parameters, name) != Some(fixed) {
            return Err(Refused::Parameter(name));
        }
    }
    choose(&simulator, &headers, &parameters)
}

/// Shows the accounts that may be chosen.
fn choose(simulator: &Simulator, headers: &HeaderMap, parameters: &Parameters) -> Result<Response, Refused> {
    let entry = headers.get(REFERER).and_then(|value| Url::parse(value.to_str().ok()?).ok());
    let entry = entry.as_ref().and_then(Url::host_str);
    if entry != Some(simulator.launch_host()) {
        return Err(Refused::Domain { entry: entry.map(str::to_owned) });
    }
    let link = Link::parse(simulator, parameters)?;
    let accounts: Vec<Choice> = simulator
        .accounts()
        .into_iter()
        .filter(|account| link.admits(account))
        .take(SHOWN)
        .map(|account| Choice { authorized: simulator.is_authorized(&account.appid), account })
        .collect();
    if accounts.is_empty() {
        return Err(Refused::Account);
    }
    let carried = CARRIED.into_iter().filter_map(|name| Some((name, text(parameters, name)?))).collect();
    let platform = simulator.platform().component_appid.as_str();
    Ok(page(&ChoosePage { platform, consent_path: paths::CONSENT, parameters: carried, accounts }))
}

/// The merchant's decision.
async fn consent(State(simulator): State<Simulator>, Form(form): Form<Parameters>) -> Result<Response, Refused> {
    let link = Link::parse(&simulator, &form)?;
    if text(&form, "decision") != Some("confirm") {
        return Ok(page(&CancelledPage));
    }
    let chosen = text(&form, "authorizer_appid").and_then(|appid| AppId::parse(appid).ok()).ok_or(Refused::Account)?;
    let admitted = simulator.accounts().into_iter().any(|account| account.appid == chosen && link.admits(&account));
    if !admitted {
        return Err(Refused::Account);
    }
    let consent = simulator.authorize(&chosen, Some(&link.pre_auth_code), link.category_ids.as_deref())?;
    let back = link.back(&consent);
    let delivery = simulator.behaviour().delivery;
    match delivery {
        Delivery::Concurrent | Delivery::PushOnly => simulator.send_in_background(consent.push),
        Delivery::PushFirst => {
            simulator.send(&consent.push).await;
        }
        Delivery::RedirectOnly => {}
    }
    Ok(match delivery {
        Delivery::PushOnly => page(&ConfirmedPage),
        Delivery::Concurrent | Delivery::PushFirst | Delivery::RedirectOnly => {
            Redirect::to(back.as_str()).into_response()
        }
    })
}

/// An authorization link that passed every check.
struct Link {
    pre_auth_code: String,
    redirect_uri: Url,
    kinds: &'static [AccountKind],
    biz_appid: Option<AppId>,
    category_ids: Option<Vec<u32>>,
}

/// The parameters that the form keeps unchanged.
const CARRIED: [&str; 6] =
    ["component_appid", "pre_auth_code", "redirect_uri", "auth_type", "biz_appid", "category_id_list"];

impl Link {
    fn parse(simulator: &Simulator, parameters: &Parameters) -> Result<Self, Refused> {
        let required = |name| text(parameters, name).ok_or(Refused::Missing(name));
        if required("component_appid")? != simulator.platform().component_appid.as_str() {
            return Err(Refused::ComponentAppId);
        }
        let pre_auth_code = required("pre_auth_code")?.to_owned();
        let redirect_uri = Url::parse(required("redirect_uri")?).map_err(|_| Refused::Parameter("redirect_uri"))?;
        if redirect_uri.host_str() != Some(simulator.launch_host()) {
            return Err(Refused::Domain { entry: Some(simulator.launch_host().to_owned()) });
        }
        let kinds: &[AccountKind] = match required("auth_type")? {
            "1" => &[AccountKind::OfficialAccount],
            "2" => &[AccountKind::MiniProgram],
            "3" | "6" => &[AccountKind::OfficialAccount, AccountKind::MiniProgram],
            // Kinds of account that exist, but not here.
            "4" | "5" | "8" => &[],
            _ => return Err(Refused::Parameter("auth_type")),
        };
        let biz_appid = text(parameters, "biz_appid")
            .map(|appid| AppId::parse(appid).map_err(|_| Refused::Parameter("biz_appid")))
            .transpose()?;
        let category_ids = text(parameters, "category_id_list")
            .map(|ids| ids.split('|').map(|id| id.parse().map_err(|_| Refused::PermissionSets)).collect())
            .transpose()?;
        simulator.read(|world| world.check_pre_auth_code(&pre_auth_code, simulator.now()))?;
        Ok(Self { pre_auth_code, redirect_uri, kinds, biz_appid, category_ids })
    }

    /// `biz_appid` takes precedence over a conflicting `auth_type`.
    fn admits(&self, account: &Account) -> bool {
        self.biz_appid.as_ref().map_or_else(|| self.kinds.contains(&account.kind), |appid| *appid == account.appid)
    }

    /// Where the merchant goes after confirming: the platform's own query stays, ours is appended.
    fn back(&self, consent: &Consent) -> Url {
        let mut back = self.redirect_uri.clone();
        back.query_pairs_mut()
            .append_pair("auth_code", &consent.redirect_code)
            .append_pair("expires_in", &consent.expires_in.as_secs().to_string());
        back
    }
}

/// A parameter; a missing one and an empty one are alike.
fn text<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    parameters.get(name).map(String::as_str).filter(|text| !text.is_empty())
}

/// An account on the page.
struct Choice {
    account: Account,
    authorized: bool,
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage<'a> {
    navigation: Navigation<'a>,
}

#[derive(Template)]
#[template(path = "choose.html")]
struct ChoosePage<'a> {
    platform: &'a str,
    consent_path: &'a str,
    parameters: Vec<(&'static str, &'a str)>,
    accounts: Vec<Choice>,
}

#[derive(Template)]
#[template(path = "cancelled.html")]
struct CancelledPage;

#[derive(Template)]
#[template(path = "confirmed.html")]
struct ConfirmedPage;

#[derive(Template)]
#[template(path = "refused.html")]
struct RefusedPage {
    text: String,
    number: i64,
}

/// WeChat shows its errors with status 200. A refusal travels as an extension too, for the record of calls.
impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = page(&RefusedPage { text: self.to_string(), number: self.number() });
        response.extensions_mut().insert(self);
        response
    }
}
