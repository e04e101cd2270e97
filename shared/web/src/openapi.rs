//! The description of the routes for programs in OpenAPI 3.1, from which `docs/openapi.json` is generated.
//!
//! Each function describes its routes next to its router: operations are written by hand, schemas come from the types
//! that are sent, and problems from [`ProblemKind`]. Only test builds contain any of it.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::doors::{Right, Route};
use crate::problem::TYPE_PREFIX;
use crate::{BODY_LIMIT, ProblemKind};

/// The problems that any operation can return.
const OF_ALL: [ProblemKind; 9] = [
    ProblemKind::MalformedRequest,
    ProblemKind::InvalidKey,
    ProblemKind::NotAllowed,
    ProblemKind::NoIdentity,
    ProblemKind::UnknownRoute,
    ProblemKind::TooLarge,
    ProblemKind::Defect,
    // Keys are looked up for every operation.
    ProblemKind::NotConfigured,
    ProblemKind::Unavailable,
];

/// Problems that may say how long to wait.
const NAMING_A_WAIT: [ProblemKind; 5] = [
    ProblemKind::CallUnderWay,
    ProblemKind::TooSoon,
    ProblemKind::TooManyCodes,
    ProblemKind::TokenBeingRenewed,
    ProblemKind::TokenUnavailable,
];

/// The gateway's own responses: status, `message`, and when.
const OF_THE_GATEWAY: [(u16, &str, &str); 6] = [
    (
        403,
        "Forbidden",
        "no signature (an API key is for paths below `/v1`), a wrong or outdated one, or credentials without \
         `execute-api:Invoke` on the route",
    ),
    (404, "Not Found", "no route has this path and method"),
    (413, "Request Entity Too Large", "the body has more than 10 MB"),
    (429, "Too Many Requests", "more requests per second than the route allows for all callers together"),
    (500, "Internal Server Error", "the function could not be run"),
    (503, "Service Unavailable", "the function was throttled or did not respond within 30 s"),
];

/// The routes of one function, or of several.
#[derive(Debug, Default)]
pub struct Description {
    paths: BTreeMap<String, Map<String, Value>>,
    schemas: BTreeMap<String, Value>,
    problems: BTreeSet<&'static str>,
}

/// One operation.
#[derive(Debug)]
pub struct Operation {
    written: Map<String, Value>,
    parameters: Vec<Value>,
    success: BTreeMap<u16, Value>,
    passed_on: Option<Value>,
    problems: Vec<ProblemKind>,
}

impl Operation {
    /// An operation; `description` is in Markdown.
    #[must_use]
    pub fn new(id: &str, tag: &str, summary: &str, description: &str) -> Self {
        let written = json!({ "operationId": id, "tags": [tag], "summary": summary, "description": description });
        let Value::Object(written) = written else { unreachable!("an object was written") };
        Self { written, parameters: Vec::new(), success: BTreeMap::new(), passed_on: None, problems: OF_ALL.to_vec() }
    }

    /// A part of the path.
    #[must_use]
    pub fn in_path(self, name: &str, schema: &Value, description: &str) -> Self {
        self.parameter(json!({
            "in": "path", "name": name, "required": true, "description": description, "schema": schema,
        }))
    }

    /// The account in the path, whose token the operation takes.
    #[must_use]
    pub fn with_token_of_account(self) -> Self {
        let schema = json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$", "example": "wx1234567890abcdef" });
        self.in_path("appid", &schema, "The account.").refuses(&[
            ProblemKind::UnknownAccount,
            ProblemKind::AuthorizationEnded,
            ProblemKind::NoApiPermission,
        ])
    }

    /// An optional parameter of the query.
    #[must_use]
    pub fn in_query(self, name: &str, schema: &Value, description: &str) -> Self {
        self.parameter(json!({ "in": "query", "name": name, "description": description, "schema": schema }))
    }

