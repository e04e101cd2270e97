//! The call that a service requests, parsed before anything else is done.

use axum::extract::rejection::BytesRejection;
use base::ids::{AppId, FileId};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, StatusCode};
use store::{CallKey, KeyText, RequestDigest, TicketKind, TokenOwner};
use url::form_urlencoded;
use web::api::unknown_account;
use web::caller::Caller;
use web::headers::{BODY_FILE, BODY_PART, IDEMPOTENCY_KEY, LARGE_ANSWER, RETRIES, VIDEO_URL};
use web::{Problem, ProblemKind};
use wechat::api::relay::{CallPath, PathError, SpecialCall, Target, without_tokens};

use crate::form::FilePart;
use crate::{LARGEST_ANSWER, LARGEST_BODY, LARGEST_FILE};

/// The type of a body whose fields become parts of a form.
pub(crate) const FIELDS: &str = "application/x-www-form-urlencoded";

/// The longest `Idempotency-Key`: three ids of 36 characters, joined.
pub(crate) const LONGEST_KEY: usize = 128;

/// The most retries that a service may ask for: what does not help within a second does not help at all for now.
pub(crate) const MOST_RETRIES: u32 = 3;

/// The word for the platform in lists and paths, in place of an account's appid.
pub(crate) const PLATFORM: &str = "platform";

/// The account of this token owner, or the word for the platform, as paths and lists have it.
pub(crate) fn target_word(owner: &TokenOwner) -> &str {
    owner.account().map_or(PLATFORM, AppId::as_str)
}

/// A call that may be made.
pub(crate) struct CallRequest {
    pub(crate) caller: Caller,
    pub(crate) owner: TokenOwner,
    pub(crate) method: Method,
    pub(crate) path: CallPath,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The file that is sent, instead of the body or with its fields.
    pub(crate) file: Option<BodyFile>,
    pub(crate) retries: u32,
    pub(crate) key: Option<String>,
    /// Whether a response too large to return is stored in the bucket, and ours redirects to it.
    pub(crate) redirects_large_answer: bool,
    /// Whether a video is returned instead of the response that names its address.
    pub(crate) follows_video: bool,
}

/// An uploaded file.
pub(crate) struct BodyFile {
    pub(crate) id: FileId,
    /// The part of a form that it becomes; otherwise it is the whole body.
    pub(crate) part: Option<FilePart>,
}

/// The identity of a call, by which repeats are recognized.
pub(crate) struct Idempotency {
    /// The caller, the target and the `Idempotency-Key`.
    pub(crate) key: CallKey,
    /// The digest of the content: a repeat has the same.
    pub(crate) request: RequestDigest,
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

/// The two parts of the path after `/wechat/`.
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
        caller: Caller,
        parts: &Parts,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Self, Problem> {
        let target = if owner.account().is_some() { Target::Account } else { Target::Platform };
        let path = CallPath::parse(path, target).map_err(|error| {
            let kind = match error {
                PathError::Malformed => ProblemKind::InvalidPath,
                PathError::Refused(_) => ProblemKind::PathRefused,
            };
            Problem::new(kind, error.to_string())
        })?;
        let body = body.map_err(|error| {
            if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Problem::new(ProblemKind::TooLarge, too_large_body())
            } else {
                Problem::new(ProblemKind::MalformedRequest, "the body did not arrive completely: send it again")
            }
        })?;
        // The platform's token works for every account, and WeChat might read another appid from a form.
        let is_plain = parts.method == Method::GET && body.is_empty();
        if path.special() == Some(SpecialCall::MiniProgramLogin) && target == Target::Account && !is_plain {
            let detail = "send sns/jscode2session as GET, with js_code and grant_type in the query and no body";
            return Err(Problem::new(ProblemKind::MalformedRequest, detail));
        }
        let key =
            header(&parts.headers, &IDEMPOTENCY_KEY)?.map(|key| idempotency_key(key, &parts.method)).transpose()?;
        let retries = header(&parts.headers, &RETRIES)?.map(retries).transpose()?.unwrap_or(0);
        if retries > 0 && parts.method == Method::POST && key.is_none() {
            let detail = "a POST may take effect each time it is sent: Retries needs an Idempotency-Key with it";
            return Err(Problem::new(ProblemKind::InvalidHeader, detail));
        }
        let file = BodyFile::read(parts, &body)?;
        let redirects_large_answer = is_asked_for(&parts.headers, &LARGE_ANSWER, "redirect")?;
        let follows_video = is_asked_for(&parts.headers, &VIDEO_URL, "follow")?;
        let (method, headers) = (parts.method.clone(), parts.headers.clone());
        let query = parts.uri.query().unwrap_or_default().to_owned();
        Ok(Self {
            caller,
            owner,
            method,
            path,
            query,
            headers,
            body,
            file,
            retries,
            key,
            redirects_large_answer,
            follows_video,
        })
    }

    /// The largest response that can be returned, in bytes.
    pub(crate) const fn largest_answer(&self) -> usize {
        if self.redirects_large_answer { LARGEST_FILE } else { LARGEST_ANSWER }
    }

    /// The target of the call, as lists have it.
    pub(crate) fn target(&self) -> &str {
        target_word(&self.owner)
    }

    /// The account that the call is for, unless it is for the platform itself.
    pub(crate) const fn account(&self) -> Option<&AppId> {
        self.owner.account()
    }

    /// The owner of the token that the call needs.
    pub(crate) const fn token_owner(&self) -> &TokenOwner {
        match self.path.special() {
            Some(SpecialCall::MiniProgramLogin) => &TokenOwner::Component,
            Some(SpecialCall::PageTicket) | None => &self.owner,
        }
    }

    /// The ticket that the call requests, if the platform stores it.
    pub(crate) fn page_ticket(&self) -> Option<(&AppId, TicketKind)> {
        let account = self.account().filter(|_| self.path.special() == Some(SpecialCall::PageTicket))?;
        // Whichever of several values WeChat would use, none of them gets a ticket past the store.
        let mut kinds = form_urlencoded::parse(self.query.as_bytes()).filter(|(name, _)| name == "type");
        Some((account, kinds.find_map(|(_, kind)| TicketKind::parse(&kind))?))
    }

    /// The identity of the call for repeats; `None` without an `Idempotency-Key`.
    pub(crate) fn idempotency(&self) -> Option<Idempotency> {
        let key = self.key.as_deref()?;
        let key = CallKey::of(self.caller.principal(), self.target(), self.path.as_str(), key);
        let content_type = self.headers.get(CONTENT_TYPE).map_or(b"".as_slice(), |value| value.as_bytes());
        let query = without_tokens(&self.query);
        let mut sent = vec![query.as_bytes(), content_type, &self.body];
        if let Some(BodyFile { id, part }) = &self.file {
            sent.push(id.as_str().as_bytes());
            sent.extend(part.iter().flat_map(|part| [part.name.as_bytes(), part.file_name.as_bytes()]));
        }
        Some(Idempotency { key, request: RequestDigest::of(&sent) })
    }
}

