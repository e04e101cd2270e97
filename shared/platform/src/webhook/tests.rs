//! The webhook against services that behave, misbehave and attack, on this machine's loopback.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use futures::{StreamExt as _, stream};

use super::*;

const ID: &str = "5f0c7c6a9a0e";
const NOW: Timestamp = Timestamp::from_unix(1_700_000_000);
const BODY: &str = r#"{"type":"message.text","data":{"message":{"content":"你好"}}}"#;

/// Long enough for any exchange on loopback that is not meant to time out.
const PLENTY: Duration = Duration::from_secs(20);

/// Short, for exchanges that are meant to time out.
const BRIEF: Duration = Duration::from_millis(50);

fn key() -> WebhookKey {
    WebhookKey::parse(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()).unwrap()
}

/// The longest response that is read here.
const LONGEST_ANSWER: usize = 64 * 1024;

const ROLE: WebhookRole = WebhookRole { variable: "A_WEBHOOK_URL", user_agent: "a-function/1" };

fn webhook(url: &str, policy: AddressPolicy) -> Result<Webhook, BuildError> {
    Webhook::new(url.parse().unwrap(), policy, &ROLE)
}

/// Calls a service; returns the response's body.
async fn call_at(url: &str, policy: AddressPolicy, within: Duration) -> Result<String, WebhookError> {
    let answer = webhook(url, policy).unwrap().post(&key(), ID, BODY.to_owned(), NOW, within).await?;
    Ok(String::from_utf8(answer.read(LONGEST_ANSWER).await?).unwrap())
}

/// Serves `service` at `/` and returns the URL.
async fn serve(service: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    url
}

/// Calls a service that responds with `answer`.
async fn call(answer: impl IntoResponse + Clone + Send + Sync + 'static) -> Result<String, WebhookError> {
    let url = serve(Router::new().route("/", post(async move || answer))).await;
    call_at(&url, AddressPolicy::this_machine_too(), PLENTY).await
}

/// A port on loopback that accepts connections but never responds.
fn silent() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn a_call_carries_the_signed_body_and_the_headers_of_the_specification() {
    let seen: Arc<Mutex<Option<(HeaderMap, Bytes)>>> = Arc::default();
    let notes = Arc::clone(&seen);
    let service = post(async move |headers: HeaderMap, body: Bytes| *notes.lock().unwrap() = Some((headers, body)));
    let url = serve(Router::new().route("/", service)).await;
    assert_eq!(call_at(&url, AddressPolicy::this_machine_too(), PLENTY).await, Ok(String::new()));

    let (headers, body) = seen.lock().unwrap().take().unwrap();
    assert_eq!(body, BODY);
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["webhook-id"], ID);
    assert_eq!(headers["webhook-timestamp"], "1700000000");
    assert_eq!(headers["webhook-signature"], key().sign(ID, NOW, &body));
    assert!(headers["user-agent"].to_str().unwrap().starts_with("a-function/"));
    assert!(!headers.contains_key("accept-encoding"), "a compressed response could not be read");
}

#[tokio::test]
async fn a_failure_status_is_a_failure_whatever_the_body_says() {
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::NOT_FOUND, StatusCode::UNAUTHORIZED] {
        let error = call((status, r#"{"type":"text","content":"x"}"#)).await.unwrap_err();
        assert_eq!((error.reason(), &error), ("status", &WebhookError::Status(status.as_u16())));
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let followed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&followed);
    let service = Router::new()
        .route("/metadata", post(async || Redirect::temporary("http://169.254.169.254/latest/meta-data/")))
        .route("/temporary", post(async || Redirect::temporary("/target")))
        .route("/permanent", post(async || Redirect::permanent("/target")))
        .route("/other", post(async || Redirect::to("/target")))
        .route("/target", axum::routing::any(async move || count.fetch_add(1, Ordering::SeqCst).to_string()));
    let url = serve(service).await;
    for (path, status) in [("metadata", 307), ("temporary", 307), ("permanent", 308), ("other", 303)] {
        let answer = call_at(&format!("{url}{path}"), AddressPolicy::this_machine_too(), PLENTY).await;
        assert_eq!(answer, Err(WebhookError::Status(status)), "{path}");
    }
    assert_eq!(followed.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_response_is_read_up_to_its_limit_and_no_further() {
    let too_large = WebhookError::TooLarge(LONGEST_ANSWER);
    assert_eq!(call("x".repeat(LONGEST_ANSWER)).await.map(|body| body.len()), Ok(LONGEST_ANSWER));
    let error = call("x".repeat(LONGEST_ANSWER + 1)).await.unwrap_err();
    assert_eq!((error.reason(), &error), ("too-large", &too_large));
    assert_eq!(call("x".repeat(10_000_000)).await, Err(too_large));
}

#[tokio::test]
async fn an_endless_response_is_not_awaited() {
    let endless = || Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[b' '; 4096]))));
    let service = post(async move || Response::new(endless()));
    let url = serve(Router::new().route("/", service)).await;
    assert_eq!(
        call_at(&url, AddressPolicy::this_machine_too(), PLENTY).await,
        Err(WebhookError::TooLarge(LONGEST_ANSWER))
    );
}

