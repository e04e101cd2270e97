//! The cost of requests to DynamoDB: an HTTP client under the SDK that requests the capacity units of each request from
//! the embedded DynamoDB, including index writes, and adds them up.
//!
//! A write whose condition fails is charged as well, but its response does not say how much: that is calculated from
//! the item returned with the failure, as DynamoDB counts bytes. Cancelled transactions are not counted: the counted
//! flows have none.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use runtime::aws::Connections;
use serde_json::{Map, Value};

/// Operations that write.
const WRITES: [&str; 4] = ["DeleteItem", "PutItem", "TransactWriteItems", "UpdateItem"];

/// The requests to DynamoDB, and their cost.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Used {
    /// Requests by operation.
    pub requests: BTreeMap<String, u32>,
    /// Write units.
    pub writes: f64,
    /// The write units of the index.
    pub index_writes: f64,
    /// Read units.
    pub reads: f64,
    /// The read units of the index.
    pub index_reads: f64,
}

impl std::ops::AddAssign for Used {
    fn add_assign(&mut self, other: Self) {
        for (operation, count) in other.requests {
            *self.requests.entry(operation).or_default() += count;
        }
        self.writes += other.writes;
        self.index_writes += other.index_writes;
        self.reads += other.reads;
        self.index_reads += other.index_reads;
    }
}

/// The client; clones share what was counted.
#[derive(Debug, Clone)]
pub struct Meter {
    inner: SharedHttpClient,
    used: Arc<Mutex<Used>>,
}

impl Default for Meter {
    fn default() -> Self {
        Self { inner: SharedHttpClient::new(Connections::new()), used: Arc::default() }
    }
}

impl Meter {
    /// The client, for `http_client` of an SDK config.
    #[must_use]
    pub fn client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// The use since the last call.
    #[must_use]
    pub fn take(&self) -> Used {
        std::mem::take(&mut *self.used.lock().unwrap())
    }

    fn add(&self, operation: &str, of_index: bool, answer: &Value) {
        let (units, in_index) = units(answer);
        let requests = BTreeMap::from([(operation.to_owned(), 1)]);
        let used = if WRITES.contains(&operation) {
            Used { requests, writes: units, index_writes: in_index, ..Used::default() }
        } else {
            Used { requests, reads: units, index_reads: if of_index { units } else { 0.0 }, ..Used::default() }
        };
        *self.used.lock().unwrap() += used;
    }
}

impl HttpClient for Meter {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Metered { meter: self.clone(), inner })
    }
}

#[derive(Debug)]
struct Metered {
    meter: Meter,
    inner: SharedHttpConnector,
}

impl HttpConnector for Metered {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let (meter, inner) = (self.meter.clone(), self.inner.clone());
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        // Secrets Manager charges per request, however large.
        let Some(operation) = target.strip_prefix("DynamoDB_20120810.").map(str::to_owned) else {
            return inner.call(request);
        };
        let of_index = ask_for_units(&mut request);
        HttpConnectorFuture::new(async move {
            let mut response: HttpResponse = inner.call(request).await?;
            let body = ByteStream::new(response.take_body()).collect().await.unwrap().into_bytes();
            meter.add(&operation, of_index, &serde_json::from_slice(&body).unwrap());
            *response.body_mut() = SdkBody::from(body);
            Ok(response)
        })
    }
}

/// Returns whether the request reads an index.
fn ask_for_units(request: &mut HttpRequest) -> bool {
    let mut body: Map<String, Value> = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
    body.insert("ReturnConsumedCapacity".to_owned(), "INDEXES".into());
    let of_index = body.contains_key("IndexName");
    let body = Value::Object(body).to_string();
    request.headers_mut().insert("content-length", body.len().to_string());
    *request.body_mut() = SdkBody::from(body);
    of_index
}

/// The units that a response reports, and how many of them are written to an index.
fn units(answer: &Value) -> (f64, f64) {
    let kind = answer["__type"].as_str().unwrap_or_default();
    if kind.ends_with("ConditionalCheckFailedException") {
        let kilobytes = answer["Item"].as_object().map_or(1, |item| item_size(item).div_ceil(1024));
        return (f64::from(u32::try_from(kilobytes).unwrap()), 0.0);
    }
    assert!(kind.is_empty(), "a request failed while costs were counted: {answer}");
    let tables = match &answer["ConsumedCapacity"] {
        Value::Array(tables) => tables.iter().collect(),
        table => vec![table],
    };
    let units = |of: &Value| of["CapacityUnits"].as_f64().expect("the units were asked for");
    let indexes = |table: &Value| -> f64 {
        table["GlobalSecondaryIndexes"].as_object().into_iter().flat_map(Map::values).map(units).sum()
    };
    (tables.iter().map(|table| units(table)).sum(), tables.iter().map(|table| indexes(table)).sum())
}

/// The bytes of an item, as DynamoDB counts them, from its JSON on the wire.
#[must_use]
pub fn item_size(item: &Map<String, Value>) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &Value) -> usize {
    let (kind, value) = value.as_object().and_then(|value| value.iter().next()).expect("an attribute has a type");
    match (kind.as_str(), value) {
        ("S", Value::String(text)) => text.len(),
        // Two digits a byte, and one byte more.
        ("N", Value::String(number)) => number.len().div_ceil(2) + 1,
        ("L", Value::Array(list)) => 3 + list.iter().map(|value| 1 + value_size(value)).sum::<usize>(),
        ("M", Value::Object(map)) => 3 + map.len() + item_size(map),
        ("SS", Value::Array(set)) => set.iter().filter_map(Value::as_str).map(str::len).sum(),
        ("BOOL" | "NULL", _) => 1,
        _ => panic!("an attribute of type {kind} has no known size"),
    }
}
