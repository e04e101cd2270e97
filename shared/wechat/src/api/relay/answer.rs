//! WeChat's response to a relayed call.
//!
//! The same URL returns an image or an error in JSON, both with status 200, and JSON may be declared as text (protocol
//! section 11): if the type does not decide, the body does.

use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, StatusCode};
use secrecy::SecretString;

use super::super::answer::Answer;
use super::super::endpoint::Api;
use super::super::error::{Refusal, WechatError};
use super::super::json;
use super::path::Treatment;
use super::{is_of_signed_calls, redact};

/// The longest body that is searched for an error code, in bytes. Errors have a few hundred.
const LONGEST_ERROR: usize = 64 * 1024;

/// A response as a service may see it.
#[derive(Debug)]
pub struct RelayAnswer {
    /// WeChat's HTTP status.
    pub status: StatusCode,
    /// `Content-Type`, `Content-Disposition` and the headers of signed calls. No cookie among them.
    pub headers: HeaderMap,
    /// The body, unchanged except for secrets.
    pub body: Vec<u8>,
    /// WeChat's error, if the body contains one.
    pub refusal: Option<Refusal>,
    /// The authorization code that was removed from the body, if the call registers an account.
    pub code: Option<SecretString>,
}

/// Why there is no response to pass back.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The response did not arrive. [`WechatError::may_have_taken_effect`] says whether WeChat may have executed the
    /// call.
    #[error(transparent)]
    NoAnswer(#[from] WechatError),
    /// The response has more than [`RelayCall::largest_answer`](super::RelayCall::largest_answer) bytes. WeChat has
    /// executed the call.
    #[error("WeChat's response is too large")]
    TooLarge,
    /// The response may contain secrets that could not be removed. WeChat may have executed the call.
    #[error("WeChat's response is not JSON: what must not leave the platform could not be removed from it")]
    NotRedacted,
}

impl RelayAnswer {
    /// Reads a response to a call with `token`.
    pub(in super::super) fn read(
        status: StatusCode,
        sent_headers: &HeaderMap,
        body: Vec<u8>,
        treatment: Treatment,
        token: &SecretString,
    ) -> Result<Self, RelayError> {
        let body = redact::hide_token(body, token);
        let headers = passed_back(sent_headers);
        let refusal = error_in(&headers, &body, token);
        // Such an error may contain WeChat's newest token, which was not sent.
        let names_token = refusal.as_ref().is_some_and(|refusal| refusal.code.token_rejected());
        let body = if names_token { redact::hide_lookalikes(&body) } else { body };
        let mut answer = Self { refusal, status, headers, body, code: None };
        if treatment != Treatment::PassBack {
            answer.redact(treatment)?;
        }
        Ok(answer)
    }

    /// A response with a file, which contains neither an error nor a secret.
    pub(in super::super) fn of_file(status: StatusCode, sent_headers: &HeaderMap, body: Vec<u8>) -> Self {
        Self { status, headers: passed_back(sent_headers), body, refusal: None, code: None }
    }

    fn redact(&mut self, treatment: Treatment) -> Result<(), RelayError> {
        let mut document = json::parse(&self.body).map_err(|_| RelayError::NotRedacted)?;
        let members = Answer::of(&document).map_err(|_| RelayError::NotRedacted)?;
        if treatment == Treatment::KeepCode {
            self.code = members.secret("authorization_code").map_err(|_| RelayError::NotRedacted)?;
        }
        if treatment == Treatment::Diagnosis {
            document = redact::diagnosis(&document);
        } else {
            redact::redact(&mut document);
        }
        self.body = document.to_string().into_bytes();
        Ok(())
    }
}

/// The headers that a service may see.
fn passed_back(sent: &HeaderMap) -> HeaderMap {
    let is_passed_back =
        |name: &HeaderName| *name == CONTENT_TYPE || *name == CONTENT_DISPOSITION || is_of_signed_calls(name);
    sent.iter().filter(|(name, _)| is_passed_back(name)).fold(HeaderMap::new(), |mut headers, (name, value)| {
        headers.append(name, value.clone());
        headers
    })
}

/// The error in a body, if it is JSON with an error.
fn error_in(headers: &HeaderMap, body: &[u8], token: &SecretString) -> Option<Refusal> {
    if body.len() > LONGEST_ERROR || !may_be_json(headers, body) {
        return None;
    }
    let document = json::parse(body).ok()?;
    let members = Answer::of(&document).ok()?;
    let code = members.errcode().ok().filter(|code| *code != 0)?;
    let errmsg = members.text("errmsg").unwrap_or_default();
    Some(Refusal::new(Api::OnBehalf, code, &errmsg, &[token]))
}

