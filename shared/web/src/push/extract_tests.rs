//! Tests of [`super`]: requests through a router, and the secret in an in-memory Secrets Manager.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use base::clock::{ManualClock, SharedClock, Timestamp};
use base::ids::AppId;
use base::limits::Limits;
use platform::secret::fake::{Manager, Outage};
use proptest::prelude::*;
use runtime::telemetry::Measure;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use wechat::crypto::{EncodingAesKey, Generations, Keyring, Sealed};

use super::*;

const APP_ID: &str = "wx1234567890abcdef";
const TOKEN: &str = "ExampleToken01";
const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
const OTHER_KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
const MESSAGE: &str = "<xml><AppId>wx1234567890abcdef</AppId><CreateTime>1700000000</CreateTime>\
    <InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>ticket@@@demo</ComponentVerifyTicket></xml>";

#[derive(Clone)]
struct App {
    source: Arc<PlatformSource>,
    metrics: Metrics,
}

impl FromRef<App> for Arc<PlatformSource> {
    fn from_ref(app: &App) -> Self {
        Self::clone(&app.source)
    }
}

impl FromRef<App> for Metrics {
    fn from_ref(app: &App) -> Self {
        app.metrics.clone()
    }
}

struct Stage {
    manager: Manager,
    clock: Arc<ManualClock>,
    refused: Arc<Mutex<Vec<String>>>,
    router: Router,
}

fn secret(token: &str, key: &str) -> Value {
    json!({ "component_appid": APP_ID, "component_appsecret": "hush", "token": token, "encoding_aes_key": key })
}

impl Stage {
    fn new() -> Self {
        let manager = Manager::default();
        manager.store(&secret(TOKEN, KEY));
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix(1_700_000_000)));
        let refused = Arc::new(Mutex::new(vec![]));
        let seen = Arc::clone(&refused);
        let metrics = Metrics::from_fn(move |metric| {
            assert_eq!(metric.measure, Measure::PushRefused);
            seen.lock().unwrap().push(metric.dimension.clone().unwrap().1);
        });
        let limits = Limits { secrets: Duration::from_millis(50), ..Limits::interactive() };
        let shared_clock: SharedClock = Arc::clone(&clock) as SharedClock;
        let source = PlatformSource::new(manager.client(), "platform", shared_clock, limits, metrics.clone());
        let app = App { source: Arc::new(source), metrics };
        let router = Router::new()
            .route("/events", post(|Verified(push): Verified<PlatformPush>| async move { format!("{push:?}") }))
            .route(
                "/messages",
                post(|State(_): State<App>, Verified(push): Verified<AccountPush>| async move {
                    push.message.fields.text("Content").unwrap_or_default().to_owned()
                }),
            )
            .with_state(app);
        Self { manager, clock, refused, router }
    }

    async fn send(&self, uri: &str, body: impl Into<Body>) -> (StatusCode, String) {
        let request = Request::post(uri).body(body.into()).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let text = String::from_utf8(to_bytes(body, BODY_LIMIT).await.unwrap().to_vec()).unwrap();
        for hidden in ["hush", TOKEN, KEY, "ticket@@@"] {
            assert!(!text.contains(hidden), "{text}");
        }
        (head.status, text)
    }

    /// Sends a request, and returns the status and the reported reason.
    async fn refusal(&self, uri: &str, body: impl Into<Body>) -> (u16, String) {
        let (status, _) = self.send(uri, body).await;
        let mut refused = self.refused.lock().unwrap();
        assert_eq!(refused.len(), 1, "{refused:?}");
        (status.as_u16(), refused.remove(0))
    }
}

fn keyring(app_id: &str, token: &str, key: &str) -> Keyring {
    Keyring::new(AppId::parse(app_id).unwrap(), token.into(), EncodingAesKey::parse(&key.into()).unwrap())
}

fn seal(keyring: &Keyring, message: &[u8]) -> Sealed {
    keyring.seal(message, *b"0123456789abcdef", "1700000000", "987", Generations::CURRENT)
}

