//! The HTTP client under all SDK clients, the same as for calls of WeChat and the webhook.
//!
//! So a process has one TLS stack and reads the system's root certificates once. The SDK's own client would keep a pool
//! for each set of time-outs and read the roots for each.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use base::http_client;

/// The bound for clients that set no time-out of a try, such as those of the operators' tool. A function's tries are
/// shorter.
const CONNECT: Duration = Duration::from_secs(3);

/// A client for HTTP and HTTPS. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Connections(Result<reqwest::Client, Unbuilt>);

/// Why no request can be made.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the HTTP client cannot be built: {0}")]
struct Unbuilt(String);

impl Connections {
    /// Builds a client, which connects when it is used.
    #[must_use]
    pub fn new() -> Self {
        let client = http_client::client_builder().connect_timeout(CONNECT).build();
        Self(client.map_err(|error| Unbuilt(error.to_string())))
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self::new()
    }
}

impl HttpClient for Connections {
    /// The settings are ignored: they are time-outs, which the SDK enforces itself for each try and for all tries.
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connections {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let client = client.map_err(user)?;
            let request = request.try_into_http1x().map_err(user)?;
            let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap)).map_err(user)?;
            let response = client.execute(request).await.map_err(failure)?;
            let response = http::Response::<reqwest::Body>::from(response).map(SdkBody::from_body_1_x);
            HttpResponse::try_from(response).map_err(user)
        })
    }
}

fn user(error: impl std::error::Error + Send + Sync + 'static) -> ConnectorError {
    ConnectorError::user(error.into())
}

/// A failure after which the SDK may retry: all its operations here are conditional or read-only.
fn failure(error: reqwest::Error) -> ConnectorError {
    let error = error.without_url();
    if error.is_timeout() { ConnectorError::timeout(error.into()) } else { ConnectorError::io(error.into()) }
}
