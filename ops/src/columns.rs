//! Lists in columns, for a terminal.

use std::fmt::Write as _;

/// Formats rows below their heads. The last column is separate, since only the terminal knows the width of its text.
pub(crate) fn columns<const N: usize>(heads: ([&str; N], &str), rows: &[([String; N], String)]) -> String {
    let heads = (heads.0.map(str::to_owned), heads.1.to_owned());
    let lines: Vec<&([String; N], String)> = [&heads].into_iter().chain(rows).collect();
    let widest = |column: usize| lines.iter().filter_map(|(cells, _)| Some(cells.get(column)?.len())).max();
    let widths: Vec<usize> = (0..N).map(|column| widest(column).unwrap_or_default()).collect();
    let mut text = String::new();
    for (cells, last) in &lines {
        for (cell, width) in cells.iter().zip(&widths) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{cell:<width$}  ");
        }
        let _ = writeln!(text, "{last}");
    }
    text
}
