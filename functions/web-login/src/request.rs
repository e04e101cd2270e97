//! The login that a page requests when it sends a visitor here: the query of `GET /login/{appid}`.
//!
//! Unknown parameters are ignored: WeChat adds some of its own to links that people share.

use runtime::config::web_address;
use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};
use wechat::api::LoginScope;

use crate::callback::Outcome;

/// Parameters that are added to the URL to which a visitor returns: it must not have them already.
const RETURNED: [&str; 3] = ["login_code", "state", "error"];

/// The longest `return_url`, in bytes: together with everything else it fits into a cookie.
const LONGEST_RETURN_URL: usize = 1_024;

/// The shortest and the longest `state`, in characters. A shorter one could be guessed.
const STATE_LENGTH: std::ops::RangeInclusive<usize> = 16..=256;

/// Characters of a `challenge`: SHA-256 in Base64 without padding.
const CHALLENGE_LENGTH: usize = 43;

/// A login that a page requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LoginRequest {
    pub(crate) scope: LoginScope,
    /// Where the visitor is sent afterwards. Whether the account permits it is not known yet.
    pub(crate) return_url: Url,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) challenge: Option<String>,
}

/// What is wrong with the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestError {
    Twice,
    Scope,
    ReturnUrl,
    Unbound,
    State,
    Challenge,
}

impl LoginRequest {
    pub(crate) fn read(query: &str) -> Result<Self, RequestError> {
        let parameter = |name| once(query, name);
        let scope = parameter("scope")?.and_then(|scope| LoginScope::parse(&scope)).ok_or(RequestError::Scope)?;
        let return_url = parameter("return_url")?.and_then(|url| return_url(&url)).ok_or(RequestError::ReturnUrl)?;
        let (state, challenge) = (parameter("state")?, parameter("challenge")?);
        if state.is_none() && challenge.is_none() {
            return Err(RequestError::Unbound);
        }
        if !state.as_deref().is_none_or(is_state) {
            return Err(RequestError::State);
        }
        if !challenge.as_deref().is_none_or(is_challenge) {
            return Err(RequestError::Challenge);
        }
        Ok(Self { scope, return_url, state, challenge })
    }

    /// The URL to which the visitor returns: it says how the login ended, and has the page's own `state`.
    pub(crate) fn returning(&self, outcome: &Outcome) -> Url {
        let mut url = self.return_url.clone();
        let (name, value) = outcome.parameter();
        url.query_pairs_mut().append_pair(name, value);
        if let Some(state) = &self.state {
            url.query_pairs_mut().append_pair("state", state);
        }
        url
    }

    /// Adds the query that says the same.
    pub(crate) fn append_to(&self, url: &mut Url) {
        let mut query = url.query_pairs_mut();
        query.append_pair("scope", self.scope.as_str()).append_pair("return_url", self.return_url.as_str());
        for (name, value) in [("state", &self.state), ("challenge", &self.challenge)] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
    }
}

/// The one parameter of a name; an empty one counts as missing.
pub(crate) fn once(query: &str, name: &str) -> Result<Option<String>, RequestError> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(known, _)| known == name);
    let value = values.next().map(|(_, value)| value.into_owned());
    if values.next().is_some() {
        return Err(RequestError::Twice);
    }
    Ok(value.filter(|value| !value.is_empty()))
}

fn return_url(text: &str) -> Option<Url> {
    let url = web_address(text).ok().filter(|url| url.as_str().len() <= LONGEST_RETURN_URL)?;
    let says_ours = url.query_pairs().any(|(name, _)| RETURNED.contains(&name.as_ref()));
    (!says_ours).then_some(url)
}

fn is_state(state: &str) -> bool {
    STATE_LENGTH.contains(&state.len()) && state.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_challenge(challenge: &str) -> bool {
    let is_url_safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    challenge.len() == CHALLENGE_LENGTH && challenge.bytes().all(is_url_safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "state=0123456789abcdef";

    fn read(query: &str) -> Result<LoginRequest, RequestError> {
        LoginRequest::read(query)
    }

    fn returning_to(url: &str) -> Result<LoginRequest, RequestError> {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("scope", "snsapi_base"), ("return_url", url), ("state", "0123456789abcdef")])
            .finish();
        read(&query)
    }

    #[test]
    fn a_request_is_read_and_written_again() {
        let query = "scope=snsapi_userinfo&return_url=https%3A%2F%2Fshop.example.com%2Fin%3Fa%3D1%23part&state=0123456789abcdef&challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&from=singlemessage";
        let request = read(query).unwrap();
        assert_eq!(
            (request.scope, request.return_url.as_str()),
            (LoginScope::UserInfo, "https://shop.example.com/in?a=1#part")
        );
        let mut url = Url::parse("https://auth.example.com/login/wx1").unwrap();
        request.append_to(&mut url);
        assert_eq!(read(url.query().unwrap()).unwrap(), request);
        assert_eq!(url.query().unwrap(), query.strip_suffix("&from=singlemessage").unwrap());
    }

    #[test]
    fn a_login_that_anybody_could_have_begun_is_refused() {
        let page = "scope=snsapi_base&return_url=https://shop.example.com/";
        assert_eq!(read(page), Err(RequestError::Unbound));
        assert_eq!(read(&format!("{page}&state=")), Err(RequestError::Unbound));
        assert_eq!(read(&format!("{page}&state=short")), Err(RequestError::State));
        assert_eq!(read(&format!("{page}&state={}", "x".repeat(257))), Err(RequestError::State));
        assert_eq!(read(&format!("{page}&state=0123456789abcde%0A")), Err(RequestError::State));
        assert_eq!(read(&format!("{page}&challenge=plain")), Err(RequestError::Challenge));
        assert!(read(&format!("{page}&{STATE}")).is_ok());
    }

    #[test]
    fn what_is_missing_or_said_twice_is_refused() {
        for (query, mistake) in [
            (format!("return_url=https://a.example.com/&{STATE}"), RequestError::Scope),
            (format!("scope=snsapi_login&return_url=https://a.example.com/&{STATE}"), RequestError::Scope),
            (format!("scope=snsapi_base&{STATE}"), RequestError::ReturnUrl),
            (format!("scope=snsapi_base&return_url=https://a.example.com/&{STATE}&{STATE}"), RequestError::Twice),
            (
                format!("scope=snsapi_base&return_url=https://a.example.com/&return%5Furl=x&{STATE}"),
                RequestError::Twice,
            ),
        ] {
            assert_eq!(read(&query), Err(mistake), "{query}");
        }
    }

    #[test]
    fn pages_that_no_visitor_could_return_to_are_refused() {
        for url in [
            "javascript:alert(1)",
            "//evil.example.com/",
            "http://shop.example.com/",
            "https://shop.example.com@evil.example.com/",
            "https:\\\\evil.example.com",
            "https://shop.example.com/?login_code=x",
            "https://shop.example.com/?%73tate=x",
            "https://shop.example.com/?a=1&error=x",
        ] {
            assert_eq!(returning_to(url), Err(RequestError::ReturnUrl), "{url}");
        }
        assert!(returning_to("https://商城.example.com/回?来=是").is_ok());
        assert!(returning_to(&format!("https://a.example.com/{}", "x".repeat(1_003))).is_err());
    }
}
