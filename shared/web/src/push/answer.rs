//! The responses of both push URLs: plain text or a sealed reply, always in time.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base::clock::Timestamp;
use base::random::Random;
use platform::secret::Platform;
use tokio::time::Instant;
use wechat::crypto::Generations;

/// Nonces have up to ten digits, like WeChat's own.
const LARGEST_NONCE: u64 = 9_999_999_999;

/// When the response to a request is due: an extension of every request that went through [`answer_in_time`].
#[derive(Debug, Clone, Copy)]
pub struct AnswerBy(pub Instant);

/// Responds within `bound`, even if a body arrives slowly or a service hangs; then the response is that of `too_slow`.
pub async fn answer_in_time(bound: Duration, too_slow: fn() -> Response, mut request: Request, next: Next) -> Response {
    let by = Instant::now() + bound;
    request.extensions_mut().insert(AnswerBy(by));
    tokio::time::timeout_at(by, next.run(request)).await.unwrap_or_else(|_| too_slow())
}

/// A plain-text response.
#[must_use]
pub fn plain_answer(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text.into()).into_response()
}

/// The seal of a reply: the token and the key with which the message came.
#[derive(Clone)]
pub struct ReplySeal {
    pub(super) platform: Arc<Platform>,
    pub(super) with: Generations,
}

impl fmt::Debug for ReplySeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplySeal").field("with", &self.with).finish_non_exhaustive()
    }
}

impl ReplySeal {
    /// The platform for which the message was sealed.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// The response with a sealed reply (protocol section 3.4), whose plaintext is `xml`.
    #[must_use]
    pub fn answer(&self, xml: &str, random: &Random, now: Timestamp) -> Response {
        let (timestamp, nonce) = (now.unix().to_string(), random.up_to(LARGEST_NONCE).to_string());
        let sealed = self.platform.keyring.seal(xml.as_bytes(), random.bytes(), &timestamp, &nonce, self.with);
        let body = format!(
            "<xml><Encrypt><![CDATA[{}]]></Encrypt><MsgSignature><![CDATA[{}]]></MsgSignature>\
             <TimeStamp>{timestamp}</TimeStamp><Nonce><![CDATA[{nonce}]]></Nonce></xml>",
            sealed.encrypt, sealed.msg_signature
        );
        ([(header::CONTENT_TYPE, "application/xml; charset=utf-8")], body).into_response()
    }
}
