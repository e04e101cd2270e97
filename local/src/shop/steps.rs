//! The shop's steps, for the person who reads its page: each request and its response, without the secrets.

use axum::http::Method;
use serde_json::Value;
use url::Url;

use super::platform::ApiError;

/// Members of requests and responses that only the shop may see.
const SECRET_MEMBERS: [&str; 4] = ["login_code", "code", "js_code", "session_key"];

/// Parameters of URLs that can be used as long as a login is in progress.
const SECRET_PARAMETERS: [&str; 2] = ["login_code", "state"];

/// The text shown in place of a secret.
const HIDDEN: &str = "…";

/// A step of the shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// The request, such as `POST http://localhost:3000/v1/logins`.
    pub(super) asked: String,
    /// The outcome, such as `200`.
    pub(super) outcome: String,
    /// What was sent, as JSON.
    pub(super) body: Option<String>,
    /// What came back, as JSON.
    pub(super) answer: Option<String>,
}

impl Step {
    /// A request that is being sent.
    pub(super) fn request(method: &Method, url: &str, body: Option<&Value>) -> Self {
        Self { asked: format!("{method} {url}"), outcome: String::new(), body: body.map(shown), answer: None }
    }

    pub(super) fn answered(&mut self, status: u16, answer: &Value) {
        self.outcome = status.to_string();
        self.answer = (!answer.is_null()).then(|| shown(answer));
    }

    pub(super) fn failed(&mut self, error: &ApiError) {
        self.outcome = error.to_string();
    }

    /// The browser is sent to `url`.
    pub(super) fn redirect(url: &Url) -> Self {
        Self { asked: format!("303 → {}", without_secrets(url)), outcome: String::new(), body: None, answer: None }
    }
}

/// A URL without its secret parameters, otherwise as readable as it was written.
fn without_secrets(url: &Url) -> String {
    let Some(query) = url.query() else { return url.to_string() };
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if SECRET_PARAMETERS.contains(&name) => format!("{name}={HIDDEN}"),
            _ => pair.to_owned(),
        })
        .collect();
    format!("{}?{}", &url[..url::Position::AfterPath], pairs.join("&"))
}

fn shown(value: &Value) -> String {
    let mut value = value.clone();
    hide(&mut value);
    serde_json::to_string_pretty(&value).unwrap_or_default()
}

fn hide(value: &mut Value) {
    let Value::Object(members) = value else { return };
    for (name, value) in members {
        if SECRET_MEMBERS.contains(&name.as_str()) {
            *value = HIDDEN.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_in_no_step() {
        let sent = json!({ "login_code": "hush" });
        let mut step = Step::request(&Method::POST, "http://localhost:3000/v1/logins", Some(&sent));
        step.answered(200, &json!({ "openid": "oVisitor", "session_key": "hush" }));
        let url = Url::parse("http://localhost:3003/in?scope=snsapi_base&login_code=hush&state=hush").unwrap();
        let back = Step::redirect(&url);
        assert_eq!(back.asked, "303 → http://localhost:3003/in?scope=snsapi_base&login_code=…&state=…");
        let steps = format!("{step:?} {back:?}");
        assert!(steps.contains("oVisitor") && !steps.contains("hush"), "{steps}");
    }
}