fn may_be_json(headers: &HeaderMap, body: &[u8]) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let first = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start().first();
    content_type.to_ascii_lowercase().contains("json") || first == Some(&b'{')
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    const TOKEN: &str = "61_token-of-an-account";

    fn read(content_type: &str, body: &[u8], treatment: Treatment) -> Result<RelayAnswer, RelayError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        headers.insert("set-cookie", "a=b".parse().unwrap());
        headers.insert("wechatmp-signature", "s".parse().unwrap());
        RelayAnswer::read(StatusCode::OK, &headers, body.to_vec(), treatment, &SecretString::from(TOKEN))
    }

    fn code(content_type: &str, body: &[u8]) -> Option<i64> {
        read(content_type, body, Treatment::PassBack).unwrap().refusal.map(|refusal| refusal.code.code())
    }

    #[test]
    fn an_error_is_found_by_type_or_content() {
        let error = br#" {"errcode":40007,"errmsg":"invalid media_id rid: 62bc0b4a-0b2d5f9a-1c2d3e4f"}"#;
        for content_type in ["application/json; encoding=utf-8", "text/plain", "image/jpeg", ""] {
            assert_eq!(code(content_type, error), Some(40_007), "{content_type}");
        }
        for (content_type, body) in [
            ("application/json", br#"{"errcode":0,"errmsg":"ok"}"#.as_slice()),
            ("application/json", br#"{"openid":"o"}"#),
            ("application/json", b"[1]"),
            ("application/json", b""),
            ("text/html", b"<html>40001</html>"),
            ("image/jpeg", b"\xff\xd8\xff{"),
            ("image/jpeg", b"{\xff\xd8"),
        ] {
            assert_eq!(code(content_type, body), None);
        }
    }

    #[test]
    fn a_response_is_passed_back_byte_for_byte_without_a_cookie() {
        let body = b"\xef\xbb\xbf{\"nickname\":\"\xe5\xb0\x8f\xff\x07\"}";
        let answer = read("text/plain", body, Treatment::PassBack).unwrap();
        assert_eq!(answer.body, body);
        let names: Vec<&str> = answer.headers.keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names, ["content-type", "wechatmp-signature"]);
    }

    #[test]
    fn our_own_token_does_not_come_back() {
        let body = format!(r#"{{"errcode":40001,"errmsg":"invalid {TOKEN}"}}"#);
        let answer = read("application/json", body.as_bytes(), Treatment::PassBack).unwrap();
        assert_eq!(answer.body, br#"{"errcode":40001,"errmsg":"invalid ***"}"#);
        assert_eq!(answer.refusal.unwrap().errmsg, "invalid ***");
    }

    #[test]
    fn an_error_about_tokens_comes_back_without_the_other_token_that_it_may_name() {
        let newest = "61_oOgbWZQBwMuH0a9i7xjgTxcq0qv53UvTXONp8KKllw";
        let body =
            format!(r#"{{"errcode":40001,"errmsg":"not the latest: {newest} rid: 62bc0b4a-0b2d5f9a-1c2d3e4f"}}"#);
        let answer = read("application/json", body.as_bytes(), Treatment::PassBack).unwrap();
        let expected = r#"{"errcode":40001,"errmsg":"not the latest: *** rid: 62bc0b4a-0b2d5f9a-1c2d3e4f"}"#;
        assert_eq!(String::from_utf8(answer.body).unwrap(), expected);
    }

    #[test]
    fn nothing_that_was_sent_comes_back_from_a_refused_request() {
        let body = br#"{"errcode":0,"errmsg":"ok","request":{"invoke_time":1635156704,"cost_in_ms":30,
            "request_url":"https://api.weixin.qq.com/cgi-bin/component/api_authorizer_token?access_token=61_a&x=secret",
            "request_body":"{\"authorizer_refresh_token\":\"refreshtoken@@@a\"}",
            "response_body":"{\"errcode\":40013}","client_ip":"203.0.113.9","new":"secret"}}"#;
        let answer = read("application/json", body, Treatment::Diagnosis).unwrap();
        let shown: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let expected = serde_json::json!({ "errcode": 0, "errmsg": "ok", "request": {
            "invoke_time": 1_635_156_704, "cost_in_ms": 30, "client_ip": "203.0.113.9",
            "request_url": "https://api.weixin.qq.com/cgi-bin/component/api_authorizer_token",
            "response_body": "{\"errcode\":40013}",
        } });
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_cannot_be_redacted_is_not_passed_back() {
        let registered = br#"{"errcode":0,"appid":"wx2","authorization_code":"code","is_link_succ":true}"#;
        let answer = read("application/json", registered, Treatment::KeepCode).unwrap();
        assert_eq!(answer.body, br#"{"appid":"wx2","errcode":0,"is_link_succ":true}"#);
        assert_eq!(answer.code.unwrap().expose_secret(), "code");
        for body in [b"<html>".as_slice(), b"[]", b"", br#"{"list":[{"refresh_token":"r"}"#] {
            for treatment in [Treatment::Redact, Treatment::KeepCode] {
                assert!(matches!(read("text/html", body, treatment), Err(RelayError::NotRedacted)));
            }
        }
    }
}
