//! A function's real binary as Lambda runs it: a process of its own, given one event at a time, killed at will.
//!
//! The caller chooses the binary: Cargo names it only to the tests of the package that owns it, which is `processes`
//! (`env!("CARGO_BIN_EXE_…")`). The process knows its [`World`] only by environment variables, as in the cloud, and
//! uses the machine's clock: the world must be one of [`World::beside_processes`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header;
use http::request::Parts;
use serde_json::Value;
use simulator::SealedPush;
use url::Url;

use crate::http_events::HttpEvent;
use crate::log::StoryLog;
use crate::openapi::Contract;
use crate::process::Process;
use crate::runtime_api::{ErrorReport, LambdaHost};
use crate::world::World;

/// The functions' time-out. Never reached if all is well, and longer than the time that the refresher reserves before
/// its deadline.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The longest wait for something that takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The environment of a process.
pub type Variables = BTreeMap<String, String>;

/// A running function.
#[derive(Debug)]
pub struct Bootstrap {
    host: LambdaHost,
    process: Process,
    log: StoryLog,
}

impl Bootstrap {
    /// Starts the binary `program` in a world.
    pub async fn start(program: &str, world: &World) -> Self {
        Self::with(program, world, |_| {}).await
    }

    /// The same with other variables.
    pub async fn with(program: &str, world: &World, change: impl FnOnce(&mut Variables)) -> Self {
        let host = LambdaHost::start(TIMEOUT).await;
        let mut variables: Variables = host.environment().into_iter().chain(world.variables()).collect();
        change(&mut variables);
        let process = Process::start(program, &[], variables);
        world.log.include(&process);
        Self { host, process, log: world.log.clone() }
    }

    /// Starts it with a variable of another value, or without it, and waits until it has ended, unsuccessfully. Returns
    /// all its output.
    pub async fn fails_with(program: &str, world: &World, name: &str, value: Option<&str>) -> String {
        let function = Self::with(program, world, |variables| {
            variables.remove(name);
            variables.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        });
        function.await.fail().await
    }

    /// Sends an event and waits for the response.
    ///
    /// # Errors
    /// [`ErrorReport`]: what the function reported.
    pub async fn invoke(&self, event: Value) -> Result<Value, ErrorReport> {
        self.host.invoke(event).await
    }

    /// Sends an HTTP request and waits for the response, which must be one that `docs/openapi.json` has for its route.
    pub async fn request(&self, event: &HttpEvent) -> HttpAnswer {
        let event = event.build();
        let answer = self.invoke(event.clone()).await.expect("an HTTP function answers every request");
        let answer = HttpAnswer::read(&answer);
        let headers = answer.headers.as_object().into_iter().flatten();
        let headers: Vec<(&str, &str)> =
            headers.map(|(name, value)| (name.as_str(), value.as_str().expect("a header is text"))).collect();
        let status = u16::try_from(answer.status).expect("a status is one");
        let fits = Contract::get().fits_event(&event, status, headers, &answer.body);
        assert_eq!(fits, Ok(()), "{}: {answer:?}", event["routeKey"]);
        assert!(answer.headers["x-request-id"].is_string(), "{answer:?}");
        answer
    }

    /// Sends a push or a message as the gateway does, with its body as text.
    pub async fn push(&self, push: &SealedPush) -> HttpAnswer {
        self.request(&pushed(push).body(&push.body)).await
    }

    /// The function behind a gateway: each request that reaches the router becomes an event for the process.
    pub fn behind_gateway(self: &Arc<Self>) -> Router {
        Router::new().fallback(forward).with_state(Arc::clone(self))
    }

    /// The output of the process so far.
    #[must_use]
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Stops the process, as Lambda does between two events.
    pub fn freeze(&self) {
        self.process.freeze();
    }

    /// Continues it.
    pub fn thaw(&self) {
        self.process.thaw();
    }

    /// Kills the process at once, as `kill -9` does. Returns all its output.
    #[must_use]
    pub fn kill(mut self) -> String {
        self.process.kill();
        self.process.output()
    }

