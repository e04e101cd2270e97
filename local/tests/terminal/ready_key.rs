//! The API key that is printed for the user, and never appears in the log, however much is logged.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Child;

use super::listeners::sent;
use super::{end, program, read_welcome};

/// A start that logs everything, and what it prints.
fn start_talkative(folder: &std::path::Path, log: &std::path::Path) -> (Child, String) {
    let log = File::options().create(true).append(true).open(log).unwrap();
    let mut running = program(&[], folder).env("RUST_LOG", "trace").stderr(log).spawn().unwrap();
    let told = read_welcome(&mut running);
    (running, told)
}

/// The URL and the key of the printed line for the shell.
fn exported(told: &str) -> (SocketAddr, String) {
    let line = told.lines().find_map(|line| line.trim().strip_prefix("export API=")).unwrap();
    let (api, key) = line.split_once(" API_KEY=").unwrap();
    let port = api.strip_prefix("http://localhost:").and_then(|rest| rest.strip_suffix("/v1")).unwrap();
    (SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().unwrap())), key.to_owned())
}

#[test]
fn the_ready_key_is_printed_kept_and_logged_nowhere() {
    let parent = tempfile::tempdir().unwrap();
    let (folder, log) = (parent.path().join("data"), parent.path().join("log"));
    let mut keys = Vec::new();
    for _ in 0..2 {
        let (running, told) = start_talkative(&folder, &log);
        let (api, key) = exported(&told);
        assert!(told.contains("-H \"authorization: Bearer $API_KEY\""), "{told}");
        assert_eq!((told.matches(&key).count(), told.contains("no longer valid")), (1, false), "{told}");
        let bearer = format!("Bearer {key}");
        assert!(sent(api, "GET", "/v1/accounts", &[("authorization", &bearer)]).starts_with("HTTP/1.1 200 "));
        assert!(sent(api, "GET", "/v1/accounts", &[]).starts_with("HTTP/1.1 401 "));
        end(running, "TERM");
        assert_eq!(fs::read_to_string(folder.join("api-key")).unwrap(), format!("{key}\n"));
        keys.push(key);
    }
    assert_eq!(keys[0], keys[1]);
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("an API key was created"), "{log}");
    // The last 43 characters are its secret, the rest is its id.
    let secret = &keys[0][keys[0].len() - 43..];
    assert!(!log.contains(secret), "{}", log.lines().find(|line| line.contains(secret)).unwrap());
}
