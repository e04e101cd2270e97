//! Conversion of the gateway's JSON to an HTTP request. Nothing is assumed about its form: anything unexpected is
//! malformed.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use base::ids::OperatorName;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE, COOKIE, IF_MATCH, ORIGIN, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};
use wechat::api::relay::is_of_signed_calls;

use super::{Refusal, RouteKey, is_of_key_door, path_of};
use crate::headers::{BODY_FILE, BODY_PART, IDEMPOTENCY_KEY, LARGE_ANSWER, RETRIES, SEC_FETCH_SITE, VIDEO_URL};
use crate::identity::{IamIdentity, OperatorIdentity};
use crate::source::Source;

/// The headers that reach a handler, in addition to those of WeChat's signed calls. No others do, so that no handler
/// can trust an unknown header or fail because of one.
pub const HEADERS: [HeaderName; 15] = [
    ACCEPT,
    ACCEPT_LANGUAGE,
    AUTHORIZATION,
    CONTENT_TYPE,
    COOKIE,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    ORIGIN,
    RETRIES,
    SEC_FETCH_SITE,
    USER_AGENT,
    BODY_FILE,
    BODY_PART,
    LARGE_ANSWER,
    VIDEO_URL,
];

/// The longest path, query and header, in bytes. The gateway allows 10,240 for the request line and headers together.
const PATH_LIMIT: usize = 2 * 1024;
const QUERY_LIMIT: usize = 8 * 1024;
const HEADER_LIMIT: usize = 8 * 1024;

/// The longest body, in bytes, unless a function accepts longer ones. Every route has its own smaller limit, of at most
/// 64 KiB; this one avoids decoding up to the gateway's 10 MB in vain.
pub const EVENT_BODY_LIMIT: usize = 256 * 1024;

/// Characters that must be encoded in a path. `%` is not among them: the gateway passes on some paths decoded, others
/// as they were sent.
const NOT_IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The route that the gateway has chosen; `None` if the event names none, or two.
pub(super) fn route_key(event: &Value) -> Option<&str> {
    let keys = [&event["routeKey"], &event["requestContext"]["routeKey"]];
    let mut named = keys.into_iter().filter(|key| !key.is_null());
    let key = named.next()?.as_str()?;
    named.all(|other| other.as_str() == Some(key)).then_some(key)
}

/// The request in an event, with a body of at most `body_limit` bytes. `request_id` is its id in the log.
pub(super) fn request(mut event: Value, body_limit: usize, request_id: Option<&str>) -> Result<Request, Refusal> {
    let route: Arc<str> = route_key(&event).ok_or(Refusal::Malformed("the route"))?.into();
    let context = &event["requestContext"];
    let method = context["http"]["method"].as_str().and_then(|method| Method::from_bytes(method.as_bytes()).ok());
    let authorizer = &context["authorizer"];
    let identity = authorizer["iam"]["userArn"].as_str().and_then(IamIdentity::new);
    let operator = operator(authorizer)?;
    let ip = context["http"]["sourceIp"].as_str().and_then(|ip| ip.parse().ok());
    let host = context["domainName"].as_str().map(str::to_owned);
    let mut request = Request::new(body(event["body"].take(), &event["isBase64Encoded"], body_limit)?);
    *request.method_mut() = method.ok_or(Refusal::Malformed("the method"))?;
    *request.uri_mut() = uri(&event["rawPath"], &event["rawQueryString"])?;
    *request.headers_mut() = headers(&event["headers"], &event["cookies"])?;
    if !is_of_key_door(path_of(&route)) {
        // It is for the gateway, which has checked it.
        request.headers_mut().remove(AUTHORIZATION);
    }
    request.extensions_mut().insert(RouteKey(route));
    request.extensions_mut().insert(Source { ip, host, request_id: request_id.map(str::to_owned) });
    if let Some(identity) = identity {
        request.extensions_mut().insert(identity);
    }
    if let Some(operator) = operator {
        request.extensions_mut().insert(operator);
    }
    Ok(request)
}

