//! The webhook against services that behave, misbehave and attack, on this machine's loopback.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use futures::{StreamExt as _, stream};

use super::*;

const ID: &str = "5f0c7c6a9a0e";
const NOW: Timestamp = Timestamp::from_unix(1_700_000_000);
const BODY: &str = r#"{"type":"message.text","data":{"message":{"content":"你好"}}}"#;

/// Long enough for any exchange on loopback that is not meant to hang.
const PLENTY: Duration = Duration::from_secs(20);

/// For those that are.
const BRIEF: Duration = Duration::from_millis(50);

fn key() -> WebhookKey {
    WebhookKey::parse(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()).unwrap()
}

async fn ask_at(url: &str, policy: AddressPolicy, within: Duration) -> Result<Option<Reply>, WebhookError> {
    Webhook::new(url.parse().unwrap(), policy).unwrap().ask(&key(), ID, BODY.to_owned(), NOW, within).await
}

/// Serves `service` at `/` and returns the URL.
async fn serve(service: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    url
}

/// Asks a service that answers with `answer`.
async fn ask(answer: impl IntoResponse + Clone + Send + Sync + 'static) -> Result<Option<Reply>, WebhookError> {
    let url = serve(Router::new().route("/", post(async move || answer))).await;
    ask_at(&url, AddressPolicy::this_machine_too(), PLENTY).await
}

/// A port of loopback at which nobody answers, though connections are taken.
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
    assert_eq!(ask_at(&url, AddressPolicy::this_machine_too(), PLENTY).await, Ok(None));

    let (headers, body) = seen.lock().unwrap().take().unwrap();
    assert_eq!(body, BODY);
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["webhook-id"], ID);
    assert_eq!(headers["webhook-timestamp"], "1700000000");
    assert_eq!(headers["webhook-signature"], key().sign(ID, NOW, &body));
    assert!(headers["user-agent"].to_str().unwrap().starts_with("account-push/"));
    assert!(!headers.contains_key("accept-encoding"), "a compressed answer could not be read");
}

