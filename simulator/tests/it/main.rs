//! The simulator seen from outside, over HTTP: the calls a platform makes, the pages a merchant sees, the pushes.
//!
//! `cfg(test)` says to clippy what is plain to everybody else: that helpers here may unwrap.

#[cfg(test)]
mod account_side;
#[cfg(test)]
mod api;
#[cfg(test)]
mod chat;
#[cfg(test)]
mod control;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod pushes;
#[cfg(test)]
mod service;
#[cfg(test)]
mod state;
