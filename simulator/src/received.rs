//! A request as it came, for tests of what passes on services' requests.

use std::collections::VecDeque;

use axum::body::Bytes;
use base::clock::Timestamp;
use base::ids::AppId;
use http::request::Parts;
use http::{HeaderMap, Method};
use url::form_urlencoded;

/// How many requests are remembered, the latest ones.
const REMEMBERED: usize = 1_000;
/// How many bytes of their bodies are remembered.
const REMEMBERED_BYTES: usize = 64 * 1024 * 1024;

/// A request as it came, to the byte. No `Debug`: it has the token.
#[derive(Clone)]
pub struct Received {
    /// When it came.
    pub at: Timestamp,
    /// The account that it is for, as faults match it: the one whose newest token it has, or which it names.
    pub authorizer: Option<AppId>,
    /// Its method.
    pub method: Method,
    /// Its path, still encoded.
    pub path: String,
    /// Its query, still encoded.
    pub query: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Received {
    pub(crate) fn new(at: Timestamp, authorizer: Option<&str>, parts: &Parts, body: &Bytes) -> Self {
        Self {
            at,
            authorizer: authorizer.and_then(|appid| AppId::parse(appid).ok()),
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers.clone(),
            body: body.clone(),
        }
    }

    /// The parameters of the query, decoded, in their order.
    #[must_use]
    pub fn parameters(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(self.query.as_bytes()).into_owned().collect()
    }

    /// A header, if it occurs once and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let only = values.next().filter(|_| values.next().is_none());
        only.and_then(|value| value.to_str().ok())
    }
}

/// The latest requests.
#[derive(Default)]
pub(crate) struct Requests {
    latest: VecDeque<Received>,
    bytes: usize,
}

impl Requests {
    pub(crate) fn add(&mut self, received: Received) {
        self.bytes += received.body.len();
        self.latest.push_back(received);
        while self.latest.len() > REMEMBERED || self.bytes > REMEMBERED_BYTES {
            let Some(oldest) = self.latest.pop_front() else { return };
            self.bytes -= oldest.body.len();
        }
    }

    pub(crate) fn of(&self, path: &str) -> Vec<Received> {
        self.latest.iter().filter(|received| received.path == path).cloned().collect()
    }
}
