//! A QR code as an inline SVG.

use std::fmt::Write as _;

use askama::Template;
use qrcode::{Color, EcLevel, QrCode};

/// The light modules around the code, without which scanners do not find it (ISO/IEC 18004).
const QUIET: usize = 4;

/// One unit of the picture is a module; each sub-path of `path` is a run of dark modules.
#[derive(Template)]
#[template(path = "qr.svg", escape = "html")]
struct Svg<'a> {
    size: usize,
    path: String,
    label: &'a str,
}

/// The QR code of a text, with a label for people who cannot see it; `None` if the text is too long for any code. A
/// code on a screen is not damaged, so the lowest error correction suffices, which makes the modules as large as
/// possible.
#[must_use]
pub fn qr(text: &str, label: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    Svg { size: code.width() + 2 * QUIET, path: path(&code), label }.render().ok()
}

fn path(code: &QrCode) -> String {
    let mut path = String::new();
    for (y, row) in code.to_colors().chunks(code.width()).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|one, next| one == next) {
            if run[0] == Color::Dark {
                // Writing to a string cannot fail.
                let _ = write!(path, "M{} {}h{}v1H{}z", x + QUIET, y + QUIET, run.len(), x + QUIET);
            }
            x += run.len();
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_covers_the_dark_modules_and_no_others() {
        let text = "https://auth.example.com/authorize/0123456789abcdefABCDEF";
        let code = QrCode::with_error_correction_level(text, EcLevel::L).unwrap();
        let mut drawn = vec![Color::Light; code.width() * code.width()];
        for run in path(&code).split('M').skip(1) {
            let (x, rest) = run.split_once(' ').unwrap();
            let (y, rest) = rest.split_once('h').unwrap();
            let (length, _) = rest.split_once('v').unwrap();
            let [x, y, length] = [x, y, length].map(|number| number.parse::<usize>().unwrap());
            let start = (y - QUIET) * code.width() + x - QUIET;
            drawn[start..start + length].fill(Color::Dark);
        }
        assert_eq!(drawn, code.to_colors());
        let svg = qr(text, "<label>").unwrap();
        let size = code.width() + 8;
        assert!(svg.contains(&format!("viewBox=\"0 0 {size} {size}\"")), "{svg}");
        assert!(svg.contains(&path(&code)) && svg.contains("&#60;label&#62;"), "{svg}");
    }

    #[test]
    fn a_text_too_long_for_any_code_has_none() {
        assert!(qr(&"x".repeat(5_000), "").is_none());
    }
}
