//! `cargo run -p stories --example cost`: counts what the platform uses and rewrites the tables of `docs/cost.md`, and
//! the prices of `docs/egress.md`.

use anyhow::Context as _;
use stories::cost::{EGRESS_PAGE, PAGE, count, egress, made};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let page = made(&read(PAGE)?, &count::count().await);
    let prices = egress(&read(EGRESS_PAGE)?, &page);
    write(PAGE, &page)?;
    write(EGRESS_PAGE, &prices)
}

fn read(path: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{path} cannot be read"))
}

fn write(path: &str, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("{path} cannot be written"))
}