fn uri(sealed: &Sealed) -> String {
    format!(
        "/events?signature=x&timestamp=1700000000&nonce=987&encrypt_type=aes&msg_signature={}",
        sealed.msg_signature
    )
}

fn envelope(sealed: &Sealed) -> String {
    format!("<xml><AppId><![CDATA[{APP_ID}]]></AppId><Encrypt><![CDATA[{}]]></Encrypt></xml>", sealed.encrypt)
}

fn ours(message: &[u8]) -> (String, String) {
    let sealed = seal(&keyring(APP_ID, TOKEN, KEY), message);
    (uri(&sealed), envelope(&sealed))
}

#[tokio::test]
async fn a_push_of_ours_reaches_the_handler_on_both_urls() {
    let stage = Stage::new();
    let (uri, body) = ours(MESSAGE.as_bytes());
    let (status, text) = stage.send(&uri, body).await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.contains("component_verify_ticket"), "{text}");

    let message = "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>1</CreateTime>\
                   <MsgType>text</MsgType><Content>你好</Content></xml>";
    let (uri, body) = ours(message.as_bytes());
    let body = body.replace("AppId>", "ToUserName>");
    let (status, text) = stage.send(&uri.replace("events", "messages"), body).await;
    assert_eq!((status, &*text), (StatusCode::OK, "你好"));
}

#[tokio::test]
async fn a_body_in_many_pieces_is_read_up_to_the_limit_and_no_further() {
    let stage = Stage::new();
    let (uri, body) = ours(MESSAGE.as_bytes());
    let pieces: Vec<_> = body.into_bytes().chunks(7).map(Bytes::copy_from_slice).map(Ok::<_, std::io::Error>).collect();
    assert_eq!(stage.send(&uri, Body::from_stream(futures::stream::iter(pieces))).await.0, StatusCode::OK);

    let endless = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 1024])));
    assert_eq!(stage.refusal(&uri, Body::from_stream(endless)).await, (413, "too-large".into()));
    assert_eq!(stage.refusal(&uri, vec![b' '; BODY_LIMIT + 1]).await, (413, "too-large".into()));
    assert_eq!(stage.refusal(&uri, vec![b' '; BODY_LIMIT]).await, (400, "ill-formed".into()));

    let broken = futures::stream::iter([Ok(Bytes::from_static(b"<xml>")), Err(std::io::Error::other("reset"))]);
    assert_eq!(stage.refusal(&uri, Body::from_stream(broken)).await, (400, "incomplete".into()));
}

#[tokio::test]
async fn each_signed_parameter_is_there_exactly_once() {
    let stage = Stage::new();
    let (whole, body) = ours(MESSAGE.as_bytes());
    for name in ["timestamp", "nonce", "msg_signature"] {
        let without = whole.replace(&format!("&{name}="), "&other=");
        assert_eq!(stage.refusal(&without, body.clone()).await, (400, "parameter-missing".into()), "{name}");
        let empty = format!("{without}&{name}=");
        assert_eq!(stage.refusal(&empty, body.clone()).await, (400, "parameter-missing".into()), "{name}");
        let twice = format!("{whole}&{name}=1");
        assert_eq!(stage.refusal(&twice, body.clone()).await, (400, "parameter-repeated".into()), "{name}");
        let long = format!("{without}&{name}={}", "1".repeat(129));
        assert_eq!(stage.refusal(&long, body.clone()).await, (400, "parameter-too-long".into()), "{name}");
    }
    assert_eq!(stage.refusal("/events", body.clone()).await, (400, "parameter-missing".into()));
    assert_eq!(stage.manager.reads(), 0, "malformed requests cost no read");
    assert_eq!(stage.send(&whole.replace("nonce=987", "no%6ece=%398%37"), body).await.0, StatusCode::OK);
}

