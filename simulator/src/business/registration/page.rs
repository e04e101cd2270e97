//! The page of a registration's `authorize_url`, on which the person confirms it or declines.

use askama::Template;
use axum::Router;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::StatusCode;
use serde::Deserialize;

use super::{Task, WAITING};
use crate::html::page;
use crate::simulator::Simulator;

/// The path of the page; the number of the task follows.
pub(super) const PATH: &str = "/registrations/";

/// `status` and `msg` if the person declines the mini program.
const UNWANTED: (i64, &str) = (100_003, "user did not confirm");

/// Whether a request is for the page, which no fault affects.
pub(crate) fn is_under_path(path: &str) -> bool {
    path.starts_with(PATH)
}

pub(crate) fn router() -> Router<Simulator> {
    Router::new().route(&format!("{PATH}{{task_id}}"), get(show).post(decide))
}

impl Simulator {
    fn task(&self, task_id: &str) -> Option<Task> {
        self.of_platform(|of| of.registrations.0.get(task_id).cloned())
    }
}

async fn show(State(simulator): State<Simulator>, Path(task_id): Path<String>) -> Response {
    match simulator.task(&task_id) {
        Some(task) => page(&RegistrationPage { status: task.status(simulator.now()), name: task.name }),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[derive(Deserialize)]
struct Decided {
    decision: Decision,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Confirm,
    Cancel,
}

async fn decide(
    State(simulator): State<Simulator>,
    Path(task_id): Path<String>,
    Form(decided): Form<Decided>,
) -> Response {
    let push = match decided.decision {
        Decision::Confirm => simulator.confirm_registration(&task_id).map(|registration| registration.push),
        Decision::Cancel => simulator.refuse_registration(&task_id, UNWANTED.0, UNWANTED.1),
    };
    if let Some(push) = push {
        simulator.send_in_background(push);
    }
    show(State(simulator), Path(task_id)).await
}

#[derive(Template)]
#[template(path = "registration.html")]
struct RegistrationPage {
    name: String,
    status: i64,
}
