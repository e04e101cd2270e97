//! Where a request comes from, for what is written down about it.
//!
//! The layer between API Gateway and the handlers puts it there; nothing that a caller sends can. Where a proxy is in front
//! of the gateway, the address is the proxy's.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::request::Parts;
use store::Actor;

use crate::caller::Caller;

/// The origin of a request, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// The address that called the gateway.
    pub ip: Option<IpAddr>,
    /// The id that the log has in every line about the request, and that the response names.
    pub request_id: Option<String>,
}

impl Source {
    /// Who does what the request asks for.
    #[must_use]
    pub fn actor(self, caller: &Caller) -> Actor {
        Actor { by: caller.to_string(), source_ip: self.ip, request_id: self.request_id }
    }
}

impl<S: Sync> FromRequestParts<S> for Source {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}
