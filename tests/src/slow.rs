//! A slow connection to a service, for separate processes: [`crate::faults`] reaches only the SDK of this process.
//!
//! A request is forwarded only after a delay, and not at all if its sender is gone by then. So a process that responds
//! before its write is acknowledged, and is killed, has written nothing.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, header};
use tokio::net::TcpListener;

#[derive(Clone)]
struct Line {
    http: reqwest::Client,
    upstream: String,
    delay: Duration,
    slow: &'static str,
}

/// A slow connection to the HTTP service at `upstream`: requests whose body contains `slow` are delayed, or all if it
/// is empty. Returns the URL of its near end.
pub async fn slow_line(upstream: &str, delay: Duration, slow: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let near_end = format!("http://{}", listener.local_addr().expect("it is bound"));
    let line = Line { http: crate::http_client(), upstream: upstream.to_owned(), delay, slow };
    let router = Router::new().fallback(forward).with_state(line);
    tokio::spawn(async move { axum::serve(listener, router).await });
    near_end
}

/// Dropped by the server when the sender closes its connection.
async fn forward(State(line): State<Line>, mut headers: HeaderMap, body: Bytes) -> Response<Body> {
    if String::from_utf8_lossy(&body).contains(line.slow) {
        tokio::time::sleep(line.delay).await;
    }
    headers.remove(header::HOST);
    let answer = line.http.post(&line.upstream).headers(headers).body(body).send().await.expect("the service is there");
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers().iter().filter(|(name, _)| **name != header::TRANSFER_ENCODING) {
        response = response.header(name, value);
    }
    response.body(answer.bytes().await.expect("the answer is complete").into()).expect("an answer stays one")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_request_whose_sender_is_gone_is_not_forwarded() {
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        let count = move |body: Bytes| async move {
            counter.fetch_add(1, Ordering::SeqCst);
            body
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(count)).await });

        let near_end = slow_line(&service, Duration::from_millis(100), "").await;
        let send = |body: &'static str| crate::http_client().post(&near_end).body(body);
        assert!(send("gone").timeout(Duration::from_millis(20)).send().await.is_err());
        // Sent later, so that the first one would have been forwarded before.
        assert_eq!(send("patient").send().await.unwrap().text().await.unwrap(), "patient");
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    }
}
