//! A bar chart as SVG: what was done and what has failed, hour by hour.

use askama::Template;

/// One bar.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bar {
    /// The label of the bar, such as `08:00`.
    pub(crate) label: String,
    pub(crate) done: u64,
    pub(crate) failed: u64,
}

/// The width of the picture in its own units: it is scaled to the available width.
const WIDTH: usize = 600;
const HEIGHT: usize = 120;
/// One label for this many bars.
const LABELLED: usize = 6;

#[derive(Template)]
#[template(path = "chart.svg", escape = "html")]
struct Svg<'a> {
    said: &'a str,
    bars: Vec<Drawn<'a>>,
    most: u64,
}

struct Drawn<'a> {
    bar: &'a Bar,
    x: usize,
    width: usize,
    done: usize,
    failed: usize,
    is_labelled: bool,
}

impl Drawn<'_> {
    fn top_of_done(&self) -> usize {
        HEIGHT - self.done - self.failed
    }

    fn top_of_failed(&self) -> usize {
        HEIGHT - self.failed
    }
}

/// The chart as SVG; `said` describes it for those who cannot see it.
pub(crate) fn bars(bars: &[Bar], said: &str) -> Option<String> {
    let most = bars.iter().map(|bar| bar.done + bar.failed).max().unwrap_or_default().max(1);
    let room = WIDTH / bars.len().max(1);
    // A value above zero is always visible.
    let height = |count: u64| match usize::try_from(count * (HEIGHT as u64 - 12) / most) {
        Ok(height) if count > 0 => height.max(2),
        _ => 0,
    };
    let drawn = bars.iter().enumerate().map(|(place, bar)| Drawn {
        bar,
        x: place * room,
        width: room.saturating_sub(3),
        done: height(bar.done),
        failed: height(bar.failed),
        is_labelled: place % LABELLED == 0,
    });
    Svg { said, bars: drawn.collect(), most }.render().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_their_share_and_never_invisible() {
        let bar = |done, failed| Bar { label: "08:00".to_owned(), done, failed };
        let svg = bars(&[bar(1_000_000, 0), bar(500_000, 0), bar(0, 1), bar(0, 0)], "a million").unwrap();
        assert!(svg.contains(r#"height="108""#) && svg.contains(r#"height="54""#), "{svg}");
        assert_eq!(svg.matches("class=\"failed\"").count(), 1, "{svg}");
        assert!(svg.contains(r#"class="failed" x="300" y="118" width="147" height="2""#), "{svg}");
        assert!(bars(&[], "nothing").is_some());
    }
}