#[tokio::test]
async fn an_answer_of_each_type_becomes_a_reply_of_that_type() {
    for (json, kind) in [
        (r#"{"type":"text","content":"]]> 😀"}"#, "text"),
        (r#"{"type":"image","media_id":"m"}"#, "image"),
        (r#"{"type":"voice","media_id":"m"}"#, "voice"),
        (r#"{"type":"video","media_id":"m"}"#, "video"),
        (r#"{"type":"music","thumb_media_id":"m"}"#, "music"),
        (r#"{"type":"news","articles":[{"title":"t","description":"d","pic_url":"p","url":"u"}]}"#, "news"),
        (r#"{"type":"transfer_customer_service"}"#, "transfer_customer_service"),
    ] {
        let reply = ask((StatusCode::CREATED, json)).await.unwrap().unwrap();
        let xml = reply.xml("o1", "gh_1", NOW);
        assert!(xml.contains(&format!("<MsgType><![CDATA[{kind}]]></MsgType>")), "{xml}");
    }
}

#[tokio::test]
async fn a_service_may_have_nothing_to_say() {
    for answer in [(StatusCode::NO_CONTENT, ""), (StatusCode::OK, ""), (StatusCode::OK, r#"{"type":"none"}"#)] {
        assert_eq!(ask(answer).await, Ok(None));
    }
}

#[tokio::test]
async fn an_answer_that_is_no_reply_is_refused() {
    for (answer, reason) in [
        ("<html>busy</html>", ReplyError::NotJson),
        (r#"{"type":"poem"}"#, ReplyError::Type),
        (r#"{"type":"text"}"#, ReplyError::Missing("content")),
    ] {
        let error = ask(answer).await.unwrap_err();
        assert_eq!((error.reason(), &error), ("malformed", &WebhookError::Malformed(reason)), "{answer}");
    }
}

#[tokio::test]
async fn an_answer_is_read_as_it_came_and_never_decompressed() {
    // gzip of `{"type":"text","content":"x"}` begins like this; what follows does not matter.
    let compressed = ([(header::CONTENT_ENCODING, "gzip")], [0x1f, 0x8b, 8, 0].as_slice());
    assert_eq!(ask(compressed).await.unwrap_err(), WebhookError::Malformed(ReplyError::NotJson));
    // Nor does the header alone change anything.
    let plain = ([(header::CONTENT_ENCODING, "gzip")], r#"{"type":"none"}"#);
    assert_eq!(ask(plain).await, Ok(None));
}

#[tokio::test]
async fn a_status_of_failure_is_one_whatever_the_body_says() {
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::NOT_FOUND, StatusCode::UNAUTHORIZED] {
        let error = ask((status, r#"{"type":"text","content":"x"}"#)).await.unwrap_err();
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
        let answer = ask_at(&format!("{url}{path}"), AddressPolicy::this_machine_too(), PLENTY).await;
        assert_eq!(answer, Err(WebhookError::Status(status)), "{path}");
    }
    assert_eq!(followed.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_bound_and_no_further() {
    let answer = |length| {
        let none = r#"{"type":"none"}"#;
        none.to_owned() + &" ".repeat(length - none.len())
    };
    assert_eq!(ask(answer(LONGEST_ANSWER)).await, Ok(None));
    let error = ask(answer(LONGEST_ANSWER + 1)).await.unwrap_err();
    assert_eq!((error.reason(), &error), ("too-large", &WebhookError::TooLarge));
    assert_eq!(ask(answer(10_000_000)).await, Err(WebhookError::TooLarge));
}

#[tokio::test]
async fn an_answer_without_end_is_not_waited_for() {
    let endless = || Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[b' '; 4096]))));
    let service = post(async move || Response::new(endless()));
    let url = serve(Router::new().route("/", service)).await;
    assert_eq!(ask_at(&url, AddressPolicy::this_machine_too(), PLENTY).await, Err(WebhookError::TooLarge));
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
        let error = ask_at(&url, AddressPolicy::this_machine_too(), BRIEF).await.unwrap_err();
        assert_eq!((error.reason(), &error), ("timeout", &WebhookError::Timeout), "{url}");
    }
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_is_told_from_one_that_does_not_exist() {
    let (listener, address) = silent();
    drop(listener);
    let error = ask_at(&format!("https://{address}/"), AddressPolicy::this_machine_too(), PLENTY).await.unwrap_err();
    assert_eq!(error, WebhookError::Connection(io::ErrorKind::ConnectionRefused));
    assert_eq!(error.reason(), "connect");

    // A label of more than 63 characters is in no name system: nothing is asked.
    let nowhere = format!("http://{}.test/", "a".repeat(64));
    let error = ask_at(&nowhere, AddressPolicy::this_machine_too(), PLENTY).await.unwrap_err();
    assert_eq!((error.reason(), &error), ("connect", &WebhookError::Name));
}

#[tokio::test]
async fn a_service_without_tls_is_not_spoken_to_in_the_clear() {
    let url = serve(Router::new()).await.replace("http:", "https:");
    let error = ask_at(&url, AddressPolicy::this_machine_too(), PLENTY).await.unwrap_err();
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
        let error = ask_at(&format!("https://{host}:{port}/"), AddressPolicy::public_only(), PLENTY).await.unwrap_err();
        assert_eq!((error.reason(), &error), ("address", &WebhookError::Address), "{host}");
    }
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "somebody has connected");

    // The listener would have noticed: two of these hosts, where this machine is permitted.
    for host in ["127.0.0.1", "localhost"] {
        let answer = ask_at(&format!("https://{host}:{port}/"), AddressPolicy::this_machine_too(), BRIEF).await;
        assert_eq!(answer, Err(WebhookError::Timeout), "{host}");
        assert!(listener.accept().is_ok(), "{host}");
    }
}

#[test]
fn a_webhook_without_tls_is_for_this_machine_only() {
    let built = |url: &str, policy| Webhook::new(url.parse().unwrap(), policy).map(drop);
    assert!(built("https://shop.example/hook", AddressPolicy::public_only()).is_ok());
    assert!(built("http://127.0.0.1:1/", AddressPolicy::this_machine_too()).is_ok());
    for (url, policy) in [
        ("http://shop.example/hook", AddressPolicy::public_only()),
        ("http://127.0.0.1:1/", AddressPolicy::public_only()),
        ("ftp://shop.example/", AddressPolicy::this_machine_too()),
        ("file:///etc/passwd", AddressPolicy::this_machine_too()),
    ] {
        assert!(matches!(built(url, policy), Err(BuildError::NotHttps)), "{url}");
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

    let webhook = Webhook::new(url, AddressPolicy::this_machine_too()).unwrap();
    for _ in 0..2 {
        assert!(webhook.ask(&key(), ID, BODY.to_owned(), NOW, PLENTY).await.is_err());
    }
    let peers = peers.lock().unwrap();
    assert_eq!(peers.len(), 2);
    assert_eq!(peers[0], peers[1]);
}

#[tokio::test]
async fn no_error_tells_where_the_webhook_is_or_what_it_said() {
    let (listener, closed) = silent();
    drop(listener);
    let garbage = serve(Router::new().route("/hush", post(async || "hush"))).await;
    let nowhere = format!("http://hush.{}.test/", "a".repeat(64));
    for url in [format!("https://{closed}/hush"), format!("{garbage}hush"), nowhere] {
        let error = ask_at(&url, AddressPolicy::this_machine_too(), PLENTY).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hush") && !text.contains("127.0.0.1"), "{text}");
    }
}
