//! The function's binary as a process of its own, polling for events as in Lambda: what it reports, what a kill costs,
//! what two of them do at once, and what it logs.
//!
//! Only tests in this folder can start this binary. Pushes are received in the test's process.

#[cfg(test)]
mod bus;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod races;
#[cfg(test)]
mod release_check;
#[cfg(test)]
mod second_opinion;
#[cfg(test)]
mod tasks;

/// The function's binary.
#[cfg(test)]
const BINARY: &str = env!("CARGO_BIN_EXE_token-refresher");

/// Longer than any token lives.
#[cfg(test)]
const TO_EXPIRY: std::time::Duration = std::time::Duration::from_mins(121);
