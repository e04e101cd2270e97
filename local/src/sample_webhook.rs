//! A webhook for trying the platform, and an example to start from: `cargo run -- --sample-webhook`. It is both the
//! reply webhook and the event webhook.
//!
//! It does what every receiver must do: it checks the signature of the raw body according to the Standard Webhooks
//! specification (standardwebhooks.com) before it parses any of it; and it responds at once. Its replies are a few
//! lines: a text is echoed, a new follower is welcomed, and everything else gets no reply. For a mini program WeChat
//! has only one reply, and to messages alone: they are transferred to customer service. The business API says what kind
//! an account is. A change of an account is logged.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use base::clock::{SharedClock, Timestamp};
use platform::webhook_key::WebhookKey;
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;
use tower::ServiceExt as _;

/// The greatest difference between the sender's clock and ours; anything older may be a replay.
const TOLERANCE: Duration = Duration::from_mins(5);

/// More bytes than the business API returns for an account.
const LARGEST_ACCOUNT: usize = 64 * 1024;

/// The receiver; clones share the key.
#[derive(Clone)]
pub struct SampleWebhook {
    key: Arc<WebhookKey>,
    clock: SharedClock,
    business: Router,
}

impl SampleWebhook {
    /// A receiver of requests signed with this key, which queries this business API about accounts.
    #[must_use]
    pub fn new(key: WebhookKey, clock: SharedClock, business: Router) -> Self {
        Self { key: Arc::new(key), clock, business }
    }

    /// Whether an account is a mini program, as far as is known. A real receiver remembers it.
    async fn is_mini_program(&self, account: &str) -> bool {
        let Ok(request) = Request::get(format!("/accounts/{account}")).body(Body::empty()) else { return false };
        let Ok(answer) = self.business.clone().oneshot(request).await;
        let Ok(body) = to_bytes(answer.into_body(), LARGEST_ACCOUNT).await else { return false };
        serde_json::from_slice(&body).is_ok_and(|account: Value| account["kind"] == "mini_program")
    }

    /// Its one route.
    pub fn router(&self) -> Router {
        Router::new().route("/", post(receive)).with_state(self.clone())
    }

    /// Whether `body` was signed with our key, within the tolerance.
    fn is_authentic(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(id), Some(sent_at), Some(signatures)) =
            (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"))
        else {
            return false;
        };
        let Ok(sent_at) = sent_at.parse().map(Timestamp::from_unix) else { return false };
        let now = self.clock.now();
        let recent = now.since(sent_at) <= TOLERANCE && sent_at.since(now) <= TOLERANCE;
        let expected = self.key.sign(id, sent_at, body);
        // Several, separated by spaces, while the sender rotates its key.
        recent && signatures.split(' ').any(|signature| bool::from(signature.as_bytes().ct_eq(expected.as_bytes())))
    }
}

/// The part of a call that this receiver reads. The rest is in the JSON Schema of the events.
#[derive(Deserialize)]
struct Call {
    #[serde(rename = "type")]
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    message: Value,
    #[serde(default)]
    authorizer_appid: String,
    /// The number of an account's change.
    sequence: Option<u64>,
}

