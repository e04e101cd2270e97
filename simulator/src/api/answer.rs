//! Responses on the wire: JSON, or a file (protocol section 11.3).

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde_json::{Value, json};

use super::Outcome;
use crate::refusal::Rid;
use crate::simulator::Simulator;

/// The response of an API that does not refuse.
pub(crate) enum Answer {
    /// Unchanged: calls of the component's API have no `errcode`.
    Json(Value),
    /// Bytes, with the name of the file.
    File { content_type: &'static str, name: String, bytes: Bytes },
}

impl From<Value> for Answer {
    fn from(value: Value) -> Self {
        Self::Json(value)
    }
}

/// `errcode` 0, and these members.
pub(crate) fn ok(mut members: Value) -> Answer {
    members["errcode"] = json!(0);
    members["errmsg"] = json!("ok");
    Answer::Json(members)
}

/// The response on the wire. A refusal and its rid travel as extensions too, for the records.
pub(crate) fn respond(simulator: &Simulator, outcome: Outcome) -> Response {
    let refusal = match outcome {
        Ok(Answer::Json(body)) => return json_response(&body),
        Ok(Answer::File { content_type, name, bytes }) => return file_response(content_type, &name, bytes),
        Err(refusal) => refusal,
    };
    let rid = Rid::new(simulator.now(), simulator.random());
    let mut response = json_response(&refusal.body(&rid));
    response.extensions_mut().insert(rid);
    response.extensions_mut().insert(refusal);
    response
}

fn json_response(body: &Value) -> Response {
    let content_type = HeaderValue::from_static("application/json; encoding=utf-8");
    ([(CONTENT_TYPE, content_type)], body.to_string()).into_response()
}

fn file_response(content_type: &'static str, name: &str, bytes: Bytes) -> Response {
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    response.headers_mut().insert(CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment")));
    response
}
