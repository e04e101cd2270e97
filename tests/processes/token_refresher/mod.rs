//! token-refresher: its reports, the cost of a kill, simultaneous processes, and the log.
//!
//! Pushes are received in the test's process.

mod bus;
mod egress;
mod kills;
mod logs;
mod races;
mod release_check;
mod second_opinion;
mod tasks;

/// The function's binary.
const BINARY: &str = env!("CARGO_BIN_EXE_process-token-refresher");

/// Longer than any token lives.
const TO_EXPIRY: std::time::Duration = std::time::Duration::from_mins(121);
