//! Headers that the `http` crate does not name. The gateway lets them through, and handlers read them: those of calls on
//! behalf, and what a browser says of a request.

use http::HeaderName;

/// Under which a call is sent only once.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How often a call is made again.
pub const RETRIES: HeaderName = HeaderName::from_static("retries");

/// The file that a call sends.
pub const BODY_FILE: HeaderName = HeaderName::from_static("x-body-file");

/// The part of a form that the file becomes.
pub const BODY_PART: HeaderName = HeaderName::from_static("x-body-part");

/// What happens to a response too large to return.
pub const LARGE_ANSWER: HeaderName = HeaderName::from_static("x-large-answer");

/// What happens to the address of a video.
pub const VIDEO_URL: HeaderName = HeaderName::from_static("x-video-url");

/// Where a browser's request comes from, seen from the site that it is sent to: `same-origin`, `cross-site` and others.
pub const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