    /// Sends an event and kills the process at the given moment. Returns all its output.
    pub async fn kill_during(self, event: Value, moment: impl Future<Output = ()>) -> String {
        tokio::select! {
            answer = self.host.invoke(event) => panic!("it should have been killed before it responded: {answer:?}"),
            met = tokio::time::timeout(PATIENCE, moment) => met.expect("the moment comes"),
        }
        self.kill()
    }

    /// Waits until the process has ended on its own, unsuccessfully. Returns all its output.
    pub async fn fail(mut self) -> String {
        self.log.expect_error("the function ends", true);
        let status = self.process.wait_for_end(PATIENCE).await;
        assert!(!status.success(), "{status}");
        self.process.output()
    }
}

/// The request of a push or a message, without its body, which comes as text or as Base64.
#[must_use]
pub fn pushed(push: &SealedPush) -> HttpEvent {
    let event = match &push.authorizer {
        None => HttpEvent::new("POST", "/wechat/events"),
        Some(account) => messages_of(account.as_str()),
    };
    event.query(&push.query).header("content-type", "text/xml")
}

/// WeChat's request to the message URL of an account.
#[must_use]
pub fn messages_of(appid: &str) -> HttpEvent {
    HttpEvent::new("POST", &format!("/wechat/accounts/{appid}/events")).route("/wechat/accounts/{appid}/events")
}

/// The gateway treats `text/…` as text.
async fn forward(State(function): State<Arc<Bootstrap>>, parts: Parts, body: Bytes) -> Response<String> {
    let text = std::str::from_utf8(&body).expect("what WeChat sends is text");
    let mut event =
        HttpEvent::new(parts.method.as_str(), parts.uri.path()).query(parts.uri.query().unwrap_or_default()).body(text);
    // The host is the gateway's own.
    for (name, value) in parts.headers.iter().filter(|(name, _)| **name != header::HOST) {
        event = event.header(name.as_str(), value.to_str().expect("what WeChat sends is text"));
    }
    let answer = function.request(&event).await;
    let status = u16::try_from(answer.status).expect("a status is one");
    Response::builder().status(status).body(answer.body).expect("an answer stays one")
}

/// A function's response to an HTTP request, as the gateway gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status.
    pub status: u64,
    /// The body, as text.
    pub body: String,
    /// The body as it is.
    pub bytes: Vec<u8>,
    /// The headers.
    pub headers: Value,
    /// The cookies that it sets, in the form of `Set-Cookie`.
    pub cookies: Vec<String>,
}

impl HttpAnswer {
    fn read(answer: &Value) -> Self {
        let body = answer["body"].as_str().unwrap_or_default();
        let bytes = match answer["isBase64Encoded"].as_bool() {
            Some(true) => STANDARD.decode(body).expect("the body is Base64"),
            _ => body.as_bytes().to_vec(),
        };
        let cookies = answer["cookies"].as_array().into_iter().flatten();
        Self {
            status: answer["statusCode"].as_u64().expect("an answer has a status"),
            body: String::from_utf8_lossy(&bytes).into_owned(),
            bytes,
            headers: answer["headers"].clone(),
            cookies: cookies.map(|cookie| cookie.as_str().expect("a cookie is text").to_owned()).collect(),
        }
    }

    /// The target of its redirect.
    #[must_use]
    pub fn location(&self) -> Url {
        assert_eq!(self.status, 303, "{self:?}");
        Url::parse(self.headers["location"].as_str().expect("a redirect has a target")).expect("it is a URL")
    }

    /// The name of a problem, after the common prefix.
    #[must_use]
    pub fn problem(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let problem: Value = serde_json::from_str(&self.body).expect("a problem is JSON");
        let name = problem["type"].as_str().and_then(|name| name.strip_prefix("urn:wechat-platform:problem:"));
        name.expect("problems have one prefix").to_owned()
    }

    /// Whether WeChat would accept it as an acknowledgement.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status == 200 && self.body == "success"
    }
}
