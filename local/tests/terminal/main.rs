//! The program from the user's point of view: how it ends, what it says if it cannot start, and what another process
//! finds while it runs.
//!
//! `cfg(test)` tells clippy that helpers here may unwrap.
#![cfg(unix)]
#![cfg(test)]

#[cfg(target_os = "linux")]
mod listeners;
mod privacy;
#[cfg(target_os = "linux")]
mod ready_key;

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Any free ports, so that tests and a running `cargo run` do not meet.
const ANY_PORTS: [&str; 18] = [
    "--port",
    "0",
    "--business-port",
    "0",
    "--simulator-port",
    "0",
    "--shop-port",
    "0",
    "--dynamodb-port",
    "0",
    "--secrets-port",
    "0",
    "--events-port",
    "0",
    "--files-port",
    "0",
    "--lambda-port",
    "0",
];

/// The program, without the environment of the tests.
fn program(options: &[&str], folder: &Path) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_local"));
    program.env_clear().args(ANY_PORTS).args(options).arg("--data-dir").arg(folder).stdout(Stdio::piped());
    program
}

fn start(options: &[&str], folder: &Path) -> Child {
    program(options, folder).stderr(Stdio::null()).spawn().unwrap()
}

/// All that the program prints when everything runs. What it logs afterwards is read too, or it would block.
fn read_welcome(running: &mut Child) -> String {
    let mut told = String::new();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines().map_while(Result::ok);
    for line in lines.by_ref() {
        told.push_str(&line);
        told.push('\n');
        if line.contains("Ctrl-C ends everything") {
            std::thread::spawn(move || lines.for_each(drop));
            return told;
        }
    }
    panic!("it did not start:\n{told}");
}

fn end(mut running: Child, signal: &str) {
    let kill = format!("kill -{signal} {}", running.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    assert_eq!(running.wait().unwrap().success(), signal != "KILL", "{signal}");
}

#[test]
fn a_container_that_stops_ends_it_as_ctrl_c_does() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let mut running = start(&[], folder.path());
        read_welcome(&mut running);
        end(running, signal);
    }
}

#[test]
fn all_occupied_ports_are_named_at_one_start() {
    let folder = tempfile::tempdir().unwrap();
    let others: Vec<_> = (0..ANY_PORTS.len() / 2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<String> = others.iter().map(|other| other.local_addr().unwrap().port().to_string()).collect();
    let mut arguments = ANY_PORTS;
    for (option, port) in ports.iter().enumerate() {
        arguments[2 * option + 1] = port;
    }
    let mut program = Command::new(env!("CARGO_BIN_EXE_local"));
    let ended = program.env_clear().args(arguments).arg("--data-dir").arg(folder.path()).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), others.len(), "{said}");
    for (option, port) in ports.iter().enumerate() {
        let (option, said) = (ANY_PORTS[2 * option], said.lines().find(|line| line.contains(&format!("port {port} "))));
        assert!(said.is_some_and(|line| line.ends_with(option)), "{option}: {said:?}");
    }
}

#[test]
fn an_occupied_port_is_one_sentence_and_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    for option in 0..ANY_PORTS.len() / 2 {
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
