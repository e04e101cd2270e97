//! How other servers are called: no redirects, no proxy, nothing sent twice, no unbounded response.
//!
//! The crates that build clients add what differs: time-outs, servers that hang up early, which addresses may be
//! reached.

mod tls;

use std::time::Duration;

/// A connection that was idle for longer may have died unnoticed while the sandbox was frozen.
const IDLE_CONNECTION: Duration = Duration::from_secs(20);

/// The builder that every HTTP client of ours starts from.
///
/// Several calls spend a code, replace a token or may have another effect at the server, so none is ever repeated. The
/// one exception is a request of which no byte was sent because the server had closed the kept-alive connection.
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

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is longer than the limit.
    #[error("the response is too large")]
    TooLarge,
    /// It did not arrive completely, or not in time. The cause may contain the call's URL.
    #[error("the response did not arrive completely")]
    Broken(#[source] reqwest::Error),
}

/// Reads a body of at most `longest` bytes as it arrives, without decompressing it. Stops reading a longer one at the
/// limit.
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