impl BodyFile {
    fn read(parts: &Parts, body: &[u8]) -> Result<Option<Self>, Problem> {
        let invalid = |detail: &str| Problem::new(ProblemKind::InvalidHeader, detail);
        let part = header(&parts.headers, &BODY_PART)?;
        let Some(id) = header(&parts.headers, &BODY_FILE)? else {
            return match part {
                Some(_) => Err(invalid("X-Body-Part needs X-Body-File: name the file there, or leave X-Body-Part out")),
                None => Ok(None),
            };
        };
        if parts.method != Method::POST {
            return Err(invalid("X-Body-File is only for POST: leave it out"));
        }
        let id = FileId::parse(id).map_err(|_| unknown_file())?;
        let Some(part) = part else {
            return match body {
                [] => Ok(Some(Self { id, part: None })),
                _ => Err(invalid(
                    "the file is the whole body: send an empty body, or name the file's form part in X-Body-Part",
                )),
            };
        };
        let part = FilePart::read(part).ok_or_else(|| {
            invalid("X-Body-Part must name the form part and the file, such as media; filename=photo.jpg")
        })?;
        if body.is_empty() {
            return Ok(Some(Self { id, part: Some(part) }));
        }
        let declared = header(&parts.headers, &CONTENT_TYPE)?.unwrap_or_default();
        let declared = declared.split(';').next().unwrap_or_default().trim();
        let part = part.with_fields(body).filter(|_| declared.eq_ignore_ascii_case(FIELDS)).ok_or_else(|| {
            let detail = "send the other form fields as application/x-www-form-urlencoded; names have 1 to 64 letters, digits, _, - or ., \
                          and differ from the file's part";
            Problem::new(ProblemKind::MalformedRequest, detail)
        })?;
        Ok(Some(Self { id, part: Some(part) }))
    }
}

pub(crate) fn unknown_file() -> Problem {
    let detail =
        "you have no such file: upload it to the URL from POST /files first; files are deleted after a day or two";
    Problem::new(ProblemKind::UnknownFile, detail)
}

/// Whether a switch header is set; it has one allowed value.
fn is_asked_for(headers: &HeaderMap, name: &HeaderName, word: &str) -> Result<bool, Problem> {
    match header(headers, name)? {
        None => Ok(false),
        Some(value) if value.eq_ignore_ascii_case(word) => Ok(true),
        Some(_) => Err(Problem::new(ProblemKind::InvalidHeader, format!("{name} must be {word}, or left out"))),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if let (Ok(value), None) = (value.to_str(), values.next()) {
        return Ok(Some(value));
    }
    let others = if name == BODY_PART { "; percent-encode all others in the name of the file" } else { "" };
    let detail = format!("send {name} once, in visible ASCII characters{others}");
    Err(Problem::new(ProblemKind::InvalidHeader, detail))
}

fn idempotency_key(key: &str, method: &Method) -> Result<String, Problem> {
    if method != Method::POST {
        let detail = "an Idempotency-Key is for POST: leave it out";
        return Err(Problem::new(ProblemKind::InvalidHeader, detail));
    }
    // Somebody has confused the two kinds of keys, and this one may be logged.
    if KeyText::parse(key).is_some() {
        let detail = "this is an API key: it belongs in authorization: Bearer wxp_…, and an Idempotency-Key says what the \
                      call is about, such as the number of an order";
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

fn too_large_body() -> String {
    format!(
        "send at most {LARGEST_BODY} bytes, or upload a file of up to {LARGEST_FILE} with POST /files and name it in X-Body-File"
    )
}
