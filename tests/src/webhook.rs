//! A business's service behind the webhooks, which verifies and remembers the calls.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base::clock::Timestamp;
use http::{HeaderMap, StatusCode};
use platform::webhook_key::WebhookKey;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use url::Url;

use crate::world::WEBHOOK_SECRET;

/// A call signed with the platform's key.
#[derive(Debug, Clone)]
pub struct Call {
    /// `webhook-id`.
    pub id: String,
    /// The JSON.
    pub body: Value,
    /// The same, as bytes.
    pub bytes: Bytes,
}

/// A response that may take its time.
pub type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

type Answer = dyn Fn(&Call) -> Answering + Send + Sync;

/// The service; clones share what it remembers.
#[derive(Clone)]
pub struct Service {
    asked: Arc<Mutex<Vec<Call>>>,
    answer: Arc<Answer>,
    url: Url,
}

impl Service {
    /// A service that responds with the result of `answer`.
    pub async fn answering(answer: impl Fn(&Call) -> Response + Send + Sync + 'static) -> Self {
        Self::answering_in_time(move |call| Box::pin(std::future::ready(answer(call)))).await
    }

    /// A service that accepts calls and never responds.
    pub async fn hanging() -> Self {
        Self::answering_in_time(|_| Box::pin(std::future::pending())).await
    }

    /// A service that responds with nothing, once for each permit.
    pub async fn waiting_for(permits: Arc<Semaphore>) -> Self {
        Self::answering_in_time(move |_| {
            let permits = Arc::clone(&permits);
            Box::pin(async move {
                permits.acquire().await.unwrap().forget();
                StatusCode::NO_CONTENT.into_response()
            })
        })
        .await
    }

    /// A service that responds with the result of `answer`, when that is ready.
    pub async fn answering_in_time(answer: impl Fn(&Call) -> Answering + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/replies", listener.local_addr().unwrap())).unwrap();
        let service = Self { asked: Arc::default(), answer: Arc::new(answer), url };
        let router = Router::new().route("/replies", post(receive)).with_state(service.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        service
    }

    /// A service that always responds with this JSON.
    pub async fn replying(reply: Value) -> Self {
        Self::answering(move |_| axum::Json(reply.clone()).into_response()).await
    }

    /// A service that echoes the text, or the event's name, with an exclamation mark.
    pub async fn replying_with_texts() -> Self {
        Self::answering(|call| {
            let message = &call.body["data"]["message"];
            let said = message["content"].as_str().or(message["event"].as_str()).unwrap_or_default();
            axum::Json(json!({ "type": "text", "content": format!("{said}!") })).into_response()
        })
        .await
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// The calls, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<Call> {
        self.asked.lock().unwrap().clone()
    }
}

async fn receive(State(service): State<Service>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, timestamp) = (header("webhook-id"), Timestamp::from_unix(header("webhook-timestamp").parse().unwrap()));
    let key = WebhookKey::parse(&WEBHOOK_SECRET.into()).unwrap();
    assert_eq!(header("webhook-signature"), key.sign(&id, timestamp, &body), "the signature fits");
    let call = Call { id, body: serde_json::from_slice(&body).unwrap(), bytes: body };
    service.asked.lock().unwrap().push(call.clone());
    (service.answer)(&call).await
}
