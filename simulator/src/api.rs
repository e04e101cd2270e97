//! The API over HTTP (protocol section 1, and 5.6 for the one account-level call): parses, checks the caller, asks the
//! world.
//!
//! HTTP status is 200 even for refusals, success bodies carry no `errcode` (except where documented), and both names of
//! the token's query parameter are accepted.

use std::collections::HashMap;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base::ids::AppId;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use crate::paths;
use crate::refusal::Refusal;
use crate::service;
use crate::simulator::Simulator;
use crate::world::World;

/// The most accounts that one page of the list may have (section 1.7).
const MAX_LIST: u64 = 500;

/// What an operation gets to see of a request.
struct Request {
    token: Option<String>,
    body: Map<String, Value>,
}

type Operation = fn(&Simulator, &Request) -> Result<Value, Refusal>;

const OPERATIONS: [(&str, Operation); 8] = [
    (paths::START_PUSH_TICKET, start_push_ticket),
    (paths::COMPONENT_TOKEN, component_token),
    (paths::CREATE_PREAUTHCODE, create_preauthcode),
    (paths::QUERY_AUTH, query_auth),
    (paths::AUTHORIZER_TOKEN, authorizer_token),
    (paths::GET_AUTHORIZER_INFO, get_authorizer_info),
    (paths::GET_AUTHORIZER_LIST, get_authorizer_list),
    (paths::CUSTOM_SEND, custom_send),
];

pub(crate) fn router() -> Router<Simulator> {
    OPERATIONS.into_iter().fold(Router::new(), |router, (path, operation)| {
        let handler = move |State(simulator): State<Simulator>,
                            method: Method,
                            Query(query): Query<HashMap<String, String>>,
                            body: Bytes| async move {
            let result = Request::parse(&method, &query, &body).and_then(|request| operation(&simulator, &request));
            answer(&simulator, result)
        };
        router.route(path, any(handler))
    })
}

/// A path that does not exist is refused as WeChat does it, not with 404.
pub(crate) async fn unknown_path(State(simulator): State<Simulator>) -> Response {
    answer(&simulator, Err(Refusal::new(40066, "invalid url")))
}

/// The answer on the wire. A refusal travels as an extension too, for the record of calls.
pub(crate) fn answer(simulator: &Simulator, result: Result<Value, Refusal>) -> Response {
    let body = match &result {
        Ok(body) => body.clone(),
        Err(refusal) => refusal.body(simulator.now(), simulator.random()),
    };
    let content_type = HeaderValue::from_static("application/json; encoding=utf-8");
    let mut response = ([(CONTENT_TYPE, content_type)], body.to_string()).into_response();
    if let Err(refusal) = result {
        response.extensions_mut().insert(refusal);
    }
    response
}

impl Request {
    fn parse(method: &Method, query: &HashMap<String, String>, body: &[u8]) -> Result<Self, Refusal> {
        if method != Method::POST {
            return Err(Refusal::new(43002, "require POST method"));
        }
        if body.is_empty() {
            return Err(Refusal::new(44002, "empty post data"));
        }
        let body = serde_json::from_slice(body).map_err(|_| Refusal::unparsable("not a JSON object"))?;
        let token = query.get("access_token").or_else(|| query.get("component_access_token")).cloned();
        Ok(Self { token, body })
    }

    /// A text field; missing, null and empty are alike.
    fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(Refusal::unparsable(&format!("{name} is not a string"))),
        }
    }

    fn number(&self, name: &str) -> Result<u64, Refusal> {
        match self.body.get(name) {
            None | Some(Value::Null) => Err(Refusal::new(40097, format!("invalid args: {name} is missing"))),
            Some(value) => value.as_u64().ok_or_else(|| Refusal::unparsable(&format!("{name} is not a number"))),
        }
    }

    fn authorizer(&self) -> Result<AppId, Refusal> {
        let invalid = || Refusal::new(40013, "invalid appid: authorizer_appid");
        AppId::parse(self.text("authorizer_appid")?.ok_or_else(invalid)?).map_err(|_| invalid())
    }

    /// `component_appid` must be there and be the platform's.
    fn check_component(&self, simulator: &Simulator) -> Result<(), Refusal> {
        match self.text("component_appid")? {
            None => Err(Refusal::new(41018, "missing component_appid")),
            Some(appid) if appid == simulator.platform().component_appid.as_str() => Ok(()),
            Some(_) => Err(Refusal::new(40013, "invalid appid")),
        }
    }

    /// The `AppSecret`, whose field has another name on each of two paths.
    fn check_secret(&self, simulator: &Simulator, field: &str) -> Result<(), Refusal> {
        match self.text(field)? {
            None => Err(Refusal::new(41004, "appsecret missing")),
            Some(secret) if secret == simulator.platform().component_appsecret.expose_secret() => Ok(()),
            Some(_) => Err(Refusal::new(40001, "invalid credential, component_appsecret is wrong")),
        }
    }

    /// The newest component token, and the platform's own appid next to it.
    fn check_component_call(&self, simulator: &Simulator) -> Result<(), Refusal> {
        simulator.read(|world| world.check_component_token(self.token.as_deref(), simulator.now()))?;
        self.check_component(simulator)
    }
}