#[tokio::test]
async fn what_is_not_authentic_is_refused_by_reason() {
    let (uri_of_ours, body) = ours(MESSAGE.as_bytes());
    let forged = uri_of_ours.replace("msg_signature=", "msg_signature=0");
    let other_token = seal(&keyring(APP_ID, "OtherToken", KEY), MESSAGE.as_bytes());
    let other_app = seal(&keyring("wxffffffffffffffff", TOKEN, KEY), MESSAGE.as_bytes());
    let inner_foreign = ours(MESSAGE.replace(APP_ID, "wxffffffffffffffff").as_bytes());
    for (uri, body, reason) in [
        (forged.clone(), body.clone(), "signature"),
        (uri(&other_token), envelope(&other_token), "signature"),
        (uri(&other_app), envelope(&other_app), "appid"),
        (uri_of_ours.clone(), body.replace(APP_ID, "wxffffffffffffffff"), "foreign"),
        (inner_foreign.0, inner_foreign.1, "foreign"),
    ] {
        let stage = Stage::new();
        assert_eq!(stage.refusal(&uri, body).await, (401, reason.into()));
    }
}

#[tokio::test]
async fn what_is_malformed_is_refused_by_reason() {
    let stage = Stage::new();
    let (uri, body) = ours(MESSAGE.as_bytes());
    let nested = body.replace("<Encrypt>", "<x><Encrypt>").replace("</Encrypt>", "</Encrypt></x>");
    assert_eq!(stage.refusal(&uri, nested).await, (400, "element-misplaced".into()));
    assert_eq!(stage.refusal(&uri, format!("<!DOCTYPE xml>{body}")).await, (400, "document-type".into()));
    assert_eq!(stage.refusal(&uri, vec![0xff, 0xfe]).await, (400, "utf-8".into()));
    assert_eq!(stage.manager.reads(), 0, "there was nothing to compare with a secret");
}

#[tokio::test]
async fn what_wechat_has_signed_is_never_refused_for_what_is_in_it() {
    let stage = Stage::new();
    for message in [&b"\xff\xfe"[..], b"", b"<xml/>", b"<!DOCTYPE xml><xml/>", b"<xml><AppId>\xce\xa2</AppId>", b"{}"] {
        let (uri, body) = ours(message);
        for uri in [uri.clone(), uri.replace("events", "messages")] {
            assert_eq!(stage.send(&uri, body.clone()).await.0, StatusCode::OK);
        }
    }
}

#[tokio::test]
async fn the_borders_between_the_signed_parts_cannot_be_moved_into_another_message() {
    let stage = Stage::new();
    // The token sorts before all other parts, so that the rest of what is signed can be divided differently.
    let (secret_token, timestamp, nonce) = ("!Token", "1700000000", "98");
    stage.manager.store(&secret(secret_token, KEY));
    let keyring = keyring(APP_ID, secret_token, KEY);
    // Text that a stranger could type: from the third block on it is a sealed message of its own, beginning with its
    // length.
    let mut message = b"<xml><Content><![CDATA[.....................".to_vec();
    assert_eq!(message.len(), 3 * 16 - 4);
    message.extend(u32::try_from(MESSAGE.len()).unwrap().to_be_bytes());
    message.extend(MESSAGE.as_bytes());
    // With random bytes that make `Encrypt` sort after the nonce, both complete and without 64 characters.
    let sealed = (0..=u8::MAX)
        .map(|n| keyring.seal(&message, [n; 16], timestamp, nonce, Generations::CURRENT))
        .find(|sealed| sealed.encrypt.as_str() > "9a" && sealed.encrypt[64..] > *"9a")
        .unwrap();
    let uri = |timestamp: &str, nonce: &str| {
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        format!(
            "/events?timestamp={}&nonce={}&msg_signature={}",
            encode(timestamp),
            encode(nonce),
            sealed.msg_signature
        )
    };
    let body = |encrypt: &str| format!("<xml><Encrypt>{encrypt}</Encrypt></xml>");
    assert_eq!(stage.send(&uri(timestamp, nonce), body(&sealed.encrypt)).await.0, StatusCode::OK);
    for moved in 1..100 {
        let (head, rest) = sealed.encrypt.split_at(moved);
        let (status, _) = stage.send(&uri(timestamp, &format!("{nonce}{head}")), body(rest)).await;
        assert!(status.is_client_error(), "{moved} characters of Encrypt in the nonce: {status}");
    }
}

