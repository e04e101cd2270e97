//! The origin of a request, for records.
//!
//! The layer between API Gateway and the handlers adds it to the request; nothing that a caller sends can. If there is
//! a proxy in front of the gateway, the address is the proxy's.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::request::Parts;
use store::Actor;

use crate::Problem;
use crate::caller::Caller;

/// The origin of a request, as far as known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// The address that called the gateway.
    pub ip: Option<IpAddr>,
    /// The host to which the request was sent, one of those that the gateway serves.
    pub host: Option<String>,
    /// The id of the request, which is in every line of the log about it and in the response.
    pub request_id: Option<String>,
}

impl Source {
    /// The author of the request, for records.
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

/// The author of what a request does, for records.
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