#[tokio::test]
async fn a_service_that_hangs_is_given_up_wherever_it_hangs() {
    let begun =
        || Body::from_stream(stream::once(async { Ok::<_, Infallible>("{\"type\":") }).chain(stream::pending()));
    let service = Router::new()
        .route("/before", post(async || std::future::pending::<()>().await))
        .route("/amid", post(async move || Response::new(begun())));
    let url = serve(service).await;
    let (_listener, silent) = silent();
    for url in [format!("{url}before"), format!("{url}amid"), format!("https://{silent}/")] {
        let error = call_at(&url, AddressPolicy::this_machine_too(), BRIEF).await.unwrap_err();
        assert_eq!((error.reason(), &error), ("timeout", &WebhookError::Timeout), "{url}");
    }
}

#[tokio::test]
async fn an_unreachable_service_is_distinguished_from_one_that_does_not_exist() {
    let (listener, address) = silent();
    drop(listener);
    let error = call_at(&format!("https://{address}/"), AddressPolicy::this_machine_too(), PLENTY).await.unwrap_err();
    assert_eq!(error, WebhookError::Connection(io::ErrorKind::ConnectionRefused));
    assert_eq!(error.reason(), "connect");

    // A label of more than 63 characters is invalid in DNS: no server is queried.
    let nowhere = format!("http://{}.test/", "a".repeat(64));
    let error = call_at(&nowhere, AddressPolicy::this_machine_too(), PLENTY).await.unwrap_err();
    assert_eq!((error.reason(), &error), ("connect", &WebhookError::Name));
}

#[tokio::test]
async fn a_service_without_tls_is_not_spoken_to_in_the_clear() {
    let url = serve(Router::new()).await.replace("http:", "https:");
    let error = call_at(&url, AddressPolicy::this_machine_too(), PLENTY).await.unwrap_err();
    assert_eq!(error, WebhookError::Connection(io::ErrorKind::InvalidData));
}

#[tokio::test]
async fn what_is_not_public_is_refused_before_anything_is_sent() {
    let (listener, address) = silent();
    let port = address.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "localhost",
        "LocalHost",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "10.0.0.1",
        "[fd00:ec2::254]",
    ] {
        let error =
            call_at(&format!("https://{host}:{port}/"), AddressPolicy::public_only(), PLENTY).await.unwrap_err();
        assert_eq!((error.reason(), &error), ("address", &WebhookError::Address), "{host}");
    }
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "somebody has connected");

    // A check that the listener would have noticed: two of these hosts, if this machine is permitted.
    for host in ["127.0.0.1", "localhost"] {
        let answer = call_at(&format!("https://{host}:{port}/"), AddressPolicy::this_machine_too(), BRIEF).await;
        assert_eq!(answer, Err(WebhookError::Timeout), "{host}");
        assert!(listener.accept().is_ok(), "{host}");
    }
}

#[test]
fn a_webhook_without_tls_is_for_this_machine_only() {
    let built = |url: &str, policy| webhook(url, policy).map(drop);
    assert!(built("https://shop.example/hook", AddressPolicy::public_only()).is_ok());
    assert!(built("http://127.0.0.1:1/", AddressPolicy::this_machine_too()).is_ok());
    for (url, policy) in [
        ("http://shop.example/hook", AddressPolicy::public_only()),
        ("http://127.0.0.1:1/", AddressPolicy::public_only()),
        ("ftp://shop.example/", AddressPolicy::this_machine_too()),
        ("file:///etc/passwd", AddressPolicy::this_machine_too()),
    ] {
        assert!(matches!(built(url, policy), Err(BuildError::NotHttps("A_WEBHOOK_URL"))), "{url}");
    }
}

#[tokio::test]
async fn calls_share_a_connection_and_none_is_repeated() {
    let peers: Arc<Mutex<Vec<SocketAddr>>> = Arc::default();
    let notes = Arc::clone(&peers);
    let service = post(async move |axum::extract::ConnectInfo(peer): axum::extract::ConnectInfo<SocketAddr>| {
        notes.lock().unwrap().push(peer);
        StatusCode::SERVICE_UNAVAILABLE
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let service = Router::new().route("/", service).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });

    let webhook = Webhook::new(url, AddressPolicy::this_machine_too(), &ROLE).unwrap();
    for _ in 0..2 {
        assert!(webhook.post(&key(), ID, BODY.to_owned(), NOW, PLENTY).await.is_err());
    }
    let peers = peers.lock().unwrap();
    assert_eq!(peers.len(), 2);
    assert_eq!(peers[0], peers[1]);
}

#[tokio::test]
async fn no_error_reveals_where_the_webhook_is_or_what_it_sent() {
    let (listener, closed) = silent();
    drop(listener);
    let refusing = serve(Router::new().route("/hush", post(async || (StatusCode::BAD_GATEWAY, "hush")))).await;
    let nowhere = format!("http://hush.{}.test/", "a".repeat(64));
    for url in [format!("https://{closed}/hush"), format!("{refusing}hush"), nowhere] {
        let error = call_at(&url, AddressPolicy::this_machine_too(), PLENTY).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hush") && !text.contains("127.0.0.1"), "{text}");
    }
}
