//! The business API behind a gateway, as a listener. It requires IAM's signatures, except below `/v1`.
//!
//! It signs each request itself, over the headers that the client has signed, and compares.

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_dynamodb::config::Credentials;
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base::clock::{Clock as _, SystemClock, Timestamp};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{Request, StatusCode};
use serde_json::Value;
use stories::business::Business;
use stories::world::World;
use tokio::net::TcpListener;
use web::doors::KEY_DOOR;

pub(crate) const REGION: &str = "eu-central-1";
pub(crate) const ACCESS_KEY: &str = "ASIAIOSFODNN7EXAMPLE";
pub(crate) const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub(crate) const SESSION_TOKEN: &str = "a/session+token==";

/// How many seconds before or after the gateway's time a request may be signed.
const MAX_SKEW: u64 = 300;

/// The gateway. It ends with the story.
pub(crate) struct Gateway {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    business: Business,
    answers: Mutex<Vec<Answered>>,
    throttled: Mutex<Option<&'static str>>,
}

/// A request, such as `GET /accounts`, and the response.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    request: String,
    pub(super) body: Value,
}

impl Gateway {
    pub(crate) async fn open(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (answers, throttled) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { business: Business::of(world), answers, throttled });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    /// Throttles the next request with this prefix.
    pub(super) fn throttle_next(&self, beginning: &'static str) {
        *self.shared.throttled.lock().unwrap() = Some(beginning);
    }

    /// The number of requests with this prefix.
    pub(crate) fn asked(&self, beginning: &str) -> usize {
        self.shared.answers.lock().unwrap().iter().filter(|answered| answered.request.starts_with(beginning)).count()
    }

    /// The latest response to this request.
    pub(super) fn answer_to(&self, request: &str) -> Answered {
        let answers = self.shared.answers.lock().unwrap();
        answers.iter().rfind(|answered| answered.request == request).unwrap_or_else(|| panic!("no {request}")).clone()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, mut parts: Parts, body: Bytes) -> Response {
    let request = format!("{} {}", parts.method, parts.uri.path());
    let is_throttled = shared.throttled.lock().unwrap().take_if(|beginning| request.starts_with(*beginning)).is_some();
    let holder = holder_of_a_key(&shared.business, &mut parts);
    let (response, body) = if holder.is_none() && !is_signed(&parts, &body) {
        by_itself(StatusCode::FORBIDDEN, r#"{"message":"Forbidden"}"#)
    } else if is_throttled {
        by_itself(StatusCode::TOO_MANY_REQUESTS, r#"{"message":"Too Many Requests"}"#)
    } else {
        let business = holder.as_ref().unwrap_or(&shared.business);
        let answer = business.send(Request::from_parts(parts, body.into())).await;
        let mut headers = answer.headers;
        headers.remove(CONTENT_LENGTH);
        ((StatusCode::from_u16(answer.status).unwrap(), headers, answer.bytes).into_response(), answer.body)
    };
    shared.answers.lock().unwrap().push(Answered { request, body });
    response
}

/// The holder of a key who sends a request below `/v1`, where the gateway checks nothing.
fn holder_of_a_key(business: &Business, parts: &mut Parts) -> Option<Business> {
    let below = parts.uri.path_and_query()?.as_str().strip_prefix(KEY_DOOR)?.parse().unwrap();
    parts.uri = below;
    let header = parts.headers.remove(AUTHORIZATION);
    let key = header.as_ref().and_then(|header| header.to_str().unwrap().strip_prefix("Bearer ")).unwrap_or_default();
    Some(business.with_another_key(&key.into()))
}

/// A response of the gateway itself.
fn by_itself(status: StatusCode, body: &'static str) -> (Response, Value) {
    ((status, [(CONTENT_TYPE, "application/json")], body).into_response(), Value::Null)
}

/// Whether the signature was made with our key, for this request, now.
fn is_signed(parts: &Parts, body: &[u8]) -> bool {
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap());
    let (Some(authorization), Some(date)) = (header(AUTHORIZATION.as_str()), header("x-amz-date")) else {
        return false;
    };
    let Some(signed_at) = instant(date) else { return false };
    let skew = SystemClock.now().unix().abs_diff(signed_at);
    let names = authorization.split("SignedHeaders=").nth(1).and_then(|rest| rest.split(',').next());
    let names: Vec<&str> = names.unwrap_or_default().split(';').collect();
    let is_covered =
        parts.headers.keys().all(|name| !name.as_str().starts_with("x-amz-") || names.contains(&name.as_str()));
    if skew > MAX_SKEW || !names.contains(&"host") || !is_covered {
        return false;
    }

    let mut settings = SigningSettings::default();
    // The signer adds the headers named x-amz-….
    if names.contains(&"x-amz-content-sha256") {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let identity: Identity =
        Credentials::new(ACCESS_KEY, SECRET_KEY, Some(SESSION_TOKEN.into()), None, "a story").into();
    let parameters = v4::SigningParams::builder().identity(&identity).region(REGION).name("execute-api");
    let parameters = parameters
        .time(UNIX_EPOCH + Duration::from_secs(signed_at.unsigned_abs()))
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let signed = names.iter().filter(|name| !name.starts_with("x-amz-"));
    let signed = signed.filter_map(|name| Some((*name, header(name)?)));
    let uri = format!("http://{}{}", header("host").unwrap_or_default(), parts.uri);
    let request = SignableRequest::new(parts.method.as_str(), uri, signed, SignableBody::Bytes(body)).unwrap();
    let (instructions, _) = sign(request, &parameters).unwrap().into_parts();
    let ours = instructions.headers().find(|(name, _)| *name == "authorization").unwrap().1;
    // Some clients put spaces after the commas, some do not.
    ours.replace(' ', "") == authorization.replace(' ', "")
}

/// The second of `20260131T080000Z`, counted as in Unix.
fn instant(date: &str) -> Option<i64> {
    let part = |from: usize, to: usize| date.get(from..to);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(9, 11)?, part(11, 13)?, part(13, 15)?);
    Timestamp::parse_rfc3339(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).map(Timestamp::unix)
}
