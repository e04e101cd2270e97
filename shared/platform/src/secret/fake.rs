//! Secrets Manager in memory, behind the real SDK client: for the tests of this crate and of those above it.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a helper that unwraps fails its test, as it should"
)]

use std::sync::{Arc, Mutex};

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use serde_json::json;

/// Secrets Manager as one text and an outage switch.
#[derive(Debug, Clone, Default)]
pub struct Manager(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    secret: String,
    reads: usize,
    outage: Option<Outage>,
}

/// A kind of outage of Secrets Manager.
#[derive(Debug, Clone, Copy)]
pub enum Outage {
    /// Access is denied.
    Denied,
    /// It never responds.
    Silent,
}

impl HttpConnector for Manager {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let (status, body) = {
            let mut state = self.0.lock().unwrap();
            state.reads += 1;
            match state.outage {
                None => (200, json!({ "Name": "platform", "SecretString": state.secret })),
                Some(Outage::Denied) => (400, json!({ "__type": "AccessDeniedException", "message": "no" })),
                Some(Outage::Silent) => return HttpConnectorFuture::new(std::future::pending()),
            }
        };
        HttpConnectorFuture::new(async move {
            // Lets other tasks run, so that callers really are concurrent.
            tokio::task::yield_now().await;
            let body = SdkBody::from(body.to_string());
            Ok(HttpResponse::new(status.try_into().unwrap(), body))
        })
    }
}

impl Manager {
    /// A client that talks to this manager.
    #[must_use]
    pub fn client(&self) -> Client {
        let connector = self.clone();
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::for_tests())
            .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(connector.clone())))
            .build();
        Client::from_conf(config)
    }

    /// Replaces the secret.
    pub fn store(&self, secret: &impl ToString) {
        self.0.lock().unwrap().secret = secret.to_string();
    }

    /// Begins or ends an outage.
    pub fn outage(&self, outage: Option<Outage>) {
        self.0.lock().unwrap().outage = outage;
    }

    /// How often the secret was read.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.0.lock().unwrap().reads
    }
}
