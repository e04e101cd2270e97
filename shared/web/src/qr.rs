//! A QR code as an inline SVG.

use std::fmt::Write as _;

use qrcode::{Color, QrCode};

/// Light modules around the code, without which readers do not find it (ISO/IEC 18004).
const QUIET: usize = 4;

/// A QR code: the `viewBox` size and the path: one unit a module, one sub-path for each run of dark modules.
#[derive(Debug)]
pub struct Qr {
    /// Width and height.
    pub size: usize,
    /// The dark modules.
    pub path: String,
}

/// The code for a text; `None` where the text is too long for any.
#[must_use]
pub fn qr(text: &str) -> Option<Qr> {
    let code = QrCode::new(text).ok()?;
    let width = code.width();
    let mut path = String::new();
    for (y, row) in code.to_colors().chunks(width).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|one, next| one == next) {
            if run[0] == Color::Dark {
                // Writing to a string cannot fail.
                let _ = write!(path, "M{} {}h{}v1H{}z", x + QUIET, y + QUIET, run.len(), x + QUIET);
            }
            x += run.len();
        }
    }
    Some(Qr { size: width + 2 * QUIET, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_covers_the_dark_modules_and_no_others() {
        let text = "https://auth.example.com/authorize/0123456789abcdefABCDEF";
        let qr = qr(text).unwrap();
        let code = QrCode::new(text).unwrap();
        let mut drawn = vec![Color::Light; code.width() * code.width()];
        for run in qr.path.split('M').skip(1) {
            let (x, rest) = run.split_once(' ').unwrap();
            let (y, rest) = rest.split_once('h').unwrap();
            let (length, _) = rest.split_once('v').unwrap();
            let [x, y, length] = [x, y, length].map(|number| number.parse::<usize>().unwrap());
            let start = (y - QUIET) * code.width() + x - QUIET;
            drawn[start..start + length].fill(Color::Dark);
        }
        assert_eq!(drawn, code.to_colors());
        assert_eq!(qr.size, code.width() + 8);
    }

    #[test]
    fn what_no_code_can_hold_has_none() {
        assert!(qr(&"x".repeat(5_000)).is_none());
    }
}
