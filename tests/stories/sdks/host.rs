//! The platform's routes for libraries, as a listener.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{Request, StatusCode};
use serde_json::json;
use stories::business::Business;
use stories::world::World;
use tokio::net::TcpListener;

/// The paths at which libraries request tokens.
pub(super) const TOKEN_REQUESTS: [&str; 2] = ["/cgi-bin/token", "/cgi-bin/stable_token"];

/// The listener. It ends with the story.
pub(super) struct Host {
    pub(super) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    business: Business,
    answered: Mutex<Vec<Answered>>,
}

/// A request's path, and WeChat's code in the response.
struct Answered {
    path: String,
    errcode: i64,
}

impl Host {
    pub(super) async fn open(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { business: Business::unsigned(world), answered: Mutex::default() });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    /// The number of requests of a path of WeChat's.
    pub(super) fn asked(&self, path: &str) -> usize {
        self.count(|answered| answered.path.ends_with(path))
    }

    /// The number of requests for a token.
    pub(super) fn asked_for_token(&self) -> usize {
        TOKEN_REQUESTS.iter().map(|path| self.asked(path)).sum()
    }

    /// The number of requests.
    pub(super) fn all(&self) -> usize {
        self.count(|_| true)
    }

    /// The number of responses with this code.
    pub(super) fn answers_with(&self, errcode: i64) -> usize {
        self.count(|answered| answered.errcode == errcode)
    }

    fn count(&self, is_meant: impl Fn(&Answered) -> bool) -> usize {
        self.shared.answered.lock().unwrap().iter().filter(|answered| is_meant(answered)).count()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, parts: Parts, body: Bytes) -> Response {
    let path = parts.uri.path().to_owned();
    let answer = shared.business.send(Request::from_parts(parts, body.into())).await;
    let errcode = answer.body.get("errcode").unwrap_or(&json!(0)).as_i64().unwrap();
    shared.answered.lock().unwrap().push(Answered { path, errcode });
    let mut headers = answer.headers;
    headers.remove(CONTENT_LENGTH);
    (StatusCode::from_u16(answer.status).unwrap(), headers, answer.bytes).into_response()
}
