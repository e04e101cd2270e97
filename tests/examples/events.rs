//! `cargo run -p stories --example events`: writes the folder `events/` anew. Twice in a row makes the same bytes.

use std::path::Path;

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let folder = Path::new(stories::demo_events::FOLDER);
    for (path, content) in stories::demo_events::files() {
        let path = folder.join(path);
        let parent = path.parent().context("every file has a folder")?;
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, content))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}
