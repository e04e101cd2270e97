//! Events of an API Gateway HTTP API, payload 2.0, as a function gets them.
//!
//! As from the gateway: header names in lower case, cookies separate from the headers, repeated query parameters joined
//! with a comma in the map and kept in `rawQueryString`, and binary bodies as Base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use web::doors::KEY_DOOR;

use crate::world::{BUSINESS_ROUTES, KEY_ROUTES};

/// One request that becomes an event.
#[derive(Debug, Clone)]
pub struct HttpEvent {
    method: String,
    path: String,
    route: Option<String>,
    host: String,
    query: String,
    headers: Vec<(String, String)>,
    cookies: Vec<String>,
    body: Option<Body>,
    authorizer: Option<Value>,
}

#[derive(Debug, Clone)]
enum Body {
    Plain(String),
    Base64(String),
}

impl HttpEvent {
    /// A request without query, body, cookies and identity; `path` as it is in the URL. Its route is the deployed one
    /// for this path, if there is one.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            route: deployed_route(path).map(str::to_owned),
            host: "auth.example.com".to_owned(),
            query: String::new(),
            headers: Vec::new(),
            cookies: Vec::new(),
            body: None,
            authorizer: None,
        }
    }

    /// Another route than the deployed one, such as `/authorize/{link_id}`.
    #[must_use]
    pub fn route(self, path: &str) -> Self {
        Self { route: Some(path.to_owned()), ..self }
    }

    /// The host in the request, one of those that the gateway serves.
    #[must_use]
    pub fn host(self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self }
    }

    /// The query as in the URL, without `?`, percent-encoded.
    #[must_use]
    pub fn query(self, raw: &str) -> Self {
        Self { query: raw.to_owned(), ..self }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Adds a cookie, `name=value`.
    #[must_use]
    pub fn cookie(mut self, cookie: &str) -> Self {
        self.cookies.push(cookie.to_owned());
        self
    }

    /// A body that the gateway treats as text.
    #[must_use]
    pub fn body(self, text: &str) -> Self {
        Self { body: Some(Body::Plain(text.to_owned())), ..self }
    }

    /// A body that the gateway treats as binary.
    #[must_use]
    pub fn base64_body(self, bytes: &[u8]) -> Self {
        Self { body: Some(Body::Base64(STANDARD.encode(bytes))), ..self }
    }

    /// The IAM identity that the gateway has verified, such as `arn:aws:iam::123456789012:role/orders`.
    #[must_use]
    pub fn iam(self, user_arn: &str) -> Self {
        let iam = json!({
            "accessKey": "AKIAIOSFODNN7EXAMPLE",
            "accountId": "123456789012",
            "callerId": "AIDACKCEVSQ6C2EXAMPLE",
            "cognitoIdentity": null,
            "principalOrgId": null,
            "userArn": user_arn,
            "userId": "AIDACKCEVSQ6C2EXAMPLE",
        });
        Self { authorizer: Some(json!({ "iam": iam })), ..self }
    }

    /// The operator on whose behalf the console invokes the function, such as `li`.
    #[must_use]
    pub fn operator(self, name: &str) -> Self {
        Self { authorizer: Some(json!({ "operator": { "name": name } })), ..self }
    }

    /// The event.
    #[must_use]
    pub fn build(&self) -> Value {
        let route = self.route.as_ref().unwrap_or(&self.path);
        let method = if route.starts_with(KEY_DOOR) { "ANY" } else { &self.method };
        let route = format!("{method} {route}");
        let mut context = json!({
            "accountId": "123456789012",
            "apiId": "api0000001",
            "domainName": self.host,
            "domainPrefix": "auth",
            "http": {
                "method": self.method,
                "path": self.path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": self.headers.iter().find(|(name, _)| name == "user-agent").map_or("", |(_, agent)| agent),
            },
            "requestId": "request0000000001",
            "routeKey": route,
            "stage": "$default",
            "time": "14/Nov/2023:22:13:20 +0000",
            "timeEpoch": 1_700_000_000_000_i64,
        });
        if let Some(authorizer) = &self.authorizer {
            context["authorizer"] = authorizer.clone();
        }
        let mut event = json!({
            "version": "2.0",
            "routeKey": route,
            "rawPath": self.path,
            "rawQueryString": self.query,
            "headers": joined(self.headers.iter().cloned().chain([("host".to_owned(), self.host.clone())])),
            "requestContext": context,
            "isBase64Encoded": matches!(self.body, Some(Body::Base64(_))),
        });
        if !self.cookies.is_empty() {
            event["cookies"] = json!(self.cookies);
        }
        if let Some(route) = self.route.as_deref().filter(|route| route.contains('{')) {
            event["pathParameters"] = joined(placeholders(route, &self.path));
        }
        if !self.query.is_empty() {
            event["queryStringParameters"] = joined(parameters(&self.query));
        }
        if let Some(Body::Plain(body) | Body::Base64(body)) = &self.body {
            event["body"] = json!(body);
        }
        event
    }
}

