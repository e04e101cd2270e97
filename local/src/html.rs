//! What the pages of this crate share: their style, and a policy that lets nothing in but what it names by its hash.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// Of every page.
pub(crate) const STYLE: &str = include_str!("../templates/events.css");

/// A style or a script of ours, as a policy names it.
pub(crate) fn source(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

/// The policy of a page that has [`STYLE`] and perhaps one script.
pub(crate) fn policy(script: Option<&str>) -> String {
    format!(
        "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; form-action 'none'; frame-ancestors 'none'; \
         base-uri 'none'",
        source(STYLE),
        script.map_or_else(|| "'none'".to_owned(), source)
    )
}
