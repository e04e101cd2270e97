//! The reply webhook: the business's own service is asked what to say to a message, and says it at once.
//!
//! One POST per message, signed after the Standard Webhooks specification 1.0.0, never repeated: the service may have
//! acted on it. Everything about the other side is bounded: the whole exchange in time, the answer in size, the address
//! by an [`AddressPolicy`]; no redirect is followed and nothing decompressed. An error names the kind of failure and
//! neither the URL, which may hold a secret of its own, nor what was said.

mod address;

use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;
use std::{io, iter};

use base::clock::Timestamp;
use base::http_client::{self, BodyError};
use platform::webhook_key::{WebhookKey, WebhookKeyError};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use url::{Host, Url};
use wechat::push::{Reply, ReplyError};

use self::address::{NotPermitted, Resolver};

pub use self::address::AddressPolicy;

/// The longest answer that is read. A reply of eight articles has a few kilobytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Shorter than what common servers wait before they hang up (Node and uvicorn 5 s): a call on a connection that the
/// other side has just closed fails, and is not repeated.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

/// Firewalls of web applications refuse calls without one.
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// The service that is asked for replies. Its connections are reused: build it once per process.
pub struct Webhook {
    http: reqwest::Client,
    url: Url,
    policy: AddressPolicy,
}

/// Why there is no [`Webhook`].
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The URL is not `https://…`.
    #[error("the reply webhook, REPLY_WEBHOOK_URL, must begin with https://")]
    NotHttps,
    /// TLS cannot be set up, for instance for want of the system's root certificates.
    #[error("the HTTP client for the reply webhook cannot be built")]
    Client(#[source] reqwest::Error),
}

/// Why the webhook gave no answer that can be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WebhookError {
    /// There is no key to sign with.
    #[error(transparent)]
    NotConfigured(#[from] WebhookKeyError),
    /// Too little was left of the time for the answer. Nothing was sent.
    #[error("no time was left for the reply webhook")]
    NoTime,
    /// The URL's host is, or leads to, an address that must not be called. Nothing was sent.
    #[error("the reply webhook is not at a public address")]
    Address,
    /// The URL's host has no address. Nothing was sent.
    #[error("the name of the reply webhook cannot be resolved")]
    Name,
    /// No connection, for example because of a certificate ([`io::ErrorKind::InvalidData`]), or it broke.
    #[error("no connection to the reply webhook: {0}")]
    Connection(io::ErrorKind),
    /// No complete answer in time.
    #[error("the reply webhook did not answer in time")]
    Timeout,
    /// An answer that is no success: redirects too, which are not followed.
    #[error("the reply webhook answered with HTTP status {0}")]
    Status(u16),
    /// A longer answer than is read.
    #[error("the reply webhook's answer is longer than {LONGEST_ANSWER} bytes")]
    TooLarge,
    /// An answer that is no reply.
    #[error("the reply webhook's answer cannot be used: {0}")]
    Malformed(#[from] ReplyError),
}

impl Webhook {
    /// The webhook at `url`, which must be https unless `policy` permits this machine.
    pub fn new(url: Url, policy: AddressPolicy) -> Result<Self, BuildError> {
        if url.scheme() != "https" && !(url.scheme() == "http" && policy.permits_plain_http()) {
            return Err(BuildError::NotHttps);
        }
        let http = http_client::client_builder()
            .pool_idle_timeout(IDLE_CONNECTION)
            .dns_resolver(Resolver(policy))
            .user_agent(USER_AGENT)
            .build()
            .map_err(BuildError::Client)?;
        Ok(Self { http, url, policy })
    }

    /// Asks for the reply to one message: `id` is the delivery's (`webhook-id`), `body` the JSON that is sent, `now`
    /// the time it is signed with; all of it, connecting included, takes at most `within`. `None` is a service that
    /// has nothing to say.
    ///
    /// # Errors
    /// [`WebhookError`]. The service may have acted on the message all the same: do not ask again.
    pub async fn ask(
        &self,
        key: &WebhookKey,
        id: &str,
        body: String,
        now: Timestamp,
        within: Duration,
    ) -> Result<Option<Reply>, WebhookError> {
        if literal_address(&self.url).is_some_and(|address| !self.policy.permits(address)) {
            return Err(WebhookError::Address);
        }
        let signature = key.sign(id, now, body.as_bytes());
        let request = self
            .http
            .post(self.url.clone())
            .timeout(within)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("webhook-id", id)
            .header("webhook-timestamp", now.unix())
            .header("webhook-signature", signature)
            .body(body);
        let mut response = request.send().await.map_err(|error| WebhookError::transport(&error))?;
        if !response.status().is_success() {
            return Err(WebhookError::Status(response.status().as_u16()));
        }
        let answer = http_client::read_bounded(&mut response, LONGEST_ANSWER).await.map_err(|error| match error {
            BodyError::TooLarge => WebhookError::TooLarge,
            BodyError::Broken(cause) => WebhookError::transport(&cause),
        })?;
        Ok(Reply::parse(&answer)?)
    }
}

/// The address where the URL's host is one: no resolver is asked for it. (`url` has read every spelling of it.)
fn literal_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// TLS wraps its errors of I/O into another one.
fn innermost_kind(error: &io::Error) -> io::ErrorKind {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>());
    inner.map_or(error.kind(), innermost_kind)
}

impl WebhookError {
    /// What the HTTP client's failure comes to; its own words hold names and addresses.
    fn transport(error: &reqwest::Error) -> Self {
        let causes = || iter::successors(error.source(), |&cause| cause.source());
        if causes().any(<dyn std::error::Error>::is::<NotPermitted>) {
            Self::Address
        } else if error.is_timeout() {
            Self::Timeout
        } else if error.is_dns() {
            Self::Name
        } else {
            let kind = causes().find_map(|cause| cause.downcast_ref::<io::Error>()).map(innermost_kind);
            Self::Connection(kind.unwrap_or(io::ErrorKind::Other))
        }
    }

    /// A stable word for the metric.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotConfigured(_) => "not-configured",
            Self::NoTime => "no-time",
            Self::Address => "address",
            Self::Name | Self::Connection(_) => "connect",
            Self::Timeout => "timeout",
            Self::Status(_) => "status",
            Self::TooLarge => "too-large",
            Self::Malformed(_) => "malformed",
        }
    }
}

#[cfg(test)]
mod tests;
