//! Where a request comes from, for what is written down about it.
//!
//! The layer between API Gateway and the handlers puts it there; nothing that a caller sends can. Where a proxy is in front
//! of the gateway, the address is the proxy's.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::request::Parts;
use store::Actor;

use crate::Problem;
use crate::caller::Caller;

/// The origin of a request, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// The address that called the gateway.
    pub ip: Option<IpAddr>,
    /// The host that the request was sent to, one that the gateway serves.
    pub host: Option<String>,
    /// The id that the log has in every line about the request, and that the response names.
    pub request_id: Option<String>,
}

impl Source {
    /// Whoever asks from here, for what is written down about it.
    #[must_use]
    pub fn actor(&self, by: String) -> Actor {
        Actor { by, source_ip: self.ip, request_id: self.request_id.clone() }
    }
}

impl<S: Sync> FromRequestParts<S> for Source {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// Who does what a request asks for, and from where: for what is written down about it.
#[derive(Debug, Clone)]
pub struct Requester(pub Actor);

impl<S: Sync> FromRequestParts<S> for Requester {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let Ok(source) = Source::from_request_parts(parts, state).await;
        Ok(Self(source.actor(caller.to_string())))
    }
}
