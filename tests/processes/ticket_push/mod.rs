//! ticket-push: its responses, what survives a kill, and the log.
//!
//! What follows from a push is the refresher's work, which is done in the test's process here.

mod answers;
mod durability;
mod freeze;
mod logs;
mod races;
mod second_opinion;

/// The function's binary.
const BINARY: &str = env!("CARGO_BIN_EXE_process-ticket-push");
