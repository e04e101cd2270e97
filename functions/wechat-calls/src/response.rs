//! The response to a service's call: WeChat's response, a redirect to it, or a problem.

use std::mem;

use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use url::Url;
use web::api::{ApiError, upstream_error};
use web::gateway::InBase64;
use web::{InternalError, Problem, ProblemKind, Reference};
use wechat::api::Refusal;
use wechat::api::relay::{RelayAnswer, RelayError};

use crate::attempt::Effect;
use crate::bucket::{BucketError, File};
use crate::files::put_response;
use crate::request::CallRequest;
use crate::{LARGEST_ANSWER, LARGEST_FILE, OpenPlatform};

/// WeChat's error code, if the body has one other than 0.
pub(crate) const ERRCODE: HeaderName = HeaderName::from_static("x-wechat-errcode");
const RID: HeaderName = HeaderName::from_static("x-wechat-rid");
const RENEWED: HeaderName = HeaderName::from_static("x-token-renewed");

/// A response of WeChat's to be passed back.
pub(crate) struct PassedBack {
    pub(crate) head: ResponseHead,
    pub(crate) body: Vec<u8>,
    /// The URL of the body, if it is in the bucket.
    pub(crate) redirect: Option<Url>,
}

/// Everything in a response but its body.
#[derive(Serialize, Deserialize)]
pub(crate) struct ResponseHead {
    status: u16,
    headers: Vec<(String, String)>,
}

impl PassedBack {
    /// Passes back WeChat's response; `renewed` says whether that took another token.
    pub(crate) fn of(answer: RelayAnswer, renewed: bool) -> Self {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let mut headers: Vec<(String, String)> =
            answer.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let mut add = |name: HeaderName, value: String| headers.push((name.as_str().to_owned(), value));
        if let Some(refusal) = answer.refusal {
            add(ERRCODE, refusal.code.code().to_string());
            if let Some(rid) = refusal.rid {
                add(RID, rid);
            }
        }
        if renewed {
            add(RENEWED, "true".to_owned());
        }
        Self { head: ResponseHead { status: answer.status.as_u16(), headers }, body: answer.body, redirect: None }
    }

    pub(crate) fn response(self) -> Response {
        let Self { head, body, redirect } = self;
        let mut response = ([(CACHE_CONTROL, "no-store")], body).into_response();
        // The body is declared with WeChat's own type, or without one.
        response.headers_mut().remove(CONTENT_TYPE);
        *response.status_mut() = StatusCode::from_u16(head.status).unwrap_or(StatusCode::BAD_GATEWAY);
        for (name, value) in head.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers_mut().append(name, value);
            }
        }
        if let Some(url) = redirect.and_then(|url| HeaderValue::try_from(url.as_str()).ok()) {
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(LOCATION, url);
        }
        response.extensions_mut().insert(InBase64);
        upstream_error(response)
    }
}

/// Stores a response too large to return in the bucket, and turns it into a redirect there.
pub(crate) async fn redirect_to_bucket(
    open: &OpenPlatform,
    request: &CallRequest,
    mut answer: RelayAnswer,
    renewed: bool,
) -> Result<PassedBack, ApiError> {
    let file = File {
        content_type: answer.headers.remove(CONTENT_TYPE),
        disposition: answer.headers.remove(CONTENT_DISPOSITION),
        bytes: mem::take(&mut answer.body).into(),
    };
    match put_response(open, &request.caller, file).await {
        Ok(url) => Ok(PassedBack { redirect: Some(url), ..PassedBack::of(answer, renewed) }),
        Err(error) => {
            let detail = "the call was made, but its response could not be stored: do not repeat it";
            let reference = report(open, error, "storing a large response");
            let problem = Problem::new(ProblemKind::Unavailable, detail).with("effect", Effect::Done.word());
            Err(problem.with_reference(reference).into())
        }
    }
}

/// The problem for a call whose file cannot be read.
pub(crate) fn not_read(open: &OpenPlatform, error: BucketError) -> Problem {
    let detail = "the file could not be read, and nothing was sent: try again in a minute; if this persists, give the reference to \
                  whoever operates this service";
    let reference = report(open, error, "reading a file for a call");
    Problem::new(ProblemKind::Unavailable, detail).with("effect", Effect::None.word()).with_reference(reference)
}

fn report(open: &OpenPlatform, error: BucketError, what: &str) -> Reference {
    let context = open.component.context();
    InternalError::from(error).report(what, &context.random, &context.metrics)
}

/// The problem for an account that WeChat says has not authorized the platform.
pub(crate) fn not_authorized(refusal: &Refusal) -> Problem {
    let detail = "WeChat says that the account has not authorized the platform. This is being checked: if GET \
                  /accounts/{appid} shows another state than active, the merchant has to authorize again";
    Problem::new(ProblemKind::AuthorizationEnded, detail)
        .with("errcode", refusal.code.code())
        .with_some("rid", refusal.rid.as_deref())
}

/// The problem for an address that is not on WeChat's list.
pub(crate) fn address_refused(refusal: &Refusal) -> Problem {
    let detail =
        "an operator has to add the address to 白名单IP地址列表 in WeChat's console; it takes effect within minutes";
    Problem::new(ProblemKind::AddressRefused, detail)
        .with("errcode", refusal.code.code())
        .with_some("address", refusal.refused_ip.map(|address| address.to_string()))
        .with_some("rid", refusal.rid.as_deref())
}

/// The problem for a call without a response to pass back.
pub(crate) fn without_answer(error: &RelayError, request: &CallRequest, effect: Effect) -> ApiError {
    let (kind, detail) = match (error, effect) {
        (RelayError::TooLarge, _) => (
            ProblemKind::AnswerTooLarge,
            if request.redirects_large_answer {
                format!("WeChat's response is larger than {LARGEST_FILE} bytes; the call was made. Ask for less per call")
            } else {
                let key = if request.key.is_some() { " and another Idempotency-Key" } else { "" };
                format!(
                    "WeChat's response is larger than {LARGEST_ANSWER} bytes; the call was made. With X-Large-Answer: redirect\
                     {key}, up to {LARGEST_FILE} bytes are returned through a redirect"
                )
            },
        ),
        (RelayError::NotRedacted, _) => (
            ProblemKind::AnswerUnusable,
            "secrets could not be removed from WeChat's response: check whether the call took effect before you repeat it"
                .to_owned(),
        ),
        (RelayError::NoAnswer(_), Effect::None) => (
            ProblemKind::WechatUnreachable,
            "WeChat could not be reached, and nothing was sent: try again in a minute".to_owned(),
        ),
        (RelayError::NoAnswer(_), _) => (
            ProblemKind::WechatSlow,
            "the call was sent, and whether it took effect is not known: check that before you repeat it".to_owned(),
        ),
    };
    let problem = Problem::new(kind, detail).with("effect", effect.word());
    if kind == ProblemKind::AnswerTooLarge { problem.into() } else { ApiError::Upstream(Box::new(problem)) }
}
