//! The business API's description, `docs/openapi.json`: its parts, and whether responses match it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use web::doors::{KEY_DOOR, Route};

use crate::schema::{holds, validator};
use crate::world::BUSINESS_ROUTES;

/// Its path.
pub const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");

/// The type of our own refusals.
const PROBLEM: &str = "application/problem+json";

/// Headers that any response may have.
const HEADERS_OF_ALL: [&str; 4] = ["allow", "cache-control", "content-length", "content-type"];

/// The description of all routes for businesses.
#[must_use]
pub fn document() -> Value {
    preauth_link::description().and(account_api::description()).and(token_api::description()).and(wechat_calls::description()).and(web_login::description()).document(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "WeChat third-party platform: the business API",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Authorization links, the accounts that were authorized through them, their states, and their tokens.",
            "description": "For services of the company that runs the platform. `docs/business-api.md` says the same at more \
                            length. Instants are texts in RFC 3339, in UTC. Responses may gain members: ignore those you \
                            do not know. What the functions refuse is `application/problem+json` (RFC 9457): decide by its \
                            `type`.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [
            {
                "url": "{PublicBaseUrl}/v1",
                "description": "A deployment, with an API key.",
                "variables": {
                    "PublicBaseUrl": {
                        "default": "https://auth.example.com",
                        "description": "The parameter `PublicBaseUrl` of the stack.",
                    },
                },
            },
            {
                "url": "{ApiUrl}",
                "description": "A deployment, signed with IAM credentials.",
                "variables": {
                    "ApiUrl": {
                        "default": "https://abcdefghij.execute-api.eu-central-1.amazonaws.com",
                        "description": "The output `ApiUrl` of the stack.",
                    },
                },
            },
            { "url": "http://localhost:3000/v1", "description": "`cargo run`, with the API key that it prints." },
            { "url": "http://localhost:3001", "description": "`cargo run`, which requires no signature here." },
        ],
        "tags": [
            { "name": "Links", "description": "Links with which merchants authorize their accounts." },
            { "name": "Accounts", "description": "Accounts that have authorized the platform." },
            { "name": "Calls", "description": "Calls to WeChat that the platform makes for you." },
            { "name": "Tokens", "description": "Tokens for calls to WeChat that you make yourself." },
            { "name": "Reconciliations", "description": "Comparisons with WeChat's list of the accounts." },
            { "name": "API keys", "description": "Keys of services that cannot sign with IAM." },
            { "name": "Check files", "description": "Files with which WeChat checks domains, served at the root of every host." },
            { "name": "This document" },
        ],
        "components": {
            "securitySchemes": {
                "iam": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "AWS Signature Version 4, service `execute-api`.",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                },
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, `wxp_…`, below `/v1`. Each operation names the scope that the key must have, \
                                    or several of which one is enough.",
                },
            },
        },
    }))
}

/// The text of the description.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", document())
}

/// The description, for checking responses against it.
#[derive(Debug)]
pub struct Contract {
    document: Value,
    /// The validators of schemas that were used already, each of which takes some milliseconds to build.
    known: Mutex<BTreeMap<String, Arc<Validator>>>,
}

static CONTRACT: LazyLock<Contract> =
    LazyLock::new(|| Contract { document: document(), known: Mutex::new(BTreeMap::new()) });

/// A response as the description covers it.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// The path of the request.
    pub path: &'a str,
    /// The response's status.
    pub status: u16,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: &'a Value,
}

