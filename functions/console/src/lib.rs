//! The operators' console: pages for the people who look after merchants.
//!
//! The pages are rendered here. Everything works without their script, which only makes them more pleasant. What they
//! show is read from the table with projections that leave out every secret, and no role that runs this could read one.
//! An operator's acts go through the functions that services use (`functions`), so there is one way to do a thing.
//!
//! `session` identifies the operator: by a browser that an invitation has bound. `guard` comes before every page:
//! nobody reaches one without a session, no form is accepted from another site, and nobody acts who may only look.
//! `visit` carries out what a form requests, after writing it into the audit. Each page is a module of `pages`.

mod access;
mod assets;
mod chart;
mod functions;
mod guard;
mod invitation;
mod pages;
mod session;
mod trouble;
mod view;
mod visit;
mod words;

use std::sync::{Arc, LazyLock};

use aws_sdk_lambda::Client;
use axum::Router;
use axum::extract::Request;
use axum::middleware;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{MethodRouter, get, post};
use base::clock::SharedClock;
use base::limits::Limits;
use base::random::Random;
use design::Neighbour;
use http::{Method, StatusCode};
use platform::head_start::head_start;
use runtime::config::ConsoleConfig;
use runtime::telemetry::Metrics;
use store::Table;

use self::access::Platform;
pub use self::functions::lambda_client;
pub use self::guard::Needs;
use self::view::View;

/// The path of the console, below our own origin.
pub const BASE: &str = "/console";

/// What the console is built from.
#[derive(Clone)]
pub struct Parts {
    /// The table.
    pub table: Table,
    /// The functions that act.
    pub lambda: Client,
    /// The clock that the rules use.
    pub clock: SharedClock,
    /// Random bytes.
    pub random: Random,
    /// The sink for metrics.
    pub metrics: Metrics,
    /// The bound on each wait.
    pub limits: Limits,
    /// The configuration from the environment.
    pub config: ConsoleConfig,
    /// The other pages of `cargo run`, to which the navigation leads too. There are none in the cloud.
    pub neighbours: Arc<[Neighbour]>,
}

/// The console's state, made once; clones share it.
#[derive(Clone)]
pub struct Console(Arc<Inner>);

struct Inner {
    parts: Parts,
    platform: Platform,
}

impl Console {
    /// The console of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let platform = Platform::new(&parts);
        Self(Arc::new(Inner { parts, platform }))
    }

    /// Prepares for the first request: connects to the table, and looks the platform up.
    pub async fn get_ready(&self) {
        let Parts { table, limits, .. } = &self.0.parts;
        let bound = limits.head_start;
        head_start(bound, [Box::pin(table.connect()), Box::pin(self.0.platform.find_ahead(bound))]).await;
    }

    fn config(&self) -> &ConsoleConfig {
        &self.0.parts.config
    }
}

/// A page or a form, with the right that an operator needs to reach it.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// The method.
    pub method: &'static Method,
    /// The path, in the router's syntax.
    pub path: &'static str,
    /// The right that an operator needs.
    pub needs: Needs,
}

/// All pages and forms that need a session.
pub static PAGES: LazyLock<Vec<Page>> = LazyLock::new(|| routes().into_iter().map(|(page, _)| page).collect());

fn looks(path: &'static str, handler: MethodRouter<Console>) -> (Page, MethodRouter<Console>) {
    (Page { method: &Method::GET, path, needs: Needs::Look }, handler)
}

fn acts(path: &'static str, handler: MethodRouter<Console>) -> (Page, MethodRouter<Console>) {
    (Page { method: &Method::POST, path, needs: Needs::Act }, handler)
}

/// A form with which operators change only their own browsers.
fn own(path: &'static str, handler: MethodRouter<Console>) -> (Page, MethodRouter<Console>) {
    (Page { method: &Method::POST, path, needs: Needs::Look }, handler)
}

fn routes() -> Vec<(Page, MethodRouter<Console>)> {
    use pages::{
        account, accounts, arrivals, audit, browsers, domains, export, keys, links, operators, overview, setup,
    };
    vec![
        looks("/console", get(overview::show)),
        looks("/console/lost", get(overview::lost)),
        looks("/console/accounts", get(accounts::show)),
        looks("/console/export", get(export::show)),
        looks("/console/export/accounts.csv", get(export::part)),
        looks("/console/accounts/{appid}", get(account::show)),
        acts("/console/accounts/{appid}/labels", post(account::change_labels)),
        acts("/console/accounts/{appid}/profile-reading", post(account::read_profile)),
        acts("/console/accounts/{appid}/renewal", post(account::renew)),
        acts("/console/accounts/{appid}/link", post(account::make_link)),
        looks("/console/links", get(links::show)),
        acts("/console/links", post(links::make)),
        looks("/console/links/{link_id}", get(links::show_one)),
        acts("/console/links/{link_id}/cancellation", post(links::cancel)),
        looks("/console/arrivals", get(arrivals::show)),
        acts("/console/arrivals/retry", post(arrivals::retry)),
        looks("/console/keys", get(keys::show)),
        acts("/console/keys/{key_id}/revocation", post(keys::revoke)),
        looks("/console/domains", get(domains::show)),
        looks("/console/setup", get(setup::show)),
        looks("/console/audit", get(audit::show)),
        looks("/console/operators", get(operators::show)),
        looks("/console/browsers", get(browsers::show)),
        own("/console/browsers/{browser_id}/end", post(browsers::end)),
        own("/console/language", post(browsers::choose_language)),
    ]
}

/// The console's pages.
pub fn router(console: Console) -> Router {
    let bound = routes().into_iter().fold(Router::new(), |router, (page, handler)| router.route(page.path, handler));
    bound
        .route("/console/{*rest}", get(async |request: Request| nothing_here(&request, StatusCode::NOT_FOUND)))
        .method_not_allowed_fallback(async |request: Request| nothing_here(&request, StatusCode::METHOD_NOT_ALLOWED))
        .route_layer(middleware::from_fn_with_state(console.clone(), guard::bound_browsers_only))
        .route("/console/", get(async || Redirect::permanent(BASE)))
        .route("/console/invitations/{code}", get(invitation::show).post(invitation::accept))
        .route("/console/assets/{file}", get(assets::serve))
        .with_state(console)
}

/// The response if there is no such page, for operators whom the guard has admitted.
fn nothing_here(request: &Request, status: StatusCode) -> Response {
    request.extensions().get::<View>().map_or_else(|| status.into_response(), |view| view.nothing_here(status))
}

#[cfg(test)]
mod tests;
