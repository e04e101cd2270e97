//! What the pages of this crate share: the styles next to [`design::STYLE`], and a policy that lets nothing in but what
//! it names by its hash.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// Of lists whose entries unfold: events, and what the shop has done.
pub(crate) const LIST_STYLE: &str = include_str!("../templates/list.css");

/// A style or a script of ours, as a policy names it.
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
