//! docs/cost.md has the right counts of a run of the platform, and its arithmetic is right.

use stories::cost::{COMMAND, EGRESS_PAGE, PAGE, count, egress, made};

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn assert_made(path: &str, right: &str) {
    let page = read(path);
    let differing: Vec<String> = page
        .lines()
        .zip(right.lines())
        .filter(|(is, should_be)| is != should_be)
        .map(|(is, should_be)| format!("  is        {is}\n  should be {should_be}"))
        .collect();
    assert!(page == right, "{path} differs; run: {COMMAND}\n{}", differing.join("\n"));
}

#[tokio::test]
async fn every_figure_that_the_page_makes_of_counts_and_prices_is_right() {
    let counted = count::count().await;
    // Above that, each of a renewal's two writes would cost twice as much.
    assert!(counted.item("account") <= 1_024.0, "an account's row has {} bytes", counted.item("account"));
    assert_made(PAGE, &made(&read(PAGE), &counted));
}

#[test]
fn the_ways_to_a_fixed_address_cost_what_the_page_of_costs_says() {
    assert_made(EGRESS_PAGE, &egress(&read(EGRESS_PAGE), &read(PAGE)));
}
