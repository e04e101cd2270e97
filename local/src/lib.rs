//! The parts of `cargo run`: the whole system on localhost.
//!
//! What the cloud gives a function stands here as a small server of this process: the table ([`dynamodb`]), the secret
//! ([`secrets`]), the bus ([`eventbridge`]). The functions' own code is the same as in the cloud, and so are the AWS clients it uses. The tests
//! use the same parts.
//!
//! Beside them stand [`doctor`], which looks at a deployment from outside, here or in the cloud, and [`copy_table`], for a
//! table that was restored or moves; and [`release_check`], which plays WeChat's check of a platform that goes live.

pub mod account;
pub mod args;
mod cause;
pub mod complaint;
pub mod copy_table;
pub mod data_dir;
pub mod doctor;
pub mod dynamodb;
mod endpoints;
pub mod eventbridge;
pub mod forward;
mod functions;
pub mod guard;
mod home;
mod html;
mod listeners;
pub mod platform_secret;
pub mod ports;
pub mod release_check;
pub mod sample_webhook;
pub mod schedule;
pub mod secrets;
pub mod system;
pub mod table;
#[cfg(test)]
mod testing;
mod variables;
pub mod welcome;
