//! The business's service that gets the events of accounts, and does not always accept them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::response::IntoResponse as _;
use base::ids::AppId;
use http::StatusCode;
use serde_json::Value;
use stories::webhook::{Call, Service};
use url::Url;

use crate::invariants::Violations;
use crate::step::Unwilling;

/// How often an event is sent at least before it is given up, after a day.
const LEAST_TRIES: usize = 6;

/// The service; clones share what it remembers.
#[derive(Clone)]
pub(crate) struct EventService {
    service: Service,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    unwilling: Option<Unwilling>,
    /// How often each event was refused by a service that wavers.
    refused: BTreeMap<(String, u64), u32>,
    taken: Vec<Call>,
}

/// How often a service that wavers refuses an event. Meanwhile the account has further events, which must wait.
const REFUSALS: u32 = 5;

impl State {
    /// Whether a service that wavers accepts an event.
    fn relents(&mut self, call: &Call) -> bool {
        let number = number(call);
        let refused = self.refused.entry((account(call).to_owned(), number)).or_default();
        let relents = number.is_multiple_of(2) || *refused == REFUSALS;
        *refused += u32::from(!relents);
        relents
    }
}

fn account(call: &Call) -> &str {
    call.body["data"]["authorizer_appid"].as_str().unwrap()
}

fn number(call: &Call) -> u64 {
    call.body["data"]["sequence"].as_u64().unwrap()
}

impl EventService {
    pub(crate) async fn open() -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let known = Arc::clone(&state);
        let service = Service::answering_in_time(move |call| {
            let mut state = known.lock().unwrap_or_else(PoisonError::into_inner);
            let is_taken = match state.unwilling {
                None => true,
                Some(Unwilling::Refuses) => false,
                Some(Unwilling::Wavers) => state.relents(call),
                Some(Unwilling::Hangs) => return Box::pin(std::future::pending()),
            };
            let status = if is_taken { StatusCode::NO_CONTENT } else { StatusCode::SERVICE_UNAVAILABLE };
            if is_taken {
                state.taken.push(call.clone());
            }
            Box::pin(std::future::ready(status.into_response()))
        })
        .await;
        Self { service, state }
    }

    pub(crate) fn url(&self) -> Url {
        self.service.url()
    }

    /// From now on it accepts nothing, or everything again.
    pub(crate) fn set(&self, unwilling: Option<Unwilling>) {
        self.state().unwilling = unwilling;
    }

    /// The violations in what it was sent for an account, given the account's events on the bus by number (`reported`);
    /// and how many of them it never accepted.
    pub(crate) fn wrong_about(&self, account: &AppId, reported: &BTreeMap<u64, &Value>) -> (Violations, usize) {
        let (mut found, mut taken, mut tries) = (Violations::new(), Vec::new(), BTreeMap::<u64, usize>::new());
        let is_of = |call: &Call| self::account(call) == account.as_str();
        for call in self.service.asked().iter().filter(|call| is_of(call)) {
            *tries.entry(number(call)).or_default() += 1;
            if reported.get(&number(call)).is_none_or(|detail| **detail != call.body["data"]) {
                found.push(format!("the event webhook was sent another event {} than the bus", number(call)));
            }
        }
        for call in self.state().taken.iter().filter(|call| is_of(call)) {
            if !taken.contains(&number(call)) {
                taken.push(number(call));
            }
        }
        if !taken.is_sorted() {
            found.push(format!("the event webhook got the events {taken:?} in this order"));
        }
        let missing: Vec<_> = reported.keys().filter(|number| !taken.contains(number)).collect();
        for number in &missing {
            let tries = tries.get(number).copied().unwrap_or_default();
            if tries < LEAST_TRIES {
                found.push(format!("event {number} was sent to the event webhook {tries} times and never taken"));
            }
        }
        (found, missing.len())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
