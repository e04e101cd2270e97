//! The headers of calls on behalf. The gateway lets them through, and the calls' handlers read them.

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
