//! What the pages of this crate share: their style, and a policy that lets nothing in but what it names by its hash.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// Of every page.
pub(crate) const STYLE: &str = include_str!("../templates/events.css");

/// The policy of a page that has [`STYLE`] and perhaps one script.
pub(crate) fn policy(script: Option<&str>) -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())));
    format!(
        "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; form-action 'none'; frame-ancestors 'none'; \
         base-uri 'none'",
        hash(STYLE),
        script.map_or_else(|| "'none'".to_owned(), hash)
    )
}
