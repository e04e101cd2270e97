//! Headers that the `http` crate does not define. The gateway adapter passes them on, and handlers read them: headers
//! of calls on behalf of accounts, and one that browsers add.

use http::HeaderName;

/// The key under which a call is sent only once.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How often a call may be repeated.
pub const RETRIES: HeaderName = HeaderName::from_static("retries");

/// The file that a call sends.
pub const BODY_FILE: HeaderName = HeaderName::from_static("x-body-file");

/// The form part in which the file is sent.
pub const BODY_PART: HeaderName = HeaderName::from_static("x-body-part");

/// What to do with a response that is too large to return.
pub const LARGE_ANSWER: HeaderName = HeaderName::from_static("x-large-answer");

/// What to do with the address of a video.
pub const VIDEO_URL: HeaderName = HeaderName::from_static("x-video-url");

/// The relation of a browser's request to the site to which it is sent: `same-origin`, `cross-site` and others.
pub const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