    /// A parameter as an OpenAPI object.
    #[must_use]
    pub fn parameter(mut self, parameter: Value) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// The two parameters that every list has.
    #[must_use]
    pub fn in_pages(self) -> Self {
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": crate::paging::LARGEST_PAGE, "default": crate::paging::USUAL_PAGE });
        self.in_query("limit", &limit, "The greatest number of items on the page.").in_query(
            "cursor",
            &json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$" }),
            "`next_cursor` of the previous page, with the same filters.",
        )
    }

    /// The body, a JSON object.
    #[must_use]
    pub fn takes<T: ToSchema>(self, types: &[&str], example: &Value) -> Self {
        self.reads::<T>(true, types, example)
    }

    /// The same with an optional body.
    #[must_use]
    pub fn may_take<T: ToSchema>(self, types: &[&str], example: &Value) -> Self {
        self.reads::<T>(false, types, example)
    }

    fn reads<T: ToSchema>(mut self, is_required: bool, types: &[&str], example: &Value) -> Self {
        let content = json!({ "schema": reference("schemas", &T::name()), "example": example });
        let content: BTreeMap<&str, &Value> = types.iter().map(|name| (*name, &content)).collect();
        let description = format!("A JSON object in UTF-8, of at most {} KiB.", BODY_LIMIT / 1024);
        let body = json!({ "description": description, "required": is_required, "content": content });
        self.written.insert("requestBody".to_owned(), body);
        self.problems.extend([ProblemKind::Malformed, ProblemKind::NotJson]);
        self
    }

    /// A body of any type.
    #[must_use]
    pub fn takes_anything(mut self, description: &str) -> Self {
        let body = json!({ "description": description, "content": { "*/*": { "schema": {} } } });
        self.written.insert("requestBody".to_owned(), body);
        self
    }

    /// The response of another server, of any status and type; its possible headers, with their meanings.
    #[must_use]
    pub fn passes_on(mut self, description: &str, headers: &[(&str, &str)]) -> Self {
        let mut all = Map::from_iter([("X-Request-Id".to_owned(), reference("headers", "RequestId"))]);
        for (name, description) in headers {
            let header = json!({ "description": description, "schema": { "type": "string" } });
            all.insert((*name).to_owned(), header);
        }
        let content = json!({ "*/*": { "schema": {} } });
        self.passed_on = Some(json!({ "description": description, "headers": all, "content": content }));
        self
    }

    /// The successful response, with its headers and their meanings.
    #[must_use]
    pub fn answers<T: ToSchema>(
        self,
        status: StatusCode,
        description: &str,
        headers: &[(&str, &str)],
        example: &Value,
    ) -> Self {
        self.answers_with(status, description, headers, &reference("schemas", &T::name()), example)
    }

    /// The same with a schema as an OpenAPI object.
    #[must_use]
    pub fn answers_with(
        mut self,
        status: StatusCode,
        description: &str,
        headers: &[(&str, &str)],
        schema: &Value,
        example: &Value,
    ) -> Self {
        let mut all = Map::from_iter([("X-Request-Id".to_owned(), reference("headers", "RequestId"))]);
        for (name, description) in headers {
            let header = json!({ "description": description, "required": true, "schema": { "type": "string" } });
            all.insert((*name).to_owned(), header);
        }
        let content = json!({ "application/json": { "schema": schema, "example": example } });
        self.success.insert(status.as_u16(), json!({ "description": description, "headers": all, "content": content }));
        self
    }

    /// The successful response, without a body.
    #[must_use]
    pub fn answers_nothing(mut self, status: StatusCode, description: &str) -> Self {
        let headers = json!({ "X-Request-Id": reference("headers", "RequestId") });
        self.success.insert(status.as_u16(), json!({ "description": description, "headers": headers }));
        self
    }

    /// The problems that it can return in addition to those of every operation.
    #[must_use]
    pub fn refuses(mut self, problems: &[ProblemKind]) -> Self {
        self.problems.extend(problems);
        self
    }

    /// The kinds of problem, by status.
    fn refusals(&self) -> BTreeMap<u16, Vec<ProblemKind>> {
        let mut refusals: BTreeMap<u16, Vec<ProblemKind>> =
            OF_THE_GATEWAY.iter().map(|(status, ..)| (*status, Vec::new())).collect();
        for kind in ProblemKind::ALL.iter().filter(|kind| self.problems.contains(kind)) {
            refusals.entry(kind.status().as_u16()).or_default().push(*kind);
        }
        refusals
    }
}

