//! The extractor that turns a request into an authentic message (walk-through 1 of `docs/architecture.md`).
//!
//! It limits the body, extracts exactly `Encrypt`, checks `msg_signature`, decrypts with the current key or the
//! previous one, and checks the recipient, in this order; nothing is processed further before. A handler that takes
//! [`Verified`] therefore cannot see anything unverified. Both push URLs use it.

use std::error::Error;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRef, FromRequest, Request};
use base::clock::Timestamp;
use base::ids::AppId;
use http_body_util::LengthLimitError;
use platform::secret::{Platform, PlatformSource};
use runtime::telemetry::Metrics;
use secrecy::SecretString;
use wechat::crypto::{OpenError, Opened, Signed};
use wechat::push::envelope::Envelope;
use wechat::push::{AccountMessage, AuthorizationEvent};

use super::query::Query;
use super::{PushRejection, ReplySeal};

/// The largest body that is accepted, in bytes. Real pushes have less than 2 KiB; the longest texts fit easily.
pub const BODY_LIMIT: usize = 64 * 1024;

/// A message that is signed with our token and sealed for our platform, parsed as a `T`: the extractor of both push
/// URLs.
#[derive(Debug)]
pub struct Verified<T>(pub T);

/// An authentic message that has not been parsed yet.
pub struct Authentic {
    /// The decrypted text. Bytes that are not UTF-8 are replaced by U+FFFD, so that the message is not lost.
    pub text: SecretString,
    /// The seal for the reply.
    pub seal: ReplySeal,
    /// `timestamp` of the URL: when this delivery was sent.
    pub sent_at: Timestamp,
}

/// A type as which a decrypted message can be parsed.
pub trait Pushed: Sized {
    /// Parses `message`.
    ///
    /// # Errors
    /// [`PushRejection::Foreign`] if it is for another platform.
    fn read(message: Authentic) -> Result<Self, PushRejection>;
}

/// An event of the 授权事件接收URL.
#[derive(Debug)]
pub struct PlatformPush {
    /// The event.
    pub event: AuthorizationEvent,
    /// The platform for which it was sealed.
    pub component: AppId,
    /// When this delivery was sent.
    pub sent_at: Timestamp,
}

impl Pushed for PlatformPush {
    fn read(message: Authentic) -> Result<Self, PushRejection> {
        let component = message.seal.platform.component.clone();
        let event = AuthorizationEvent::parse(message.text);
        if event.component.as_ref().is_some_and(|named| *named != component) {
            return Err(PushRejection::Foreign);
        }
        Ok(Self { event, component, sent_at: message.sent_at })
    }
}

/// A message of the 消息与事件接收URL. The handler has to check for which account it is: by the path, which is not signed, and
/// by `ToUserName`, which is.
#[derive(Debug)]
pub struct AccountPush {
    /// The message.
    pub message: AccountMessage,
    /// The seal for the reply.
    pub seal: ReplySeal,
    /// When this delivery was sent.
    pub sent_at: Timestamp,
}

impl Pushed for AccountPush {
    fn read(message: Authentic) -> Result<Self, PushRejection> {
        Ok(Self { message: AccountMessage::parse(message.text), seal: message.seal, sent_at: message.sent_at })
    }
}

impl<S, T> FromRequest<S> for Verified<T>
where
    S: Send + Sync,
    T: Pushed,
    Arc<PlatformSource>: FromRef<S>,
    Metrics: FromRef<S>,
{
    type Rejection = PushRejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, PushRejection> {
        let source = Arc::<PlatformSource>::from_ref(state);
        let verified = verify(request, &source).await.and_then(T::read);
        verified.map(Self).inspect_err(|rejection| rejection.report(&Metrics::from_ref(state)))
    }
}

async fn verify(request: Request, source: &PlatformSource) -> Result<Authentic, PushRejection> {
    let (head, body) = request.into_parts();
    let query = Query::parse(head.uri.query().unwrap_or_default())?;
    let body = read(body).await?;
    let envelope = Envelope::parse(&body).map_err(PushRejection::Envelope)?;
    let signed = query.signed(&envelope);

    let platform = source.current().await?;
    let (platform, opened) = match open(&platform, &envelope, &signed) {
        Ok(opened) => (platform, opened),
        Err(refusal) => {
            if !another_secret_may_fit(&refusal) {
                return Err(refusal);
            }
            let Some(newer) = source.reread(&platform).await else { return Err(refusal) };
            let opened = open(&newer, &envelope, &signed)?;
            (newer, opened)
        }
    };
    Ok(Authentic {
        text: String::from_utf8_lossy(&opened.message).into_owned().into(),
        seal: ReplySeal { platform, with: opened.with },
        sent_at: query.sent_at(),
    })
}

fn open(platform: &Platform, envelope: &Envelope<'_>, signed: &Signed<'_>) -> Result<Opened, PushRejection> {
    if envelope.component.as_ref().is_some_and(|component| *component != platform.component) {
        return Err(PushRejection::Foreign);
    }
    Ok(platform.keyring.open(signed)?)
}

/// Whether the reason may be that token or key were changed since the secret was read. If the signature verifies but
/// the payload is not valid ciphertext, reading the secret again cannot help: the sender is at fault.
const fn another_secret_may_fit(refusal: &PushRejection) -> bool {
    match refusal {
        PushRejection::Open(reason) => !matches!(reason, OpenError::Base64 | OpenError::CipherLength),
        _ => false,
    }
}

/// Reads the body up to [`BODY_LIMIT`]. The gateway delivers it in one piece, which is not copied.
async fn read(body: Body) -> Result<Bytes, PushRejection> {
    to_bytes(body, BODY_LIMIT).await.map_err(|error| {
        let is_too_large = error.source().is_some_and(<dyn Error>::is::<LengthLimitError>);
        if is_too_large { PushRejection::TooLarge } else { PushRejection::Incomplete }
    })
}

#[cfg(test)]
#[path = "extract_tests.rs"]
mod tests;
