//! The style sheet, the script and the icon: files of our own whose names change with their content.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use sha2::{Digest as _, Sha256};

/// The rules of the console alone, after those for all pages.
const OWN_STYLE: &str = include_str!("../templates/console.css");
const ICON: &str = include_str!("../templates/icon.svg");
const SCRIPT: &str = include_str!("../templates/console.js");

/// Characters of a digest that are part of a name: enough that two versions never share a name.
const SHOWN: usize = 12;

static STYLE: LazyLock<String> = LazyLock::new(|| [design::STYLE, OWN_STYLE].concat());
static STYLE_NAME: LazyLock<String> = LazyLock::new(|| name(&STYLE, "css"));
static ICON_NAME: LazyLock<String> = LazyLock::new(|| name(ICON, "svg"));
static SCRIPT_NAME: LazyLock<String> = LazyLock::new(|| name(SCRIPT, "js"));

fn name(content: &str, extension: &str) -> String {
    let digest = Sha256::digest(content.as_bytes());
    format!("console-{}.{extension}", URL_SAFE_NO_PAD.encode(&digest[..SHOWN]))
}

/// The path of the style sheet.
pub(crate) fn style() -> String {
    format!("/console/assets/{}", *STYLE_NAME)
}

/// The path of the script.
pub(crate) fn script() -> String {
    format!("/console/assets/{}", *SCRIPT_NAME)
}

/// The path of the icon.
pub(crate) fn icon() -> String {
    format!("/console/assets/{}", *ICON_NAME)
}

/// `GET /console/assets/{file}`, without a session.
pub(crate) async fn serve(Path(file): Path<String>) -> Response {
    let (content, kind) = if file == *STYLE_NAME {
        (STYLE.as_str(), "text/css; charset=utf-8")
    } else if file == *SCRIPT_NAME {
        (SCRIPT, "text/javascript; charset=utf-8")
    } else if file == *ICON_NAME {
        (ICON, "image/svg+xml")
    } else {
        // A page of another version requests it: no cache may store that it is missing here.
        return (StatusCode::NOT_FOUND, [(CACHE_CONTROL, "no-store")]).into_response();
    };
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_served_under_the_name_of_its_content_and_under_no_other() {
        for path in [style(), script(), icon()] {
            let file = path.strip_prefix("/console/assets/").unwrap().to_owned();
            let response = serve(Path(file)).await;
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            assert!(response.headers()[CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        }
        assert_eq!(serve(Path("console-0.css".to_owned())).await.status(), StatusCode::NOT_FOUND);
    }
}