impl Description {
    /// Adds a route.
    #[must_use]
    pub fn route(mut self, Route { method, path, right, .. }: &Route, operation: Operation) -> Self {
        let mut responses: BTreeMap<String, Value> = operation
            .refusals()
            .into_iter()
            .map(|(status, kinds)| (status.to_string(), refusal(status, &kinds)))
            .collect();
        responses.extend(operation.success.iter().map(|(status, answer)| (status.to_string(), answer.clone())));
        responses.extend(operation.passed_on.map(|answer| ("default".to_owned(), answer)));
        self.problems.extend(operation.problems.iter().map(|kind| kind.name()));
        let mut written = operation.written;
        if !operation.parameters.is_empty() {
            written.insert("parameters".to_owned(), Value::Array(operation.parameters));
        }
        written.insert("responses".to_owned(), json!(responses));
        written.insert("security".to_owned(), security(*right));
        // OpenAPI cannot express a parameter that may contain slashes: the gateway's `{proxy+}` becomes an ordinary
        // one.
        let methods = self.paths.entry(path.replace("{proxy+}", "{path}")).or_default();
        methods.insert(method.as_str().to_ascii_lowercase(), Value::Object(written));
        self
    }

    /// The schema of a response, and those to which it refers. An absent member of a response is missing, never `null`.
    #[must_use]
    pub fn answer<T: ToSchema>(mut self) -> Self {
        for (name, mut schema) in schemas::<T>() {
            remove_null(&mut schema);
            self.schemas.insert(name, schema);
        }
        self
    }

    /// The schema of a body, and those to which it refers. It has no additional members.
    #[must_use]
    pub fn body<T: ToSchema>(mut self) -> Self {
        for (name, mut schema) in schemas::<T>() {
            schema["additionalProperties"] = json!(false);
            self.schemas.insert(name, schema);
        }
        self
    }

    /// Adds rules to the schema of a member that its type does not express: values, bounds, a pattern.
    ///
    /// # Panics
    /// If there is no such member.
    #[must_use]
    pub fn narrow(mut self, schema: &str, member: &str, rules: Value) -> Self {
        let found = self.schemas.get_mut(schema).and_then(|schema| find_member(schema, member));
        let (Some(Value::Object(found)), Value::Object(rules)) = (found, rules) else {
            panic!("{schema} has no member {member}");
        };
        found.extend(rules);
        self
    }

    /// Makes a part of a response optional: its members are there together or not at all.
    ///
    /// # Panics
    /// If there is no such schema.
    #[must_use]
    pub fn optional(mut self, schema: &str) -> Self {
        let Some(Value::Object(found)) = self.schemas.get_mut(schema) else { panic!("there is no schema {schema}") };
        let required = found.remove("required").unwrap_or_default();
        let names: Vec<&str> = required.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let others = |name: &str| names.iter().copied().filter(|other| *other != name).collect::<Vec<_>>();
        let together: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), json!(others(name)))).collect();
        found.insert("dependentRequired".to_owned(), Value::Object(together));
        self
    }

    /// These routes and others.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (path, methods) in other.paths {
            self.paths.entry(path).or_default().extend(methods);
        }
        self.schemas.extend(other.schemas);
        self.problems.extend(other.problems);
        self
    }

    /// The document: `head` with the routes and everything to which they refer.
    #[must_use]
    pub fn document(mut self, mut head: Value) -> Value {
        for kind in ProblemKind::ALL.iter().filter(|kind| self.problems.contains(kind.name())) {
            self.schemas.insert(schema_name(*kind), problem(*kind));
        }
        self.schemas.insert("Problem".to_owned(), any_problem());
        self.schemas.insert("GatewayMessage".to_owned(), gateway_message());
        let responses = shared(&mut self.paths);
        head["paths"] = json!(self.paths);
        head["components"]["schemas"] = json!(self.schemas);
        head["components"]["responses"] = json!(responses);
        head["components"]["headers"]["RequestId"] = json!({
            "description": "The id of the request, which is in every line of the log about it as `span.request_id`.",
            "schema": { "type": "string" },
        });
        head
    }
}

