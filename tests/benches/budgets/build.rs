//! The programs under test, built as they are deployed: each function alone, with the release profile.

use std::path::PathBuf;
use std::process::Command;

/// Builds one function, and returns the path of its binary.
pub(crate) fn function(name: &str) -> PathBuf {
    cargo(&["--package", name, "--bin", name]);
    release_folder().join(name)
}

/// Builds the function that does nothing, with the same dependencies as ticket-push.
pub(crate) fn nothing() -> PathBuf {
    cargo(&["--package", "ticket-push", "--example", "nothing"]);
    release_folder().join("examples/nothing")
}

/// `target`, which contains everything that is built or installed.
pub(crate) fn target_folder() -> PathBuf {
    release_folder().parent().expect("a folder of target").to_owned()
}

fn cargo(target: &[&str]) {
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--quiet"])
        .args(target)
        .current_dir(workspace)
        .status();
    assert!(status.expect("cargo starts").success(), "{target:?} does not build");
}

/// `target/release`; this program is in its `deps`.
fn release_folder() -> PathBuf {
    let this = std::env::current_exe().expect("it runs");
    this.ancestors().nth(2).expect("it is in a folder of target").to_owned()
}
