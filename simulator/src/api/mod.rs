//! The API over HTTP (protocol sections 1, 5 and 11 to 14): one entry of the [`table`] is one API. The checks common to
//! all of them are made here, in this order: method, token, permission set, body. The rest is the operation.
//!
//! HTTP status is 200 even for refusals.

mod answer;
mod component;
mod request;
mod table;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::Response;
use axum::routing::{self, any};
use base::ids::AppId;
use http::Method;
use http::request::Parts;
use serde::Serialize;

pub(crate) use self::answer::{Answer, ok, respond};
pub(crate) use self::request::{Part, Request, account_in, token_in};
use crate::business::media;
use crate::business::web_login::{self, Login};
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::world::{Holder, Sets};

/// The outcome of a call.
pub(crate) type Outcome = Result<Answer, Refusal>;

/// One API.
struct Api {
    path: &'static str,
    method: Method,
    body: Body,
    operation: Operation,
    /// Whether the platform calls it on its own behalf: then each mistake is a fault of the platform. In calls that it
    /// passes on for a service only the token is the platform's.
    is_own: bool,
}

/// The form of a `POST` body.
#[derive(Clone, Copy)]
enum Body {
    Json,
    /// `multipart/form-data`.
    Form,
}

/// What an API does, and whose token it requires.
#[derive(Clone, Copy)]
enum Operation {
    /// No token.
    Open(fn(&Simulator, &Request) -> Outcome),
    /// The component's token, in either of its two parameters.
    Component(fn(&Simulator, &Request) -> Outcome),
    /// The component's token under its literal name, and the two appids in the query (section 11.1).
    Login(fn(&Simulator, &Request, &AppId) -> Outcome),
    /// The same for a web login, which also needs a permission set. A missing permission set and a token of the wrong
    /// kind are both refused with 48001 there (section 5.4).
    WebLogin(fn(&Simulator, &Request, &AppId) -> Outcome),
    /// A visitor's token, and the visitor's openid (section 5.4).
    Visitor(fn(&Simulator, &Request, &Login) -> Outcome),
    /// An account's token, and one of the permission sets.
    Account(Sets, fn(&Simulator, &Request, &Holder) -> Outcome),
    /// The component's token or an account's.
    Either(fn(&Simulator, &Request, Option<&Holder>) -> Outcome),
}

pub(crate) fn router() -> Router<Simulator> {
    let router = table::APIS.iter().fold(Router::new(), |router, api| {
        let handler = async move |State(simulator): State<Simulator>, parts: Parts, body: Bytes| {
            respond(&simulator, api.call(&simulator, &parts, body).await)
        };
        router.route(api.path, any(handler))
    });
    let videos = format!("{}{{id}}", media::VIDEOS);
    router.route(&videos, routing::get(media::video)).layer(DefaultBodyLimit::disable())
}

/// An API that the simulator models, as its entry in the table describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KnownApi {
    /// Its path.
    pub path: &'static str,
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Whether its body is a form with a file.
    pub is_upload: bool,
    /// Whose token it requires.
    pub token: TokenKind,
    /// The permission sets of official accounts, one of which is enough; empty if they lack the API.
    pub official_account: &'static [u32],
    /// The same for mini programs.
    pub mini_program: &'static [u32],
}

/// Whose token an API requires, and where (protocol section 11.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenKind {
    /// No token.
    None,
    /// The component's, as `access_token` or `component_access_token`.
    Component,
    /// The component's as `component_access_token`, with the two appids in the query.
    Login,
    /// An account's, as `access_token`.
    Account,
    /// A visitor's, as `access_token`.
    Visitor,
    /// The component's or an account's.
    Either,
}

