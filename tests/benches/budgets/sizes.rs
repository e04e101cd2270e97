//! What is uploaded for each function: its binary, named `bootstrap`, in a zip file.

use std::path::Path;
use std::process::Command;

use crate::build;
use crate::report::Report;

const FUNCTIONS: [&str; 5] = ["ticket-push", "account-push", "preauth-link", "oauth-callback", "token-refresher"];

pub(crate) fn measure(report: &mut Report) {
    let folder = tempfile::tempdir().expect("a folder");
    for function in FUNCTIONS {
        let bootstrap = folder.path().join("bootstrap");
        std::fs::copy(build::function(function), &bootstrap).expect("it was built");
        let size = zipped(folder.path(), &bootstrap);
        report.at_most(&format!("zip of {function}"), 3.5, size / 1e6, "MB", "");
    }
}

/// Bytes, as SAM packs it: Python's zip file, deflated.
fn zipped(folder: &Path, file: &Path) -> f64 {
    let zip = folder.join("function.zip");
    let status = Command::new("python3").args(["-m", "zipfile", "-c"]).args([&zip, file]).status();
    assert!(status.expect("python3 starts").success(), "the zip file cannot be written");
    let bytes = std::fs::metadata(&zip).expect("it was written").len();
    f64::from(u32::try_from(bytes).expect("a function is smaller than 4 GB"))
}