fn start_push_ticket(simulator: &Simulator, request: &Request) -> Result<Value, Refusal> {
    request.check_component(simulator)?;
    request.check_secret(simulator, "component_secret")?;
    let was_off = simulator.change(|world, _| world.start_tickets());
    if was_off {
        simulator.send_in_background(simulator.ticket());
    }
    Ok(json!({ "errcode": 0, "errmsg": if was_off { "ok" } else { "in a normal state" } }))
}

fn component_token(simulator: &Simulator, request: &Request) -> Result<Value, Refusal> {
    request.check_component(simulator)?;
    request.check_secret(simulator, "component_appsecret")?;
    // An empty ticket is one that was never issued: 61006.
    let ticket = request.text("component_verify_ticket")?.unwrap_or_default();
    let token = simulator.change(|world, at| world.issue_component_token(ticket, at))?;
    Ok(json!({
        "component_access_token": token,
        "expires_in": simulator.lifetimes().component_token.as_secs(),
    }))
}

fn create_preauthcode(simulator: &Simulator, request: &Request) -> Result<Value, Refusal> {
    request.check_component_call(simulator)?;
    let code = simulator.change(World::issue_pre_auth_code);
    Ok(json!({ "pre_auth_code": code, "expires_in": simulator.lifetimes().pre_auth_code.as_secs() }))
}

fn query_auth(simulator: &Simulator, request: &Request) -> Result<Value, Refusal> {
    request.check_component_call(simulator)?;
    let missing = || Refusal::new(40097, "invalid args: authorization_code is missing");
    let code = request.text("authorization_code")?.ok_or_else(missing)?;
    simulator.change(|world, at| world.exchange(code, at))
}

fn authorizer_token(simulator: &Simulator, request: &Request) -> Result<Value, Refusal> {
    request.check_component_call(simulator)?;
    let authorizer = request.authorizer()?;
    // An empty refresh token is a wrong one: 61023.
    let refresh_token = request.text("authorizer_refresh_token")?.unwrap_or_default();
    let rotate = simulator.behaviour().rotate_refresh_tokens;
    let tokens = simulator.change(|world, at| world.renew(&authorizer, refresh_token, rotate, at))?;
    Ok(json!({
        "authorizer_access_token": tokens.access_token,
        "expires_in": simulator.lifetimes().authorizer_token.as_secs(),
        "authorizer_refresh_token": tokens.refresh_token,
    }))
}

fn get_authorizer_info(simulator: &Simulator, request: &Request) -> Result<Value, Refusal> {
    request.check_component_call(simulator)?;
    let authorizer = request.authorizer()?;
    let without_refresh_token = simulator.behaviour().info_without_refresh_token;
    simulator.read(|world| world.authorizer_info(&authorizer, without_refresh_token))
}

fn get_authorizer_list(simulator: &Simulator, request: &Request) -> Result<Value, Refusal> {
    request.check_component_call(simulator)?;
    let (offset, count) = (request.number("offset")?, request.number("count")?);
    if count > MAX_LIST {
        return Err(Refusal::new(40170, "args count exceed count limit"));
    }
    let size = |number| usize::try_from(number).unwrap_or(usize::MAX);
    let without_refresh_tokens = simulator.behaviour().list_without_refresh_tokens;
    Ok(simulator.read(|world| world.authorizer_list(size(offset), size(count), without_refresh_tokens)))
}

fn custom_send(simulator: &Simulator, request: &Request) -> Result<Value, Refusal> {
    let sender = simulator.read(|world| world.check_sender(request.token.as_deref(), simulator.now()))?;
    let to = service::check(&request.body)?;
    simulator.keep_sent(sender, to, &request.body);
    Ok(json!({ "errcode": 0, "errmsg": "ok" }))
}