/// The APIs that the simulator models.
pub fn known_apis() -> impl Iterator<Item = KnownApi> {
    table::APIS.iter().map(|api| {
        let none = Sets { official_account: &[], mini_program: &[] };
        let (token, sets) = match api.operation {
            Operation::Open(_) => (TokenKind::None, none),
            Operation::Component(_) => (TokenKind::Component, none),
            Operation::Login(_) => (TokenKind::Login, none),
            Operation::WebLogin(_) => (TokenKind::Login, web_login::calls::SETS),
            Operation::Visitor(_) => (TokenKind::Visitor, none),
            Operation::Account(sets, _) => (TokenKind::Account, sets),
            Operation::Either(_) => (TokenKind::Either, none),
        };
        KnownApi {
            path: api.path,
            method: if api.method == Method::GET { "GET" } else { "POST" },
            is_upload: matches!(api.body, Body::Form),
            token,
            official_account: sets.official_account,
            mini_program: sets.mini_program,
        }
    })
}

/// Refuses a path that does not exist as WeChat does, not with 404.
pub(crate) async fn unknown_path(State(simulator): State<Simulator>, parts: Parts) -> Response {
    let has_token = Request::of(&parts).and_then(|request| request.token().map(|_| ()));
    respond(&simulator, has_token.and(Err(Refusal::new(40066, "invalid url"))))
}

/// Whether a call that was refused like this can never be right, whatever happened before.
pub(crate) fn is_never_right(path: &str, refusal: &Refusal) -> bool {
    // A service may call anything; the calls that the platform makes on its own behalf are in the table.
    let is_own = table::APIS.iter().find(|api| api.path == path).is_some_and(|api| api.is_own);
    if is_own { refusal.is_callers_fault() } else { refusal.is_about_token_parameter() }
}

impl Api {
    async fn call(&self, simulator: &Simulator, parts: &Parts, body: Bytes) -> Outcome {
        if parts.method != self.method {
            return Err(match self.method {
                Method::GET => Refusal::new(43001, "require GET method"),
                _ => Refusal::new(43002, "require POST method"),
            });
        }
        let mut request = Request::of(parts)?;
        let now = simulator.now();
        match self.operation {
            Operation::Open(operation) => {
                request.read(self, parts, body).await?;
                operation(simulator, &request)
            }
            Operation::Component(operation) => {
                simulator.read(|world| world.check_component_token(request.token()?, now))?;
                request.read(self, parts, body).await?;
                operation(simulator, &request)
            }
            Operation::Login(operation) => {
                simulator.read(|world| world.check_component_token(request.login_token()?, now))?;
                let account = request.login_account(simulator)?;
                request.read(self, parts, body).await?;
                operation(simulator, &request, &account)
            }
            Operation::WebLogin(operation) => {
                let checked = simulator.read(|world| world.check_component_token(request.login_token()?, now));
                checked.map_err(without_permission)?;
                let account = request.login_account(simulator)?;
                let is_granted = simulator.read(|world| world.check_sets(&account, web_login::calls::SETS));
                is_granted.map_err(without_permission)?;
                request.read(self, parts, body).await?;
                operation(simulator, &request, &account)
            }
            Operation::Visitor(operation) => {
                let login = simulator.login_of(request.account_token()?, now)?;
                login.check_openid(&request)?;
                request.read(self, parts, body).await?;
                operation(simulator, &request, &login)
            }
            Operation::Account(sets, operation) => {
                let holder = simulator.read(|world| world.account_of_token(request.account_token()?, now))?;
                simulator.read(|world| world.check_sets(&holder.account, sets))?;
                simulator.count_call(&holder.account, self.path)?;
                request.read(self, parts, body).await?;
                operation(simulator, &request, &holder)
            }
            Operation::Either(operation) => {
                let holder = simulator.read(|world| world.holder_of_either(request.token()?, now))?;
                request.read(self, parts, body).await?;
                operation(simulator, &request, holder.as_ref())
            }
        }
    }
}

/// The refusal of a web login's calls, for which other calls name the kind of token or the permission set.
fn without_permission(refusal: Refusal) -> Refusal {
    if matches!(refusal.errcode, 61007 | 61014) { Refusal::api_unauthorized() } else { refusal }
}