/// The security requirements of a route: AWS principals, and the holders of a key with one of these scopes.
#[must_use]
pub fn security(right: Right) -> Value {
    let keys: Vec<Value> = match right {
        Right::OneOf(scopes) => scopes.iter().map(|scope| json!({ "key": [scope.as_str()] })).collect(),
        Right::AnyKey => vec![json!({ "key": [] })],
        Right::IamOnly => vec![],
    };
    [vec![json!({ "iam": [] })], keys].concat().into()
}

/// A reference to a component.
#[must_use]
pub fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

/// A type's schema and those to which it refers, by name.
fn schemas<T: ToSchema>() -> Vec<(String, Value)> {
    let mut all = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut all);
    let schema = |schema| {
        let mut schema = json!(schema);
        unwrap_lines(&mut schema);
        schema
    };
    all.into_iter().map(|(name, written)| (name, schema(written))).collect()
}

/// Joins the lines of each description, since comments in the source are wrapped.
fn unwrap_lines(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if name == "description" => *text = text.replace('\n', " "),
                    value => unwrap_lines(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(unwrap_lines),
        _ => {}
    }
}

/// Removes `null` wherever a schema allows it.
fn remove_null(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    members["type"] = only.clone();
                }
            }
            if let Some(Value::Array(choices)) = members.get_mut("oneOf") {
                choices.retain(|choice| choice != &json!({ "type": "null" }));
                if let [only] = choices.as_slice() {
                    let only = only.clone();
                    members.remove("oneOf");
                    if let Value::Object(only) = only {
                        members.extend(only);
                    }
                }
            }
            members.values_mut().for_each(remove_null);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_null),
        _ => {}
    }
}

fn find_member<'a>(schema: &'a mut Value, member: &str) -> Option<&'a mut Value> {
    match schema {
        Value::Object(members) => {
            let is_here = members.get("properties").is_some_and(|properties| properties.get(member).is_some());
            if is_here {
                return members.get_mut("properties")?.get_mut(member);
            }
            members.values_mut().find_map(|schema| find_member(schema, member))
        }
        Value::Array(items) => items.iter_mut().find_map(|schema| find_member(schema, member)),
        _ => None,
    }
}

/// The response with an error status: one of these problems, or the gateway's own response.
fn refusal(status: u16, kinds: &[ProblemKind]) -> Value {
    let mut headers = Map::from_iter([("X-Request-Id".to_owned(), reference("headers", "RequestId"))]);
    let mut content = Map::new();
    let mut lines: Vec<String> =
        kinds.iter().map(|kind| format!("- `{}`: {}", kind.name(), kind.description().trim())).collect();
    if let [first, ..] = kinds {
        let schemas: Vec<Value> = kinds.iter().map(|kind| reference("schemas", &schema_name(*kind))).collect();
        let mapping: Map<String, Value> = kinds
            .iter()
            .map(|kind| (kind.urn(), json!(format!("#/components/schemas/{}", schema_name(*kind)))))
            .collect();
        let schema = match schemas.as_slice() {
            [only] => only.clone(),
            _ => json!({ "oneOf": schemas, "discriminator": { "propertyName": "type", "mapping": mapping } }),
        };
        let example = example(*first);
        content.insert("application/problem+json".to_owned(), json!({ "schema": schema, "example": example }));
    }
    if let Some((_, message, when)) = OF_THE_GATEWAY.iter().find(|(own, ..)| *own == status) {
        lines.push(format!("- API Gateway itself, as `application/json`: {when}"));
        let schema = reference("schemas", "GatewayMessage");
        content.insert("application/json".to_owned(), json!({ "schema": schema, "example": { "message": message } }));
    }
    if kinds.iter().any(|kind| NAMING_A_WAIT.contains(kind)) {
        let header = json!({
            "description": "Seconds to wait. Missing if waiting does not help, and in API Gateway's own responses.",
            "schema": { "type": "integer", "minimum": 0 },
        });
        headers.insert("Retry-After".to_owned(), header);
    }
    if kinds.contains(&ProblemKind::InvalidKey) {
        let header = json!({ "description": "`Bearer`.", "schema": { "const": "Bearer" } });
        headers.insert("WWW-Authenticate".to_owned(), header);
    }
    json!({ "description": lines.join("\n"), "headers": headers, "content": content })
}

