//! The merchants' side of WeChat's own console, as a page: rename an account, change its permissions, authorize the
//! platform and withdraw; also with 500 merchants at once. There WeChat's auditors decide about mini programs too, and
//! a person who tries web logins chooses who visits and what WeChat's browser does.

use askama::Template;
use axum::Router;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use base::ids::AppId;
use design::{Navigation, Page};
use http::StatusCode;
use serde::Deserialize;

use crate::behaviour::{Behaviour, WebLoginBehaviour};
use crate::business::code::audit::AuditResult;
use crate::business::web_login::Visitor;
use crate::html::page;
use crate::simulator::Simulator;
use crate::world::{Account, AccountKind};

/// The path of the page.
const PATH: &str = "/console";

/// The most accounts that the page shows.
const SHOWN: usize = 50;

/// Merchants who authorize at once.
const MANY: usize = 500;

/// Whether a request is for the page, which no fault affects.
pub(crate) fn is_under_path(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(crate) fn router() -> Router<Simulator> {
    Router::new()
        .route(PATH, get(show).post(add_many))
        .route("/console/web-login", post(set_web_login))
        .route("/console/{appid}", post(change))
}

async fn show(State(simulator): State<Simulator>) -> Response {
    let mut accounts = simulator.accounts();
    accounts.retain(|account| !account.is_release_check());
    let authorized = accounts.iter().filter(|account| simulator.is_authorized(&account.appid)).count();
    let all = accounts.len();
    let shown = accounts.into_iter().take(SHOWN).map(|account| Shown {
        authorized: simulator.is_authorized(&account.appid),
        in_audit: simulator.is_in_audit(&account.appid),
        bound: simulator.is_bound_to_open_account(&account.appid),
        func_ids: account.func_ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        account,
    });
    let web_login = simulator.behaviour().web_login;
    page(&ConsolePage {
        navigation: simulator.navigation(Some(Page::Merchants)),
        all,
        authorized,
        web_login,
        accounts: shown.collect(),
    })
}

async fn add_many(State(simulator): State<Simulator>) -> Redirect {
    simulator.send_all_in_background(simulator.add_authorized_accounts(MANY));
    Redirect::to(PATH)
}

/// The ticked boxes; browsers leave out the others.
#[derive(Deserialize)]
struct WebLoginBoxes {
    silent: Option<String>,
    snapshot: Option<String>,
    double_load: Option<String>,
}

async fn set_web_login(State(simulator): State<Simulator>, Form(ticked): Form<WebLoginBoxes>) -> Redirect {
    let WebLoginBoxes { silent, snapshot, double_load } = ticked;
    let web_login = WebLoginBehaviour {
        silent: silent.is_some(),
        snapshot: snapshot.is_some(),
        double_load: double_load.is_some(),
    };
    simulator.set_behaviour(Behaviour { web_login, ..simulator.behaviour() });
    Redirect::to("/console#web-login")
}

/// The changes of an account, and its merchant's action.
#[derive(Deserialize)]
struct Changed {
    nick_name: String,
    func_ids: String,
    action: Action,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Save,
    Authorize,
    Unauthorize,
    /// The grant ends and nothing is pushed, as if an account is frozen or the push is lost.
    LoseGrant,
    PassAudit,
    RefuseAudit,
    BindToOpenAccount,
    UnbindFromOpenAccount,
    /// Another person opens the account's pages from now on.
    AddVisitor,
}

async fn change(
    State(simulator): State<Simulator>,
    Path(appid): Path<AppId>,
    Form(changed): Form<Changed>,
) -> Response {
    let Some(account) = simulator.account(&appid) else { return StatusCode::NOT_FOUND.into_response() };
    let ids = changed.func_ids.split([' ', ',']).filter(|id| !id.is_empty()).map(str::parse);
    let Ok(func_ids) = ids.collect::<Result<Vec<u32>, _>>() else { return StatusCode::BAD_REQUEST.into_response() };
    // Without a grant they are what the account will grant.
    let _ = simulator.set_permissions(&appid, &func_ids);
    simulator.put_account(Account { nick_name: changed.nick_name, func_ids, ..account });
    let push = match changed.action {
        Action::Save => None,
        Action::PassAudit => {
            decide_audit(&simulator, &appid, &AuditResult::Passed).await;
            None
        }
        Action::RefuseAudit => {
            let screenshots = vec![simulator.audit_screenshot(&appid)];
            let reason = "1: 小程序内容与所选类目不符".to_owned();
            decide_audit(&simulator, &appid, &AuditResult::Refused { reason, screenshots }).await;
            None
        }
        Action::BindToOpenAccount => {
            simulator.bind_to_open_account(&appid);
            None
        }
        Action::UnbindFromOpenAccount => {
            simulator.unbind_from_open_account(&appid);
            None
        }
        Action::AddVisitor => {
            add_visitor(&simulator, &appid);
            None
        }
        Action::Authorize => simulator.authorize_without_link(&appid).ok().map(|consent| consent.push),
        Action::Unauthorize => simulator.unauthorize(&appid),
        Action::LoseGrant => {
            drop(simulator.unauthorize(&appid));
            None
        }
    };
    if let Some(push) = push {
        simulator.send_in_background(push);
    }
    Redirect::to(&format!("{PATH}#{appid}")).into_response()
}

async fn decide_audit(simulator: &Simulator, appid: &AppId, result: &AuditResult) {
    if let Some(event) = simulator.decide_audit(appid, result) {
        simulator.send_message(&event).await;
    }
}

/// Names of the visitors that are added, in turn.
const NAMES: [&str; 4] = ["阿青🍵", "Lin & Söhne", "王小明", "Zoë 🎈"];

fn add_visitor(simulator: &Simulator, appid: &AppId) {
    let number = simulator.visitors(appid).len();
    let name = NAMES.get((number - 1) % NAMES.len()).copied().unwrap_or_default();
    simulator.put_visitor(appid, Visitor::new(&format!("oVisitor{number}"), name));
}

/// An account on the page.
struct Shown {
    account: Account,
    bound: bool,
    authorized: bool,
    in_audit: bool,
    func_ids: String,
}

#[derive(Template)]
#[template(path = "console.html")]
struct ConsolePage<'a> {
    navigation: Navigation<'a>,
    all: usize,
    authorized: usize,
    web_login: WebLoginBehaviour,
    accounts: Vec<Shown>,
}
