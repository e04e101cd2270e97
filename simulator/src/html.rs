//! HTML responses. The policy names our styles and our one script by their hashes, so nothing that a platform or a
//! follower sends can become either.
//!
//! The targets of forms are not restricted: browsers apply `form-action` to every redirect that follows, and the
//! platform sends a merchant who confirms wherever its business wants.

use std::sync::LazyLock;

use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use design::{Navigation, Page};
use http::StatusCode;
use http::header::CONTENT_SECURITY_POLICY;
use sha2::{Digest as _, Sha256};

use crate::simulator::Simulator;

/// The style of the pages that imitate WeChat's, after [`design::STYLE`].
pub(crate) const WECHAT_STYLE: &str = include_str!("../templates/wechat.css");
/// The style of the pages in the frame, after it.
pub(crate) const PAGES_STYLE: &str = include_str!("../templates/pages.css");
/// The style of a conversation, after it.
pub(crate) const CHAT_STYLE: &str = include_str!("../templates/chat.css");
/// The script of a conversation.
pub(crate) const CHAT_SCRIPT: &str = include_str!("../templates/chat.js");

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())));
    format!(
        "default-src 'none'; style-src {} {} {} {}; script-src {}; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'",
        hash(design::STYLE),
        hash(WECHAT_STYLE),
        hash(PAGES_STYLE),
        hash(CHAT_STYLE),
        hash(CHAT_SCRIPT)
    )
});

impl Simulator {
    /// The navigation of a page that has no counterpart at WeChat.
    pub(crate) fn navigation(&self, here: Option<Page>) -> Navigation<'_> {
        Navigation { neighbours: &self.0.neighbours, here }
    }
}

/// A template as a response.
pub(crate) fn page(template: &impl Template) -> Response {
    page_under(&POLICY, template)
}

/// The same for a page with a frame, which may show any page.
pub(crate) fn page_with_frame(template: &impl Template) -> Response {
    page_under(&format!("{}; frame-src http: https:", *POLICY), template)
}

fn page_under(policy: &str, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => ([(CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
