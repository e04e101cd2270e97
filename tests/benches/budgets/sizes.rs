//! The size of each function's upload: its binary, named `bootstrap`, in a zip file.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build;
use crate::report::Report;

const FUNCTIONS: [&str; 10] = [
    "ticket-push",
    "account-push",
    "preauth-link",
    "oauth-callback",
    "account-api",
    "token-api",
    "wechat-calls",
    "token-refresher",
    "web-login",
    "console",
];

pub(crate) fn measure(report: &mut Report) {
    for function in FUNCTIONS {
        let size = of_function(&build::function(function));
        report.at_most(&format!("zip of {function}"), 3.5, size / 1e6, "MB", "");
    }
}

/// The bytes that are uploaded for a function of ours.
pub(crate) fn of_function(binary: &Path) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let bootstrap = folder.path().join("bootstrap");
    std::fs::copy(binary, &bootstrap).expect("it was built");
    zipped(&[bootstrap])
}

/// Bytes of these files and folders, as SAM packs them: Python's zip file, deflated.
pub(crate) fn zipped(entries: &[PathBuf]) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let zip = folder.path().join("function.zip");
    let status = Command::new("python3").args(["-m", "zipfile", "-c"]).arg(&zip).args(entries).status();
    assert!(status.expect("python3 starts").success(), "the zip file cannot be written");
    let bytes = std::fs::metadata(&zip).expect("it was written").len();
    f64::from(u32::try_from(bytes).expect("a function is smaller than 4 GB"))
}