#[tokio::test]
async fn a_timestamp_is_at_most_twenty_digits_and_a_nonce_at_most_32_characters() {
    let stage = Stage::new();
    let keyring = keyring(APP_ID, TOKEN, KEY);
    let send = async |timestamp: &str, nonce: &str| {
        let sealed = keyring.seal(MESSAGE.as_bytes(), [7; 16], timestamp, nonce, Generations::CURRENT);
        let uri = format!("/events?timestamp={timestamp}&nonce={nonce}&msg_signature={}", sealed.msg_signature);
        stage.send(&uri, envelope(&sealed)).await.0.as_u16()
    };
    assert_eq!((send("1", "a").await, send(&"9".repeat(20), &"a".repeat(32)).await), (200, 200));
    for (timestamp, nonce) in [(&*"1".repeat(21), "1"), ("1x", "1"), ("-1", "1"), ("1.5", "1"), ("1", &*"1".repeat(33))]
    {
        assert_eq!(send(timestamp, nonce).await, 400, "{timestamp} {nonce}");
    }
}

#[tokio::test]
async fn a_changed_token_or_key_takes_effect_at_the_first_push_that_needs_it() {
    for (token, key) in [("NewToken", KEY), (TOKEN, OTHER_KEY), ("NewToken", OTHER_KEY)] {
        let stage = Stage::new();
        let (old_uri, old_body) = ours(MESSAGE.as_bytes());
        assert_eq!(stage.send(&old_uri, old_body.clone()).await.0, StatusCode::OK);
        let mut changed = secret(token, key);
        changed["previous_token"] = json!(TOKEN);
        changed["previous_encoding_aes_key"] = json!(KEY);
        stage.manager.store(&changed);
        let new = seal(&keyring(APP_ID, token, key), MESSAGE.as_bytes());
        assert_eq!(stage.send(&uri(&new), envelope(&new)).await.0, StatusCode::OK);
        assert_eq!(stage.send(&old_uri, old_body).await.0, StatusCode::OK);
        assert_eq!(stage.manager.reads(), 2);
    }
}

#[tokio::test]
async fn forged_pushes_cause_one_read_a_minute() {
    let stage = Stage::new();
    let (uri, body) = ours(MESSAGE.as_bytes());
    let forged = uri.replace("msg_signature=", "msg_signature=0");
    for _ in 0..20 {
        assert_eq!(stage.refusal(&forged, body.clone()).await.0, 401);
    }
    assert_eq!(stage.manager.reads(), 2);
    stage.clock.advance(Duration::from_mins(1));
    stage.manager.outage(Some(Outage::Denied));
    for _ in 0..20 {
        assert_eq!(stage.refusal(&forged, body.clone()).await.0, 401);
    }
    assert_eq!(stage.manager.reads(), 3);
    assert_eq!(stage.send(&uri, body).await.0, StatusCode::OK);
}

#[tokio::test]
async fn without_a_secret_the_response_says_so() {
    let stage = Stage::new();
    let (uri, body) = ours(MESSAGE.as_bytes());
    stage.manager.store(&"{}");
    assert_eq!(stage.send(&uri, body.clone()).await, (StatusCode::SERVICE_UNAVAILABLE, "not-configured".into()));
    stage.refused.lock().unwrap().clear();
    stage.clock.advance(Duration::from_secs(5));
    stage.manager.outage(Some(Outage::Denied));
    assert_eq!(stage.refusal(&uri, body).await, (500, "no-secret".into()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// Promise 4: whatever is signed or sent, there is a response, and without our signature it is never a success.
    #[test]
    fn any_sealed_message_and_any_other_body_get_a_response(
        message in prop::collection::vec(any::<u8>(), 0..300),
        query in "[a-z_=&%0-9]{0,60}",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let stage = Stage::new();
            let (uri, body) = ours(&message);
            let (status, _) = stage.send(&uri, body.clone()).await;
            prop_assert!(status.is_success() || status.is_client_error());
            let (status, _) = stage.send(&uri, message).await;
            prop_assert!(status.is_client_error());
            let (status, _) = stage.send(&format!("/events?{query}"), body).await;
            prop_assert!(status.is_client_error());
            Ok(())
        })?;
    }
}
