//! Secrets Manager on localhost: the one operation that our functions use, `GetSecretValue`, for one secret.
//!
//! AWS's JSON 1.1 protocol: a POST whose operation is in `x-amz-target`, errors as `__type` and `Message`. The
//! functions' own SDK client calls it through `AWS_ENDPOINT_URL_SECRETS_MANAGER`. The value can be changed while it
//! runs, as by an operator who rotates a key.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base::clock::{Clock as _, SystemClock, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::guard::{self, Guard};
use crate::home;

/// The content type of AWS's JSON 1.1 protocol.
const JSON_1_1: &str = "application/x-amz-json-1.1";

/// The only version label here.
const CURRENT: &str = "AWSCURRENT";

/// One secret behind an endpoint; clones share it.
#[derive(Clone)]
pub struct Secrets(Arc<Shared>);

struct Shared {
    name: String,
    version: RwLock<Version>,
}

struct Version {
    /// The number of values so far: each has its own `VersionId`.
    number: u32,
    created: Timestamp,
    value: Option<SecretString>,
}

impl Secrets {
    /// The secret called `name`; `None` if it has no value yet, as after a fresh deployment.
    #[must_use]
    pub fn new(name: impl Into<String>, value: Option<SecretString>) -> Self {
        let version = Version { number: 1, created: SystemClock.now(), value };
        Self(Arc::new(Shared { name: name.into(), version: RwLock::new(version) }))
    }

    /// Stores another value, which every later read returns.
    pub fn set(&self, value: SecretString) {
        let mut version = self.0.version.write().unwrap_or_else(PoisonError::into_inner);
        *version = Version { number: version.number.saturating_add(1), created: SystemClock.now(), value: Some(value) };
    }

    /// The endpoint, and a page for people.
    pub fn router(&self) -> Router {
        Router::new().route("/", post(answer).get(page)).with_state(self.clone())
    }

    /// Serves the endpoint to this machine until the future is dropped.
    ///
    /// # Errors
    /// The error of the operating system for the listener.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        guard::serve(listener, self.router(), &Guard::loopback()).await
    }

    fn arn(&self) -> String {
        format!("arn:aws:secretsmanager:us-east-1:000000000000:secret:{}-local0", self.0.name)
    }

    /// Names and ARNs are both ids.
    fn has_id(&self, id: &str) -> bool {
        id == self.0.name || id == self.arn()
    }

    fn get(&self, request: &GetSecretValue) -> Result<Value, Refusal> {
        if !self.has_id(&request.secret_id) {
            return Err(Refusal::not_found("Secrets Manager can't find the specified secret."));
        }
        let version = self.0.version.read().unwrap_or_else(PoisonError::into_inner);
        let id = format!("00000000-0000-4000-8000-{:012}", version.number);
        let asked_for_other = request.version_stage.as_deref().is_some_and(|stage| stage != CURRENT)
            || request.version_id.as_deref().is_some_and(|asked| asked != id);
        let value = version.value.as_ref().filter(|_| !asked_for_other).ok_or(Refusal::not_found(
            "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
        ))?;
        Ok(json!({
            "ARN": self.arn(),
            "CreatedDate": version.created.unix(),
            "Name": self.0.name,
            "SecretString": value.expose_secret(),
            "VersionId": id,
            "VersionStages": [CURRENT],
        }))
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").field("name", &self.0.name).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetSecretValue {
    secret_id: String,
    version_id: Option<String>,
    version_stage: Option<String>,
}

/// An error of AWS.
struct Refusal {
    kind: &'static str,
    message: &'static str,
}

impl Refusal {
    const fn not_found(message: &'static str) -> Self {
        Self { kind: "ResourceNotFoundException", message }
    }
}

async fn page(headers: HeaderMap) -> Response {
    home::aws("The local Secrets Manager", "AWS_ENDPOINT_URL_SECRETS_MANAGER", &headers)
}

async fn answer(State(secrets): State<Secrets>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let outcome = match target {
        Some("secretsmanager.GetSecretValue") => serde_json::from_slice(&body)
            .map_err(|_| Refusal {
                kind: "SerializationException",
                message: "The request is not a valid GetSecretValue.",
            })
            .and_then(|request| secrets.get(&request)),
        _ => Err(Refusal { kind: "UnknownOperationException", message: "Only GetSecretValue is available locally." }),
    };
    let (status, body) = match outcome {
        Ok(body) => (StatusCode::OK, body),
        Err(Refusal { kind, message }) => (StatusCode::BAD_REQUEST, json!({ "__type": kind, "Message": message })),
    };
    (status, [(header::CONTENT_TYPE, JSON_1_1)], body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::Client;
    use aws_sdk_secretsmanager::error::ProvideErrorMetadata as _;

    use super::*;
    use crate::testing::sdk_for;

    async fn client(secrets: &Secrets) -> Client {
        Client::new(&sdk_for(secrets.router()).await)
    }

    #[tokio::test]
    async fn the_sdk_reads_the_value_by_name_and_by_arn() {
        let client = client(&Secrets::new("platform", Some("one".into()))).await;
        let by_name = client.get_secret_value().secret_id("platform").send().await.unwrap();
        assert_eq!(by_name.secret_string(), Some("one"));
        assert_eq!(by_name.version_stages(), [CURRENT]);
        let by_arn = client.get_secret_value().secret_id(by_name.arn().unwrap()).send().await.unwrap();
        assert_eq!(by_arn.secret_string(), Some("one"));
    }

    #[tokio::test]
    async fn a_changed_value_is_read_at_once_under_a_new_version() {
        let secrets = Secrets::new("platform", Some("one".into()));
        let client = client(&secrets).await;
        let before = client.get_secret_value().secret_id("platform").send().await.unwrap();
        secrets.set("two".into());
        let after = client.get_secret_value().secret_id("platform").send().await.unwrap();
        assert_eq!(after.secret_string(), Some("two"));
        assert_ne!(before.version_id(), after.version_id());
    }

    #[tokio::test]
    async fn another_id_and_a_secret_without_value_are_not_found() {
        let client = client(&Secrets::new("platform", None)).await;
        for id in ["platform", "another"] {
            let error = client.get_secret_value().secret_id(id).send().await.unwrap_err().into_service_error();
            assert!(error.is_resource_not_found_exception(), "{id}: {error:?}");
        }
    }

    #[tokio::test]
    async fn other_operations_and_versions_are_refused_as_by_aws() {
        let client = client(&Secrets::new("platform", Some("one".into()))).await;
        let error = client.list_secrets().send().await.unwrap_err();
        assert_eq!(error.code(), Some("UnknownOperationException"));
        let previous = client.get_secret_value().secret_id("platform").version_stage("AWSPREVIOUS").send().await;
        assert!(previous.unwrap_err().into_service_error().is_resource_not_found_exception());
    }
}