/// The operator on whose behalf the console calls. The gateway's authorizers are `iam`, `jwt` and `lambda`: nothing
/// that a stranger sends becomes an `operator`, only an event from somebody who may invoke the function.
fn operator(authorizer: &Value) -> Result<Option<OperatorIdentity>, Refusal> {
    let Some(operator) = authorizer.get("operator") else { return Ok(None) };
    let name = operator["name"].as_str().and_then(|name| OperatorName::parse(name).ok());
    // An event with two callers is malformed.
    let name = name.filter(|_| authorizer.as_object().is_some_and(|authorizer| authorizer.len() == 1));
    name.map(|name| Some(OperatorIdentity::new(&name))).ok_or(Refusal::Malformed("the operator"))
}

/// Path and query, without a host: no handler may depend on the host that a caller names.
fn uri(path: &Value, query: &Value) -> Result<Uri, Refusal> {
    const PATH: Refusal = Refusal::Malformed("the path");
    const QUERY: Refusal = Refusal::Malformed("the query");
    let path = path.as_str().filter(|path| path.starts_with('/') && path.len() <= PATH_LIMIT).ok_or(PATH)?;
    let query =
        text(query, "").filter(|query| query.len() <= QUERY_LIMIT && query.bytes().all(is_in_query)).ok_or(QUERY)?;
    joined(path, query).ok_or(PATH)
}

/// A path as the gateway has it, and a query.
fn joined(path: &str, query: &str) -> Option<Uri> {
    let mut written = utf8_percent_encode(path, NOT_IN_PATH).to_string();
    if !query.is_empty() {
        written.push('?');
        written.push_str(query);
    }
    PathAndQuery::try_from(written).map(Uri::from).ok()
}

/// The address of a request as it is behind the gateway, which decodes paths; `None` if that leaves no valid path.
pub(super) fn behind_gateway(uri: &Uri) -> Option<Uri> {
    let path = percent_decode_str(uri.path()).decode_utf8().ok()?;
    joined(&path, uri.query().unwrap_or_default())
}

/// Whether a byte can be in a query. A `#` would end the query, and all that follows would be lost silently.
const fn is_in_query(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'#' | b'<' | b'>')
}

/// A string, or `absent` instead of null.
fn text<'a>(value: &'a Value, absent: &'a str) -> Option<&'a str> {
    if value.is_null() { Some(absent) } else { value.as_str() }
}

/// The known headers. Cookies have their own member; a header of that name counts only if the member is missing.
fn headers(headers: &Value, cookies: &Value) -> Result<HeaderMap, Refusal> {
    const MALFORMED: Refusal = Refusal::Malformed("a header");
    let none = Map::new();
    let sent = if headers.is_null() { &none } else { headers.as_object().ok_or(MALFORMED)? };
    let mut known = HeaderMap::new();
    for (name, value) in sent {
        let name = HeaderName::try_from(name).ok().filter(|name| HEADERS.contains(name) || is_of_signed_calls(name));
        let Some(name) = name else { continue };
        known.append(name, value.as_str().and_then(header).ok_or(MALFORMED)?);
    }
    if !cookies.is_null() {
        let cookies: Option<Vec<&str>> = cookies.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
        let cookies = cookies.ok_or(MALFORMED)?.join("; ");
        known.insert(COOKIE, header(&cookies).ok_or(MALFORMED)?);
    }
    Ok(known)
}

fn header(value: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(value).ok().filter(|value| value.len() <= HEADER_LIMIT)
}

fn body(body: Value, is_base64: &Value, limit: usize) -> Result<Body, Refusal> {
    const MALFORMED: Refusal = Refusal::Malformed("the body");
    let is_base64 = if is_base64.is_null() { false } else { is_base64.as_bool().ok_or(MALFORMED)? };
    // Four characters of Base64 are three bytes.
    let longest = if is_base64 { limit.div_ceil(3) * 4 } else { limit };
    let body = match body {
        Value::Null => return Ok(Body::empty()),
        Value::String(body) if body.len() > longest => return Err(Refusal::TooLarge),
        Value::String(body) => body,
        _ => return Err(MALFORMED),
    };
    if is_base64 { STANDARD.decode(body).map(Body::from).map_err(|_| MALFORMED) } else { Ok(Body::from(body)) }
}