/// The schema of a problem of one kind.
fn problem(kind: ProblemKind) -> Value {
    let mut properties = json!({
        "type": { "const": kind.urn() }, "title": { "const": kind.title() }, "status": { "const": kind.status().as_u16() },
    });
    let own = own_members(kind);
    let mut required = Vec::new();
    for (name, is_required, schema) in own {
        properties[name] = schema;
        required.extend(is_required.then_some(name));
    }
    let mut own = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        own["required"] = json!(required);
    }
    json!({ "description": kind.description().trim(), "allOf": [reference("schemas", "Problem"), own] })
}

/// The members of a problem in addition to the common ones: name, whether it is always there, and its schema.
fn own_members(kind: ProblemKind) -> Vec<(&'static str, bool, Value)> {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let code = json!({ "type": "integer", "format": "int64", "description": "WeChat's code." });
    let reference =
        json!({ "type": "string", "pattern": "^[0-9]{10}$", "description": "The number that is in the log." });
    match kind {
        ProblemKind::AuthorizationEnded => vec![
            ("errcode", true, json!({ "const": 61_003, "description": "The code that WeChat would return." })),
            (
                "state",
                false,
                json!({ "type": "string", "enum": ["needs_authorization", "unauthorized"], "description": "The state of the account." }),
            ),
            (
                "since",
                false,
                json!({ "type": "string", "format": "date-time", "description": "Since when the account has been in this state." }),
            ),
            ("rid", false, text("WeChat's id of the request, for its support, if WeChat has just been called.")),
        ],
        ProblemKind::CallNotRepeated
        | ProblemKind::AnswerTooLarge
        | ProblemKind::AnswerUnusable
        | ProblemKind::WechatSlow => {
            let words = json!({
                "type": "string", "enum": ["done", "unknown"], "description": "Whether the call took effect at WeChat.",
            });
            vec![("effect", true, words)]
        }
        ProblemKind::WechatUnreachable => {
            let words = json!({
                "type": "string", "enum": ["none"], "description": "In a call on behalf of an account: nothing was sent.",
            });
            vec![("effect", false, words)]
        }
        ProblemKind::AddressRefused => vec![
            ("errcode", true, json!({ "const": 61_004, "description": "The code that WeChat would return." })),
            ("address", false, text("The address that WeChat saw: an operator has to add it to the platform's list.")),
            ("rid", false, text("WeChat's id of the request, for its support.")),
        ],
        ProblemKind::ReconciliationRunning => {
            vec![("reconciliation_id", true, text("The one that is in progress."))]
        }
        ProblemKind::WechatRefused
        | ProblemKind::PagesNotPermitted
        | ProblemKind::LoginCodeRefused
        | ProblemKind::UserBlocked
        | ProblemKind::TooManyLogins
        | ProblemKind::WechatBusy => vec![
            ("errcode", true, code),
            ("errmsg", true, text("WeChat's text.")),
            ("rid", false, text("WeChat's id of the request, for its support.")),
        ],
        ProblemKind::TokenUnavailable => vec![
            ("reference", true, reference),
            ("errcode", false, code),
            ("errmsg", false, text("WeChat's text.")),
            ("rid", false, text("WeChat's id of the request, for its support.")),
            ("last_error", false, text("WeChat's code for the last renewal, or a word if WeChat did not respond.")),
            (
                "next_try_at",
                false,
                json!({ "type": "string", "format": "date-time", "description": "When renewal is tried again." }),
            ),
        ],
        ProblemKind::Unavailable => {
            let words = json!({
                "type": "string", "enum": ["done", "none"],
                "description": "In a call on behalf of an account: whether it took effect at WeChat. `done`: the call was made, but its response \
                                could not be stored. `none`: its file could not be read.",
            });
            vec![("reference", true, reference), ("effect", false, words)]
        }
        ProblemKind::NotConfigured | ProblemKind::TokenBeingRenewed => vec![("reference", true, reference)],
        _ => Vec::new(),
    }
}

