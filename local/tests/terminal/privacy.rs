//! What other users of the machine find in the data folder.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{end, read_welcome, start};

/// Everything in a folder that other users could read, write or enter, the folder included.
fn open_to_others(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let all: Vec<_> = entries.chain([folder.to_owned()]).collect();
    assert!(all.len() > 5, "table and journals, secret, simulator's state, lock: {all:?}");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let others = |path: &&std::path::PathBuf| mode(path) != if path.is_dir() { 0o700 } else { 0o600 };
    all.iter().filter(others).map(|path| format!("{} {:o}", path.display(), mode(path))).collect()
}

#[test]
fn a_data_folder_that_others_could_read_is_private_after_the_next_start() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    for _ in 0..2 {
        let mut running = start(&[], &folder);
        read_welcome(&mut running);
        let open = open_to_others(&folder);
        end(running, "KILL");
        assert_eq!(open, Vec::<String>::new());
        // The folder as an earlier version left it, killed in the middle of its work.
        fs::write(folder.join("simulator.json.new"), "").unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o644)).unwrap();
        }
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    }
}
