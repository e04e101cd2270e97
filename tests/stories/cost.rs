//! docs/cost.md says what a run of the platform uses, and its arithmetic is right.

use stories::cost::{COMMAND, PAGE, count, made};

#[tokio::test]
async fn every_figure_that_the_page_makes_of_counts_and_prices_is_right() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let right = made(&page, &count::count().await);
    let differing: Vec<String> = page
        .lines()
        .zip(right.lines())
        .filter(|(is, should_be)| is != should_be)
        .map(|(is, should_be)| format!("  is        {is}\n  should be {should_be}"))
        .collect();
    assert!(page == right, "docs/cost.md differs; run: {COMMAND}\n{}", differing.join("\n"));
}
