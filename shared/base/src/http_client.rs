//! How we call other servers: no redirects, no proxy, nothing sent twice, no answer
//! without bound.
//!
//! The builders of clients add what differs: bounds on time, an other side that hangs up early, which addresses may be
//! reached.

mod tls;

use std::time::Duration;

/// A connection idle for longer may have died unnoticed while the sandbox was frozen.
const IDLE_CONNECTION: Duration = Duration::from_secs(20);

/// The start of every HTTP client of ours.
///
/// Several calls spend a code, replace a token or may cause something at the other side: none is ever repeated. What is
/// sent again is a request of which no byte was sent, since the other side had closed the connection that was kept.
pub fn client_builder() -> reqwest::ClientBuilder {
    #[expect(clippy::disallowed_methods, reason = "the one home of the HTTP client")]
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls::configuration())
        .pool_idle_timeout(IDLE_CONNECTION)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        // The contract's variables are the whole configuration: no HTTPS_PROXY from the environment.
        .no_proxy()
}

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is longer than it may be.
    #[error("the answer is too large")]
    TooLarge,
    /// It did not arrive whole, or not in time. The cause may hold the call's URL.
    #[error("the answer did not arrive whole")]
    Broken(#[source] reqwest::Error),
}

/// Reads a body of at most `longest` bytes, as it came: nothing is decompressed. A longer one is dropped where it
/// becomes too long.
pub async fn read_bounded(response: &mut reqwest::Response, longest: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Broken)? {
        if body.len() + chunk.len() > longest {
            return Err(BodyError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
