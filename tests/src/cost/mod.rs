//! docs/cost.md: the cost of the platform, from counts of a run.
//!
//! The page has tables that are written by hand (unit prices, assumptions, the server for comparison) and tables that
//! are generated from them, from a run over the harness ([`count`]) and from template.yaml. [`made`] is the page with
//! the latter regenerated: `cargo run -p stories --example cost` writes it, a story compares it.

mod bill;
pub mod count;
mod markdown;
mod month;
mod tables;
mod template;

use count::Counted;
use markdown::{Figures, Page};
use tables::Tables;
use template::Stack;

/// The page.
pub const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cost.md");

/// The page about ways to a fixed address, which has prices from the first one.
pub const EGRESS_PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/egress.md");

/// The command that regenerates both.
pub const COMMAND: &str = "cargo run -p stories --example cost";

/// The sizes of platform that are calculated, in accounts.
const SIZES: [u32; 3] = [100, 10_000, 1_000_000];

/// The tables of the page that are written by hand.
struct Known {
    prices: Figures,
    assumed: Figures,
}

/// The page as it should be, from the page as it is.
#[must_use]
pub fn made(page: &str, counted: &Counted) -> String {
    let mut page = Page::new("docs/cost.md", page);
    let known = Known { prices: page.figures("prices"), assumed: page.figures("assumptions") };
    let stack = Stack::read();
    let servers = bill::servers(&page.rows("server"), &known.prices);
    let tables = Tables { counted, stack: &stack, known: &known };
    page.fill("counts", &counted.rows());
    page.fill("items", &counted.item_rows());
    page.fill("answer", &tables.answer(servers));
    page.fill("choices", &tables.choices());
    page.fill("month", &tables.lines());
    page.fill("quantities", &tables.quantities());
    page.fill("capacity", &tables.capacity());
    page.fill("logins", &tables.logins());
    page.fill("pays", &tables.pays());
    page.fill("wechat", &tables.wechat());
    page.into_text()
}

/// The page about ways to a fixed address, with the prices that `page` has now.
#[must_use]
pub fn egress(egress: &str, page: &str) -> String {
    let prices = Page::new("docs/cost.md", page).figures("prices");
    let mut egress = Page::new("docs/egress.md", egress);
    let mut rows = egress.rows("ways");
    for (row, price) in rows.iter_mut().zip(tables::ways(&Stack::read(), &prices)) {
        row[2] = price;
    }
    egress.fill("ways", &rows);
    egress.into_text()
}
