//! Lambda's side of a function: the Runtime API, version 2018-06-01, that a bootstrap polls.
//!
//! A function's real binary is started with [`LambdaHost::environment`] and then gets one event at a time, as in the
//! cloud. One host is for one process: after a kill, start a new pair, or the dead process's poll may take the next
//! event with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use base::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The function's name in its environment and in `Lambda-Runtime-Invoked-Function-Arn`.
const NAME: &str = "story";
const REGION: &str = "us-east-1";

/// An error as the function or Lambda reports it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error_type}: {message}")]
pub struct ErrorReport {
    /// `errorType`, such as `Runtime.UnhandledError`, or Lambda's own `Sandbox.Timedout`.
    pub error_type: String,
    /// `errorMessage`.
    pub message: String,
}

impl ErrorReport {
    fn parse(body: &[u8]) -> Self {
        let report: Value = serde_json::from_slice(body).unwrap_or_default();
        let field = |name: &str| report[name].as_str().unwrap_or_default().to_owned();
        Self { error_type: field("errorType"), message: field("errorMessage") }
    }
}

type Outcome = Result<Value, ErrorReport>;

#[derive(Debug)]
struct Invocation {
    id: String,
    event: Value,
}

#[derive(Debug)]
struct Host {
    timeout: Duration,
    /// Events on their way to the function.
    send: mpsc::UnboundedSender<Invocation>,
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    invocations: Mutex<Invocations>,
}

#[derive(Debug, Default)]
struct Invocations {
    count: u32,
    /// The waiting senders, by request id.
    waiting: HashMap<String, oneshot::Sender<Outcome>>,
    /// What the function reported instead of starting.
    init_error: Option<ErrorReport>,
}

/// A running Runtime API. It stops when the value is dropped.
#[derive(Debug)]
pub struct LambdaHost {
    host: Arc<Host>,
    address: String,
    server: JoinHandle<()>,
}

/// The largest response that Lambda accepts, in bytes.
const LARGEST_RESPONSE: usize = 6 * 1024 * 1024;

impl LambdaHost {
    /// Starts one on any free port of this machine, for a function with this time-out.
    pub async fn start(timeout: Duration) -> Self {
        let (send, receive) = mpsc::unbounded_channel();
        let queue = tokio::sync::Mutex::new(receive);
        let host = Arc::new(Host { timeout, send, queue, invocations: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .layer(DefaultBodyLimit::max(LARGEST_RESPONSE))
            .with_state(Arc::clone(&host));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("the listener stays") });
        Self { host, address, server }
    }

    /// The variables that Lambda itself sets for a function; the credentials are made up.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_LAMBDA_RUNTIME_API", self.address.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", NAME),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/story"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "2023/11/14/[$LATEST]0"),
            ("AWS_REGION", REGION),
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "made-up"),
            ("AWS_SESSION_TOKEN", "made-up"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// Sends the function an event and waits for its response, at most the function's time-out. Events are sent in the
    /// order of the calls.
    ///
    /// # Errors
    /// [`ErrorReport`]: what the function reported, or `Sandbox.Timedout` if nothing came in time.
    pub async fn invoke(&self, event: Value) -> Outcome {
        let (answer, answered) = oneshot::channel();
        let id = {
            let mut invocations = self.host.invocations.lock().unwrap();
            if let Some(report) = &invocations.init_error {
                return Err(report.clone());
            }
            invocations.count += 1;
            let id = format!("00000000-0000-4000-8000-{:012}", invocations.count);
            invocations.waiting.insert(id.clone(), answer);
            id
        };
        let sent = self.host.send.send(Invocation { id: id.clone(), event });
        sent.expect("the host keeps the other end");
        if let Ok(outcome) = timeout(self.host.timeout, answered).await {
            return outcome.expect("whoever takes the sender answers");
        }
        self.host.invocations.lock().unwrap().waiting.remove(&id);
        let message = format!("Task timed out after {:.2} seconds", self.host.timeout.as_secs_f64());
        Err(ErrorReport { error_type: "Sandbox.Timedout".to_owned(), message })
    }
}

impl Drop for LambdaHost {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Responds only when there is an event, as Lambda does.
async fn next(State(host): State<Arc<Host>>) -> impl IntoResponse {
    let invocation = host.queue.lock().await.recv().await.expect("the host keeps the other end");
    let deadline = SystemClock.now().plus(host.timeout).unix().saturating_mul(1000);
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", invocation.id),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", format!("arn:aws:lambda:{REGION}:123456789012:function:{NAME}")),
    ];
    (headers, invocation.event.to_string())
}

async fn response(State(host): State<Arc<Host>>, Path(id): Path<String>, body: Bytes) -> impl IntoResponse {
    let outcome = serde_json::from_slice(&body).map_err(|_| ErrorReport {
        error_type: "Runtime.InvalidResponse".to_owned(),
        message: "the response is not JSON".to_owned(),
    });
    finish(&host, &id, outcome)
}

