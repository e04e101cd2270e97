//! The part of a request that an operation sees, and the mistakes that are refused in any request: tokens that are
//! missing or sent twice, bodies that are empty or not JSON (protocol sections 5.6, 11.1, 11.2).

use std::convert::Infallible;

use axum::body::Bytes;
use base::ids::AppId;
use futures::stream;
use http::header::{CONTENT_TYPE, HOST};
use http::request::Parts;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::{Api, Body};
use crate::refusal::Refusal;
use crate::simulator::Simulator;

/// The names under which a token is accepted; the last one only inside WeChat Cloud.
const TOKENS: [&str; 3] = ["access_token", "component_access_token", "cloudbase_access_token"];

/// A request, as an operation sees it.
pub(crate) struct Request {
    query: Vec<(String, String)>,
    /// `Host`, for responses that contain a URL.
    pub(crate) host: String,
    /// The members of a JSON body; empty for other requests.
    pub(crate) body: Map<String, Value>,
    /// The parts of a form; empty for other requests.
    pub(crate) parts: Vec<Part>,
}

/// A part of a form.
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) file_name: Option<String>,
    pub(crate) bytes: Bytes,
}

/// The first token of a query, whatever its name.
pub(crate) fn token_in(query: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(name, _)| is_token(name)).map(|(_, value)| value.into_owned())
}

/// The account named in the query of a login.
pub(crate) fn account_in(query: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "appid").map(|(_, value)| value.into_owned())
}

fn is_token(name: &str) -> bool {
    TOKENS.contains(&name)
}

/// The query.
impl Request {
    /// A request whose body has not been read yet. Two tokens are never right, whichever WeChat would use.
    pub(super) fn of(parts: &Parts) -> Result<Self, Refusal> {
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        let query: Vec<_> = form_urlencoded::parse(query).into_owned().collect();
        if query.iter().filter(|(name, _)| is_token(name)).count() > 1 {
            return Err(Refusal::new(41001, "access_token must be given once"));
        }
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
        Ok(Self { query, host, body: Map::new(), parts: Vec::new() })
    }

    /// A parameter of the query; a missing one and an empty one are alike.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let mut named = self.query.iter().filter(|(known, _)| known == name);
        named.next().map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A token in either of the parameters that calls of the component's API accept.
    pub(super) fn token(&self) -> Result<&str, Refusal> {
        let token = self.parameter("access_token").or_else(|| self.parameter("component_access_token"));
        token.ok_or_else(Refusal::without_token)
    }

    /// An account's token: `access_token` only.
    pub(super) fn account_token(&self) -> Result<&str, Refusal> {
        self.parameter("access_token").ok_or_else(Refusal::without_token)
    }

    /// The component's token in calls below `/sns/`: under its literal name only.
    pub(super) fn login_token(&self) -> Result<&str, Refusal> {
        let token = self.parameter("component_access_token");
        token.ok_or_else(|| Refusal::new(41021, "missing component_access_token"))
    }

    /// Checks the `grant_type` of a call below `/sns/`, which names what is exchanged.
    pub(crate) fn check_grant_type(&self, expected: &str) -> Result<(), Refusal> {
        let is_right = self.parameter("grant_type") == Some(expected);
        if is_right { Ok(()) } else { Err(Refusal::new(40002, "invalid grant_type")) }
    }

    /// The account that a call below `/sns/` is for.
    pub(super) fn login_account(&self, simulator: &Simulator) -> Result<AppId, Refusal> {
        match self.parameter("component_appid") {
            None => return Err(Refusal::new(41018, "missing component_appid")),
            Some(appid) if appid == simulator.platform().component_appid.as_str() => {}
            Some(_) => return Err(Refusal::new(40013, "invalid appid")),
        }
        let appid = self.parameter("appid").ok_or_else(|| Refusal::new(41002, "appid missing"))?;
        let appid = AppId::parse(appid).map_err(|_| Refusal::new(40013, "invalid appid"))?;
        if simulator.is_authorized(&appid) { Ok(appid) } else { Err(Refusal::not_authorized()) }
    }
}

/// The body.
impl Request {
    /// Reads the body of a `POST`; that of a `GET` is ignored.
    pub(super) async fn read(&mut self, api: &Api, parts: &Parts, body: Bytes) -> Result<(), Refusal> {
        if api.method == http::Method::GET {
            return Ok(());
        }
        if body.is_empty() {
            return Err(Refusal::new(44002, "empty post data"));
        }
        match api.body {
            Body::Json => self.body = json_of(&body)?,
            Body::Form => self.parts = parts_of(parts, body).await?,
        }
        Ok(())
    }

    /// A text field; a missing, null and empty one are alike.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(Refusal::unparsable(&format!("{name} is not a string"))),
        }
    }

    /// A text field that is required.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name)?.ok_or_else(|| Refusal::missing(name))
    }

    /// A number that is required.
    pub(crate) fn number(&self, name: &str) -> Result<u64, Refusal> {
        match self.body.get(name) {
            None | Some(Value::Null) => Err(Refusal::missing(name)),
            Some(value) => value.as_u64().ok_or_else(|| Refusal::unparsable(&format!("{name} is not a number"))),
        }
    }
}

fn json_of(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let members = serde_json::from_slice(body).map_err(|_| Refusal::unparsable("not a JSON object"))?;
    if has_escaped_characters(body) {
        return Err(Refusal::new(47002, "data format error: \\uXXXX escapes"));
    }
    Ok(members)
}

/// Whether JSON has `\uXXXX` for a character that can be written directly: WeChat accepts real UTF-8 only.
fn has_escaped_characters(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        rest = rest.get(at + 1..).unwrap_or_default();
        let is_control = rest.starts_with(b"u000") || rest.starts_with(b"u001");
        if rest.starts_with(b"u") && !is_control {
            return true;
        }
        // The escaped character may be another backslash.
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}

async fn parts_of(request: &Parts, body: Bytes) -> Result<Vec<Part>, Refusal> {
    let unparsable = |_| Refusal::unparsable("not multipart/form-data");
    let content_type = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(content_type).map_err(unparsable)?;
    let mut form = multer::Multipart::new(stream::iter([Ok::<_, Infallible>(body)]), boundary);
    let mut parts = Vec::new();
    while let Some(field) = form.next_field().await.map_err(unparsable)? {
        let name = field.name().unwrap_or_default().to_owned();
        let file_name = field.file_name().map(str::to_owned);
        parts.push(Part { name, file_name, bytes: field.bytes().await.map_err(unparsable)? });
    }
    Ok(parts)
}
