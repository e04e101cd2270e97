//! From a request to an authentic message, in one extractor (walk-through 1 of `docs/architecture.md`).
//!
//! Bound the body, take exactly `Encrypt`, check `msg_signature`, decrypt with the current key or the previous one,
//! check whom it is for: in this order, and nothing before has been looked at further. A handler that takes
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
use url::form_urlencoded;
use wechat::crypto::{OpenError, Opened, Signed};
use wechat::push::envelope::Envelope;
use wechat::push::{AccountMessage, AuthorizationEvent};

use super::{PushRejection, ReplySeal};

/// The largest body accepted, in bytes. Real pushes have below 2 KiB; the longest texts leave room in this.
pub const BODY_LIMIT: usize = 64 * 1024;

/// The longest `timestamp`, in digits. Real ones have 10.
const LONGEST_TIMESTAMP: usize = 20;

/// The longest `nonce`, in characters. Real ones have up to 16.
///
/// What is signed is joined without separators, so a signature fits wherever the borders between the parts are. The
/// shortest piece of `Encrypt` that could move into `nonce` and leave whole blocks behind has 64 characters.
const LONGEST_NONCE: usize = 32;

/// The longest `msg_signature` that is compared, in characters. Real ones have 40.
const LONGEST_SIGNATURE: usize = 128;

/// What is signed with our token and sealed for our platform, read as a `T`: the extractor of both push URLs.
#[derive(Debug)]
pub struct Verified<T>(pub T);

/// An authentic message that nobody has read yet.
pub struct Authentic {
    /// The decrypted text. Bytes that are not UTF-8 are U+FFFD in it: a message is not lost for one of them.
    pub text: SecretString,
    /// For the reply.
    pub seal: ReplySeal,
    /// `timestamp` of the URL: when this delivery of it was sent.
    pub sent_at: Timestamp,
}

/// What a decrypted message can be read as.
pub trait Pushed: Sized {
    /// Reads `message`.
    ///
    /// # Errors
    /// [`PushRejection::Foreign`] where it is for another platform.
    fn read(message: Authentic) -> Result<Self, PushRejection>;
}

/// An event of the 授权事件接收URL.
#[derive(Debug)]
pub struct PlatformPush {
    /// The event.
    pub event: AuthorizationEvent,
    /// The platform that it is for: it was sealed for it.
    pub component: AppId,
    /// When this delivery of it was sent.
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

/// A message of the 消息与事件接收URL. Which account it is for the handler has to see: the path says so, which is not
/// signed, and `ToUserName`, which is.
#[derive(Debug)]
pub struct AccountPush {
    /// The message.
    pub message: AccountMessage,
    /// For the reply.
    pub seal: ReplySeal,
    /// When this delivery of it was sent.
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

/// Whether the cause may be that token or key were changed since the secret was read. If the signature
/// verifies but the payload is not valid ciphertext, reading the secret again cannot help: the sender is at fault.
const fn another_secret_may_fit(refusal: &PushRejection) -> bool {
    match refusal {
        PushRejection::Open(reason) => !matches!(reason, OpenError::Base64 | OpenError::CipherLength),
        _ => false,
    }
}

/// Reads the body as long as it is within [`BODY_LIMIT`]. A gateway delivers it in one piece, which is not copied.
async fn read(body: Body) -> Result<Bytes, PushRejection> {
    to_bytes(body, BODY_LIMIT).await.map_err(|error| {
        let is_too_large = error.source().is_some_and(<dyn Error>::is::<LengthLimitError>);
        if is_too_large { PushRejection::TooLarge } else { PushRejection::Incomplete }
    })
}

/// Why the query is not a push's.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum QueryError {
    /// A parameter is not there, or empty.
    #[error("the query parameter {0} is missing")]
    Missing(&'static str),
    /// A parameter is there twice: nothing says which one is signed.
    #[error("the query parameter {0} is there more than once")]
    Repeated(&'static str),
    /// A parameter is longer than any that WeChat sends.
    #[error("the query parameter {0} is too long")]
    TooLong(&'static str),
    /// `timestamp` is not a number.
    #[error("the query parameter {0} is malformed")]
    Malformed(&'static str),
}

impl QueryError {
    /// A stable word for metrics and logs.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing(_) => "parameter-missing",
            Self::Repeated(_) => "parameter-repeated",
            Self::TooLong(_) => "parameter-too-long",
            Self::Malformed(_) => "parameter-malformed",
        }
    }
}

/// The signed parameters (protocol section 3.1). `signature` does not cover the body and is ignored.
#[derive(Debug)]
struct Query {
    timestamp: String,
    nonce: String,
    msg_signature: String,
}

impl Query {
    fn parse(query: &str) -> Result<Self, QueryError> {
        const PARAMETERS: [(&str, usize); 3] =
            [("timestamp", LONGEST_TIMESTAMP), ("nonce", LONGEST_NONCE), ("msg_signature", LONGEST_SIGNATURE)];
        let mut values = [None, None, None];
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            for ((known, longest), slot) in PARAMETERS.into_iter().zip(&mut values) {
                if name != known {
                    continue;
                }
                if value.chars().count() > longest {
                    return Err(QueryError::TooLong(known));
                }
                if slot.replace(value.clone().into_owned()).is_some() {
                    return Err(QueryError::Repeated(known));
                }
            }
        }
        let [timestamp, nonce, msg_signature] = values;
        let filled =
            |name, value: Option<String>| value.filter(|value| !value.is_empty()).ok_or(QueryError::Missing(name));
        let timestamp = filled("timestamp", timestamp)?;
        if !timestamp.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(QueryError::Malformed("timestamp"));
        }
        Ok(Self { timestamp, nonce: filled("nonce", nonce)?, msg_signature: filled("msg_signature", msg_signature)? })
    }

    /// `timestamp`; far ahead where it is no time: a border that was moved has made it another number.
    fn sent_at(&self) -> Timestamp {
        Timestamp::from_unix(self.timestamp.parse().unwrap_or(i64::MAX))
    }

    fn signed<'a>(&'a self, envelope: &'a Envelope<'_>) -> Signed<'a> {
        Signed {
            timestamp: &self.timestamp,
            nonce: &self.nonce,
            msg_signature: &self.msg_signature,
            encrypt: &envelope.encrypt,
        }
    }
}

#[cfg(test)]
#[path = "extract_tests.rs"]
mod tests;
