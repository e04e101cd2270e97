//! The reply webhook: a service of the business is asked for the reply to a message and returns it at once. It gets
//! each message at most once, since it may act on it.

use std::time::Duration;

use base::clock::Timestamp;
use platform::bus::BusEvent;
use platform::webhook::{Webhook, WebhookError, WebhookRole, payload};
use platform::webhook_key::WebhookKey;
use wechat::push::{Reply, ReplyError};

/// The role in which this function calls a webhook.
pub const REPLY_WEBHOOK: WebhookRole = WebhookRole {
    variable: "REPLY_WEBHOOK_URL",
    user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")),
};

/// The longest response that is read. A reply of eight articles has a few kilobytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Why there is no reply that can be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum AskError {
    /// Too little time was left for a response. Nothing was sent.
    #[error("no time was left for the reply webhook")]
    NoTime,
    /// The call failed.
    #[error("no reply from the reply webhook: {0}")]
    Call(#[from] WebhookError),
    /// A response that is not a valid reply.
    #[error("the reply webhook's response cannot be used: {0}")]
    Malformed(#[from] ReplyError),
}

impl AskError {
    /// The value of the metric's dimension.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::NoTime => "no-time",
            Self::Call(error) => error.reason(),
            Self::Malformed(_) => "malformed",
        }
    }
}

/// Asks for the reply to one message; `None` if the service has none.
///
/// # Errors
/// [`AskError`]. The service may have acted on the message all the same: do not repeat the call.
pub(crate) async fn ask(
    webhook: &Webhook,
    key: &WebhookKey,
    event: &BusEvent,
    now: Timestamp,
    within: Duration,
) -> Result<Option<Reply>, AskError> {
    let answer = webhook.post(key, event.id.as_str(), payload(event, now), now, within).await?;
    Ok(Reply::parse(&answer.read(LONGEST_ANSWER).await?)?)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::{StatusCode, header};
    use axum::response::IntoResponse;
    use axum::routing::post;
    use base::ids::AppId;
    use platform::webhook::AddressPolicy;
    use store::Labels;
    use wechat::push::AccountMessage;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_700_000_000);

    /// Long enough for any exchange on loopback.
    const PLENTY: Duration = Duration::from_secs(20);

    /// Asks a service that responds with `answer`.
    async fn ask_one(answer: impl IntoResponse + Clone + Send + Sync + 'static) -> Result<Option<Reply>, AskError> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let service = Router::new().route("/", post(async move || answer));
        tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        let webhook = Webhook::new(url, AddressPolicy::this_machine_too(), &REPLY_WEBHOOK).unwrap();
        let key = WebhookKey::parse(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()).unwrap();
        let account = AppId::parse("wxshop").unwrap();
        let message = AccountMessage::parse("<xml><ToUserName>gh_1</ToUserName></xml>".to_owned().into());
        let event = BusEvent::of_message(&account, &account, &Labels::default(), &message);
        ask(&webhook, &key, &event, NOW, PLENTY).await
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
            let reply = ask_one((StatusCode::CREATED, json)).await.unwrap().unwrap();
            let xml = reply.xml("o1", "gh_1", NOW);
            assert!(xml.contains(&format!("<MsgType><![CDATA[{kind}]]></MsgType>")), "{xml}");
        }
    }

    #[tokio::test]
    async fn a_service_may_have_nothing_to_say() {
        for answer in [(StatusCode::NO_CONTENT, ""), (StatusCode::OK, ""), (StatusCode::OK, r#"{"type":"none"}"#)] {
            assert_eq!(ask_one(answer).await, Ok(None));
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_no_reply_is_refused() {
        for (answer, reason) in [
            ("<html>busy</html>", ReplyError::NotJson),
            (r#"{"type":"poem"}"#, ReplyError::Type),
            (r#"{"type":"text"}"#, ReplyError::Missing("content")),
        ] {
            let error = ask_one(answer).await.unwrap_err();
            assert_eq!((error.reason(), &error), ("malformed", &AskError::Malformed(reason)), "{answer}");
        }
    }

    #[tokio::test]
    async fn an_answer_is_read_as_it_came_and_never_decompressed() {
        // gzip of `{"type":"text","content":"x"}` begins like this; what follows does not matter.
        let compressed = ([(header::CONTENT_ENCODING, "gzip")], [0x1f, 0x8b, 8, 0].as_slice());
        assert_eq!(ask_one(compressed).await.unwrap_err(), AskError::Malformed(ReplyError::NotJson));
        // The header alone changes nothing either.
        let plain = ([(header::CONTENT_ENCODING, "gzip")], r#"{"type":"none"}"#);
        assert_eq!(ask_one(plain).await, Ok(None));
    }

    #[tokio::test]
    async fn a_response_is_read_up_to_its_limit_and_no_further() {
        let answer = |length| {
            let none = r#"{"type":"none"}"#;
            none.to_owned() + &" ".repeat(length - none.len())
        };
        assert_eq!(ask_one(answer(LONGEST_ANSWER)).await, Ok(None));
        let error = ask_one(answer(LONGEST_ANSWER + 1)).await.unwrap_err();
        assert_eq!((error.reason(), error), ("too-large", AskError::Call(WebhookError::TooLarge(LONGEST_ANSWER))));
    }

    #[tokio::test]
    async fn a_failure_status_is_a_failure_whatever_the_body_says() {
        let error = ask_one((StatusCode::NOT_FOUND, r#"{"type":"text","content":"x"}"#)).await.unwrap_err();
        assert_eq!((error.reason(), error), ("status", AskError::Call(WebhookError::Status(404))));
    }
}
