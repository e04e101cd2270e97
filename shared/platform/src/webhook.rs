//! Calls of the business's own services: what is signed, which addresses are allowed, and how long a call may take.
//!
//! A call is one POST, signed according to the Standard Webhooks specification 1.0.0 and never repeated here: the
//! service may have acted on it. Everything is bounded: the whole exchange in time, the response in size, the address
//! by an [`AddressPolicy`]; no redirect is followed and nothing is decompressed. An error names the kind of failure,
//! but neither the URL, which may contain a secret, nor any content.

mod address;

use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;
use std::{io, iter};

use base::clock::Timestamp;
use base::http_client::{self, BodyError};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use url::{Host, Url};

use self::address::{NotPermitted, Resolver};
use crate::bus::BusEvent;
use crate::webhook_key::{WebhookKey, WebhookKeyError};

pub use self::address::AddressPolicy;

/// Shorter than the keep-alive time of common servers (5 s in Node and uvicorn): a call on a connection that the server
/// has just closed fails, and is not repeated.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

/// The purpose of a webhook.
#[derive(Debug, Clone, Copy)]
pub struct WebhookRole {
    /// The environment variable with its URL.
    pub variable: &'static str,
    /// The user agent: web application firewalls refuse calls without one.
    pub user_agent: &'static str,
}

/// A webhook of the business. Build it once per process: its connections are reused, and clones share them.
#[derive(Clone)]
pub struct Webhook {
    http: reqwest::Client,
    url: Url,
    policy: AddressPolicy,
}

/// Why a [`Webhook`] cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The URL is not `https://…`.
    #[error("the address of a webhook, {0}, must begin with https://")]
    NotHttps(&'static str),
    /// The HTTP client cannot be set up, for example for lack of the system's root certificates.
    #[error("the HTTP client for a webhook, {0}, cannot be built")]
    Client(&'static str, #[source] reqwest::Error),
}

/// Why a call of the webhook failed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WebhookError {
    /// There is no key to sign with.
    #[error(transparent)]
    NotConfigured(#[from] WebhookKeyError),
    /// The URL's host is, or resolves to, an address that must not be called. Nothing was sent.
    #[error("the webhook is not at a public address")]
    Address,
    /// The URL's host has no address. Nothing was sent.
    #[error("the name of the webhook cannot be resolved")]
    Name,
    /// There was no connection, for example because of a certificate ([`io::ErrorKind::InvalidData`]), or it was lost.
    #[error("no connection to the webhook: {0}")]
    Connection(io::ErrorKind),
    /// There was no complete response in time.
    #[error("the webhook did not respond in time")]
    Timeout,
    /// The response was not a success; redirects are not followed and count as failures.
    #[error("the webhook returned HTTP status {0}")]
    Status(u16),
    /// The response is longer than allowed.
    #[error("the webhook's response is longer than {0} bytes")]
    TooLarge(usize),
}

/// The body that reports an event: the payload that Standard Webhooks recommends, around the detail of the event on the
/// bus. `time` is when the event happened.
#[must_use]
pub fn payload(event: &BusEvent, time: Timestamp) -> String {
    let time = event.time.unwrap_or(time);
    // The type has no character that JSON would escape: see `BusEvent`.
    format!(r#"{{"type":"{}","timestamp":"{time}","data":{}}}"#, event.detail_type, event.detail)
}

impl Webhook {
    /// The webhook at `url`, which must be https unless `policy` permits this machine.
    pub fn new(url: Url, policy: AddressPolicy, role: &WebhookRole) -> Result<Self, BuildError> {
        if url.scheme() != "https" && !(url.scheme() == "http" && policy.permits_plain_http()) {
            return Err(BuildError::NotHttps(role.variable));
        }
        let http = http_client::client_builder()
            .pool_idle_timeout(IDLE_CONNECTION)
            .dns_resolver(Resolver(policy))
            .user_agent(role.user_agent)
            .build()
            .map_err(|error| BuildError::Client(role.variable, error))?;
        Ok(Self { http, url, policy })
    }

    /// Makes one POST: `id` is the delivery's (`webhook-id`), `body` the JSON that is sent, `now` the time in the
    /// signature. Everything, including connecting and reading the response, takes at most `within`.
    ///
    /// # Errors
    /// [`WebhookError`], also if the status is not 2xx. The service may have acted on the call nevertheless.
    pub async fn post(
        &self,
        key: &WebhookKey,
        id: &str,
        body: String,
        now: Timestamp,
        within: Duration,
    ) -> Result<WebhookAnswer, WebhookError> {
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
        let response = request.send().await.map_err(|error| WebhookError::transport(&error))?;
        if response.status().is_success() {
            Ok(WebhookAnswer(response))
        } else {
            Err(WebhookError::Status(response.status().as_u16()))
        }
    }
}

/// A 2xx response whose body has not been read yet.
pub struct WebhookAnswer(reqwest::Response);

impl WebhookAnswer {
    /// Reads the body, of at most `longest` bytes.
    ///
    /// # Errors
    /// [`WebhookError`] if it is longer, or does not arrive completely within the call's time.
    pub async fn read(self, longest: usize) -> Result<Vec<u8>, WebhookError> {
        let Self(mut response) = self;
        http_client::read_bounded(&mut response, longest).await.map_err(|error| match error {
            BodyError::TooLarge => WebhookError::TooLarge(longest),
            BodyError::Broken(cause) => WebhookError::transport(&cause),
        })
    }
}

/// The address, if the URL's host is an address: such a host does not go through the resolver. (`url` has parsed every
/// spelling of it.)
fn literal_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// The kind of the innermost I/O error, since TLS wraps its errors.
fn innermost_kind(error: &io::Error) -> io::ErrorKind {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>());
    inner.map_or(error.kind(), innermost_kind)
}

impl WebhookError {
    /// Translates a failure of the HTTP client, whose own text contains names and addresses.
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

    /// The value of the metric's dimension, which is stable.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotConfigured(_) => "not-configured",
            Self::Address => "address",
            Self::Name | Self::Connection(_) => "connect",
            Self::Timeout => "timeout",
            Self::Status(_) => "status",
            Self::TooLarge(_) => "too-large",
        }
    }
}

#[cfg(test)]
mod tests;
