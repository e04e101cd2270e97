//! What a service wants called, read from its request before anything else is done.

use axum::extract::rejection::BytesRejection;
use base::ids::AppId;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use percent_encoding::percent_decode_str;
use store::{CallKey, RequestDigest, TokenOwner};
use web::api::unknown_account;
use web::identity::IamIdentity;
use web::{Problem, ProblemKind};
use wechat::api::relay::{CallPath, RefusedPath, Rule, is_passed_on, without_tokens};

use crate::LARGEST_BODY;

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const RETRIES: &str = "retries";

/// The longest `Idempotency-Key`.
const LONGEST_KEY: usize = 128;

/// How often a call is made again at most, if its service asks for it.
const MOST_RETRIES: u32 = 3;

/// Whose token a call takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    Account(AppId),
    Platform,
}

impl Owner {
    /// The appid, or `platform`: what it is called in lists.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Account(appid) => appid.as_str(),
            Self::Platform => "platform",
        }
    }

    pub(crate) fn token(&self) -> TokenOwner {
        match self {
            Self::Account(appid) => TokenOwner::Authorizer(appid.clone()),
            Self::Platform => TokenOwner::Component,
        }
    }
}

/// A call that may be made.
pub(crate) struct CallRequest {
    pub(crate) caller: IamIdentity,
    pub(crate) owner: Owner,
    pub(crate) method: Method,
    pub(crate) path: CallPath,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) retries: u32,
    pub(crate) key: Option<String>,
}

/// The account and the rest of a path of `/wechat/{appid}/{path+}`.
pub(crate) fn of_account(parts: &Parts) -> Result<(Owner, String), Problem> {
    let (appid, path) = split(parts).ok_or_else(unknown_account)?;
    let appid = percent_decode_str(appid).decode_utf8().ok().and_then(|appid| AppId::parse(&appid).ok());
    Ok((Owner::Account(appid.ok_or_else(unknown_account)?), path.to_owned()))
}

/// The rest of a path of `/wechat/platform/{path+}`.
pub(crate) fn of_platform(parts: &Parts) -> Result<(Owner, String), Problem> {
    let (_, path) = split(parts).ok_or_else(unknown_account)?;
    Ok((Owner::Platform, path.to_owned()))
}

/// The two parts of the path behind `/wechat/`.
fn split(parts: &Parts) -> Option<(&str, &str)> {
    parts.uri.path().strip_prefix("/wechat/")?.split_once('/')
}

impl CallRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// A [`Problem`] that says what to change.
    pub(crate) fn read(
        owner: Owner,
        path: &str,
        caller: IamIdentity,
        parts: &Parts,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Self, Problem> {
        let path = CallPath::parse(path).map_err(|error| Problem::new(ProblemKind::InvalidPath, error.to_string()))?;
        if let Rule::Refuse(reason) = path.rule(owner == Owner::Platform) {
            return Err(Problem::new(ProblemKind::PathRefused, why_refused(reason)));
        }
        let body = body.map_err(|error| {
            if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Problem::new(ProblemKind::TooLarge, format!("send at most {LARGEST_BODY} bytes"))
            } else {
                Problem::new(ProblemKind::MalformedRequest, "the body did not arrive whole: send it again")
            }
        })?;
        let key =
            header(&parts.headers, IDEMPOTENCY_KEY)?.map(|key| idempotency_key(key, &parts.method)).transpose()?;
        let retries = header(&parts.headers, RETRIES)?.map(retries).transpose()?.unwrap_or(0);
        if retries > 0 && parts.method == Method::POST && key.is_none() {
            let detail = "a POST may take effect each time it is sent: Retries needs an Idempotency-Key with it";
            return Err(Problem::new(ProblemKind::InvalidHeader, detail));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in parts.headers.iter().filter(|(name, _)| is_passed_on(name)) {
            headers.append(name, value.clone());
        }
        let query = without_tokens(parts.uri.query().unwrap_or_default());
        Ok(Self { caller, owner, method: parts.method.clone(), path, query, headers, body, retries, key })
    }

    /// Under which key the call is known, and what it sends; `None` without an `Idempotency-Key`.
    pub(crate) fn identity(&self) -> Option<(CallKey, RequestDigest)> {
        let key = self.key.as_deref()?;
        let key = CallKey::of(self.caller.as_str(), self.owner.name(), self.path.as_str(), key);
        let content_type =
            self.headers.get(http::header::CONTENT_TYPE).map_or(b"".as_slice(), |value| value.as_bytes());
        Some((key, RequestDigest::of(&[self.query.as_bytes(), content_type, &self.body])))
    }
}

fn why_refused(reason: RefusedPath) -> &'static str {
    match reason {
        RefusedPath::Issues => {
            "the platform keeps tokens and codes itself, and a second one would void its own: GET /tokens/{appid} gives an \
             account's token, POST /authorization-links makes a link"
        }
        RefusedPath::TakesSecret => {
            "the call takes a secret, which is not sent for others: call clear_quota with the account's token instead"
        }
        RefusedPath::OfVisitors => {
            "calls of web logins are not passed on; of those below sns/ only sns/component/jscode2session is, as \
             /wechat/platform/sns/component/jscode2session"
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(value), None) => Ok(Some(value)),
        _ => Err(Problem::new(ProblemKind::InvalidHeader, format!("send {name} once, in visible ASCII characters"))),
    }
}

fn idempotency_key(key: &str, method: &Method) -> Result<String, Problem> {
    if method != Method::POST {
        let detail = "an Idempotency-Key is for POST: leave it out";
        return Err(Problem::new(ProblemKind::InvalidHeader, detail));
    }
    let is_key = (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if is_key {
        return Ok(key.to_owned());
    }
    let detail = format!("an Idempotency-Key has 1 to {LONGEST_KEY} visible ASCII characters");
    Err(Problem::new(ProblemKind::InvalidHeader, detail))
}

fn retries(text: &str) -> Result<u32, Problem> {
    let retries = text.parse().ok().filter(|retries| (0..=MOST_RETRIES).contains(retries));
    retries.ok_or_else(|| Problem::new(ProblemKind::InvalidHeader, format!("Retries is 0 to {MOST_RETRIES}")))
}
