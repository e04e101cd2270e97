//! The program as the person at the keyboard has it: how it ends, and what it says where it cannot begin.
#![cfg(unix)]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

/// Any free ports, so that tests and a running `cargo run` do not meet.
const ANY_PORTS: [&str; 10] =
    ["--port", "0", "--business-port", "0", "--simulator-port", "0", "--dynamodb-port", "0", "--secrets-port", "0"];

#[test]
fn a_container_that_stops_ends_it_as_ctrl_c_does() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let mut running = Command::new(env!("CARGO_BIN_EXE_local"))
            .env_clear()
            .args(ANY_PORTS)
            .arg("--data-dir")
            .arg(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("Ctrl-C ends everything")), "it did not start");
        let kill = format!("kill -{signal} {}", running.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        assert!(running.wait().unwrap().success(), "{signal}");
    }
}

#[test]
fn an_occupied_port_is_one_sentence_and_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    for option in 0..5 {
        let mut arguments = ANY_PORTS;
        arguments[2 * option + 1] = &port;
        let mut program = Command::new(env!("CARGO_BIN_EXE_local"));
        let ended = program.env_clear().args(arguments).arg("--data-dir").arg(folder.path()).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(arguments[2 * option]), "{said}");
    }
}