impl Contract {
    /// The one of [`document`].
    #[must_use]
    pub fn get() -> &'static Self {
        &CONTRACT
    }

    /// Checks that a response is one that the description has for its route, without anything undocumented.
    ///
    /// # Errors
    /// The first difference.
    pub fn fits(&self, answer: &Answered<'_>) -> Result<(), String> {
        let path = answer.path.strip_prefix(KEY_DOOR).unwrap_or(answer.path);
        let Some(operation) = self.operation(answer.method, path) else {
            let known = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].map(|status| status.as_u16());
            return known.contains(&answer.status).then_some(()).ok_or_else(|| "no such operation".to_owned());
        };
        let kind = answer.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if let Some(passed_on) = operation["responses"]["default"].as_object().filter(|_| kind != PROBLEM) {
            return self.headers_fit(passed_on, answer.headers);
        }
        let response = &operation["responses"][answer.status.to_string()];
        let response = self.resolved(response).as_object().ok_or("the status is not documented")?;
        self.headers_fit(response, answer.headers)?;
        let Some(content) = response.get("content") else {
            let is_empty = kind.is_empty() && answer.body.is_null();
            return is_empty.then_some(()).ok_or_else(|| "a body is not documented".to_owned());
        };
        let schema = content.get(kind).ok_or_else(|| format!("{kind} is not documented"))?;
        self.holds(&schema["schema"], answer.body)
    }

    /// The same for the response to an event of the gateway. Routes that are not for businesses are not described.
    ///
    /// # Errors
    /// The first difference.
    pub fn fits_event<'a>(
        &self,
        event: &Value,
        status: u16,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: &str,
    ) -> Result<(), String> {
        let route = event["routeKey"].as_str().and_then(|route| route.split_once(' '));
        let Some((method, path)) = route.filter(|route| BUSINESS_ROUTES.iter().any(|known| is_route(known, *route)))
        else {
            return Ok(());
        };
        let headers: HeaderMap = headers
            .into_iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
            .collect();
        let is_passed_on = self.operation(method, path).is_some_and(|it| it["responses"]["default"].is_object());
        let body = &match serde_json::from_str(body) {
            Err(_) if is_passed_on || body.is_empty() => Value::Null,
            body => body.map_err(|_| "the body is not JSON")?,
        };
        self.fits(&Answered { method, path, status, headers: &headers, body })
    }

    /// Checks that a value matches a schema of the document, without any other member.
    ///
    /// # Errors
    /// The first difference.
    pub fn holds(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let mut known = self.known.lock().unwrap();
        let make = || Arc::new(validator(&self.strict(schema, false)));
        let validator = Arc::clone(known.entry(schema.to_string()).or_insert_with(make));
        drop(known);
        holds(&validator, value)
    }

    /// All operations: method, path, and description.
    pub fn operations(&self) -> impl Iterator<Item = (String, &str, &Value)> {
        let paths = self.document["paths"].as_object().into_iter().flatten();
        paths.flat_map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flatten();
            methods.map(move |(method, operation)| (method.to_ascii_uppercase(), path.as_str(), operation))
        })
    }

    /// The target of a reference, or the value itself.
    #[must_use]
    pub fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.document.pointer(&reference[1..]).expect("a reference leads somewhere"),
            None => value,
        }
    }

    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        self.operations()
            .find(|(known, template, _)| known == method && is_of(template, path))
            .map(|(.., operation)| operation)
    }

    fn headers_fit(&self, response: &Map<String, Value>, headers: &HeaderMap) -> Result<(), String> {
        let documented = response["headers"].as_object().into_iter().flatten();
        let documented: Vec<(String, &Value)> =
            documented.map(|(name, header)| (name.to_ascii_lowercase(), self.resolved(header))).collect();
        let missing =
            documented.iter().find(|(name, header)| header["required"] == true && !headers.contains_key(name));
        if let Some((name, _)) = missing {
            return Err(format!("the header {name} is missing"));
        }
        let known: BTreeSet<&str> = documented.iter().map(|(name, _)| name.as_str()).chain(HEADERS_OF_ALL).collect();
        match headers.keys().find(|name| !known.contains(name.as_str())) {
            Some(name) => Err(format!("the header {name} is not documented")),
            None => Ok(()),
        }
    }

    /// The schema without references, each object closed: callers ignore members that they do not know, these tests do
    /// not. A part of a whole stays open, the whole is closed.
    fn strict(&self, schema: &Value, is_part: bool) -> Value {
        match self.resolved(schema) {
            Value::Object(members) => {
                let mut closed: Map<String, Value> = members
                    .iter()
                    .map(|(name, inner)| (name.clone(), self.strict_member(name, inner, is_part)))
                    .collect();
                let is_object = members.contains_key("properties") || members.contains_key("allOf");
                if is_object && !is_part && !members.contains_key("additionalProperties") {
                    closed.insert("unevaluatedProperties".to_owned(), json!(false));
                }
                Value::Object(closed)
            }
            other => other.clone(),
        }
    }

    fn strict_member(&self, name: &str, inner: &Value, is_part: bool) -> Value {
        let each = |is_part| move |schema: &Value| self.strict(schema, is_part);
        match (name, inner) {
            ("properties", Value::Object(properties)) => {
                properties.iter().map(|(name, schema)| (name.clone(), self.strict(schema, false))).collect()
            }
            ("allOf", Value::Array(parts)) => parts.iter().map(each(true)).collect(),
            ("oneOf" | "anyOf", Value::Array(parts)) => parts.iter().map(each(is_part)).collect(),
            ("items" | "additionalProperties", schema) => self.strict(schema, false),
            (_, other) => other.clone(),
        }
    }
}

fn is_route(known: &Route, route: (&str, &str)) -> bool {
    (known.method.as_str(), known.path) == route
}

/// The end of a template that matches the rest of a path, including slashes.
const REST: &str = "{path}";

/// Whether a path matches a template.
fn is_of(template: &str, path: &str) -> bool {
    let (mut parts, mut known) = (path.split('/'), template.split('/'));
    loop {
        match (parts.next(), known.next()) {
            (None, None) => return true,
            (Some(part), Some(REST)) if !part.is_empty() => return true,
            (Some(part), Some(known)) if part == known || known.starts_with('{') && !part.is_empty() => {}
            _ => return false,
        }
    }
}
