//! docs/cost.md: what the platform costs, from counts of a run.
//!
//! The page has tables that are written by hand (unit prices, assumptions, the server it is compared with) and tables
//! that are made from them, from a run over the harness ([`count`]) and from template.yaml. [`made`] is the page with
//! the latter made anew: `cargo run -p stories --example cost` writes it, a story compares it.

pub mod count;
mod markdown;
mod month;
mod template;

use count::Counted;
use markdown::Page;
use month::{Known, Month};

/// The page.
pub const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cost.md");

/// What makes the page anew.
pub const COMMAND: &str = "cargo run -p stories --example cost";

/// The sizes of platform that are reckoned, in accounts.
const SIZES: [u32; 3] = [100, 10_000, 1_000_000];

/// The page as it should be, from the page as it is.
#[must_use]
pub fn made(page: &str, counted: &Counted) -> String {
    let mut page = Page::new(page);
    let known = Known { prices: page.figures("prices"), assumed: page.figures("assumptions") };
    let stack = template::Stack::read();
    let with = |messages: f64| SIZES.map(|accounts| Month::of(accounts, messages, counted, &stack, &known));
    let (months, silent) = (with(known.assumed.get("messages and events a month for each account")), with(0.0));
    let servers = month::servers(&page.rows("server"), &known.prices);
    page.fill("counts", &counted.rows());
    page.fill("items", &counted.item_rows());
    page.fill("answer", &month::answer(&months, &silent, servers));
    page.fill("month", &month::lines(&months));
    page.fill("quantities", &month::quantities(&months));
    page.fill("wechat", &month::wechat(&months));
    page.into_text()
}
