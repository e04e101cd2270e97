//! The function's binary as a process of its own, polling for events as in Lambda: what it answers, what of it survives
//! a kill, and what it logs.
//!
//! Only tests in this folder can start this binary. What follows from a push is the refresher's work, which here is done
//! in the test's process.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod durability;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod races;
#[cfg(test)]
mod second_opinion;

/// The function's binary.
#[cfg(test)]
const BINARY: &str = env!("CARGO_BIN_EXE_ticket-push");
