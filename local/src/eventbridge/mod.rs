//! EventBridge on localhost: the one operation that our functions use, `PutEvents`, for one bus, and a page of the
//! events that arrive.
//!
//! AWS's JSON 1.1 protocol, as in [`crate::secrets`]. Requests are checked as AWS documents it. An event that AWS drops
//! silently (for a bus that does not exist, or with a detail-type that is too long) is refused here. Nothing is
//! forwarded: there are no rules and no targets.

mod page;
mod request;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base::clock::{Clock as _, SystemClock, Timestamp};
use base::ids::hex;
use base::random::Random;
use design::Neighbour;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::request::{ENTRIES_SIZE, Entry, EntryError, PutEvents, Refusal};
use crate::guard::{self, Guard};

/// The content type of AWS's JSON 1.1 protocol.
const JSON_1_1: &str = "application/x-amz-json-1.1";

/// How many events are kept: more than anybody reads, and a few megabytes at most in ordinary use.
const KEPT: usize = 1_000;

/// One bus behind an endpoint; clones share it.
#[derive(Clone)]
pub struct EventBus {
    shared: Arc<Shared>,
    /// The pages in the navigation of its page.
    neighbours: Arc<[Neighbour]>,
}

struct Shared {
    name: String,
    /// Distinguishes this start's numbers from those of an earlier one, which a page that is still open knows.
    run: String,
    random: Random,
    state: Mutex<Journal>,
    /// The number of the newest event.
    newest: watch::Sender<u64>,
}

/// The events that arrived, and the refusals to come.
struct Journal {
    delivered: VecDeque<Numbered>,
    refuse: usize,
    most_bytes: usize,
}

impl Default for Journal {
    fn default() -> Self {
        Self { delivered: VecDeque::new(), refuse: 0, most_bytes: ENTRIES_SIZE }
    }
}

/// An event and its number; the first is 1.
#[derive(Clone)]
struct Numbered {
    number: u64,
    event: Delivered,
}

/// An event that the bus accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivered {
    /// The id that the bus gave it.
    pub id: String,
    /// When it happened, according to its sender; otherwise when it arrived.
    pub time: Timestamp,
    /// `Source`, such as `wechat.platform`.
    pub source: String,
    /// `DetailType`, such as `message.text`.
    pub detail_type: String,
    /// `Detail`, a JSON object.
    pub detail: Value,
}

impl EventBus {
    /// The bus called `name`, which may be an ARN.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let random = Random::system();
        let shared = Shared {
            name: bare(name).to_owned(),
            run: random.id(),
            random,
            state: Mutex::default(),
            newest: watch::Sender::new(0),
        };
        Self { shared: Arc::new(shared), neighbours: Arc::default() }
    }

    /// The same bus, with these pages in the navigation of its page.
    #[must_use]
    pub fn with_neighbours(self, neighbours: Vec<Neighbour>) -> Self {
        Self { neighbours: neighbours.into(), ..self }
    }

    /// The last 1,000 events in order of arrival.
    #[must_use]
    pub fn delivered(&self) -> Vec<Delivered> {
        self.journal().delivered.iter().map(|numbered| numbered.event.clone()).collect()
    }

    /// The events of one family, which the beginning of the detail-type names.
    #[must_use]
    pub fn delivered_of(&self, family: &str) -> Vec<Delivered> {
        self.delivered().into_iter().filter(|event| event.detail_type.starts_with(family)).collect()
    }

    /// Refuses the next `count` well-formed entries individually, as AWS does when it has trouble: the status of the
    /// response is 200.
    pub fn refuse_next(&self, count: usize) {
        self.journal().refuse = count;
    }

    /// From now on accepts requests whose entries have at most this many bytes.
    pub fn take_at_most(&self, bytes: usize) {
        self.journal().most_bytes = bytes;
    }

    /// The endpoint and the page.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", get(page::show).post(answer))
            .route("/live", get(page::follow))
            .with_state(self.clone())
    }

    /// Serves both to this machine until the future is dropped.
    ///
    /// # Errors
    /// The error of the operating system for the listener.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        guard::serve(listener, self.router(), &Guard::loopback()).await
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The events whose number is greater.
    fn after(&self, number: u64) -> Vec<Numbered> {
        self.journal().delivered.iter().filter(|numbered| numbered.number > number).cloned().collect()
    }

    fn put(&self, request: PutEvents) -> Result<Value, Refusal> {
        let most_bytes = self.journal().most_bytes;
        let entries = request.checked(most_bytes)?;
        if let Some(other) = entries.iter().map(Entry::bus).find(|bus| bare(bus) != self.shared.name) {
            return Err(Refusal::no_bus(other));
        }
        let answers: Vec<Value> = entries.into_iter().map(|entry| self.take(entry)).map(answer_of).collect();
        let failed = answers.iter().filter(|answer| answer.get("ErrorCode").is_some()).count();
        Ok(json!({ "FailedEntryCount": failed, "Entries": answers }))
    }

    fn take(&self, entry: Entry) -> Result<String, EntryError> {
        let (source, detail_type, detail, time) = entry.parts()?;
        let id = uuid(self.shared.random.bytes());
        let mut journal = self.journal();
        if journal.refuse > 0 {
            journal.refuse -= 1;
            return Err(EntryError::Troubled);
        }
        let number = *self.shared.newest.borrow() + 1;
        if journal.delivered.len() == KEPT {
            journal.delivered.pop_front();
        }
        let time = time.unwrap_or_else(|| SystemClock.now());
        let event = Delivered { id: id.clone(), time, source, detail_type, detail };
        journal.delivered.push_back(Numbered { number, event });
        // While the journal is locked, so that numbers stay in order.
        self.shared.newest.send_replace(number);
        Ok(id)
    }
}

impl std::fmt::Debug for EventBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventBus").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

/// A bus's name without the prefix of an ARN.
fn bare(name: &str) -> &str {
    name.split_once(":event-bus/").map_or(name, |(_, name)| name)
}

fn uuid(bytes: [u8; 16]) -> String {
    let digits = hex(&bytes);
    let part = |from, to| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

fn answer_of(outcome: Result<String, EntryError>) -> Value {
    match outcome {
        Ok(id) => json!({ "EventId": id }),
        Err(error) => json!({ "ErrorCode": error.code(), "ErrorMessage": error.to_string() }),
    }
}

async fn answer(State(bus): State<EventBus>, headers: HeaderMap, body: Bytes) -> Response {
    let outcome = match headers.get("x-amz-target").and_then(|target| target.to_str().ok()) {
        Some("AWSEvents.PutEvents") => PutEvents::parse(&body).and_then(|request| bus.put(request)),
        _ => Err(Refusal::unknown_operation()),
    };
    let (status, body) = match outcome {
        Ok(body) => (StatusCode::OK, body),
        Err(Refusal { kind, message }) => (StatusCode::BAD_REQUEST, json!({ "__type": kind, "message": message })),
    };
    (status, [(header::CONTENT_TYPE, JSON_1_1)], body.to_string()).into_response()
}

#[cfg(test)]
mod tests;