async fn receive(
    State(webhook): State<SampleWebhook>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, StatusCode> {
    if !webhook.is_authentic(&headers, &body) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let call: Call = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    if let Some(sequence) = call.data.sequence {
        // A real receiver stores the highest number of each account, and skips what it has seen.
        let Data { authorizer_appid, .. } = &call.data;
        tracing::info!("the sample webhook received {}, number {sequence} of account {authorizer_appid}", call.kind);
    }
    Ok(Json(if call.kind.starts_with("message.") && webhook.is_mini_program(&call.data.authorizer_appid).await {
        json!({ "type": "transfer_customer_service" })
    } else {
        reply(&call)
    }))
}

/// The reply to the follower of an official account.
fn reply(call: &Call) -> Value {
    match (call.kind.as_str(), call.data.message["content"].as_str()) {
        ("message.text", Some(said)) => text(&format!("你说 / you said: {said}")),
        ("event.subscribe", _) => text("欢迎关注 / welcome"),
        _ => json!({ "type": "none" }),
    }
}

fn text(content: &str) -> Value {
    json!({ "type": "text", "content": content })
}

#[cfg(test)]
mod tests {
    use axum::extract::Path;
    use axum::routing::get;
    use base::clock::ManualClock;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_700_000_000);

    fn key() -> WebhookKey {
        WebhookKey::parse(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()).unwrap()
    }

    /// Knows one mini program.
    fn business() -> Router {
        Router::new().route(
            "/accounts/{appid}",
            get(async |Path(appid): Path<String>| {
                Json(json!({ "kind": if appid == "wx2" { "mini_program" } else { "official_account" } }))
            }),
        )
    }

    async fn post(timestamp: Timestamp, signature: &str, body: &str) -> (StatusCode, Value) {
        let request = Request::post("/")
            .header("webhook-id", "an-id")
            .header("webhook-timestamp", timestamp.unix())
            .header("webhook-signature", signature)
            .body(Body::from(body.to_owned()))
            .unwrap();
        let webhook = SampleWebhook::new(key(), Arc::new(ManualClock::at(NOW)), business());
        let response = webhook.router().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn answered(body: &str) -> Value {
        let (status, answer) = post(NOW, &key().sign("an-id", NOW, body.as_bytes()), body).await;
        assert_eq!(status, StatusCode::OK);
        answer
    }

    #[tokio::test]
    async fn a_text_is_repeated_a_follower_welcomed_and_the_rest_gets_no_reply() {
        let echo = answered(r#"{"type":"message.text","data":{"message":{"type":"text","content":"你好"}}}"#).await;
        assert_eq!(echo, json!({ "type": "text", "content": "你说 / you said: 你好" }));
        let welcome = answered(r#"{"type":"event.subscribe","data":{"message":{"event":"subscribe"}}}"#).await;
        assert_eq!(welcome["type"], "text");
        let state = r#"{"type":"account.authorized","data":{"authorizer_appid":"wx1","sequence":7}}"#;
        for other in [state, r#"{"type":"event.SCAN","data":{}}"#, r#"{"type":"message.text","data":{"message":{}}}"#] {
            assert_eq!(answered(other).await, json!({ "type": "none" }));
        }
    }

    #[tokio::test]
    async fn messages_to_a_mini_program_are_left_to_customer_service_and_its_events_get_no_reply() {
        let text = r#"{"type":"message.text","data":{"authorizer_appid":"APPID","message":{"content":"你好"}}}"#;
        assert_eq!(answered(&text.replace("APPID", "wx2")).await, json!({ "type": "transfer_customer_service" }));
        assert_eq!(answered(&text.replace("APPID", "wx1")).await["type"], "text");
        let event = r#"{"type":"event.user_enter_tempsession","data":{"authorizer_appid":"wx2","message":{}}}"#;
        assert_eq!(answered(event).await, json!({ "type": "none" }));
    }

    #[tokio::test]
    async fn the_right_signature_among_several_is_enough() {
        let (body, other) = (r#"{"type":"event.VIEW","data":{}}"#, "v1,AAAA");
        let signature = key().sign("an-id", NOW, body.as_bytes());
        assert_eq!(post(NOW, &format!("{other} {signature}"), body).await.0, StatusCode::OK);
        assert_eq!(post(NOW, other, body).await.0, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn a_changed_body_and_a_recording_are_refused() {
        let body = r#"{"type":"event.VIEW","data":{}}"#;
        let signature = key().sign("an-id", NOW, body.as_bytes());
        assert_eq!(post(NOW, &signature, &body.replace("VIEW", "SCAN")).await.0, StatusCode::UNAUTHORIZED);
        for late in [NOW.minus(TOLERANCE * 2), NOW.plus(TOLERANCE * 2)] {
            let signature = key().sign("an-id", late, body.as_bytes());
            assert_eq!(post(late, &signature, body).await.0, StatusCode::UNAUTHORIZED, "{late}");
        }
    }

    #[tokio::test]
    async fn what_is_no_call_is_refused_and_an_unsigned_one_is_not_read() {
        let (signed, _) = post(NOW, &key().sign("an-id", NOW, b"hello"), "hello").await;
        assert_eq!(signed, StatusCode::BAD_REQUEST);
        let webhook = SampleWebhook::new(key(), Arc::new(ManualClock::at(NOW)), business());
        let unsigned = webhook.router().oneshot(Request::post("/").body(Body::from("hello")).unwrap()).await.unwrap();
        assert_eq!(unsigned.status(), StatusCode::UNAUTHORIZED);
    }
}
