//! The HTTP client under both SDK clients.
//!
//! The SDK's own default would read and parse the system's root certificates when a client is built, once more when it
//! connects, and all of it for each service: more than half of a cold start. This one sets TLS up once for both
//! services, when the first `https` address is called, and otherwise is the SDK's own client.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// A connection idle for longer may have died unnoticed while the sandbox was frozen.
const IDLE_CONNECTION: Duration = Duration::from_secs(20);

/// A client for plain and encrypted addresses. Clones share their connections.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    plain: SharedHttpClient,
    encrypted: Arc<OnceLock<SharedHttpClient>>,
}

impl Connections {
    pub(super) fn new() -> Self {
        let plain = Builder::new().pool_idle_timeout(IDLE_CONNECTION).build_http();
        Self { plain, encrypted: Arc::default() }
    }

    fn encrypted(&self) -> &SharedHttpClient {
        self.encrypted.get_or_init(|| {
            let tls = Provider::Rustls(CryptoMode::AwsLc);
            Builder::new().tls_provider(tls).pool_idle_timeout(IDLE_CONNECTION).build_https()
        })
    }
}

impl HttpClient for Connections {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(ByScheme {
            connections: self.clone(),
            settings: settings.clone(),
            components: components.clone(),
        })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.plain.connector_metadata()
    }
}

/// Chooses when the address is known. Both clients keep their connectors for each other set of time-outs.
struct ByScheme {
    connections: Connections,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

impl HttpConnector for ByScheme {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client =
            if request.uri().starts_with("http://") { &self.connections.plain } else { self.connections.encrypted() };
        client.http_connector(&self.settings, &self.components).call(request)
    }
}

impl fmt::Debug for ByScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByScheme").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::config::retry::RetryConfig;
    use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
    use aws_sdk_secretsmanager::error::SdkError;

    use super::*;

    /// Asks for a secret where nobody listens.
    async fn ask(connections: &Connections, scheme: &str) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let nobody = listener.local_addr().unwrap();
        drop(listener);
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::for_tests())
            .retry_config(RetryConfig::disabled())
            .http_client(connections.clone())
            .endpoint_url(format!("{scheme}://{nobody}"))
            .build();
        let answer = aws_sdk_secretsmanager::Client::from_conf(config).get_secret_value().secret_id("x").send().await;
        assert!(matches!(answer, Err(SdkError::DispatchFailure(failure)) if failure.is_io()));
    }

    #[tokio::test]
    async fn tls_is_set_up_at_the_first_encrypted_address_and_not_before() {
        let connections = Connections::new();
        ask(&connections, "http").await;
        assert!(connections.encrypted.get().is_none());
        ask(&connections, "https").await;
        assert!(connections.encrypted.get().is_some());
    }
}
