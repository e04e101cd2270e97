//! Lambda on localhost: the one operation with which our functions call each other, `Invoke`, for those that are
//! called.
//!
//! AWS's REST protocol: the payload is a POST below `/2015-03-31/functions/NAME`, errors are named in
//! `x-amzn-errortype`. The functions' own gateways are invoked, with an event as API Gateway would send it, and the
//! caller gets what API Gateway would get. An event may name any operator as its caller, as it may in the cloud if the
//! sender may invoke the function.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base::random::Random;
use runtime::telemetry;
use serde_json::json;
use serde_json::value::RawValue;
use tracing::Instrument as _;
use web::gateway::{Gateway, GatewayResponse};

use crate::home;

/// Lambda's limit of the payload of a synchronous call, in bytes.
const PAYLOAD_LIMIT: usize = 6 * 1024 * 1024;

/// The invocation type in which a call waits for the function's response, the only one that is served here.
const SYNCHRONOUS: &str = "RequestResponse";

/// The only version of a function here.
const LATEST: &str = "$LATEST";

/// The functions behind the endpoint; clones share them.
#[derive(Debug, Clone)]
pub struct Lambda {
    functions: Arc<BTreeMap<&'static str, Gateway>>,
    random: Random,
}

/// An error of AWS.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl Lambda {
    /// Functions with their names.
    #[must_use]
    pub fn new(functions: impl IntoIterator<Item = (&'static str, Gateway)>) -> Self {
        Self { functions: Arc::new(functions.into_iter().collect()), random: Random::system() }
    }

    /// The endpoint, and a page for people.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", get(page))
            .route("/2015-03-31/functions/{name}/invocations", post(answer))
            // Exceeding our own limit is answered as AWS does.
            .layer(DefaultBodyLimit::disable())
            .with_state(self.clone())
    }

    async fn invoke(&self, name: &str, headers: &HeaderMap, payload: &[u8]) -> Result<Response, Refusal> {
        let function = self.functions.get(short(name)).ok_or_else(|| Refusal::not_found(name))?;
        let how = headers.get("x-amz-invocation-type").map_or(SYNCHRONOUS.as_bytes(), |how| how.as_bytes());
        if how != SYNCHRONOUS.as_bytes() {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "InvalidParameterValueException", ONLY_SYNCHRONOUS));
        }
        if payload.len() > PAYLOAD_LIMIT {
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", TOO_LARGE));
        }
        let event = serde_json::from_slice::<&RawValue>(payload)
            .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "InvalidRequestContentException", NOT_JSON))?;
        let id = self.random.id();
        let response = function.answer_named(event.get(), &id).instrument(telemetry::invocation(&id)).await;
        Ok(invoked(&response, &id))
    }
}

const ONLY_SYNCHRONOUS: &str = "Only RequestResponse is available locally.";

const TOO_LARGE: &str = "The payload is larger than 6 MB.";

const NOT_JSON: &str = "Could not parse request body into json.";

/// The name in a name, or in a partial or full ARN.
fn short(name: &str) -> &str {
    name.rsplit_once(":function:").map_or(name, |(_, name)| name)
}

