//! The common parts of this crate's pages: the styles next to [`design::STYLE`], and a policy that admits only what it
//! names by its hash.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// The style of lists whose entries unfold: events, and the shop's steps.
pub(crate) const LIST_STYLE: &str = include_str!("../templates/list.css");

/// A style or a script of ours, as a source in a policy.
fn source(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

/// The policy of a page that has [`design::STYLE`], these styles and perhaps one script, and whose forms lead to
/// `forms`.
pub(crate) fn policy(styles: &[&str], script: Option<&str>, forms: &str) -> String {
    let styles: Vec<_> = [design::STYLE].iter().chain(styles).map(|style| source(style)).collect();
    format!(
        "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; form-action {forms}; frame-ancestors 'none'; \
         base-uri 'none'",
        styles.join(" "),
        script.map_or_else(|| "'none'".to_owned(), source)
    )
}
