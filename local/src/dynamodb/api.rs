//! DynamoDB's HTTP API over the embedded database: a POST whose operation is in `x-amz-target`.
//!
//! The database's own server accepts no layer and admits every website (`access-control-allow-origin: *`), so its
//! operations are called from here, behind the guard of all local listeners.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use dynoxide::auth_material::{AuthMaterial, validate};
use dynoxide::{Database, DynoxideError, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::home;

/// The content type of AWS's JSON 1.0 protocol.
const JSON_1_0: &str = "application/x-amz-json-1.0";

/// DynamoDB's own limit of a request in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// The prefixes of `x-amz-target`, for the table and for its stream.
const SERVICES: [&str; 2] = ["DynamoDB_20120810.", "DynamoDBStreams_20120810."];

/// The error for an operation that does not exist.
const UNKNOWN_OPERATION: &str = r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#;

/// The endpoint, and a page for people.
pub(super) fn router(database: Database) -> Router {
    Router::new().route("/", post(answer).get(page)).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(database)
}

async fn page(headers: HeaderMap) -> Response {
    home::aws("The local DynamoDB", "AWS_ENDPOINT_URL_DYNAMODB", &headers)
}

async fn answer(State(database): State<Database>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let target = header("x-amz-target").unwrap_or_default();
    let Some(operation) = SERVICES.iter().find_map(|service| target.strip_prefix(service)) else {
        return json(StatusCode::BAD_REQUEST, UNKNOWN_OPERATION.to_owned());
    };
    let credentials = AuthMaterial {
        authorization: header("authorization"),
        query: uri.query().unwrap_or_default(),
        has_date_header: headers.contains_key("x-amz-date") || headers.contains_key(header::DATE),
    };
    if let Some(refusal) = validate(credentials) {
        return json(StatusCode::BAD_REQUEST, refusal);
    }
    match run(&database, operation, &body) {
        Some(Ok(result)) => json(StatusCode::OK, result),
        Some(Err(error)) => {
            json(StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::BAD_REQUEST), error.to_json())
        }
        None => json(StatusCode::BAD_REQUEST, UNKNOWN_OPERATION.to_owned()),
    }
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, JSON_1_0)], body).into_response()
}

/// The result of an operation as JSON; `None` for one that the database does not have.
fn run(database: &Database, operation: &str, body: &[u8]) -> Option<Result<String>> {
    Some(match operation {
        "CreateTable" => call(body, |request| database.create_table(request)),
        "DeleteTable" => call(body, |request| database.delete_table(request)),
        "DescribeTable" => call(body, |request| database.describe_table(request)),
        "ListTables" => call(body, |request| database.list_tables(request)),
        "UpdateTable" => call(body, |request| database.update_table(request)),
        "UpdateTimeToLive" => call(body, |request| database.update_time_to_live(request)),
        "DescribeTimeToLive" => call(body, |request| database.describe_time_to_live(request)),
        "PutItem" => call(body, |request| database.put_item(request)),
        "GetItem" => call(body, |request| database.get_item(request)),
        "UpdateItem" => call(body, |request| database.update_item(request)),
        "DeleteItem" => call(body, |request| database.delete_item(request)),
        "Query" => call(body, |request| database.query(request)),
        "Scan" => call(body, |request| database.scan(request)),
        "BatchGetItem" => call(body, |request| database.batch_get_item(request)),
        "BatchWriteItem" => call(body, |request| database.batch_write_item(request)),
        "TransactGetItems" => call(body, |request| database.transact_get_items(request)),
        "TransactWriteItems" => call(body, |request| database.transact_write_items(request)),
        "ExecuteStatement" => call(body, |request| database.execute_statement(request)),
        "ExecuteTransaction" => call(body, |request| database.execute_transaction(request)),
        "BatchExecuteStatement" => call(body, |request| database.batch_execute_statement(request)),
        "ListStreams" => call(body, |request| database.list_streams(request)),
        "DescribeStream" => call(body, |request| database.describe_stream(request)),
        "GetShardIterator" => call(body, |request| database.get_shard_iterator(request)),
        "GetRecords" => call(body, |request| database.get_records(request)),
        "TagResource" => call(body, |request| database.tag_resource(request)),
        "UntagResource" => call(body, |request| database.untag_resource(request)),
        "ListTagsOfResource" => call(body, |request| database.list_tags_of_resource(request)),
        _ => return None,
    })
}

fn call<Q: DeserializeOwned, A: Serialize>(body: &[u8], operation: impl FnOnce(Q) -> Result<A>) -> Result<String> {
    let request = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let result = operation(request)?;
    serde_json::to_string(&result).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// The error for a request that does not have the form of its operation. The database's types put the kind of the error
/// before its message; serde puts the position after it.
/// before its message; serde puts the place behind it.
fn unreadable(error: &serde_json::Error) -> DynoxideError {
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    match message.split_once(':') {
        Some((kind, message)) if kind.starts_with("VALIDATION") => {
            DynoxideError::ValidationException(message.to_owned())
        }
        Some((kind, message)) if kind.starts_with("SERIALIZATION") => {
            DynoxideError::SerializationException(message.to_owned())
        }
        _ if message.starts_with("missing field") || message.starts_with("unknown variant") => {
            DynoxideError::ValidationException(message.to_owned())
        }
        _ => DynoxideError::SerializationException(message.to_owned()),
    }
}
