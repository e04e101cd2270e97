//! The requests to DynamoDB as IAM sees them: an HTTP client under the SDK that records every request.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use runtime::aws::Connections;
use serde_json::Value;

/// One action on one table, with the values that a policy's conditions use. A batch is one action, each part of a
/// transaction is an action of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableRequest {
    /// The action, such as `GetItem`.
    pub action: String,
    /// The index that is read.
    pub index: Option<String>,
    /// The partition keys: `dynamodb:LeadingKeys`.
    pub leading_keys: BTreeSet<String>,
    /// The attributes that it names: `dynamodb:Attributes`; `None` for a read of whole items.
    pub attributes: Option<BTreeSet<String>>,
    /// What a query returns: `dynamodb:Select`.
    pub select: Option<String>,
    /// What a write returns: `dynamodb:ReturnValues`.
    pub return_values: Option<String>,
}

/// The client; clones share what was recorded.
#[derive(Debug, Clone)]
pub struct Recorder {
    inner: SharedHttpClient,
    requests: Arc<Mutex<BTreeSet<TableRequest>>>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { inner: SharedHttpClient::new(Connections::new()), requests: Arc::default() }
    }
}

impl Recorder {
    /// The client, for `http_client` of an SDK config.
    #[must_use]
    pub fn client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// The requests so far, each kind once.
    #[must_use]
    pub fn requests(&self) -> BTreeSet<TableRequest> {
        self.requests.lock().unwrap().clone()
    }
}

impl HttpClient for Recorder {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Recorded { recorder: self.clone(), inner })
    }
}

#[derive(Debug)]
struct Recorded {
    recorder: Recorder,
    inner: SharedHttpConnector,
}

impl HttpConnector for Recorded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.strip_prefix("DynamoDB_20120810.").expect("a request to DynamoDB");
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        self.recorder.requests.lock().unwrap().extend(seen(operation, &body));
        self.inner.call(request)
    }
}

/// The actions of a request.
fn seen(operation: &str, body: &Value) -> Vec<TableRequest> {
    match operation {
        "TransactWriteItems" => body["TransactItems"].as_array().unwrap().iter().map(of_transaction).collect(),
        "BatchGetItem" => {
            let tables = body["RequestItems"].as_object().unwrap().values();
            tables.map(|of| one(operation, of, of["Keys"].as_array().unwrap().iter().map(partition))).collect()
        }
        "Query" => vec![one(operation, body, [queried(body)])],
        "PutItem" => vec![one(operation, body, [partition(&body["Item"])])],
        "GetItem" | "UpdateItem" | "DeleteItem" => vec![one(operation, body, [partition(&body["Key"])])],
        _ => panic!("what does IAM see of a {operation}?"),
    }
}

fn of_transaction(part: &Value) -> TableRequest {
    let (kind, body) = part.as_object().and_then(|part| part.iter().next()).unwrap();
    let (action, key) = match kind.as_str() {
        "Put" => ("PutItem", &body["Item"]),
        "Update" => ("UpdateItem", &body["Key"]),
        "Delete" => ("DeleteItem", &body["Key"]),
        "ConditionCheck" => ("ConditionCheckItem", &body["Key"]),
        _ => panic!("what does IAM see of a {kind}?"),
    };
    one(action, body, [partition(key)])
}

fn partition(key: &Value) -> String {
    key["pk"]["S"].as_str().expect("a key has a pk").to_owned()
}

/// The partition of a query, with which its condition on the key begins.
fn queried(body: &Value) -> String {
    let condition = body["KeyConditionExpression"].as_str().unwrap();
    let (_, value) = condition.split(" AND ").next().unwrap().split_once(" = ").expect("a query has one partition");
    body["ExpressionAttributeValues"][value]["S"].as_str().unwrap().to_owned()
}

fn one(action: &str, body: &Value, partitions: impl IntoIterator<Item = String>) -> TableRequest {
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let reads = ["BatchGetItem", "GetItem", "Query"].contains(&action);
    let projected = text("ProjectionExpression");
    let select = (action == "Query").then(|| {
        let by_default = if projected.is_some() { "SPECIFIC_ATTRIBUTES" } else { "ALL_ATTRIBUTES" };
        text("Select").unwrap_or_else(|| by_default.to_owned())
    });
    TableRequest {
        action: action.to_owned(),
        index: text("IndexName"),
        leading_keys: partitions.into_iter().collect(),
        attributes: (!reads || projected.is_some()).then(|| named(body)),
        select,
        return_values: (!reads).then(|| text("ReturnValues").unwrap_or_else(|| "NONE".to_owned())),
    }
}

/// The attributes that a request names, including those of the key.
fn named(body: &Value) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = ["pk", "sk"].map(str::to_owned).into();
    let placeholders = body["ExpressionAttributeNames"].as_object().into_iter().flatten();
    names.extend(placeholders.map(|(_, name)| name.as_str().unwrap().to_owned()));
    names.extend(body["Item"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
    names
}