async fn error(State(host): State<Arc<Host>>, Path(id): Path<String>, body: Bytes) -> impl IntoResponse {
    finish(&host, &id, Err(ErrorReport::parse(&body)))
}

/// An id that nobody waits for is refused: the function was too late, or responded twice.
fn finish(host: &Host, id: &str, outcome: Outcome) -> impl IntoResponse + use<> {
    let waiting = host.invocations.lock().unwrap().waiting.remove(id);
    if waiting.is_some_and(|answer| answer.send(outcome).is_ok()) {
        (StatusCode::ACCEPTED, json!({ "status": "OK" }).to_string())
    } else {
        (StatusCode::BAD_REQUEST, json!({ "errorType": "InvalidRequestID" }).to_string())
    }
}

/// All waiting and all later senders get the report.
async fn init_error(State(host): State<Arc<Host>>, body: Bytes) -> impl IntoResponse {
    let report = ErrorReport::parse(&body);
    let mut invocations = host.invocations.lock().unwrap();
    for (_, answer) in invocations.waiting.drain() {
        // A sender that gave up waiting misses nothing.
        drop(answer.send(Err(report.clone())));
    }
    invocations.init_error = Some(report);
    (StatusCode::ACCEPTED, json!({ "status": "OK" }).to_string())
}

#[cfg(test)]
mod tests {
    use lambda_runtime::{LambdaEvent, service_fn};

    use super::*;
    use crate::process::Process;

    /// Generous: it is only reached if a test fails.
    const TIMEOUT: Duration = Duration::from_secs(20);

    /// Not a test: the function of the tests below, which run it as a process of its own. It greets, fails on demand,
    /// and reports the invocation.
    #[tokio::test]
    #[ignore = "a helper process of the other tests: it needs Lambda's variables"]
    async fn the_function() {
        let greet = |event: LambdaEvent<Value>| async move {
            println!("greeting");
            match event.payload["name"].as_str() {
                Some(name) => Ok(json!({
                    "greeting": format!("hello {name}"),
                    "request": event.context.request_id,
                    "arn": event.context.invoked_function_arn,
                    "memory": event.context.env_config.memory,
                    "late": event.context.deadline,
                })),
                None => Err(std::io::Error::other("nobody to greet")),
            }
        };
        lambda_runtime::run(service_fn(greet)).await.unwrap();
    }

    fn function(host: &LambdaHost) -> Process {
        let program = std::env::current_exe().unwrap();
        let arguments = ["--exact", "runtime_api::tests::the_function", "--ignored", "--nocapture"];
        Process::start(program, &arguments, host.environment())
    }

    #[tokio::test]
    async fn a_bootstrap_in_a_process_of_its_own_answers_event_after_event() {
        let host = LambdaHost::start(TIMEOUT).await;
        let mut process = function(&host);
        for name in ["Ada", "李雷"] {
            let answer = host.invoke(json!({ "name": name })).await.unwrap();
            assert_eq!(answer["greeting"], format!("hello {name}"));
            assert_eq!(answer["memory"], 128);
            assert_eq!(answer["arn"], "arn:aws:lambda:us-east-1:123456789012:function:story");
            assert!(answer["late"].as_i64().unwrap() > SystemClock.now().unix() * 1000);
        }
        process.kill();
        assert!(process.output().contains("greeting"), "{}", process.output());
    }

    #[tokio::test]
    async fn an_error_is_reported_and_the_next_event_is_answered() {
        let host = LambdaHost::start(TIMEOUT).await;
        let _process = function(&host);
        let report = host.invoke(json!({})).await.unwrap_err();
        assert!(report.message.contains("nobody to greet"), "{report}");
        assert!(host.invoke(json!({ "name": "Ada" })).await.is_ok());
    }

    #[tokio::test]
    async fn a_function_that_does_not_answer_is_timed_out() {
        let host = LambdaHost::start(Duration::from_millis(20)).await;
        let report = host.invoke(json!({})).await.unwrap_err();
        assert_eq!(report.error_type, "Sandbox.Timedout");
    }

    #[tokio::test]
    async fn a_function_that_cannot_start_fails_who_waits_and_who_comes() {
        let host = LambdaHost::start(TIMEOUT).await;
        let body = json!({ "errorType": "Runtime.InitError", "errorMessage": "TABLE_NAME is not set" });
        let start = async {
            tokio::task::yield_now().await;
            init_error(State(Arc::clone(&host.host)), body.to_string().into()).await
        };
        let (waiting, _) = tokio::join!(host.invoke(json!({})), start);
        let later = host.invoke(json!({})).await;
        for outcome in [waiting, later] {
            assert_eq!(outcome.unwrap_err().to_string(), "Runtime.InitError: TABLE_NAME is not set");
        }
    }
}
