//! `cargo run -p stories --example openapi`: rewrites `docs/openapi.json`.

use anyhow::Context as _;
use stories::openapi::{PATH, text};

fn main() -> anyhow::Result<()> {
    std::fs::write(PATH, text()).with_context(|| format!("{PATH} cannot be written"))
}