/// A function's response as the result of the call.
fn invoked(response: &GatewayResponse, id: &str) -> Response {
    match serde_json::to_string(response) {
        Ok(payload) => {
            let headers = [
                (header::CONTENT_TYPE.as_str(), "application/json"),
                ("x-amz-executed-version", LATEST),
                ("x-amzn-requestid", id),
            ];
            (headers, payload).into_response()
        }
        Err(error) => {
            tracing::error!("a function's response cannot be written as JSON: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

impl Refusal {
    fn new(status: StatusCode, kind: &'static str, message: &str) -> Self {
        Self { status, kind, message: message.to_owned() }
    }

    fn not_found(name: &str) -> Self {
        let name = short(name);
        let message = format!("Function not found: arn:aws:lambda:us-east-1:000000000000:function:{name}");
        Self { status: StatusCode::NOT_FOUND, kind: "ResourceNotFoundException", message }
    }

    fn response(self) -> Response {
        let headers = [(header::CONTENT_TYPE.as_str(), "application/json"), ("x-amzn-errortype", self.kind)];
        let body = json!({ "Type": "User", "Message": self.message });
        (self.status, headers, body.to_string()).into_response()
    }
}

async fn page(headers: HeaderMap) -> Response {
    home::aws("The local Lambda", "AWS_ENDPOINT_URL_LAMBDA", &headers)
}

async fn answer(
    State(lambda): State<Lambda>,
    Path(name): Path<String>,
    headers: HeaderMap,
    payload: Bytes,
) -> Response {
    lambda.invoke(&name, &headers, &payload).await.unwrap_or_else(Refusal::response)
}

#[cfg(test)]
mod tests {
    use aws_sdk_lambda::Client;
    use aws_sdk_lambda::error::ProvideErrorMetadata as _;
    use aws_sdk_lambda::operation::invoke::builders::InvokeFluentBuilder;
    use aws_sdk_lambda::primitives::Blob;
    use aws_sdk_lambda::types::InvocationType;
    use axum::Extension;
    use axum::http::Method;
    use runtime::telemetry::Metrics;
    use serde_json::Value;
    use web::doors::{Right, Route};
    use web::identity::OperatorIdentity;

    use super::*;
    use crate::testing::sdk_for;

    static ROUTES: [Route; 1] = [Route::with(Method::POST, "/items/{id}", Right::IamOnly)];

    /// A client for two functions: `items`, which returns its caller and the request, and `broken`.
    async fn client() -> Client {
        let item = async |Extension(operator): Extension<OperatorIdentity>, Path(id): Path<String>, body: String| {
            format!("{operator} {id} {body}")
        };
        let broken = async || -> &'static str { panic!("a defect") };
        let metrics = || Metrics::from_fn(|_| {});
        let items = Gateway::new(Router::new().route("/items/{id}", post(item)), metrics()).with_problems_on(&ROUTES);
        let broken = Gateway::new(Router::new().route("/items/{id}", post(broken)), metrics());
        let lambda = Lambda::new([("items", items), ("broken", broken)]);
        Client::new(&sdk_for(lambda.router()).await)
    }

    /// An event as the console creates it.
    fn event(path: &str) -> Blob {
        let event = json!({
            "version": "2.0",
            "routeKey": "POST /items/{id}",
            "rawPath": path,
            "headers": { "content-type": "text/plain" },
            "requestContext": {
                "authorizer": { "operator": { "name": "li" } },
                "http": { "method": "POST", "path": path, "sourceIp": "127.0.0.1" },
                "routeKey": "POST /items/{id}",
            },
            "body": "hello",
        });
        Blob::new(event.to_string())
    }

    async fn answered(invoke: InvokeFluentBuilder) -> Value {
        let output = invoke.send().await.unwrap();
        assert_eq!((output.status_code(), output.executed_version()), (200, Some(LATEST)));
        assert_eq!(output.function_error(), None);
        serde_json::from_slice(output.payload().unwrap().as_ref()).unwrap()
    }

    #[tokio::test]
    async fn the_sdk_gets_the_functions_response_by_name_and_by_arn() {
        let client = client().await;
        for name in ["items", "arn:aws:lambda:us-east-1:000000000000:function:items", "000000000000:function:items"] {
            let answer = answered(client.invoke().function_name(name).payload(event("/items/7"))).await;
            assert_eq!(
                (&answer["statusCode"], &answer["body"]),
                (&json!(200), &json!("operator:li 7 hello")),
                "{name}"
            );
            assert!(answer["headers"]["x-request-id"].is_string(), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_refusal_and_a_panic_of_a_function_are_responses_of_it() {
        let client = client().await;
        let answer = answered(client.invoke().function_name("items").payload(event("/other/7"))).await;
        assert_eq!(answer["statusCode"], json!(404), "{answer}");
        let answer = answered(client.invoke().function_name("broken").payload(event("/items/7"))).await;
        assert_eq!(answer["statusCode"], json!(500), "{answer}");
        let answer = answered(client.invoke().function_name("items").payload(Blob::new("{}"))).await;
        assert_eq!(answer["statusCode"], json!(400), "{answer}");
    }

    #[tokio::test]
    async fn what_lambda_refuses_is_refused_here() {
        let client = client().await;
        let failed = async |invoke: InvokeFluentBuilder| invoke.send().await.unwrap_err().into_service_error();
        let error = failed(client.invoke().function_name("another").payload(event("/items/7"))).await;
        assert!(error.is_resource_not_found_exception(), "{error:?}");
        assert!(error.message().unwrap().contains("function:another"), "{error:?}");
        let items = || client.invoke().function_name("items");
        let error = failed(items().payload(Blob::new("hello"))).await;
        assert!(error.is_invalid_request_content_exception(), "{error:?}");
        let later = items().invocation_type(InvocationType::Event).payload(event("/items/7"));
        assert!(failed(later).await.is_invalid_parameter_value_exception());
        let large = Blob::new(json!("x".repeat(PAYLOAD_LIMIT)).to_string());
        let error = failed(items().payload(large)).await;
        assert!(error.is_request_too_large_exception(), "{error:?}");
    }
}
