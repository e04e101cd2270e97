//! `cargo run -p stories --example gateway -- FOLDER PORT`: the functions' binaries in FOLDER, such as
//! `target/release`, behind a gateway on this machine's PORT as in the cloud, for requests to the business API.
//!
//! Each request becomes an event for a process, from a known caller; a response that `docs/openapi.json` does not have
//! for its route ends in a panic. WeChat is simulated, with some accounts. Ctrl-C ends it.

#![expect(clippy::print_stdout, reason = "it prints where it listens")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{StatusCode, header};
use stories::bootstrap::Bootstrap;
use stories::http_events::HttpEvent;
use stories::world::{BUSINESS_ROUTES, World};
use tokio::net::TcpListener;

const CALLER: &str = "arn:aws:iam::123456789012:role/orders";

/// Accounts that authorize the platform.
const ACCOUNTS: usize = 3;

/// The functions with routes for businesses, by prefixes of their paths; the rest belongs to the last one.
const FUNCTIONS: [(&str, &str); 6] = [
    ("/authorization-links", "preauth-link"),
    ("/tokens/", "token-api"),
    ("/wechat/", "wechat-calls"),
    ("/calls", "wechat-calls"),
    ("/logins", "web-login"),
    ("/", "account-api"),
];

/// The process for each prefix of a path in [`FUNCTIONS`].
type Functions = Vec<(&'static str, Bootstrap)>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().context("name the folder of the functions' binaries")?;
    let port: u16 = arguments.next().context("name a port")?.parse().context("the port is a number")?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.with_context(|| format!("port {port} is not free"))?;
    let world = World::beside_processes(Duration::ZERO, |_| {}).await;
    world.get_ready().await;
    for number in 0..ACCOUNTS {
        world.push_and_work(&world.merchant_authorizes(&world.account(number)).push).await;
    }
    let mut functions = Vec::new();
    for (path, name) in FUNCTIONS {
        let program = Path::new(&folder).join(name);
        let program = program.to_str().context("the folder's name is not UTF-8")?;
        functions.push((path, Bootstrap::start(program, &world).await));
    }
    println!("http://127.0.0.1:{port}/openapi.json");
    Ok(axum::serve(listener, Router::new().fallback(forward).with_state(Arc::new(functions))).await?)
}

/// The gateway itself responds if it has no route.
async fn forward(State(functions): State<Arc<Functions>>, parts: Parts, body: Bytes) -> Response {
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let mut event = HttpEvent::new(method, path).query(parts.uri.query().unwrap_or_default()).iam(CALLER);
    let built = event.build();
    let is_known =
        |route: &str| BUSINESS_ROUTES.iter().any(|known| route == format!("{} {}", known.method, known.path));
    if !built["routeKey"].as_str().is_some_and(is_known) {
        return (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/json")], r#"{"message":"Not Found"}"#)
            .into_response();
    }
    for (name, value) in parts.headers.iter().filter(|(name, _)| **name != header::HOST) {
        event = event.header(name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
    }
    event = match std::str::from_utf8(&body) {
        Ok("") => event,
        Ok(text) => event.body(text),
        Err(_) => event.base64_body(&body),
    };
    let Some((_, function)) = functions.iter().find(|(beginning, _)| path.starts_with(beginning)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let answer = function.request(&event).await;
    let mut response = Response::new(answer.bytes.into());
    *response.status_mut() = u16::try_from(answer.status).unwrap_or_default().try_into().unwrap_or_default();
    for (name, value) in answer.headers.as_object().into_iter().flatten() {
        if let (Ok(name), Some(Ok(value))) = (header::HeaderName::try_from(name), value.as_str().map(str::parse)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
