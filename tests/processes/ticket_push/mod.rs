//! ticket-push: what it answers, what of it survives
//! a kill, and what it logs.
//!
//! What follows from a push is the refresher's work, which here is done
//! in the test's process.

mod answers;
mod durability;
mod freeze;
mod logs;
mod races;
mod second_opinion;

/// The function's binary.
const BINARY: &str = env!("CARGO_BIN_EXE_process-ticket-push");
