//! The operator's tool, `cargo ops`.
//!
//! [`doctor`] examines a deployment, in AWS or a `cargo run` on this machine; [`release_check`] puts it to WeChat's check
//! of a platform that goes live; [`copy_table`] brings items from a restored table; [`keys`] keeps its API keys,
//! [`operators`] the operators of its console, and [`domains`] WeChat's check files. All reach it as anybody else does, through AWS and its public URLs: nothing of the
//! functions or of `cargo run` is linked in.

pub mod account;
pub mod args;
mod check_files;
mod columns;
pub mod copy_table;
pub mod deployment;
pub mod doctor;
pub mod domains;
mod explain;
pub mod finding;
mod http;
pub mod keys;
pub mod operators;
pub mod release_check;
pub mod render;
pub mod signer;
