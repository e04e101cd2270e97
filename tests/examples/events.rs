//! `cargo run -p stories --example events`: rewrites the folder `events/`; two runs write the same bytes. With a folder
//! after `--`: writes the same events there, stamped with the present time.

use std::path::PathBuf;

use anyhow::Context as _;
use base::clock::{Clock as _, SystemClock};
use stories::demo_events;

fn main() -> anyhow::Result<()> {
    let (folder, time) = match std::env::args_os().nth(1) {
        Some(folder) => (PathBuf::from(folder), SystemClock.now().unix()),
        None => (PathBuf::from(demo_events::FOLDER), demo_events::TIME),
    };
    for (path, content) in demo_events::files(time) {
        let path = folder.join(path);
        let parent = path.parent().context("every file has a folder")?;
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, content))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}
