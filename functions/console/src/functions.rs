//! Calls of the functions that act: an operator's act is a request that a service could have sent.
//!
//! The request is API Gateway's event (an HTTP API's, payload 2.0) whose authorizer is the operator. The gateway itself
//! never names such an authorizer, so only a role that may invoke the function (`lambda:InvokeFunction`) can act as an
//! operator.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::Builder;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::primitives::Blob;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use runtime::aws::failure;
use runtime::config::ConsoleConfig;
use serde_json::{Value, json};

/// A function that the console calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    /// The accounts, the keys, the platform.
    AccountApi,
    /// Links.
    PreauthLink,
}

/// A request to a function.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) function: Function,
    pub(crate) method: Method,
    /// The route, as in `template.yaml`.
    pub(crate) route: &'static str,
    /// The path.
    pub(crate) path: String,
    /// A JSON body.
    pub(crate) body: Option<Value>,
    /// The version that a change is based on.
    pub(crate) if_match: Option<String>,
}

impl Call {
    /// A request to a route; `id` goes into its path, if the path has one.
    pub(crate) fn to(function: Function, method: Method, route: &'static str, id: Option<&str>) -> Self {
        let path = match (id, route.split_once('{'), route.split_once('}')) {
            (Some(id), Some((before, _)), Some((_, behind))) => format!("{before}{id}{behind}"),
            _ => route.to_owned(),
        };
        Self { function, method, route, path, body: None, if_match: None }
    }

    /// The same with a body.
    pub(crate) fn with(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }
}

/// The response of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The JSON body; `Null` if there is none.
    pub(crate) body: Value,
}

/// The caller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// The operator's name.
    pub(crate) operator: &'a str,
    /// The address from which the operator's request came.
    pub(crate) source_ip: Option<IpAddr>,
}

/// Why there is no response. The act may have happened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// Lambda did not respond, or refused.
    #[error(
        "{function} could not be called ({cause}): check the console's permission to invoke it, and the function's log"
    )]
    Unreachable { function: Function, cause: String },
    /// The function ended with an error, or returned something other than a response.
    #[error("{function} did not return a response: its log says why")]
    Malformed { function: Function },
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccountApi => "account-api",
            Self::PreauthLink => "preauth-link",
        })
    }
}

/// The limit of a call, including the function's start: the called functions respond within 9 s.
const CALL: Duration = Duration::from_secs(10);

/// The client for calls of functions. A call is sent once: what an operator requests may have happened although no
/// response came.
#[must_use]
pub fn lambda_client(config: &SdkConfig) -> Client {
    let bound = TimeoutConfig::builder().operation_timeout(CALL).build();
    let config = Builder::from(config).retry_config(RetryConfig::disabled()).timeout_config(bound).build();
    Client::from_conf(config)
}

/// The functions; clones share the connections.
#[derive(Debug, Clone)]
pub(crate) struct Functions {
    client: Client,
    account_api: Arc<str>,
    preauth_link: Arc<str>,
}

impl Functions {
    pub(crate) fn new(client: Client, config: &ConsoleConfig) -> Self {
        let [account_api, preauth_link] = [&config.account_api, &config.preauth_link].map(|name| name.as_str().into());
        Self { client, account_api, preauth_link }
    }

    /// Calls a function, once. A response of any status counts as one.
    pub(crate) async fn call(&self, call: Call, caller: Caller<'_>) -> Result<Answer, CallError> {
        let function = call.function;
        let name = match function {
            Function::AccountApi => &self.account_api,
            Function::PreauthLink => &self.preauth_link,
        };
        let payload = Blob::new(event(call, caller).to_string());
        let invoked = self.client.invoke().function_name(&**name).payload(payload).send().await;
        let invoked = invoked.map_err(|error| CallError::Unreachable { function, cause: failure(&error) })?;
        let response = invoked.payload().filter(|_| invoked.function_error().is_none());
        response.and_then(|payload| answer(payload.as_ref())).ok_or(CallError::Malformed { function })
    }
}

fn event(call: Call, caller: Caller<'_>) -> Value {
    let Call { method, route, path, body, if_match, .. } = call;
    let route = format!("{method} {route}");
    let mut headers = json!({});
    if body.is_some() {
        headers["content-type"] = "application/json".into();
    }
    if let Some(version) = if_match {
        headers["if-match"] = version.into();
    }
    json!({
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "routeKey": route,
            "http": { "method": method.as_str(), "path": path, "sourceIp": caller.source_ip },
            "authorizer": { "operator": { "name": caller.operator } },
        },
        "body": body.map(|body| body.to_string()),
        "isBase64Encoded": false,
    })
}

fn answer(payload: &[u8]) -> Option<Answer> {
    let response: Value = serde_json::from_slice(payload).ok()?;
    let status = response["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok())?;
    let body = match (response["body"].as_str(), response["isBase64Encoded"].as_bool()) {
        (None | Some(""), _) => Value::Null,
        (Some(body), Some(true)) => serde_json::from_slice(&STANDARD.decode(body).ok()?).unwrap_or_default(),
        (Some(body), _) => serde_json::from_str(body).unwrap_or_default(),
    };
    Some(Answer { status: StatusCode::from_u16(status).ok()?, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_the_gateways_event_with_the_operator_as_authorizer() {
        let call = Call::to(Function::AccountApi, Method::PATCH, "/accounts/{appid}", Some("wx1234567890abcdef"));
        assert_eq!(call.path, "/accounts/wx1234567890abcdef");
        let call = Call { if_match: Some("\"3\"".to_owned()), ..call.with(json!({ "reference": "42" })) };
        let event = event(call, Caller { operator: "li", source_ip: Some([192, 0, 2, 1].into()) });
        assert_eq!(event["routeKey"], "PATCH /accounts/{appid}");
        assert_eq!(event["requestContext"]["authorizer"], json!({ "operator": { "name": "li" } }));
        assert_eq!(event["requestContext"]["http"]["sourceIp"], "192.0.2.1");
        assert_eq!(event["headers"], json!({ "content-type": "application/json", "if-match": "\"3\"" }));
        assert_eq!(event["body"], r#"{"reference":"42"}"#);
    }

    #[test]
    fn responses_are_read_in_both_encodings_and_what_is_none_is_not() {
        let read = |response: Value| answer(response.to_string().as_bytes());
        let body = json!({ "link_id": "x" });
        let plain = json!({ "statusCode": 201, "body": body.to_string() });
        let encoded = json!({ "statusCode": 201, "body": STANDARD.encode(body.to_string()), "isBase64Encoded": true });
        for response in [plain, encoded] {
            assert_eq!(read(response), Some(Answer { status: StatusCode::CREATED, body: body.clone() }));
        }
        assert_eq!(read(json!({ "statusCode": 204 })).unwrap().body, Value::Null);
        for odd in [json!({ "errorMessage": "x" }), json!({ "statusCode": "200" }), json!({ "statusCode": 20 })] {
            assert_eq!(read(odd), None);
        }
        assert_eq!(answer(b"no json"), None);
    }
}
