//! docs/business-api.md lists every problem that a business may get, and every route.

use std::collections::BTreeSet;

use stories::world::BUSINESS_ROUTES;
use web::ProblemKind;

const PAGE: &str = include_str!("../../docs/business-api.md");

/// The cells of the rows of the section's first table.
fn table(section: &str) -> Vec<Vec<&'static str>> {
    let (_, rest) = PAGE.split_once(&format!("\n## {section}\n")).expect("the section is there");
    let rows = rest.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

#[test]
fn the_page_for_businesses_lists_every_problem_with_its_status_and_no_other() {
    let listed: BTreeSet<(String, String)> =
        table("Problems").iter().map(|row| (row[0].replace('`', ""), row[1].to_owned())).collect();
    let known = ProblemKind::ALL.iter().map(|kind| (kind.name().to_owned(), kind.status().as_str().to_owned()));
    assert_eq!(listed, known.collect());
}

#[test]
fn the_page_for_businesses_lists_every_route_and_no_other() {
    let listed: BTreeSet<String> = table("Routes").iter().map(|row| row[0].replace('`', "")).collect();
    let known = BUSINESS_ROUTES.iter().map(|route| format!("{} {}", route.method, route.path));
    assert_eq!(listed, known.collect());
}