fn example(kind: ProblemKind) -> Value {
    let mut example = json!({
        "type": kind.urn(), "title": kind.title(), "status": kind.status().as_u16(), "detail": "what the caller can do",
    });
    for (name, _, schema) in own_members(kind) {
        example[name] = match (name, &schema["enum"][0]) {
            ("since" | "next_try_at", _) => json!("2026-01-31T08:00:00Z"),
            ("errcode", _) if !schema["const"].is_null() => schema["const"].clone(),
            ("last_error", _) => json!("-1"),
            ("reference", _) => json!("0123456789"),
            ("address", _) => json!("203.0.113.9"),
            ("errcode", _) => json!(48_001),
            ("errmsg", _) => json!("api unauthorized"),
            ("rid", _) => json!("65f1c0e2-3b9aca00-5f5e1000"),
            ("reconciliation_id", _) => json!("1769846400"),
            (_, word) => word.clone(),
        };
    }
    example
}

fn any_problem() -> Value {
    json!({
        "type": "object",
        "description": "Why a request was refused (RFC 9457). Decide by `type`; `detail` is for people and may change.",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string", "format": "uri", "description": format!("`{TYPE_PREFIX}` and a name, which does not change.") },
            "title": { "type": "string", "description": "What is wrong, in a few words that are the same for all problems of this type." },
            "status": { "type": "integer", "description": "The status of the response." },
            "detail": { "type": "string", "description": "What the caller can do." },
            "errcode": {
                "type": "integer", "format": "int64",
                "description": "WeChat's code. Below `/v1/wechat/` every problem has one: if WeChat has no code with this meaning, it is the status.",
            },
            "errmsg": { "type": "string", "description": "What WeChat libraries show, together with `errcode`." },
        },
    })
}

fn gateway_message() -> Value {
    json!({
        "type": "object",
        "description": "API Gateway's own response, without calling a function.",
        "required": ["message"],
        "properties": { "message": { "type": "string" } },
    })
}

fn schema_name(kind: ProblemKind) -> String {
    format!("{kind:?}Problem")
}

/// Moves refusals that several operations have in common to a shared place: for each status the most common one.
fn shared(paths: &mut BTreeMap<String, Map<String, Value>>) -> BTreeMap<String, Value> {
    let mut counts = BTreeMap::<(StatusCode, String), usize>::new();
    for_each_refusal(paths, |status, response| *counts.entry((status, response.to_string())).or_default() += 1);
    let mut shared = BTreeMap::<String, Value>::new();
    for_each_refusal(paths, |status, response| {
        let count = counts.get(&(status, response.to_string())).copied().unwrap_or_default();
        let most = counts.iter().filter(|((of, _), _)| *of == status).map(|(_, count)| *count).max();
        let name = status.canonical_reason().unwrap_or_default().replace(' ', "");
        let is_first = shared.get(&name).is_none_or(|known| known == response);
        if count > 1 && Some(count) == most && is_first {
            shared.insert(name.clone(), response.clone());
            *response = reference("responses", &name);
        }
    });
    shared
}

fn for_each_refusal(paths: &mut BTreeMap<String, Map<String, Value>>, mut see: impl FnMut(StatusCode, &mut Value)) {
    for operation in paths.values_mut().flat_map(Map::values_mut) {
        let Some(responses) = operation["responses"].as_object_mut() else { continue };
        for (status, response) in responses {
            // "default", for relayed responses, is not a status.
            if let Some(status) = status.parse().ok().and_then(|status| StatusCode::from_u16(status).ok())
                && !status.is_success()
            {
                see(status, response);
            }
        }
    }
}
