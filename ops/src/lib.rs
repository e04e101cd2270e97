//! The operator's tool, `cargo ops`.
//!
//! [`doctor`] examines a deployment, in AWS or a `cargo run` on this machine; [`release_check`] runs WeChat's check of
//! a platform that goes live against it; [`copy_table`] copies items from a restored table; [`keys`] manages its API
//! keys, [`operators`] the operators of its console, and [`domains`] WeChat's check files. All access it from outside,
//! through AWS and its public URLs: no code of the functions or of `cargo run` is linked in.

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
