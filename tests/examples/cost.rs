//! `cargo run -p stories --example cost`: counts what the platform uses and writes the tables of `docs/cost.md` anew.

use anyhow::Context as _;
use stories::cost::{PAGE, count, made};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let page = std::fs::read_to_string(PAGE).with_context(|| format!("{PAGE} cannot be read"))?;
    let page = made(&page, &count::count().await);
    std::fs::write(PAGE, page).with_context(|| format!("{PAGE} cannot be written"))
}