/// The deployed route that a path leads to.
fn deployed_route(path: &str) -> Option<&'static str> {
    let routes = ticket_push::ROUTES.iter().chain(&account_push::ROUTES).chain(&oauth_callback::ROUTES);
    let routes = routes.chain(&preauth_link::PUBLIC_ROUTES).chain(&web_login::PUBLIC_ROUTES).map(|(_, path)| *path);
    let routes =
        routes.chain(BUSINESS_ROUTES.iter().map(|route| route.path)).chain(KEY_ROUTES.iter().map(String::as_str));
    // Those of the console are all behind one: it routes the rest of the path itself.
    let routes = routes.chain([console::BASE, "/console/{proxy+}"]);
    let leads_to = |route: &str| {
        let parts = || route.split('/').zip(path.split('/'));
        let (wanted, there) = (route.split('/').count(), path.split('/').count());
        (wanted == there || route.ends_with("+}") && wanted < there)
            && parts().all(|(name, value)| name == value || (name.starts_with('{') && !value.is_empty()))
    };
    // Like the gateway: a literal path takes precedence over one with placeholders.
    routes.filter(|route| leads_to(route)).min_by_key(|route| route.matches('{').count())
}

/// The parts of a path for the placeholders of its route.
fn placeholders(route: &str, path: &str) -> impl Iterator<Item = (String, String)> {
    route.split('/').zip(path.split('/')).filter_map(|(name, value)| {
        let name = name.strip_prefix('{')?.strip_suffix('}')?;
        Some((name.to_owned(), value.to_owned()))
    })
}

/// The decoded parameters of a raw query.
fn parameters(raw: &str) -> impl Iterator<Item = (String, String)> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    raw.split('&').map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

/// A map in which the values of a repeated name are joined with a comma.
fn joined(pairs: impl IntoIterator<Item = (String, String)>) -> Value {
    let mut map: Map<String, Value> = Map::new();
    for (name, value) in pairs {
        let value = match map.get(&name).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value,
        };
        map.insert(name, json!(value));
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_kept_raw_and_decoded_and_joined_beside() {
        let event = HttpEvent::new("GET", "/a").query("auth_code=x%40%40%40y%2B%2F%3D&n=1&n=2").build();
        assert_eq!(event["rawQueryString"], "auth_code=x%40%40%40y%2B%2F%3D&n=1&n=2");
        assert_eq!(event["queryStringParameters"], json!({ "auth_code": "x@@@y+/=", "n": "1,2" }));
    }

    #[test]
    fn bodies_are_plain_or_base64_or_not_there() {
        let event = HttpEvent::new("POST", "/a");
        assert!(event.build().get("body").is_none());
        let plain = event.clone().body("<xml/>").build();
        assert_eq!((&plain["body"], &plain["isBase64Encoded"]), (&json!("<xml/>"), &json!(false)));
        let binary = event.base64_body(&[0xff]).build();
        assert_eq!((&binary["body"], &binary["isBase64Encoded"]), (&json!("/w=="), &json!(true)));
    }

    #[test]
    fn a_route_names_what_its_placeholders_stand_for() {
        let event = HttpEvent::new("GET", "/a/x/b/y").route("/a/{one}/b/{other}").build();
        assert_eq!(event["routeKey"], "GET /a/{one}/b/{other}");
        assert_eq!(event["rawPath"], "/a/x/b/y");
        assert_eq!(event["pathParameters"], json!({ "one": "x", "other": "y" }));
        assert!(HttpEvent::new("GET", "/a/b/c").build().get("pathParameters").is_none());
    }

    #[test]
    fn a_deployed_path_has_its_route() {
        let route = |path: &str| HttpEvent::new("GET", path).build()["routeKey"].as_str().unwrap().to_owned();
        assert_eq!(route("/authorize/x"), "GET /authorize/{link_id}");
        assert_eq!(route("/authorize/x/callback/y"), "GET /authorize/{link_id}/callback/{attempt}");
        assert_eq!(route("/authorize/"), "GET /authorize/");
        assert_eq!(route("/wechat/accounts/wx1/events"), "GET /wechat/accounts/{appid}/events");
    }

    #[test]
    fn only_a_verified_caller_has_an_identity() {
        let event = HttpEvent::new("POST", "/authorization-links").header("X-Amzn-Iam", "arn:forged").cookie("a=b");
        assert!(event.build()["requestContext"].get("authorizer").is_none());
        assert_eq!(event.build()["cookies"], json!(["a=b"]));
        let event = event.iam("arn:aws:iam::123456789012:role/orders").build();
        assert_eq!(event["requestContext"]["authorizer"]["iam"]["userArn"], "arn:aws:iam::123456789012:role/orders");
    }
}
