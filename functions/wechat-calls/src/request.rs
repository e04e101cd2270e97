//! What a service wants called, read from its request before anything else is done.

use axum::extract::rejection::BytesRejection;
use base::ids::AppId;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use store::{CallKey, RequestDigest, TokenOwner};
use web::api::unknown_account;
use web::identity::IamIdentity;
use web::{Problem, ProblemKind};
use wechat::api::relay::{CallPath, PathError, Target, without_tokens};

use crate::LARGEST_BODY;

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const RETRIES: &str = "retries";

/// The longest `Idempotency-Key`: three ids of 36 characters and what joins them.
const LONGEST_KEY: usize = 128;

/// How often a call is made again at most, if its service asks for it: what does not help within a second does not help now.
const MOST_RETRIES: u32 = 3;

/// What the platform's own calls are listed under, where those of an account have its appid.
pub(crate) const PLATFORM: &str = "platform";

/// A call that may be made.
pub(crate) struct CallRequest {
    pub(crate) caller: IamIdentity,
    pub(crate) owner: TokenOwner,
    pub(crate) method: Method,
    pub(crate) path: CallPath,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) retries: u32,
    pub(crate) key: Option<String>,
}

/// The account and the rest of a path of `/wechat/{appid}/{proxy+}`.
pub(crate) fn of_account(parts: &Parts) -> Result<(TokenOwner, String), Problem> {
    let (appid, path) = split(parts).ok_or_else(unknown_account)?;
    let appid = AppId::parse(appid).map_err(|_| unknown_account())?;
    Ok((TokenOwner::Authorizer(appid), path.to_owned()))
}

/// The rest of a path of `/wechat/platform/{proxy+}`.
pub(crate) fn of_platform(parts: &Parts) -> Result<(TokenOwner, String), Problem> {
    let (_, path) = split(parts).ok_or_else(unknown_account)?;
    Ok((TokenOwner::Component, path.to_owned()))
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
        owner: TokenOwner,
        path: &str,
        caller: IamIdentity,
        parts: &Parts,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Self, Problem> {
        let target = match owner {
            TokenOwner::Component => Target::Platform,
            TokenOwner::Authorizer(_) => Target::Account,
        };
        let path = CallPath::parse(path, target).map_err(|error| {
            let kind = match error {
                PathError::Malformed => ProblemKind::InvalidPath,
                PathError::Refused(_) => ProblemKind::PathRefused,
            };
            Problem::new(kind, error.to_string())
        })?;
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
        let (method, headers) = (parts.method.clone(), parts.headers.clone());
        let query = parts.uri.query().unwrap_or_default().to_owned();
        Ok(Self { caller, owner, method, path, query, headers, body, retries, key })
    }

    /// Whose token the call takes, as lists have it.
    pub(crate) fn account(&self) -> &str {
        match &self.owner {
            TokenOwner::Component => PLATFORM,
            TokenOwner::Authorizer(appid) => appid.as_str(),
        }
    }

    /// Under which key the call is known, and what it sends; `None` without an `Idempotency-Key`.
    pub(crate) fn identity(&self) -> Option<(CallKey, RequestDigest)> {
        let key = self.key.as_deref()?;
        let key = CallKey::of(self.caller.principal(), self.account(), self.path.as_str(), key);
        let content_type =
            self.headers.get(http::header::CONTENT_TYPE).map_or(b"".as_slice(), |value| value.as_bytes());
        let query = without_tokens(&self.query);
        Some((key, RequestDigest::of(&[query.as_bytes(), content_type, &self.body])))
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
    retries.ok_or_else(|| {
        Problem::new(ProblemKind::InvalidHeader, format!("Retries must be a number from 0 to {MOST_RETRIES}"))
    })
}
