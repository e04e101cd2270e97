//! The promises of `docs/architecture.md`: each names the tests that prove it, and they exist.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The names of all tests in a folder, at every depth.
fn tests_in(folder: &Path, names: &mut BTreeSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            tests_in(&path, names)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            let functions = text.split("#[test]").chain(text.split("#[tokio::test")).skip(1);
            names.extend(functions.filter_map(|rest| Some(rest.split_once("fn ")?.1.split_once('(')?.0.to_owned())));
        }
    }
    Ok(())
}

#[test]
fn every_promise_names_tests_that_exist() {
    let document = include_str!("../../docs/architecture.md");
    let section = document.split("\n## ").find(|section| section.starts_with("Promises")).unwrap();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    let mut existing = BTreeSet::new();
    for folder in ["shared", "functions", "simulator", "tests"] {
        tests_in(&Path::new(ROOT).join(folder), &mut existing).unwrap();
    }
    assert!(rows.len() >= 10 && existing.len() > 500, "{} promises, {} tests", rows.len(), existing.len());
    for row in rows {
        let named: Vec<&str> = row.rsplit('|').nth(1).unwrap().split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{row}");
        for test in named {
            assert!(existing.contains(test), "there is no test {test}: {row}");
        }
    }
}
