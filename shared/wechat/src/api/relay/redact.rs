//! Removal of secrets from responses that are passed back: tokens, and codes that can be exchanged for one.

use memchr::memmem;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::super::error::without_lookalikes;

/// The replacement of a secret.
const HIDDEN: &str = "***";

/// Members that contain a secret. They are removed, not emptied: an empty token would look like a token.
const SECRET_MEMBERS: [&str; 12] = [
    "access_token",
    "appsecret",
    "authorization_code",
    "authorizer_access_token",
    "authorizer_refresh_token",
    "cloudbase_access_token",
    "component_access_token",
    "component_appsecret",
    "component_secret",
    "component_verify_ticket",
    "pre_auth_code",
    "refresh_token",
];

/// Removes the secrets from a JSON document: members in [`SECRET_MEMBERS`] at every depth, and tokens in URLs.
pub(super) fn redact(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !SECRET_MEMBERS.iter().any(|secret| name.eq_ignore_ascii_case(secret)));
            members.values_mut().for_each(redact);
        }
        Value::Array(elements) => elements.iter_mut().for_each(redact),
        Value::String(text) => hide_tokens_in_urls(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Hides the value after each `…access_token=`, `…refresh_token=` and the like, up to the end of the parameter.
fn hide_tokens_in_urls(text: &mut String) {
    const NAME: &str = "_token=";
    let mut hidden = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = find_ignoring_case(rest, NAME) {
        let (before, value) = rest.split_at(at + NAME.len());
        let end = value.find(|c: char| c.is_whitespace() || "&#\"'<>\\".contains(c)).unwrap_or(value.len());
        hidden.push_str(before);
        hidden.push_str(HIDDEN);
        rest = &value[end..];
    }
    hidden.push_str(rest);
    *text = hidden;
}

fn find_ignoring_case(text: &str, name: &str) -> Option<usize> {
    text.as_bytes().windows(name.len()).position(|window| window.eq_ignore_ascii_case(name.as_bytes()))
}

/// The part of the response of `openapi/rid/get` (protocol section 4.4) that can be passed back: the called address,
/// when and from where it was called, and the error. The whole response repeats a refused request, with any token,
/// secret or code in it.
pub(super) fn diagnosis(document: &Value) -> Value {
    const HARMLESS: [&str; 3] = ["invoke_time", "cost_in_ms", "client_ip"];
    let copied = |from: &Value, names: &[&str]| -> Map<String, Value> {
        names.iter().filter_map(|name| Some(((*name).to_owned(), from.get(name)?.clone()))).collect()
    };
    let mut shown = copied(document, &["errcode", "errmsg"]);
    if let Some(request) = document.get("request") {
        let mut harmless = copied(request, &HARMLESS);
        if let Some(url) = request["request_url"].as_str() {
            let path = url.split(['?', '#']).next().unwrap_or_default();
            harmless.insert("request_url".to_owned(), path.into());
        }
        let answered = request["response_body"].as_str().and_then(|body| serde_json::from_str::<Value>(body).ok());
        if let Some(answered) = answered {
            let error = Value::Object(copied(&answered, &["errcode", "errmsg"])).to_string();
            harmless.insert("response_body".to_owned(), without_lookalikes(&error).into());
        }
        shown.insert("request".to_owned(), harmless.into());
    }
    Value::Object(shown)
}

/// Hides whatever looks like a token in a text.
pub(super) fn hide_lookalikes(body: &[u8]) -> Vec<u8> {
    without_lookalikes(&String::from_utf8_lossy(body)).into_bytes()
}

/// Replaces a token in a response, plain and percent-encoded. WeChat has no reason to repeat it, and a service has none
/// to see it.
pub(super) fn hide_token(body: Vec<u8>, token: &SecretString) -> Vec<u8> {
    let plain = token.expose_secret();
    let encoded: String = form_urlencoded::byte_serialize(plain.as_bytes()).collect();
    let body = replaced(body, plain.as_bytes());
    if encoded == plain { body } else { replaced(body, encoded.as_bytes()) }
}

fn replaced(body: Vec<u8>, secret: &[u8]) -> Vec<u8> {
    let places: Vec<usize> = memmem::find_iter(&body, secret).collect();
    if secret.is_empty() || places.is_empty() {
        return body;
    }
    let (mut hidden, mut from) = (Vec::with_capacity(body.len()), 0);
    for place in places {
        hidden.extend_from_slice(&body[from..place]);
        hidden.extend_from_slice(HIDDEN.as_bytes());
        from = place + secret.len();
    }
    hidden.extend_from_slice(&body[from..]);
    hidden
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_removed_wherever_they_are() {
        let mut answer = json!({
            "total_count": 1,
            "list": [{ "authorizer_appid": "wx1", "refresh_token": "r", "auth_time": 5 }],
            "authorization_info": { "authorizer_refresh_token": "r", "Authorizer_Access_Token": "a", "func_info": [] },
            "authorization_code": "c",
            "request": { "request_url": "https://api.weixin.qq.com/cgi-bin/x?ACCESS_TOKEN=61_abc&openid=o#f", "no": null },
            "text": "component_access_token=a b&refresh_token=c\"",
        });
        redact(&mut answer);
        let expected = json!({
            "total_count": 1,
            "list": [{ "authorizer_appid": "wx1", "auth_time": 5 }],
            "authorization_info": { "func_info": [] },
            "request": { "request_url": "https://api.weixin.qq.com/cgi-bin/x?ACCESS_TOKEN=***&openid=o#f", "no": null },
            "text": "component_access_token=*** b&refresh_token=***\"",
        });
        assert_eq!(answer, expected);
    }

    #[test]
    fn a_token_is_hidden_in_bytes_of_every_kind_and_other_bytes_stay() {
        let token = SecretString::from("61_a+b");
        let hidden = |body: &[u8]| hide_token(body.to_vec(), &token);
        assert_eq!(hidden(b"x61_a+by61_a%2Bb61_a+b"), b"x***y******");
        assert_eq!(hidden(b"\xff\xd8\x0061_a+"), b"\xff\xd8\x0061_a+");
        assert_eq!(hidden(b"6161_a+b"), b"61***");
        assert_eq!(hidden(b""), b"");
        assert_eq!(hidden(b"61_"), b"61_");
    }
}
